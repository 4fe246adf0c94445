"""Change a few top-level members of a JSON object and leave every other byte as it came.

Re-serialising would lose what the client wrote (number formats, key order, duplicates), change
the bytes a prompt cache is keyed by, and break signatures bound to the transcript.
"""

import json
import re
from typing import Any, NoReturn

import orjson

from hontoni.errors import BadRequest

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def parse(body: bytes) -> dict[str, Any]:
    """The body as a dict. Raises BadRequest for anything that is not a JSON object."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = _parse_leniently(body)
    if not isinstance(parsed, dict):
        raise BadRequest("The request body must be a JSON object.", code="invalid_json")
    return parsed


def _parse_leniently(body: bytes) -> Any:
    """orjson refuses a lone surrogate, which agents do send (a cut emoji); the vendors differ.

    UTF-8 alone is read, and no word for a number that is none: in another encoding a vendor might
    find what we do not see when we look at the bytes.
    """
    try:
        return json.loads(body.decode("utf-8", "surrogatepass"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"The request body is not valid JSON: {error}", code="invalid_json"
        ) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def patch(body: bytes, parsed: dict[str, Any], changes: dict[str, Any]) -> bytes:
    """`body` with `changes` made to its top-level members; None deletes one."""
    for name, value in changes.items():
        if name not in parsed:
            if value is not None:
                body = _insert(body, name, value)
        elif isinstance(value, str) and (found := _only(body, name, parsed[name])):
            body = body.replace(found, orjson.dumps(name) + b":" + orjson.dumps(value))
        else:
            body = _replace_exactly(body, name, value)
    return body


def _only(body: bytes, name: str, value: object) -> bytes | None:
    """The bytes of the one member `"name": "value"` in the body, at whatever depth; if there are
    more, who knows which is ours. A quote inside a JSON string is escaped, so no text matches."""
    if not isinstance(value, str):
        return None
    key, text = orjson.dumps(name), orjson.dumps(value)
    for colon in (b":", b": "):  # as nearly everybody writes it; the rest goes the exact way
        if (member := key + colon + text) in body:
            alone = body.count(key) == 1 or body.count(member) == 1 == body.count(text)
            return member if alone else None
    return None


def _insert(body: bytes, name: str, value: Any) -> bytes:
    head, brace, tail = body.partition(b"{")
    comma = b"" if tail.lstrip().startswith(b"}") else b","
    return head + brace + orjson.dumps(name) + b":" + orjson.dumps(value) + comma + tail


def _replace_exactly(body: bytes, name: str, value: Any) -> bytes:
    """Scan the top level for the member's span. Of a repeated name the last one counts, as it
    did for the parser."""
    text = body.decode("utf-8", "surrogateescape")
    members = _members(text)
    if value is None:
        kept = [text[start:end] for key, start, end in members if key != name]
        text = "{" + ",".join(kept) + "}"
    else:
        start, end = [(start, end) for key, start, end in members if key == name][-1]
        member = f"{json.dumps(name)}:{orjson.dumps(value).decode()}"
        text = text[:start] + member + text[end:]
    return text.encode("utf-8", "surrogateescape")


def _members(text: str) -> list[tuple[str, int, int]]:
    """(name, start, end) of each top-level member of an object known to be valid."""
    found = []
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        start = at
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # past the colon
        _, at = _DECODER.raw_decode(text, at)
        found.append((key, start, at))
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
