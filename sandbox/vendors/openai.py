"""What OpenAI's two dialects share: the key, the error shape, the headers."""

from collections.abc import Mapping

from sandbox.vendors.conversation import Json, Sent
from sandbox.vendors.dialect import bearer
from sandbox.vendors.vendors import VendorError

_TYPES = {401: "invalid_request_error", 429: "requests"}
_CODES = {429: "rate_limit_exceeded", 503: "server_is_overloaded"}


def authenticate(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    if key := bearer(headers):
        return key
    raise VendorError(
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        status=401,
    )


def wrong_key() -> VendorError:
    return VendorError("Incorrect API key provided.", status=401, code="invalid_api_key")


def unknown_model(model: str) -> VendorError:
    return VendorError(
        f"The model `{model}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
    )


def error(error: VendorError, request_id: str) -> Json:
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(error.status, kind),
            "param": error.param,
            "code": error.code or _CODES.get(error.status),
        }
    }


def headers(request_id: str) -> dict[str, str]:
    return {
        "x-request-id": request_id,
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
    }


def tier(sent: Sent) -> str:
    """The tier that serves a request: the one it asks for, where it asks for one."""
    asked = sent.body.get("service_tier")
    return asked if asked in ("flex", "priority") else "default"


def server_error() -> Json:
    """The error that ends a stream which fails."""
    message = "The server had an error while processing your request. Sorry about that!"
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
