"""The one who asks SePay's e-invoice API (developer.sepay.vn/en/einvoice-api/v1).

Making and issuing are requests with a tracking code, whose end is asked for; files come as base64.
The token is good for a day and kept in the cache.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings
from django.core.cache import cache

from hontoni import errors

Object = dict[str, Any]
PENDING, SUCCESS, FAILED = "Pending", "Success", "Failed"
TOKEN_LASTS = 20 * 3600
MOST_BYTES = 10 * 1024 * 1024


class Refused(Exception):
    """SePay found it wrong: its words. Asking again for the same will not help."""


class Unanswered(errors.Unavailable):
    """It did not answer, or not as it is documented: ask again."""

    code = "payments_unavailable"

    def __init__(self, why: str) -> None:
        super().__init__("SePay's e-invoices do not answer.")
        self.why = why


def configured() -> bool:
    """Whether our invoices are handed over."""
    return bool(
        settings.EINVOICE_CLIENT_ID
        and settings.EINVOICE_CLIENT_SECRET
        and settings.EINVOICE_ACCOUNT
        and settings.EINVOICE_SERIES
        and settings.EINVOICE_SINCE
    )


def account() -> Object:
    """Our provider account there. Raises Unanswered and Refused."""
    return _call("GET", f"provider-accounts/{quote(settings.EINVOICE_ACCOUNT)}")


def create(body: Mapping[str, Any]) -> str:
    """Have one made; the tracking code. So with the other two."""
    return str(_call("POST", "invoices/create", body)["tracking_code"])


def replace(body: Mapping[str, Any]) -> str:
    return str(_call("POST", "invoices/replace", body)["tracking_code"])


def adjust(body: Mapping[str, Any]) -> str:
    return str(_call("POST", "invoices/adjust", body)["tracking_code"])


def issue(reference_code: str) -> str:
    """Have a draft signed and sent to the tax office; the tracking code."""
    begun = _call("POST", "invoices/issue", {"reference_code": reference_code})
    return str(begun["tracking_code"])


def created(tracking_code: str) -> Object:
    """What became of `create`, `replace` or `adjust`: `status`, `message`, `invoice`."""
    return _call("GET", f"invoices/create/check/{quote(tracking_code)}")


def issued(tracking_code: str) -> Object:
    """What became of `issue`."""
    return _call("GET", f"invoices/issue/check/{quote(tracking_code)}")


def find(reference_code: str) -> Object | None:
    """One that is there, whatever we were told of it; None if it is not."""
    try:
        return _call("GET", f"invoices/{quote(reference_code)}")
    except Refused as error:
        if str(error).startswith("404"):
            return None
        raise


def file(tracking_code: str, type: str) -> bytes:
    """The `pdf` or the `xml` of one that is issued."""
    found = _call("GET", f"invoices/{quote(tracking_code)}/download?type={type}")
    try:
        content = base64.b64decode(found["content"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise Unanswered("the file is not base64") from error
    if not content or len(content) > MOST_BYTES:
        raise Unanswered("the file is empty, or too large")
    return content


def _call(method: str, path: str, body: Mapping[str, Any] | None = None) -> Object:
    answer = _send(method, path, body, _token())
    if answer.status_code == 401:  # it ended before its time
        cache.delete(_token_key())
        answer = _send(method, path, body, _token())
    return _read(answer)


def _send(method: str, path: str, body: Mapping[str, Any] | None, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return _request(method, path, headers=headers, json=body)


def _request(method: str, path: str, **kwargs: Any) -> httpx.Response:
    try:
        with httpx.Client(timeout=settings.VIETNAM_TIMEOUT_SECONDS, trust_env=False) as client:
            return client.request(method, f"{settings.EINVOICE_API_BASE}/v1/{path}", **kwargs)
    except httpx.HTTPError as error:
        raise Unanswered(repr(error)) from error


def _read(answer: httpx.Response) -> Object:
    if answer.status_code >= 500 or answer.status_code in (401, 408, 429):
        raise Unanswered(f"it answers {answer.status_code}")
    try:
        body = answer.json()
        if body.get("success") is True:
            return dict(body["data"])
        message = str(body.get("message") or body.get("error") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unanswered("it answers no JSON that is documented") from error
    raise Refused(f"{answer.status_code}: {message}"[:500])


def _token_key() -> str:
    pair = f"{settings.EINVOICE_CLIENT_ID}:{settings.EINVOICE_CLIENT_SECRET}"
    place = f"{settings.EINVOICE_API_BASE} {pair}"
    return f"einvoice-token:{hashlib.sha256(place.encode()).hexdigest()}"


def _token() -> str:
    if known := cache.get(_token_key()):
        return str(known)
    pair = (settings.EINVOICE_CLIENT_ID, settings.EINVOICE_CLIENT_SECRET)
    token = str(_read(_request("POST", "token", auth=pair))["access_token"])
    cache.set(_token_key(), token, TOKEN_LASTS)
    return token
