"""Who belongs to an account: found, changed, ended.

* A team has one owner at any time; who that is changes by `ownership.transfer` alone.
* Nobody changes what they are themselves, but the owner; nobody gives a role that is not theirs to
  give, or touches somebody whose role is not (roles.GIVEN_BY).
* Whoever goes, or may have no keys any more, loses keys and tokens with the next request. What was
  used stays.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens, scopes, stopping
from accounts.models import ApiKey, Invitation, Membership, PersonalToken, Role, User
from accounts.people import terms
from accounts.teams import events, roles
from hontoni import errors

MOST_MEMBERS = 1_000
LIMITS = ("daily_cap", "monthly_cap", "lifetime_cap", "allowed_models", "allowed_ips")


class Limits(NamedTuple):
    """What a member may spend (nano-dollars a UTC day, a month, in all), ask and ask from; None
    and nothing listed: everything."""

    daily_cap: int | None = None
    monthly_cap: int | None = None
    lifetime_cap: int | None = None
    allowed_models: Sequence[str] = ()
    allowed_ips: Sequence[str] = ()


def active(account_id: int) -> QuerySet[Membership]:
    """Who is there now, the owner first."""
    found = Membership.objects.active().filter(account_id=account_id)
    return found.select_related("person").order_by("pk")


def of(person: User) -> QuerySet[Membership]:
    """The teams a person is in now."""
    found = Membership.objects.active().filter(person=person)
    return found.select_related("account").order_by("account__name", "pk")


def find(account_id: int, person_id: int) -> Membership | None:
    """Somebody's place in an account, if they have one now."""
    found = Membership.objects.active().filter(account_id=account_id, person_id=person_id)
    return found.select_related("account", "person").first()


def keys_of(account: User, membership: Membership | None, role: str) -> QuerySet[ApiKey]:
    """The keys of an account that somebody in it may see: a developer their own."""
    found = ApiKey.objects.filter(user=account)
    if membership is not None and role == Role.DEVELOPER:
        return found.filter(member=membership)
    return found


def may_rotate(mine: Membership | None, key: ApiKey) -> bool:
    """Who replaces a key sees the new one, which no cap of theirs may bind: so only whose it is,
    and the owner where it is the account's."""
    if mine is None or key.member_id == mine.pk:
        return True
    return key.member_id is None and mine.role == Role.OWNER


def add(
    account: User, person: User, role: str, *, provisioned: bool = False, external_id: str = ""
) -> Membership:
    """Make a person a member, or have one back who left. Who is there stays what they are. Raises
    Conflict for a team, for staff, and beyond MOST_MEMBERS."""
    if person.is_team or person.is_staff or not person.is_active:
        raise errors.Conflict("This account cannot join a team.", code="cannot_join")
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=account.pk)
        found = Membership.objects.filter(account=account, person=person).first()
        if found is not None and found.ended_at is None:
            return found
        if active(account.pk).count() >= MOST_MEMBERS:
            raise errors.Conflict(f"A team has {MOST_MEMBERS} members at the most.")
        found = found or Membership(account=account, person=person)
        found.role, found.ended_at, found.joined_at = role, None, timezone.now()
        found.provisioned = provisioned
        found.external_id = external_id or found.external_id
        found.save()
        terms.changed(account.pk)
    return found


def check_given(by: str, role: str) -> None:
    """Raises Forbidden where a role is not of those that somebody of the role `by` gives."""
    if role not in roles.GIVEN_BY.get(by, frozenset()):
        raise errors.Forbidden(
            f"Your role gives nobody the role {role}. The owner hands the team over, and appoints "
            "its admins.",
            code="role_missing",
        )


def check_may(actor: Membership | None, target: Membership) -> None:
    """Raises Forbidden unless the actor may change or remove the target."""
    if actor is None or actor.pk == target.pk and actor.role != Role.OWNER:
        raise errors.Forbidden("Nobody changes their own place in a team.", code="role_missing")
    if actor.pk != target.pk:
        check_given(actor.role, target.role)


@transaction.atomic
def change(
    actor: Membership,
    target: Membership,
    *,
    role: str | None = None,
    ip: str | None = None,
    **limits: Any,
) -> None:
    """Give another role, or other limits (LIMITS), from the next request on. Raises Forbidden."""
    User.objects.select_for_update(no_key=True).get(pk=target.account_id)
    actor.refresh_from_db(fields=["role", "ended_at"])
    target.refresh_from_db()
    _check_there(actor, target)
    check_may(actor, target)
    role = role or target.role
    if role != target.role:
        if target.role == Role.OWNER:
            raise errors.Forbidden("The owner hands the team over first.", code="role_missing")
        check_given(actor.role, role)
    before = {name: getattr(target, name) for name in ("role", *limits)}
    for name, value in {"role": role, **limits}.items():
        setattr(target, name, value)
    target.save(update_fields=["role", *limits])
    _fit_keys(target)
    after = {name: getattr(target, name) for name in before}
    facts: dict[str, Any] = {"before": before, "after": after}
    events.record(
        target.account_id, actor.person, "member_changed", target.person.email, ip=ip, **facts
    )
    terms.changed(target.account_id)


