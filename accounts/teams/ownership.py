"""Handing a team over: its owner alone, who has just shown to be it; both are told by mail."""

from django.db import transaction

from accounts.models import Membership, Role, User
from accounts.people import terms
from accounts.teams import events, letters
from hontoni import errors


@transaction.atomic
def transfer(owner: Membership, to: Membership, *, ip: str | None = None) -> None:
    """The other becomes the owner, and who was it an admin. Raises Forbidden and NotFound."""
    User.objects.select_for_update(no_key=True).get(pk=owner.account_id)
    owner.refresh_from_db()
    to.refresh_from_db()
    if owner.role != Role.OWNER or owner.ended_at is not None:
        raise errors.Forbidden("Only its owner hands a team over.", code="role_missing")
    if to.account_id != owner.account_id or to.ended_at is not None or to.pk == owner.pk:
        raise errors.NotFound("There is no such member.")
    if not to.person.is_active:
        raise errors.NotFound("There is no such member.")
    Membership.objects.filter(pk=owner.pk).update(role=Role.ADMIN)
    Membership.objects.filter(pk=to.pk).update(role=Role.OWNER)
    account = owner.account
    events.record(account.pk, owner.person, "transferred", to.person.email, ip=ip)
    terms.changed(account.pk)
    facts = {"team": account.name, "old": owner.person.email, "new": to.person.email}
    for person in (owner.person, to.person):
        letters.send("team_transferred", person.email, person.language, **facts)
