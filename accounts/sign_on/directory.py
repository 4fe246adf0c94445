"""What a team's directory does to its members: adds, takes out, groups them.

* It has a token of the team's own, shown once, and reaches that team and nothing else.
* It adds people of proven domains alone, and never touches the owner.
* Whom it takes out loses keys and tokens with the next request; whom it brings back makes new
  ones.
* Somebody's role is the highest that a group of theirs has, or what the team says new ones join
  as.
"""

import hashlib
import secrets
from collections.abc import Iterable

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.leaks import ended
from accounts.models import DirectoryGroup, Membership, Role, SignOn, User
from accounts.sign_in import proof
from accounts.sign_on import domains, entering
from accounts.teams import events, memberships
from hontoni import errors

PREFIX = ended.DIRECTORYS
_RANK = (Role.ADMIN, Role.DEVELOPER, Role.BILLING, Role.VIEWER)
MOST_GROUPS = 500


def make_token(sign_on: SignOn, by: Membership, *, ip: str | None = None) -> str:
    """The token, in clear, this once; the one before ends."""
    raw = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        sign_on.scim_digest, sign_on.scim_made_at = _digest(raw), timezone.now()
        sign_on.save(update_fields=["scim_digest", "scim_made_at"])
        events.record(by.account_id, by.person, "scim_token_made", ip=ip)
    return raw


def end_token(sign_on: SignOn, by: Membership, *, ip: str | None = None) -> None:
    """From the next request on nobody is the directory."""
    with transaction.atomic():
        sign_on.scim_digest = None
        sign_on.save(update_fields=["scim_digest"])
        events.record(by.account_id, by.person, "scim_token_ended", ip=ip)


def of_token(raw: str) -> SignOn | None:
    """Whose directory a token is."""
    if not raw.startswith(PREFIX):
        return None
    found = SignOn.objects.select_related("account").filter(scim_digest=_digest(raw)).first()
    if found is None or not found.account.is_active:
        return None
    SignOn.objects.filter(pk=found.pk).update(scim_used_at=timezone.now())
    return found


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()


# -- People --------------------------------------------------------------------------------------


def people(sign_on: SignOn) -> QuerySet[Membership]:
    """Whom the directory sees: who is there, and whom it has taken out."""
    seen = Q(ended_at=None) | Q(provisioned=True)
    found = Membership.objects.filter(seen, account=sign_on.account_id)
    return found.select_related("person").prefetch_related("groups").order_by("pk")


@transaction.atomic
def provision(
    sign_on: SignOn, email: str, *, name: str = "", external_id: str = "", active: bool = True
) -> Membership:
    """Add somebody. Raises Conflict for who is there, BadRequest for other people's domains."""
    email = email.strip().lower()
    _check(sign_on, email)
    if people(sign_on).filter(person__email=email).exists():
        raise errors.Conflict("This user is there already.", code="uniqueness")
    person = User.objects.filter(email=email).first()
    known = EmailAddress.objects.filter(user=person, email=email, verified=True)
    if person is not None and (proof.is_due(person) or not known.exists()):
        raise errors.Conflict("Somebody opened an account with it, and has not confirmed it yet.")
    person = person or entering.make(email, name[:200])
    role = sign_on.joins_as
    made = memberships.add(
        sign_on.account, person, role, provisioned=True, external_id=external_id[:200]
    )
    _note(made, "provisioned")
    if not active:
        _take_out(made)
    return made


def _check(sign_on: SignOn, email: str) -> None:
    if not domains.is_address(email):
        raise errors.BadRequest("userName is no address of mail.")
    if domains.of(email) not in domains.proven(sign_on.account_id):
        raise errors.BadRequest("userName is of no domain that the team has proven.")


@transaction.atomic
def set_active(place: Membership, active: bool) -> None:
    """Take somebody out, or have them back. Raises Forbidden for the owner."""
    User.objects.select_for_update(no_key=True).get(pk=place.account_id)
    place.refresh_from_db()
    if active and place.ended_at is not None:
        memberships.add(place.account, place.person, place.role, provisioned=True)
        place.refresh_from_db()
        fit_role(place)
        _note(place, "provisioned")
    elif not active and place.ended_at is None:
        _take_out(place)


