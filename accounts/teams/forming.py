"""How a team comes to be: of an account that there is, or beside it.

Of an account everything stays where it is: wallet, plan, keys, invoices and usage hang on its row,
which becomes the team's. What signs in parts from it: its owner gets a row of their own with
address, password, second factors and sessions, and is the team's first member. No money moves.
"""

import secrets

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.db import transaction
from django.http import HttpRequest

from accounts.models import Consent, Membership, PersonalToken, RefreshToken, Role, User
from accounts.sign_in import proof
from accounts.teams import events
from hontoni import errors

TEAM_ADDRESS = "@teams.invalid"  # how the addresses of rows end that nobody writes to
MOST_OWNED = 20  # by one person
_SHOWN = "account_authentication_methods_user"  # allauth's
_MOVED = (EmailAddress, Authenticator, SocialAccount, RefreshToken)


def _check(person: User) -> None:
    if person.is_team or person.is_staff:
        raise errors.Conflict("This account cannot have a team.", code="cannot_have_team")
    if person.frozen_at is not None:
        raise errors.Forbidden("This account is frozen.", code="account_frozen")
    if proof.is_due(person):
        raise errors.Forbidden("Confirm your e-mail address first.", code="email_unconfirmed")


@transaction.atomic
def make(person: User, name: str, *, ip: str | None = None) -> Membership:
    """Another team, with a wallet of its own, and its owner's place in it. Raises Forbidden and
    Conflict."""
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    _check(person)
    owned = Membership.objects.active().filter(person=person, role=Role.OWNER)
    if owned.count() >= MOST_OWNED:
        raise errors.Conflict(f"Nobody owns more than {MOST_OWNED} teams.", code="too_many_teams")
    account = User(email=_address(), name=name, language=person.language, is_team=True)
    account.set_unusable_password()
    account.save()
    return _owned(account, person, ip)


def part(user: User, name: str, request: HttpRequest | None = None) -> Membership:
    """Make a team of an account: its owner's place in it. The session of the request goes on as
    the owner's, others begin anew. Raises Forbidden and Conflict."""
    with transaction.atomic():
        account = User.objects.select_for_update().get(pk=user.pk)
        _check(account)
        person = _person_of(account)
        account.is_team, account.acts_for = True, None
        account.name = name or account.name
        account.set_unusable_password()
        account.address_vouched = False
        account.save()
        User.objects.filter(pk=account.pk).update(
            address_vouched=False, session_epoch=account.session_epoch + 1
        )
        person.save()
        _move(account, person, request.session.session_key if request else None)
        User.objects.filter(pk=person.pk).update(
            session_epoch=account.session_epoch, acts_for=account, address_vouched=False
        )
        membership = _owned(account, person, None)
    if request is not None:
        _go_on(request, User.objects.get(pk=person.pk))
    return membership


def _person_of(account: User) -> User:
    """A row with what is the person's own; the account's address is free for it by then."""
    person = User(
        email=account.email,
        name=account.name,
        language=account.language,
        password=account.password,
        last_login=account.last_login,
        time_zone=account.time_zone,
        session_epoch=account.session_epoch,
    )
    account.email = _address()
    account.save(update_fields=["email"])
    return person


def _address() -> str:
    """Which nobody can have signed up with before."""
    return f"{secrets.token_hex(12)}{TEAM_ADDRESS}"


def _move(account: User, person: User, session: str | None) -> None:
    for kind in _MOVED:
        kind.objects.filter(user=account).update(user=person)
    RefreshToken.objects.filter(user=person).update(account=account)
    PersonalToken.objects.filter(user=account).update(person=person)
    Consent.objects.filter(user=account).update(user=person)
    for each in UserSession.objects.filter(user=account):
        if each.session_key != session:
            each.end()
    UserSession.objects.filter(user=account).update(user=person)


def _owned(account: User, person: User, ip: str | None) -> Membership:
    made = Membership.objects.create(account=account, person=person, role=Role.OWNER)
    events.record(account.pk, person, "team_made", account.name, ip=ip)
    return made


def _go_on(request: HttpRequest, person: User) -> None:
    """The session of who is here, from now on the person's."""
    request.session[SESSION_KEY] = str(person.pk)
    request.session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    if _SHOWN in request.session:  # when they last showed to be it stays true of them
        request.session[_SHOWN] = str(person.pk)
    request.user = person
