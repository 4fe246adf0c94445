"""What went wrong upstream, in our words (protocols.md section 4.2).

* The client's own fault keeps its status, with the vendor's message: a 400, and what is said
  about a file or an item that the client itself named.
* Any other 401, 402, 403 or 404 is ours to repair, and never told as the client's. A model that
  the vendor does not have any more is 404 `model_retired`: asking again is of no use.
* A vendor's 429 becomes a 503, in our words: it would look like the customer's own plan limit.
* What a vendor will not answer is a 400 `content_policy`, unless it answered so (200, refusal).
* Our account with the vendor (organisation, project, key) is taken out of what is passed on.
* An overlong prompt is worded so that each agent compacts: by code for OpenAI's dialects, and
  by "prompt is too long: N tokens > M maximum" for Claude Code.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.dialects.codecs import wire
from gateway.dialects.ir import Failed
from hontoni.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    NotFound,
    PaymentRequired,
    RateLimited,
    TooLarge,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
    page,
)

_CONTEXT = re.compile(
    r"context_length|context length|context window|prompt is too long|exceeds? the maximum"
    r"|exceed context limit|maximum context|input token count|too many tokens",
    re.I,
)
_STALE = re.compile(
    r"invalid_encrypted_content|encrypted content .*could not be verified|thought_?\s?signature"
    r"|`?(signature|data)`? in `?(redacted_)?thinking|bound to a different conversation"
    r"|Item with id '?rs_",
    re.I,
)
_KEY = re.compile(r"api[_ ]key[_ ](not valid|invalid)|API_KEY_INVALID", re.I)
_FUNDS = re.compile(r"credit balance|insufficient_quota|credit_balance_exhausted", re.I)
_POLICY = re.compile(r"content_policy|content_filter|policy_violation|bio_policy", re.I)
_ACCOUNT = re.compile(
    r"\b(?:org|organization|proj|project|acct|user)[-_][A-Za-z0-9_-]{6,}|\bsk-[\w*.-]+"
    r"|\barn:aws[\w-]*:[\w:/.-]+|\bAIza[\w-]+|\bprojects/[\w-]+|\bkey\s+ending\s+in\s+\S+|\breq(?:uest)?_[A-Za-z0-9]{8,}"
)
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")
_MISSING = re.compile(
    r"\b(?:item|file|container|skill|response|conversation|vector store)s?\b.{0,120}not found"
    r"|no such (?:item|file|container|skill|response|conversation)"
    r"|permission to access the file",
    re.I,
)
_GONE = re.compile(
    r"^model: \S+$|\bmodels?[/: `'\"]+[^ ]+.{0,80}(?:not found|not exist|deprecated|decommissioned"
    r"|retired|no longer (?:available|supported)|sunset|reached the end of its life)",
    re.I,
)
_NOT_FOUND = frozenset(("not_found_error", "NOT_FOUND"))
_GONE_WORDS = frozenset(
    ("model_not_found", "model_decommissioned", "model_deprecated", "DeploymentNotFound")
)
# Of Bedrock, which says with a 400 that our name of the model is wrong.
_UNSOLD = re.compile(
    r"^The provided model identifier is invalid|^Invocation of model ID .{0,200}on-demand",
    re.I,
)
_NUMBERS = re.compile(r"\d[\d,]{2,}")
_GENERIC = "The model's provider failed to answer"
_BUSY = "The model's provider has more requests than it can take; try again in a moment"
_LATE = "The model's provider took too long"
_RETIRED = "The model's provider does not have this model any more"
_LOST = "The model's provider broke off the answer"

CUT = Failed(500, "api_error", "upstream_error", _LOST, "cut")
BROKEN = Failed(500, "api_error", "upstream_error", "The model's provider sent nonsense", "broken")
_MALFORMED = "The model gave an answer that makes no sense; try again"
GONE = Failed(404, "not_found_error", "model_retired", _RETIRED, "model_not_found")
OVERLOADED = "upstream_overloaded"  # as our own 503s are not
RETIRED = "model_retired"
STALE = "stale_reasoning"  # `vendor_code` of a 400 that goes away without the carriers

_BY_WORD = {
    "overloaded_error": 503,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "rate_limit_error": 503,
    "rate_limit_exceeded": 503,
    "RESOURCE_EXHAUSTED": 503,
    "UNAVAILABLE": 503,
    "timeout_error": 504,
    "DEADLINE_EXCEEDED": 504,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "ThrottlingException": 503,
    "ServiceUnavailableException": 503,
    "ModelTimeoutException": 504,
    "ValidationException": 400,
    "request_too_large": 413,
}
_BY_STATUS = {
    400: 400,
    408: 504,
    413: 413,
    422: 400,
    429: 503,
    503: 503,
    504: 504,
    524: 504,
    529: 503,
}
_KINDS: dict[int, type[ApiError]] = {
    400: BadRequest,
    402: PaymentRequired,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    429: RateLimited,
    500: UpstreamFailed,
    503: Unavailable,
    504: UpstreamTimeout,
}


def decode(body: Any, status: int = 0, retry_after: float | None = None) -> Failed:
    """A vendor's error body (any dialect's, or what a proxy sent instead) with its status, which
    is 0 for an error inside a stream."""
    if isinstance(body, list):
        body = body[0] if body else None
    error = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return _failed(_BY_STATUS.get(status, 500), _GENERIC, "", retry_after)
    words = [str(error.get(name) or "") for name in ("code", "status", "type")]
    message = error.get("message") or error.get("Message")
    said = message if isinstance(message, str) and message else _GENERIC
    everything = " ".join([*words, said])
    found = (_BY_WORD[word] for word in words if word in _BY_WORD)
    numeric = next((int(w) for w in words if w.isdigit()), 0)
    code = next((word for word in words if word), "")
    if status == 404 and _STALE.search(everything):
        status = 400
    if status in (403, 404) and _MISSING.search(said):
        # What the client points at is not there; neither key nor catalogue is wrong.
        return _failed(status, _ACCOUNT.sub("…", said), code, None)
    if _is_gone(status, words, said):
        return replace(_failed(404, _RETIRED, code, None), code=RETIRED)
    answer = _BY_STATUS.get(status or numeric) or (500 if status else next(found, 0))
    if not answer:  # inside a stream, with a word of its own
        answer = 400 if _CONTEXT.search(everything) or _STALE.search(everything) else 500
    retry_after = retry_after or _delay(error.get("details"))
    if _KEY.search(everything):
        return _failed(500, _GENERIC, "invalid_api_key", retry_after)
    if _FUNDS.search(everything):
        return _failed(500, _GENERIC, "insufficient_quota", retry_after)
    if answer == 400 or any(map(_POLICY.search, words)):
        param = error.get("param")
        given = param if isinstance(param, str) else None
        return replace(_fault(everything, _ACCOUNT.sub("…", said), code), param=given)
    ours = {413: _ACCOUNT.sub("…", said), 503: _BUSY, 504: _LATE}
    return _failed(answer, ours.get(answer, _GENERIC), code, retry_after)


def _is_gone(status: int, words: list[str], said: str) -> bool:
    """Whether the vendor does not have the model any more, or under that name. What a vendor of
    ours says is not found, where nothing of the client's is, is the model: the path is known."""
    if not _GONE_WORDS.isdisjoint(words):
        return status in (0, 400, 404, 410)
    if status == 400 and _UNSOLD.search(said):
        return True
    found = not _NOT_FOUND.isdisjoint(words) or bool(_GONE.search(said))
    return status in (404, 410) and found


