"""The second factor of signing in to /api. On the web it is allauth's business."""

from allauth.mfa.models import Authenticator

from accounts.models import User
from hontoni import errors

_CODES = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)


def check(user: User, code: str) -> None:
    """Raises Unauthenticated unless the account has no second factor, or this is a code of it.

    A code from the authenticator app, or a recovery code. Each is good for one use.
    """
    found = Authenticator.objects.filter(user=user)
    if not found.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
        return
    if not code:
        raise errors.Unauthenticated(
            "This account has a second factor: send a `code` too.", code="second_factor_required"
        )
    if not any(each.wrap().validate_code(code) for each in found.filter(type__in=_CODES)):
        raise errors.Unauthenticated("The code is wrong.", code="invalid_second_factor")
