"""What a client sends as a batch, read: the lines of a file, or the requests of a body."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from gateway.dialects.json_patch import parse
from gateway.plane import members
from gateway.plane.batches.line import whole
from hontoni.errors import BadRequest

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LONGEST_ID, _MOST_ERRORS = 512, 100


class Request(NamedTuple):
    """`body` is JSON, `model` what it names."""

    custom_id: str
    body: bytes
    model: str


class Unusable(Exception):
    """A file that is no batch; `errors` say why, a line each, as OpenAI words them."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("unusable")
        self.errors = list(errors[:_MOST_ERRORS])


class _Bad(Exception):
    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


def lines(content: bytes, endpoint: str) -> list[Request]:
    """The requests of a file. Raises Unusable."""
    found: list[Request] = []
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            request = _line(raw, endpoint)
            if request.custom_id in seen:
                raise _Bad("duplicate_custom_id", "The custom_id is not unique.", "custom_id")
        except _Bad as bad:
            named = {"code": bad.code, "message": bad.message, "param": bad.param}
            errors.append({**named, "line": number})
            continue
        seen.add(request.custom_id)
        found.append(request)
    most: int = settings.BATCH_REQUESTS
    if not found and not errors:
        errors = [_of_file("empty_file", "The input file is empty.")]
    if len(found) > most:
        errors = [_of_file("too_many_requests", f"A batch may have {most:,} requests at most.")]
    if errors:
        raise Unusable(errors)
    return found


def _of_file(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": None}


def _line(raw: bytes, endpoint: str) -> Request:
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _Bad("invalid_json_line", "This line is not parseable as valid JSON.") from None
    if not isinstance(given, dict):
        raise _Bad("invalid_request", "This line is not an object.")
    custom_id, body = given.get("custom_id"), given.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _LONGEST_ID:
        raise _Bad("missing_required_parameter", "custom_id is required, a text.", "custom_id")
    if "\0" in custom_id:
        raise _Bad("invalid_request", "There is a NUL in the custom_id.", "custom_id")
    if given.get("method", "POST") != "POST":
        raise _Bad("invalid_method", "The method must be POST.", "method")
    if given.get("url") != endpoint:
        raise _Bad("mismatched_endpoint", f"The url must be {endpoint}, the batch's.", "url")
    if not isinstance(body, dict):
        raise _Bad("missing_required_parameter", "body is required, an object.", "body")
    try:
        members.agree(raw, given)
        members.look(body)
    except BadRequest as error:
        raise _Bad("invalid_request", error.message, error.param or "body") from None
    return _request(custom_id, body)


def messages(body: bytes) -> list[Request]:
    """The requests of Anthropic's body. Raises BadRequest."""
    parsed = parse(body)
    members.agree(body, parsed)
    given, most = parsed.get("requests"), settings.BATCH_REQUESTS
    if not isinstance(given, list) or not given:
        raise BadRequest("requests: a list of at least one request is required", param="requests")
    if len(given) > most:
        raise BadRequest(f"requests: a batch may have {most:,} requests at most", param="requests")
    found = [_message(f"requests.{at}", each) for at, each in enumerate(given)]
    if len({each.custom_id for each in found}) < len(found):
        raise BadRequest("requests: each custom_id must be unique in a batch", param="requests")
    return found


def _message(place: str, given: Any) -> Request:
    if not isinstance(given, dict) or not isinstance(given.get("params"), dict):
        raise BadRequest(f"{place}.params: an object is required", param=place)
    custom_id = given.get("custom_id")
    if not isinstance(custom_id, str) or not _ID.fullmatch(custom_id):
        raise BadRequest(
            f"{place}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'",
            param=f"{place}.custom_id",
        )
    members.look(given["params"])
    return _request(custom_id, given["params"])


def _request(custom_id: str, body: Mapping[str, Any]) -> Request:
    model = body.get("model")
    named = model[:200].replace("\0", "") if isinstance(model, str) else ""
    return Request(custom_id, orjson.dumps(whole(body)), named)