def _delay(details: Any) -> float | None:
    """Google's RetryInfo, in seconds."""
    for each in details if isinstance(details, list) else ():
        given = each.get("retryDelay") if isinstance(each, Mapping) else None
        if isinstance(given, str) and (found := _DELAY.fullmatch(given)):
            return float(found[1])
    return None


def _fault(everything: str, message: str, code: str) -> Failed:
    if _STALE.search(everything):
        return replace(_failed(400, message, STALE, None), code="invalid_request")
    failed = _failed(400, message, code, None)
    if _CONTEXT.search(everything):
        return replace(failed, code="context_length_exceeded")
    if _POLICY.search(code):
        return replace(failed, code="content_policy")
    return failed


def _failed(status: int, message: str, code: str, retry_after: float | None) -> Failed:
    kind = _KINDS[status]
    ours = OVERLOADED if status == 503 else kind.code
    return Failed(status, kind.type, ours, message, code, retry_after)


def malformed(raw: str) -> Failed:
    """The model's own muddle: worth one silent retry while nothing was sent."""
    return Failed(500, "api_error", "upstream_error", _MALFORMED, raw)


def error(failed: Failed) -> ApiError:
    """The same, to be raised while a status code can still be sent."""
    headers = {} if failed.retry_after is None else {"retry-after": f"{failed.retry_after:g}"}
    return _KINDS.get(failed.status, UpstreamFailed)(
        failed.message, code=failed.code, param=failed.param, headers=headers
    )