def _take_out(place: Membership) -> None:
    if place.role == Role.OWNER:
        raise errors.Forbidden("The owner hands the team over first.")
    Membership.objects.filter(pk=place.pk).update(provisioned=True)
    memberships.end(place)
    _note(place, "deactivated")
    place.refresh_from_db()


@transaction.atomic
def forget(place: Membership) -> None:
    """Take somebody out, and know them no more."""
    set_active(place, False)
    place.groups.clear()
    Membership.objects.filter(pk=place.pk).update(provisioned=False, external_id="")


@transaction.atomic
def rename(sign_on: SignOn, place: Membership, email: str) -> None:
    """Somebody has another address of the team's domains: only whom the directory itself brought.
    Raises BadRequest and Conflict."""
    email = email.strip().lower()
    person = place.person
    if email == person.email:
        return
    _check(sign_on, email)
    _check(sign_on, person.email)
    if not place.provisioned or person.has_usable_password() or place.role == Role.OWNER:
        raise errors.BadRequest("Only they change this address: their account is their own.")
    if EmailAddress.objects.filter(email=email).exclude(user=person).exists():
        raise errors.Conflict("This address is somebody else's.", code="uniqueness")
    try:
        with transaction.atomic():
            EmailAddress.objects.filter(user=person).delete()
            person.email = email
            person.save(update_fields=["email"])
            EmailAddress.objects.create(user=person, email=email, verified=True, primary=True)
    except IntegrityError:
        raise errors.Conflict("This address is somebody else's.", code="uniqueness") from None


def identify(place: Membership, external_id: str) -> None:
    """What the directory calls somebody."""
    place.external_id = external_id[:200]
    place.save(update_fields=["external_id"])


def _note(place: Membership, action: str) -> None:
    events.record(place.account_id, None, action, place.person.email)


# -- Groups --------------------------------------------------------------------------------------


def groups(sign_on: SignOn) -> QuerySet[DirectoryGroup]:
    found = DirectoryGroup.objects.filter(account=sign_on.account_id)
    return found.prefetch_related("members__person").order_by("pk")


@transaction.atomic
def make_group(sign_on: SignOn, name: str, external_id: str = "") -> DirectoryGroup:
    """Raises Conflict for a name that is taken, and beyond MOST_GROUPS."""
    if groups(sign_on).filter(name=name).exists() or groups(sign_on).count() >= MOST_GROUPS:
        raise errors.Conflict("This group is there already.", code="uniqueness")
    return DirectoryGroup.objects.create(
        account_id=sign_on.account_id, name=name[:200], external_id=external_id[:200]
    )


@transaction.atomic
def set_members(group: DirectoryGroup, wanted: Iterable[Membership]) -> None:
    """Who is in a group; their roles follow."""
    before = {each.pk: each for each in group.members.all()}
    after = {each.pk: each for each in wanted}
    group.members.set(after.values())
    for place in [*before.values(), *after.values()]:
        if (place.pk in before) != (place.pk in after):
            fit_role(place)


@transaction.atomic
def give_role(group: DirectoryGroup, role: str, by: Membership, *, ip: str | None = None) -> None:
    """What a group makes of its members; empty: nothing."""
    group.role = role
    group.save(update_fields=["role"])
    events.record(by.account_id, by.person, "group_changed", group.name, ip=ip, role=role)
    for place in group.members.all():
        fit_role(place)


@transaction.atomic
def drop_group(group: DirectoryGroup) -> None:
    """Its members are what their other groups make of them."""
    members = list(group.members.all())
    group.delete()
    for place in members:
        fit_role(place)


def fit_role(place: Membership) -> None:
    """By their groups, for whom the directory keeps."""
    place.refresh_from_db()
    if not place.provisioned or place.ended_at is not None:
        return
    found = set(place.groups.exclude(role="").values_list("role", flat=True))
    sign_on = SignOn.objects.get(pk=place.account_id)
    memberships.set_role(place, next((r for r in _RANK if r in found), sign_on.joins_as))
