"""Where a referral link leads."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from billing.rewards.models import normal

COOKIE = "referral"
_DAYS_30 = 30 * 24 * 3600


@require_safe
def invited(request: HttpRequest, code: str) -> HttpResponse:
    """Remember who invited this visitor until they sign up, and show them the product."""
    response = HttpResponseRedirect(reverse("home"))
    response.set_cookie(
        COOKIE, normal(code), _DAYS_30, httponly=True, secure=request.is_secure(), samesite="Lax"
    )
    return response
