"""Whose account it is: the first proof of its address settles that.

Anybody can open an account with anybody's address. Until its mailbox has answered nobody knows
who it was, so what was made until then is kept only for who shows to be the same person: by the
password, or by a session of the account in the browser that opens the link. To everybody else the
account is given clean: the owner of the mailbox never shares it with who was there first.

| proof | what was made before it |
|---|---|
| the link, with the password or in a session of the account | stays |
| the link, with neither | ends |
| a password reset by mail | ends |
| a sign-in with a service that vouches for the address | ends |

Staff may confirm an address (`createcustomer`); that is their word and no proof, which is still to
come. Once an address is proven, another one proves nothing but itself: it never opens the account.
"""

from collections.abc import Callable

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens
from accounts.models import ApiKey, PersonalToken, RefreshToken, User
from accounts.people import mailboxes, privacy

_followers: list[Callable[[int], None]] = []


def follow(cleaned: Callable[[int], None]) -> None:
    """Have this called in the transaction that gives an account clean: imports point down."""
    _followers.append(cleaned)


def is_due(user: User) -> bool:
    """Whether nobody has proven an address of this account yet."""
    vouched = User.objects.filter(pk=user.pk, address_vouched=True).exists()
    return vouched or not mailboxes.confirmed(user.pk)


def vouch(user: User) -> None:
    """Staff confirm the address of an account that somebody, they cannot know who, opened."""
    User.objects.filter(pk=user.pk).update(address_vouched=True)


def made(user: User) -> list[ApiKey]:
    """The keys that a clean start would end, newest first."""
    return list(ApiKey.objects.active(timezone.now()).filter(user=user).order_by("-pk"))


@transaction.atomic
def settle(user: User, *, password: str | None = None, reset: bool = False) -> bool:
    """The owner of the address is here and nothing else is known: if it is the first proof, end
    all that was made before it. Whether it was. The address counts as confirmed from now on.

    `password` is the owner's new one; None leaves none, unless it was just `reset` by them.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    first = is_due(user)
    if first:
        _end_everything(user)
        if not reset:
            user.set_password(password)
            user.save(update_fields=["password"])
    _confirm(user)
    return first


def _end_everything(user: User) -> None:
    """Sessions, tokens, keys, other ways to sign in, addresses somebody waits to confirm, what
    vendors were allowed, and what followers know of."""
    for key in ApiKey.objects.filter(user=user, revoked_at=None):
        api_keys.revoke(key)
    for token in PersonalToken.objects.filter(user=user, revoked_at=None):
        personal_tokens.revoke(token)
    for session in UserSession.objects.filter(user=user):
        session.end()
    for kind in (RefreshToken, Authenticator, SocialAccount):
        kind.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    privacy.let_vendors_store(user, False)
    privacy.keep_responses(user, True)
    user.end_sessions()
    for cleaned in _followers:
        cleaned(user.pk)


def _confirm(user: User) -> None:
    address, _ = EmailAddress.objects.get_or_create(
        user=user, email=user.email, defaults={"primary": True}
    )
    address.set_verified()
    User.objects.filter(pk=user.pk).update(address_vouched=False)
