"""Inviting somebody by mail.

A link is good once, for a week, and only for whoever has shown that the invited address is theirs:
forwarded, it opens nothing. Only its digest is kept.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation, Membership, Role, User
from accounts.people import mailboxes
from accounts.teams import events, letters, memberships
from hontoni import errors, origins

LIFE = timedelta(days=7)
MOST_A_DAY = 100  # of a team: mails to strangers


def open_ones(account_id: int, now: datetime) -> QuerySet[Invitation]:
    """Those that can still be accepted, newest first."""
    found = Invitation.objects.filter(account=account_id, accepted_at=None, revoked_at=None)
    return found.filter(expires_at__gt=now).order_by("-pk")


@transaction.atomic
def invite(by: Membership, email: str, role: str, *, ip: str | None = None) -> Invitation:
    """Send somebody the link; an earlier one to the same address ends. Raises Forbidden, Conflict
    for who is a member already, RateLimited beyond MOST_A_DAY."""
    account, email, now = by.account, email.strip().lower(), timezone.now()
    User.objects.select_for_update(no_key=True).get(pk=account.pk)
    by.refresh_from_db(fields=["role", "ended_at"])
    if by.ended_at is not None:
        raise errors.Forbidden("You are no longer a member of this team.", code="not_a_member")
    memberships.check_given(by.role, role)
    if memberships.active(account.pk).filter(person__email=email).exists():
        raise errors.Conflict("This address is a member's already.", code="already_member")
    day = Invitation.objects.filter(account=account, created_at__gt=now - timedelta(days=1))
    if day.count() >= MOST_A_DAY:
        raise errors.RateLimited(
            f"A team invites {MOST_A_DAY} addresses a day at the most.",
            headers={"Retry-After": "3600"},
        )
    open_ones(account.pk, now).filter(email=email).update(revoked_at=now)
    raw = secrets.token_urlsafe(32)
    made = Invitation.objects.create(
        account=account,
        email=email,
        role=role,
        digest=_digest(raw),
        invited_by=by.person,
        expires_at=now + LIFE,
    )
    events.record(account.pk, by.person, "invited", email, ip=ip, role=role)
    invited = User.objects.filter(email=email).first()
    letters.send(
        "team_invitation",
        email,
        (invited or by.person).language,
        team=account.name,
        by=by.person.email,
        role=Role(role).value,
        link=origins.absolute(reverse("team-join", args=(raw,))),
        until=made.expires_at,
    )
    return made


@transaction.atomic
def revoke(by: Membership, invitation: Invitation, *, ip: str | None = None) -> None:
    """Twice is once."""
    live = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if live.update(revoked_at=timezone.now()):
        events.record(by.account_id, by.person, "invitation_revoked", invitation.email, ip=ip)


def find(raw: str) -> Invitation | None:
    """The invitation of a link, whatever has become of it."""
    found = Invitation.objects.select_related("account", "invited_by")
    return found.filter(digest=_digest(raw)).first()


def problem(invitation: Invitation | None, person: User, now: datetime) -> errors.ApiError | None:
    """Why it does not open anything to this person; None if it does."""
    if invitation is None or invitation.status(now) != "open":
        return errors.NotFound(
            "This invitation is used, taken back or too old: ask for another one.",
            code="invitation_ended",
        )
    if not invitation.account.is_active:
        return errors.NotFound("This team is no more.", code="invitation_ended")
    if invitation.email not in {each.lower() for each in mailboxes.confirmed(person.pk)}:
        return errors.Forbidden(
            "This invitation is for another address, or for one that you have not confirmed yet.",
            code="invitation_for_another",
        )
    return None


def accept(raw: str, person: User, *, ip: str | None = None) -> Membership:
    """Join by a link. Raises NotFound for one that is used up, Forbidden for somebody else's."""
    with transaction.atomic():
        found = find(raw)
        if error := problem(found, person, timezone.now()):
            raise error
        assert found is not None
        # One conditional UPDATE decides: the link is good once.
        live = Invitation.objects.filter(pk=found.pk, accepted_at=None, revoked_at=None)
        if not live.update(accepted_at=timezone.now()):
            raise errors.NotFound("This invitation is used.", code="invitation_ended")
        joined = memberships.add(found.account, person, found.role)
        events.record(found.account_id, person, "joined", person.email, ip=ip, role=joined.role)
    return joined


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()
