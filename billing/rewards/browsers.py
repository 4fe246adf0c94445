"""Which browser an account signs up and in with: a signed cookie of ours that outlives sessions.

It is known by nothing but that: no fingerprint is taken, and programs, which keep no cookies, are
not known at all. Whoever deletes it is a new browser; a mailbox and a card are not so cheap.
"""

import secrets

from allauth.account.signals import user_logged_in, user_signed_up
from django.core import signing
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from accounts.models import User
from billing.rewards import gifts
from billing.rewards.models import Mark

COOKIE = "browser"
_DAYS_400 = 400 * 24 * 3600  # browsers keep none for longer; every log-in renews it
_SALT = "billing.browser"


class Browsers(MiddlewareMixin):
    """Sends the cookie with the answer in which somebody signed up or in."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if name := getattr(request, "browser", ""):
            response.set_cookie(
                COOKIE,
                signing.dumps(name, salt=_SALT),
                _DAYS_400,
                httponly=True,
                secure=request.is_secure(),
                samesite="Lax",
            )
        return response


def known(request: HttpRequest) -> str:
    """The browser's name, if it has one that we gave it."""
    try:
        return str(signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT))
    except signing.BadSignature:
        return ""


@receiver([user_signed_up, user_logged_in], dispatch_uid="billing.browsers")
def _recognise(request: HttpRequest, user: User, **others: object) -> None:
    name = known(request) or secrets.token_urlsafe(16)
    request.browser = name  # type: ignore[attr-defined]  # for the answer
    gifts.recognise(user.pk, Mark.Kind.BROWSER, name)
