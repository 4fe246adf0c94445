"""What ends sessions beside logging out: another way to sign in, the first proof of an address.

allauth owns these steps and says when they are done. A changed password needs nothing here: it is
part of every session (User._get_session_auth_hash).
"""

from typing import Any

from allauth.account.signals import password_reset
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.socialaccount.signals import social_account_added
from allauth.usersessions.models import UserSession
from django.contrib.auth import update_session_auth_hash
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from accounts.sign_in import devices, proof


def end_other_sessions(request: HttpRequest, user: User) -> None:
    """Every session but the one of this request, in browsers and on /api."""
    user.end_sessions()
    update_session_auth_hash(request, user)
    UserSession.objects.create_from_request(request)


@receiver(authenticator_added, dispatch_uid="accounts.endings")
def _another_factor(
    request: HttpRequest, user: User, authenticator: Authenticator, **_: Any
) -> None:
    if authenticator.type == Authenticator.Type.TOTP:
        # The code that set it up is used up, too.
        authenticator.wrap()._mark_code_used(request.POST.get("code", ""))
    end_other_sessions(request, user)


@receiver(social_account_added, dispatch_uid="accounts.endings")
def _another_service(request: HttpRequest, sociallogin: Any, **_: Any) -> None:
    if request.user.is_authenticated and request.user.pk == sociallogin.user.pk:
        end_other_sessions(request, request.user)


@receiver(password_reset, dispatch_uid="accounts.endings")
def _reset_by_mail(request: HttpRequest, user: User, **_: Any) -> None:
    proof.settle(user, reset=True)
    devices.remember(request, user.email)  # strangers may have used up everybody's attempts
