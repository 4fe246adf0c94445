"""The second factor: of signing in to /api, and of staff. On the web it is allauth's business."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.models import User
from hontoni import errors

_CODES = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)


def check(user: User, code: str) -> None:
    """Raises Unauthenticated unless the account has no second factor, or this is a code of it.

    A code from the authenticator app, or a recovery code. Each is good for one use.
    """
    found = Authenticator.objects.filter(user=user)
    if not _real(found).exists():
        return
    if not code:
        raise errors.Unauthenticated(
            "This account has a second factor: send a `code` too.", code="second_factor_required"
        )
    if not any(each.wrap().validate_code(code) for each in found.filter(type__in=_CODES)):
        raise errors.Unauthenticated("The code is wrong.", code="invalid_second_factor")


def _real(found: QuerySet[Authenticator]) -> QuerySet[Authenticator]:
    """An authenticator app or a passkey; recovery codes are only their substitute."""
    return found.exclude(type=Authenticator.Type.RECOVERY_CODES)


def trusted(staff: User | AnonymousUser) -> bool:
    """Whether staff may act: outside the sandbox, not without a second factor.

    Who has one is asked for it whenever they sign in.
    """
    return settings.SANDBOX or _real(Authenticator.objects.filter(user_id=staff.pk)).exists()


def guard(site: AdminSite) -> None:
    """Have the admin send staff without a second factor to set one up, and nowhere else.

    Staff sign in where customers do, with the same throttles.
    """
    permitted, login = site.has_permission, secure_admin_login(site.login)

    def has_permission(request: HttpRequest) -> bool:
        return permitted(request) and trusted(request.user)

    def sign_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if permitted(request) and not trusted(request.user):
            messages.warning(request, "Staff need an authenticator app or a passkey. Set one up.")
            return redirect("mfa_index")
        answer: HttpResponse = login(request, extra_context)
        return answer

    site.has_permission = has_permission  # type: ignore[method-assign]
    site.login = sign_in  # type: ignore[method-assign]