def of(raised: ApiError) -> Failed:
    """Our own error as the end of a stream."""
    vendor_code = getattr(raised, "vendor_code", "")
    return Failed(raised.status, raised.type, raised.code, raised.message, vendor_code)


def for_anthropic(message: str, code: str) -> str:
    """The wording that makes Claude Code compact: it looks for this very text."""
    if code != "context_length_exceeded" or "prompt is too long" in message:
        return message
    numbers = sorted({int(n.replace(",", "")) for n in _NUMBERS.findall(message)})
    if len(numbers) > 1:
        return f"prompt is too long: {numbers[-1]} tokens > {numbers[-2]} maximum"
    return f"prompt is too long: {message}"


_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RPC = "type.googleapis.com/google.rpc."


def google(
    status: int, code: str, message: str, retry_after: float | None = None, request_id: str = ""
) -> dict[str, Any]:
    """An error as Google's SDKs and agents read it: our code is the reason, and when to come again
    a detail."""
    info: dict[str, Any] = {"@type": f"{_RPC}ErrorInfo", "reason": code, "domain": "hontoni"}
    if request_id:
        info["metadata"] = {"request_id": request_id}
    details = [info]
    if retry_after is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{retry_after:g}s"})
    if url := page(code).get("doc_url"):
        link = {"description": "What this error means", "url": url}
        details.append({"@type": f"{_RPC}Help", "links": [link]})
    word = _GOOGLE.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": word, "details": details}}


def _seconds(headers: Mapping[str, str]) -> float | None:
    said = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    return float(said) if said.replace(".", "", 1).isdecimal() else None


def body(raised: ApiError, request_id: str, dialect: str) -> dict[str, Any]:
    """The one error body, worded for the dialect the client spoke."""
    if dialect == "gemini":
        wait = _seconds(raised.headers)
        return google(raised.status, raised.code, raised.message, wait, request_id)
    answer = raised.body(request_id)
    if dialect == "anthropic_messages":
        answer["error"]["message"] = for_anthropic(raised.message, raised.code)
    return answer


def words(data: bytes) -> str:
    """What a vendor's error reply says, without keys and accounts; for whose account it is."""
    body = wire.load(data)
    body = body[0] if isinstance(body, list) and body else body
    error = body.get("error", body) if isinstance(body, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else error
    said = message if isinstance(message, str) else data[:200].decode("utf-8", "replace")
    return _ACCOUNT.sub("…", " ".join(said.split()))[:200]


def parse(data: bytes, status: int, retry_after: float | None = None) -> Failed:
    """A whole error reply: JSON or not."""
    return decode(wire.load(data), status, retry_after)