@transaction.atomic
def switch(actor: Membership, target: Membership, *, stopped: bool, ip: str | None = None) -> None:
    """Stop all keys of a member, those to come included, or start them again. Raises Forbidden."""
    User.objects.select_for_update(no_key=True).get(pk=target.account_id)
    actor.refresh_from_db(fields=["role", "ended_at"])
    target.refresh_from_db()
    _check_there(actor, target)
    check_may(actor, target)
    if stopping.switch_members([target], stopped=stopped, by=actor.person, now=timezone.now()):
        deed = "member_stopped" if stopped else "member_started"
        events.record(target.account_id, actor.person, deed, target.person.email, ip=ip)


def set_role(target: Membership, role: str) -> None:
    """As its directory says. In a transaction; the owner's stays."""
    if role != target.role and target.role != Role.OWNER:
        target.role = role
        target.save(update_fields=["role"])
        _fit_keys(target)
        terms.changed(target.account_id)


def _fit_keys(target: Membership) -> None:
    if not roles.may(target.role, scopes.KEYS):
        _end_secrets(target)


def _check_there(actor: Membership, target: Membership) -> None:
    if actor.ended_at is not None or actor.account_id != target.account_id:
        raise errors.Forbidden("You are no longer a member of this team.", code="not_a_member")
    if target.ended_at is not None:
        raise errors.NotFound("There is no such member.")


@transaction.atomic
def remove(actor: Membership, target: Membership, *, ip: str | None = None) -> None:
    """Somebody else. Raises Forbidden."""
    User.objects.select_for_update(no_key=True).get(pk=target.account_id)
    actor.refresh_from_db(fields=["role", "ended_at"])
    target.refresh_from_db()
    _check_there(actor, target)
    check_may(actor, target)
    if target.role == Role.OWNER:
        raise errors.Forbidden("The owner hands the team over first.", code="role_missing")
    end(target)
    events.record(target.account_id, actor.person, "member_removed", target.person.email, ip=ip)


@transaction.atomic
def leave(mine: Membership, *, ip: str | None = None) -> None:
    """By oneself. Raises Conflict for the owner."""
    User.objects.select_for_update(no_key=True).get(pk=mine.account_id)
    mine.refresh_from_db()
    if mine.ended_at is not None:
        return
    if mine.role == Role.OWNER:
        raise errors.Conflict("Hand the team over first, or delete it.", code="owner_stays")
    end(mine)
    events.record(mine.account_id, mine.person, "member_left", mine.person.email, ip=ip)


def end(membership: Membership) -> None:
    """From now on they are no member. In a transaction; twice is once."""
    live = Membership.objects.filter(pk=membership.pk, ended_at=None)
    if not live.update(ended_at=timezone.now()):
        return
    _end_secrets(membership)
    _end_tokens(membership, timezone.now())
    account, person = membership.account_id, membership.person_id
    User.objects.filter(pk=person, acts_for=account).update(acts_for=person)
    # Who is shown out must not come back by a door they have opened themselves.
    Invitation.objects.filter(
        account=account, invited_by=person, accepted_at=None, revoked_at=None
    ).update(revoked_at=timezone.now())
    membership.refresh_from_db(fields=["ended_at"])
    terms.changed(account)


def _end_secrets(membership: Membership) -> None:
    for key in ApiKey.objects.filter(member=membership, revoked_at=None):
        api_keys.revoke(key)


def _end_tokens(membership: Membership, now: datetime) -> None:
    mine = PersonalToken.objects.filter(
        user=membership.account_id, person=membership.person_id, revoked_at=None
    )
    for token in mine:
        personal_tokens.revoke(token)


def end_all(account_id: int) -> None:
    """Of an account that closes, and of a person whose account does. Raises Conflict where a team
    would be left without its owner."""
    owned = Membership.objects.active().filter(person=account_id, role=Role.OWNER).first()
    if owned is not None:
        raise errors.Conflict(
            "You own a team: hand it over, or delete it, and then your account.",
            code="owner_stays",
        )
    for membership in Membership.objects.filter(account=account_id, ended_at=None):
        end(membership)
    leave_all(account_id)


def leave_all(person_id: int) -> None:
    """Every team that somebody is in."""
    for membership in Membership.objects.filter(person=person_id, ended_at=None):
        end(membership)
