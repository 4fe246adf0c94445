"""The second factor: of signing in to /api, and of staff. On the web it is allauth's business.

What it is made of (the seeds of apps and of recovery codes) is sealed at rest, like the vendors'
credentials.
"""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.models import User
from hontoni import errors
from hontoni.vault import Vault

_vault = Vault("accounts.factors")
_SEALED = "sealed:"  # how a sealed seed begins; one of before does not
_CODES = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped
    def encrypt(self, text: str) -> str:
        return _SEALED + _vault.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        if not encrypted_text.startswith(_SEALED):
            return encrypted_text
        return _vault.unseal(encrypted_text.removeprefix(_SEALED))


def reseal() -> int:
    """Seal every seed under the newest key, those too that are in clear; how many there are. In a
    transaction. Raises vault.Unreadable."""
    found = list(Authenticator.objects.select_for_update().filter(type__in=_CODES))
    for each in found:
        each.data = {name: _resealed(name, value) for name, value in each.data.items()}
    Authenticator.objects.bulk_update(found, ["data"])
    return len(found)


def seal_clear() -> None:
    """Seal what was stored before seeds were sealed."""
    with transaction.atomic():
        for each in Authenticator.objects.select_for_update().filter(type__in=_CODES):
            if any(_is_clear(name, value) for name, value in each.data.items()):
                each.data = {n: _sealed(v) if _is_clear(n, v) else v for n, v in each.data.items()}
                each.save(update_fields=["data"])


def _is_clear(name: str, value: Any) -> bool:
    if name == "migrated_codes":
        return any(not code.startswith(_SEALED) for code in value)
    return name in ("secret", "seed") and not value.startswith(_SEALED)


def _sealed(value: Any) -> Any:
    """A seed, or a list of codes; what is sealed stays as it is."""
    if isinstance(value, list):
        return [_sealed(each) for each in value]
    return value if value.startswith(_SEALED) else _SEALED + _vault.seal(value)


def _resealed(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_resealed(name, each) for each in value]
    if name not in ("secret", "seed", "migrated_codes"):
        return value
    return _SEALED + _vault.reseal(_sealed(value).removeprefix(_SEALED))


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


def has_one(user: User) -> bool:
    """Whether a code can be asked for: an authenticator app."""
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


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
