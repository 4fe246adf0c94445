"""Where a referral link leads, and how it is remembered until the visitor signs up."""

from typing import Any

from allauth.account.signals import user_signed_up
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from accounts.models import User
from billing import referrals
from billing.rewards.models import normal
from hontoni import errors
from ratelimits.throttle import AddressThrottle

COOKIE = "referral"
_DAYS_30 = 30 * 24 * 3600


@require_safe
def invited(request: HttpRequest, code: str) -> HttpResponse:
    """Remember who invited this visitor, and let them sign up."""
    response = HttpResponseRedirect(reverse("account_signup"))
    response.set_cookie(
        COOKIE, normal(code), _DAYS_30, httponly=True, secure=request.is_secure(), samesite="Lax"
    )
    return response


@receiver(user_signed_up, dispatch_uid="billing.rewards")
def _accept(request: HttpRequest, user: User, **_: Any) -> None:
    code = request.COOKIES.get(COOKIE)
    if not code:
        return
    address = AddressThrottle().identify(Request(request)) or ""
    try:
        referrals.accept(user, code, address=address, now=timezone.now())
    except errors.ApiError:
        return  # a code that is unknown, or their own, keeps nobody from signing up
