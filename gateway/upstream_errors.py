"""What a vendor's refusal means to our customer (protocols.md section 4.2).

A client's fault stays a client's fault, in the vendor's words. The vendor's 401, 402, 403, 404
and 429 are ours: our key, our bill, our catalogue, our quota. HTML is never passed on.
"""

import logging
from typing import Any

import orjson

from hontoni.errors import ApiError, BadRequest, TooLarge, Unavailable, UpstreamFailed
from hontoni.errors import UpstreamTimeout as Timeout

logger = logging.getLogger(__name__)

_MOST_RETRY_SECONDS = 60
_OUT_OF_MONEY = ("insufficient_quota", "credit_balance_exhausted", "billing_error")


def from_reply(status: int, body: bytes, retry_after: str, vendor: str) -> ApiError:
    """The error to answer with for a vendor's non-2xx answer."""
    return from_error(status, _error(body), retry_after, vendor)


def from_error(status: int, error: dict[str, Any], retry_after: str, vendor: str) -> ApiError:
    """The same for an error object inside a 200 stream (`status` as it would have been)."""
    message = str(error.get("message") or "The model's provider refused the request.")[:2000]
    code = error.get("code") or error.get("type")
    if code in _OUT_OF_MONEY or "credit balance is too low" in message:
        logger.critical("upstream.out_of_money %s", vendor)
        return _busy(retry_after)
    match status:
        case 400 | 422:
            param = error.get("param")
            return BadRequest(
                message,
                code=code if isinstance(code, str) and not code.endswith("_error") else None,
                param=param if isinstance(param, str) else None,
            )
        case 413:
            return TooLarge(message)
        case 401 | 402 | 403 | 404:
            logger.critical("upstream.refuses_us %s %s: %s", vendor, status, message)
            return UpstreamFailed(
                "The model's provider refused our access. We are looking into it."
            )
        case 429 | 503 | 529:
            return _busy(retry_after)
        case 408 | 504 | 524:
            return Timeout("The model's provider did not answer in time.")
    return UpstreamFailed(f"The model's provider failed (HTTP {status}).")


def status_of(error: dict[str, Any]) -> int:
    """The HTTP status a mid-stream error would have had, by the vendors' type words."""
    kind = str(error.get("type") or "")
    return {
        "overloaded_error": 529,
        "rate_limit_error": 429,
        "rate_limit_exceeded": 429,
        "invalid_request_error": 400,
        "authentication_error": 401,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "timeout_error": 504,
    }.get(kind, 500)


def _busy(retry_after: str) -> Unavailable:
    seconds = int(retry_after) if retry_after.isdecimal() else 2
    return Unavailable(
        "The model's provider is overloaded. Try again shortly.",
        code="upstream_overloaded",
        headers={"Retry-After": str(min(max(seconds, 1), _MOST_RETRY_SECONDS))},
    )


def _error(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(parsed, list) and parsed:  # Gemini wraps it in a list
        parsed = parsed[0]
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}
