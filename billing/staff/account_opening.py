"""An account made by staff in one go: confirmed, on a plan, with credit and a key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from accounts.people.mailboxes import mailbox
from accounts.sign_in import proof
from billing.books import audit
from billing.books.adjustments import adjust
from billing.plans.models import AddOn, Plan, Subscription
from billing.rewards import gifts
from billing.rewards.models import Mark
from billing.subscriptions import complimentary
from hontoni import errors
from hontoni.money import DOLLAR, dollars

_MOST = 1_000_000 * DOLLAR


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted. `credit` in nano-dollars; plan and add-on by their ids."""

    email: str
    name: str = ""
    password: str | None = None
    plan: str = ""
    add_on: str = ""
    credit: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of it. `raw` is the new key in clear, once; empty if none was made."""

    user: User
    created: bool
    subscription: Subscription | None
    credited: int
    raw: str


@transaction.atomic
def open_account(order: Order, *, until: datetime, now: datetime, actor: str) -> Opened:
    """Make all of it or nothing; of an account that is there, only what it lacks. Audited.

    The sign-up credit is for people who sign up: who is made by staff has what they name. Raises
    BadRequest for what makes no sense, and as `complimentary.give`, `adjust` and `keys.mint`.
    """
    plan, add_on = _plan(order.plan), _add_on(order.add_on)
    user, created = _account(order)
    _confirm(user, created=created)
    subscription = None
    if plan or add_on:
        subscription = complimentary.give(user.pk, plan, add_on, until=until, now=now)
    credited = order.credit if order.credit and _credit(user, order.credit, actor) else 0
    raw = _key(user, order.key, now) if order.key else ""
    audit.record(
        actor=actor,
        action="create customer",
        subject=f"user:{user.pk}",
        before={"existed": not created},
        after={
            "plan": order.plan,
            "add_on": order.add_on,
            "credited": dollars(credited),
            "key": order.key if raw else "",
        },
    )
    user.refresh_from_db()
    return Opened(user, created, subscription, credited, raw)


def _plan(slug: str) -> Plan | None:
    found = Plan.objects.filter(active=True, slug=slug).first()
    if slug and found is None:
        raise _not_sold("plan", slug, Plan.objects.filter(active=True))
    return found


def _add_on(slug: str) -> AddOn | None:
    found = AddOn.objects.filter(active=True, slug=slug).first()
    if slug and found is None:
        raise _not_sold("add-on", slug, AddOn.objects.filter(active=True))
    return found


def _not_sold(what: str, slug: str, sold: QuerySet[Any]) -> errors.BadRequest:
    names = ", ".join(sold.values_list("slug", flat=True))
    return errors.BadRequest(f"There is no {what} {slug}. There are: {names}.")


def _account(order: Order) -> tuple[User, bool]:
    """The account of that address, made if there is none. One that is there keeps its password."""
    email = order.email.strip().lower()
    found = User.objects.filter(email=email).first()
    if found is not None:
        if not found.is_active:
            raise errors.Conflict(f"The account {email} is deactivated.")
        return found, False
    try:
        validate_email(email)
        user = User(email=email, name=order.name)
        if order.password is not None:
            validate_password(order.password, user)
    except ValidationError as error:
        raise errors.BadRequest(" ".join(error.messages)) from None
    user = User.objects.create_user(email, order.password, name=order.name)
    gifts.recognise(user.pk, Mark.Kind.MAILBOX, mailbox(email))
    gifts.waive(user.pk, gifts.SIGNUP)
    return user, True


def _confirm(user: User, *, created: bool) -> None:
    """Staff vouch for the address. Of an account that was there before them they cannot know who
    opened it, so its owner's own proof is still to come (accounts/sign_in/proof.py)."""
    if not created and proof.is_due(user):
        proof.vouch(user)
    address, _ = EmailAddress.objects.get_or_create(
        user=user, email=user.email, defaults={"primary": True}
    )
    if not address.set_verified():
        raise errors.Conflict(f"{user.email} is a confirmed address of another account.")


def _credit(user: User, amount: int, actor: str) -> bool:
    """Book it once; whether it was now."""
    if amount < 0:
        raise errors.BadRequest("The credit is not negative: `manage.py credit` debits.")
    if amount > _MOST:
        raise errors.BadRequest(f"The credit is up to ${dollars(_MOST)}.")
    _, created = adjust(
        key=f"customer:{user.pk}",
        user_id=user.pk,
        amount=amount,
        reason="Credit of a new account",
        actor=actor,
    )
    return created


def _key(user: User, name: str, now: datetime) -> str:
    """A key of that name in clear; empty if there is an active one."""
    if ApiKey.objects.active(now).filter(user=user, name=name).exists():
        return ""
    return api_keys.mint(user, name)[1]
