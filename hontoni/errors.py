"""The errors we answer with, on /v1 and on /api alike. One handler a plane renders them.

* ApiError
  - BadRequest              400  invalid_request_error
  - Unauthenticated         401  authentication_error
  - PaymentRequired         402  billing_error
  - Forbidden               403  permission_error
  - NotFound                404  not_found_error
  - RequestTimeout          408  timeout_error
  - Conflict                409  conflict_error          (never on /v1: SDKs retry it)
  - TooLarge                413  request_too_large
  - RateLimited             429  rate_limit_error
  - HeadersTooLarge         431  invalid_request_error
  - UpstreamFailed          500  api_error
  - Unavailable             503  overloaded_error
  - UpstreamTimeout         504  timeout_error

The body satisfies our spec and both SDK families (protocols.md section 4.1).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_pages = {"at": ""}  # where every code has a page; hontoni/apps.py says so when it starts


def documented_at(url: str) -> None:
    """From now on errors name the page of their code: this URL, a slash and the code."""
    _pages["at"] = url.rstrip("/")


def page(code: str) -> dict[str, str]:
    """The member of an error's body that leads to the page of its code; none before
    `documented_at`."""
    return {"doc_url": f"{_pages['at']}/{code}"} if _pages["at"] else {}


class ApiError(Exception):
    """An error that knows how it is answered. `message` is shown to the customer as it is.

    With `about` it is a template: so that a page can say the same in another language.
    """

    status = 500
    type = "api_error"
    code = "internal_error"
    template = ""
    about: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        if about:
            self.template, self.about = message, about
            message %= about
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param
        self.headers = dict(headers or {})
        self.details = dict(details or {})

    def body(self, request_id: str) -> dict[str, Any]:
        """What both SDK families read: OpenAI's `error`, Anthropic's the whole."""
        error: dict[str, Any] = {
            "type": self.type,
            "message": self.message,
            "code": self.code,
            "param": self.param,
            **page(self.code),
        }
        if self.details:
            error["details"] = self.details
        return {"type": "error", "error": error, "request_id": request_id}


class BadRequest(ApiError):
    status, type, code = 400, "invalid_request_error", "invalid_request"


class Unauthenticated(ApiError):
    status, type, code = 401, "authentication_error", "invalid_api_key"


class PaymentRequired(ApiError):
    status, type, code = 402, "billing_error", "insufficient_balance"


class Forbidden(ApiError):
    status, type, code = 403, "permission_error", "forbidden"


class NotFound(ApiError):
    status, type, code = 404, "not_found_error", "not_found"


class RequestTimeout(ApiError):
    status, type, code = 408, "timeout_error", "request_timeout"


class Conflict(ApiError):
    status, type, code = 409, "conflict_error", "conflict"


class TooLarge(ApiError):
    status, type, code = 413, "request_too_large", "request_too_large"


class RateLimited(ApiError):
    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class HeadersTooLarge(ApiError):
    status, type, code = 431, "invalid_request_error", "headers_too_large"


class UpstreamFailed(ApiError):
    status, type, code = 500, "api_error", "upstream_error"


class Unavailable(ApiError):
    status, type, code = 503, "overloaded_error", "service_unavailable"


class UpstreamTimeout(ApiError):
    status, type, code = 504, "timeout_error", "upstream_timeout"
