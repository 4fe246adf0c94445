"""From where an account was signed in to before: strangers' guesses must not lock its owner out.

Attempts on an address are counted together, from wherever they come, for guessing would have no
end otherwise. Who has signed in before is counted apart from all strangers, by a cookie of that
browser (OWASP's "device cookies") or, as programs keep no cookies, by the network. Whether an
account exists is not told by this: it takes a sign-in to be known.
"""

import hashlib
import secrets

from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from accounts.sign_in.callers import network

COOKIE = "device"
_SALT = "accounts.device"
_DAYS_400 = 400 * 24 * 3600  # browsers keep none for longer
_DAYS_90 = 90 * 24 * 3600


def counted_as(request: Request | HttpRequest, email: str) -> str:
    """With whom attempts on this address are counted: text, the same for the same."""
    email = email.strip().lower()
    if device := _device(request, email):
        return f"{email} from device {device}"
    if cache.get(_place(request, email)):
        return f"{email} from network {network(request)}"
    return email


def remember(request: Request | HttpRequest, email: str) -> None:
    """Somebody has just signed in from here."""
    cache.set(_place(request, email.strip().lower()), 1, _DAYS_90)


def mark(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """And in this browser, which has a cookie from now on."""
    email = email.strip().lower()
    device = _device(request, email) or secrets.token_urlsafe(12)
    response.set_cookie(
        COOKIE,
        signing.dumps([_digest(email), device], salt=_SALT),
        _DAYS_400,
        httponly=True,
        secure=request.is_secure(),
        samesite="Lax",
    )


def _device(request: Request | HttpRequest, email: str) -> str:
    try:
        owner, device = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT)
    except (signing.BadSignature, ValueError):
        return ""
    return str(device) if owner == _digest(email) else ""


def _place(request: Request | HttpRequest, email: str) -> str:
    return f"place:{_digest(f'{email} {network(request)}')}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
