"""The end of an account, at its owner's wish.

What identifies a person goes: address, name, sign-in methods, sessions, IP addresses. What the
books are made of stays, under an account that nobody can open: the law asks for it.
"""

from collections.abc import Callable
from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils import timezone

from accounts.keys import api_keys
from accounts.models import (
    ApiKey,
    Consent,
    Invitation,
    KeyPlace,
    PersonalToken,
    RefreshToken,
    SignOn,
    TeamDomain,
    TeamEvent,
    User,
)
from accounts.people import terms

DELETED = "@deleted.invalid"  # how the addresses of deleted accounts end

_followers: list[Callable[[int, datetime], None]] = []


def follow(closed: Callable[[int, datetime], None]) -> None:
    """Have this called, first of all, in the transaction that closes an account.

    What else ends with it is the business of others, who say so when they start: imports point
    down.
    """
    _followers.append(closed)


@transaction.atomic
def delete(user: User) -> None:
    """Close an account for good. Its keys stop with the next request; its sessions are over."""
    for closed in _followers:
        closed(user.pk, timezone.now())
    for key in ApiKey.objects.filter(user=user, revoked_at=None):
        api_keys.revoke(key)
    ApiKey.objects.filter(user=user).update(name="deleted", last_used_ip=None, made_from=None)
    PersonalToken.objects.filter(person=user).delete()
    TeamEvent.objects.filter(actor=user).update(actor_email="", ip=None)
    Invitation.objects.filter(email=user.email).delete()
    TeamDomain.objects.filter(account=user).delete()
    SignOn.objects.filter(account=user).delete()
    personal = (RefreshToken, PersonalToken, EmailAddress, Authenticator, SocialAccount)
    for kind in (*personal, UserSession, Consent, KeyPlace):
        kind.objects.filter(user=user).delete()
    user.email, user.name = f"deleted-{user.pk}{DELETED}", ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    user.save()
    terms.changed(user.pk)
