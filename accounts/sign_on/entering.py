"""Who somebody is that a team's provider sends, and who has to come that way.

* An address counts only where the provider calls it verified and its domain is proven by the very
  team. So a provider can speak for nobody else's people.
* Whom it means is found again by its `sub`; by the address, the first time. Somebody new gets an
  account of their own, without a password, and a place in the team.
* Who was shown out of the team does not come back by signing in, and staff never come this way.
* Where it is enforced, people of the domains and all whom the provider knows sign in there and in
  no other way; but the owner, who could else be locked out by a mistake.
"""

from collections.abc import Callable

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import Membership, Role, SignOn, SignOnIdentity, User
from accounts.sign_in import proof
from accounts.sign_on import domains, provider
from accounts.teams import events, memberships
from hontoni import errors

_followers: list[Callable[[User], None]] = []


def follow(provisioned: Callable[[User], None]) -> None:
    """Have this called with a person whom a team, and no proof of a mailbox, has given an account,
    before the address is confirmed: imports point down."""
    _followers.append(provisioned)


def refused(why: str, code: str = "sign_on_refused") -> errors.Forbidden:
    return errors.Forbidden(why, code=code)


@transaction.atomic
def enter(sign_on: SignOn, claims: provider.Claims, *, ip: str | None = None) -> Membership:
    """The place in the team of whom the provider means. Raises Forbidden."""
    if not domains.is_address(claims.email) or not claims.verified:
        raise refused("The team's provider does not call this address verified.")
    _check_domain(sign_on, claims.email)
    account = User.objects.select_for_update(no_key=True).get(pk=sign_on.account_id)
    if not account.is_active:
        raise refused("This team is no more.")
    person = _known(sign_on, claims) or _new(sign_on, claims)
    if person.is_staff or person.is_superuser or person.is_team or not person.is_active:
        raise refused("This account does not sign in here.")
    _check_domain(sign_on, person.email)  # who has moved to another address is not theirs any more
    place = Membership.objects.filter(account=account, person=person).first()
    if place is None:
        place = memberships.add(account, person, sign_on.joins_as)
        events.record(account.pk, person, "joined_by_sign_on", person.email, ip=ip)
    elif place.ended_at is not None:
        raise refused("You are no longer a member of this team.", "not_a_member")
    return place


def _check_domain(sign_on: SignOn, email: str) -> None:
    if domains.of(email) not in domains.proven(sign_on.account_id):
        raise refused("This address is of no domain that the team has proven.")


def _known(sign_on: SignOn, claims: provider.Claims) -> User | None:
    found = SignOnIdentity.objects.select_related("person")
    known = found.filter(sign_on=sign_on, subject=claims.subject).first()
    if known is not None:
        return known.person
    person = User.objects.filter(email=claims.email).first()
    if person is None:
        return None
    known = EmailAddress.objects.filter(user=person, email=claims.email, verified=True)
    if proof.is_due(person) or not known.exists():
        raise refused("Confirm the address of your account first, by the mail we sent.")
    SignOnIdentity.objects.create(sign_on=sign_on, subject=claims.subject, person=person)
    return person


def _new(sign_on: SignOn, claims: provider.Claims) -> User:
    person = make(claims.email, claims.name)
    SignOnIdentity.objects.create(sign_on=sign_on, subject=claims.subject, person=person)
    return person


def make(email: str, name: str) -> User:
    """A person of a proven domain, who signs in with the team's provider. Raises Conflict where
    the address is somebody's already, though not as the first of theirs."""
    taken = errors.Conflict("There is an account with this address.", code="email_taken")
    if EmailAddress.objects.filter(email=email, verified=True).exists():
        raise taken
    try:
        with transaction.atomic():
            person = User.objects.create_user(email, None, name=name)
    except IntegrityError:
        raise taken from None
    for provisioned in _followers:
        provisioned(person)
    EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    return person


def required_of(user: User) -> SignOn | None:
    """The team's provider by which somebody has to sign in; None: any way is fine."""
    if user.is_staff:
        return None
    mine = Q(
        account__domains__name=domains.of(user.email), account__domains__proven_at__isnull=False
    )
    known = Q(
        identities__person=user,
        account__memberships__person=user,
        account__memberships__ended_at=None,
    )
    owned = Membership.objects.active().filter(person=user, role=Role.OWNER).values("account")
    found = SignOn.objects.filter(mine | known, enforced=True, account__is_active=True)
    return found.exclude(issuer="").exclude(account__in=owned).distinct().first()


def check(user: User) -> None:
    """Raises Forbidden where somebody has to sign in with their team's provider."""
    if (found := required_of(user)) is not None:
        raise _required(found)


def check_address(email: str) -> None:
    """The same of an address that nobody has an account with yet."""
    name = domains.of(email.strip())
    mine = Q(account__domains__name=name, account__domains__proven_at__isnull=False)
    found = SignOn.objects.filter(mine, enforced=True, account__is_active=True)
    if (first := found.exclude(issuer="").first()) is not None:
        raise _required(first)


def _required(sign_on: SignOn) -> errors.Forbidden:
    return errors.Forbidden(
        f"Your team signs in at /sign-on/{sign_on.slug}: make an access token there for programs.",
        code="sign_on_required",
    )


def end_others(sign_on: SignOn) -> None:
    """Sessions of all who have to sign in with the provider from now on begin anew there: of the
    domains' people, members yet or not."""
    domains.end_sessions(sign_on.account_id, domains.proven(sign_on.account_id))
