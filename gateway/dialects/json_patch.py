"""Change a few top-level members of a JSON object and leave every other byte as it came.

Re-serialising would lose what the client wrote (number formats, key order, duplicates), change
the bytes a prompt cache is keyed by, and break signatures bound to the transcript.
"""

import json
import re
from typing import Any, NoReturn

import orjson

from hontoni.errors import BadRequest
from hontoni.strict_json import finite

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_CLOSED = re.compile(rb"[ \t\n\r]*}")
_LARGE, _MOST_NODES = 1024 * 1024, 500_000
_DEEPEST = 250  # orjson writes 254


def parse(body: bytes) -> dict[str, Any]:
    """The body as a dict. Raises BadRequest for anything that is not a JSON object."""
    if len(body) > _LARGE and body.count(b"{") + body.count(b"[") > _MOST_NODES:
        # Two bytes of it become a hundred in memory.
        raise BadRequest("The request body has too many objects and lists.", code="invalid_json")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = _parse_leniently(body)
    if not isinstance(parsed, dict):
        raise BadRequest("The request body must be a JSON object.", code="invalid_json")
    return parsed


def _parse_leniently(body: bytes) -> Any:
    """orjson refuses a lone surrogate, which agents do send (a cut emoji); the vendors differ.

    UTF-8 alone is read, no word for a number that is none, and no larger number than orjson takes:
    in another encoding a vendor might find what we do not see when we look at the bytes.
    """
    try:
        text = body.decode("utf-8", "surrogatepass")
        parsed = json.loads(text, parse_constant=_refuse, parse_int=_whole, parse_float=finite)
        if _too_deep(parsed):
            raise ValueError("it is nested too deeply")
        return _whole_letters(parsed)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"The request body is not valid JSON: {error}", code="invalid_json"
        ) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _whole(digits: str) -> int | float:
    number = int(digits) if len(digits) < 25 else finite(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def _whole_letters(parsed: Any) -> Any:
    """Without halves of surrogate pairs: UTF-8 has none, so they could be sent to nobody. A
    member's name must be what it was, or the member could not be found again."""
    if isinstance(parsed, dict):
        for name in parsed:
            name.encode()
    return orjson.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))


def _too_deep(node: Any) -> bool:
    level = [node] if isinstance(node, dict | list) else []
    for _ in range(_DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for group in inner for each in group if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def patch(
    body: bytes, parsed: dict[str, Any], changes: dict[str, Any], front: bytes = b""
) -> bytes:
    """`body` with `changes` made to its top-level members; None deletes one. `front` are members
    it does not have, as JSON."""
    added = [front] if front else []
    for name, value in changes.items():
        if name not in parsed:
            if value is not None:
                added.append(orjson.dumps(name) + b":" + orjson.dumps(value))
        elif isinstance(value, str) and (found := _only(body, name, parsed[name])):
            body = body.replace(found, orjson.dumps(name) + b":" + orjson.dumps(value))
        else:
            body = _replace_exactly(body, name, value)
    return _with(body, added) if added else body


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


def _with(body: bytes, added: list[bytes]) -> bytes:
    """With all of these members in front, in one copy of what may be megabytes."""
    at = body.index(b"{") + 1
    comma = b"" if _CLOSED.match(body, at) else b","
    return b"".join((body[:at], b",".join(added), comma, memoryview(body)[at:]))


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
