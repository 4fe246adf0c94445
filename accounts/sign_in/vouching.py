"""Signing in with another service, which vouches for an address."""

from typing import Any

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthProcess
from django.http import HttpRequest

from accounts.models import User
from accounts.sign_in import proof


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def authenticate_by_email(self, sociallogin: Any) -> tuple[User, str] | None:
        """The account of a verified address. Not one that only waits to change to it: whose that
        is its present address says."""
        found = super().authenticate_by_email(sociallogin)
        if found is None or found[0].email != found[1].lower():
            return None
        return found[0], found[1]

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """The first proof of an address, where the account was found by it (proof.py)."""
        connecting = sociallogin.state.get("process") == AuthProcess.CONNECT
        if (
            sociallogin._did_authenticate_by_email
            and not connecting
            and sociallogin.user.is_active
        ):
            proof.settle(sociallogin.user)
