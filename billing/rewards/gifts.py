"""One person, one gift: who may have what we give away, and the sign-up credit.

Always true, whoever asks at the same moment:

1. A gift needs a confirmed address. Until then it waits; nothing else does.
2. Accounts that share a mark (a mailbox in any spelling, a card, a browser) are one person, and
   one person has a gift once. Marks are kept as fingerprints, also of accounts that are deleted.
3. A claim is a row a mark, unique by gift and mark: of any number of claims at once by one mark,
   one holds. Marks seen later count as well: whoever shares one with a holder is refused.

Claims are taken in the order of their fingerprints, and before any ledger account is locked but
that of the gift itself, so that nothing waits in a circle.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.people.mailboxes import confirmed, mailbox
from billing.books import ledger
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.books.standing import is_good
from billing.rewards.fingerprints import digest
from billing.rewards.models import Claim, Mark
from hontoni import errors, money

SIGNUP, REFERRAL = "signup", "referral"
# A sign-up credit is for who has just signed up, not for everybody when it is introduced.
WELCOME_FOR = timedelta(days=30)

Status = Literal["none", "given", "due", "unconfirmed", "taken", "late"]


class Unconfirmed(errors.Conflict):
    """No address of the account is confirmed yet."""

    def __init__(self) -> None:
        super().__init__(
            "Confirm your e-mail address first: the link is in the mail we sent you.",
            code="email_unconfirmed",
        )


class Taken(errors.Conflict):
    """The same person has it already, under another account. Which one is not told."""

    SAID = {
        Mark.Kind.MAILBOX: "This was given already to another account with this mailbox.",
        Mark.Kind.CARD: "This was given already to another account that pays with the same card.",
        Mark.Kind.BROWSER: "This was given already to another account in the same browser.",
    }

    def __init__(self, kind: str) -> None:
        self.kind = Mark.Kind(kind)
        super().__init__(self.SAID[self.kind], code=f"gift_taken_by_{kind}")


# -- Marks ---------------------------------------------------------------------------------------


def recognise(user_id: int, kind: str, *values: str) -> None:
    """Note by what an account is known from now on. Twice is once."""
    Mark.objects.bulk_create(
        [Mark(user_id=user_id, kind=kind, digest=digest(kind, value)) for value in values],
        ignore_conflicts=True,
    )


def saw_card(user_id: int, fingerprint: str) -> None:
    """Note a card an account pays with, by its fingerprint at Stripe."""
    if fingerprint:
        recognise(user_id, Mark.Kind.CARD, fingerprint)


def shared(one: int, other: int) -> list[str]:
    """By which kinds of marks two accounts are one person."""
    theirs = Mark.objects.filter(user_id=other).values("digest")
    found = Mark.objects.filter(user_id=one, digest__in=theirs)
    return sorted(set(found.values_list("kind", flat=True)))


def person(user_id: int) -> set[int]:
    """The account, and every one that shares a mark with it."""
    mine = Mark.objects.filter(user_id=user_id).values("digest")
    sharing = Mark.objects.filter(digest__in=mine).values_list("user_id", flat=True)
    return {user_id, *sharing}


# -- Claims --------------------------------------------------------------------------------------


def check(user_id: int, gift: str) -> None:
    """Raises Unconfirmed, or Taken if the same person has the gift under another account."""
    _know_mailboxes(user_id)
    if kind := _held_by_other(user_id, gift):
        raise Taken(kind)


@transaction.atomic
def claim(user_id: int, gift: str) -> None:
    """Take a gift for good, in the transaction that gives it. Twice is once; raises as `check`."""
    _know_mailboxes(user_id)
    _hold(user_id, gift)
    if kind := _held_by_other(user_id, gift):
        raise Taken(kind)


def waive(user_id: int, gift: str) -> None:
    """Let an account go without a gift, as if it had had it."""
    _hold(user_id, gift)


def provisioned(user: User) -> None:
    """A team made this account, as many as it likes: no mailbox has answered, and nothing is
    given for it."""
    recognise(user.pk, Mark.Kind.MAILBOX, mailbox(user.email))
    waive(user.pk, SIGNUP)


def second(user_id: int, gift: str) -> str:
    """By which mark somebody who took the gift earlier is the same person; empty if nobody is."""
    mine = Claim.objects.filter(gift=gift, user_id=user_id).aggregate(first=Min("pk"))["first"]
    if mine is None:
        return ""
    return _kind(_holders(user_id, gift, before=mine))


def _know_mailboxes(user_id: int) -> None:
    addresses = confirmed(user_id)
    if not addresses:
        raise Unconfirmed
    recognise(user_id, Mark.Kind.MAILBOX, *map(mailbox, addresses))


def _hold(user_id: int, gift: str) -> None:
    mine = Mark.objects.filter(user_id=user_id).order_by("digest")
    Claim.objects.bulk_create(
        [Claim(gift=gift, digest=mark.digest, user_id=user_id) for mark in mine],
        ignore_conflicts=True,
    )


def _held_by_other(user_id: int, gift: str) -> str:
    """The kind of the mark by which it is taken: claimed as such, or of somebody who has it."""
    claimed = Claim.objects.filter(gift=gift, digest=OuterRef("digest")).exclude(user_id=user_id)
    direct = Mark.objects.filter(Exists(claimed), user_id=user_id)
    return _kind(direct) or _kind(_holders(user_id, gift))


def _holders(user_id: int, gift: str, before: int | None = None) -> QuerySet[Mark]:
    """The marks that this account shares with others who hold the gift."""
    held = Claim.objects.filter(gift=gift, user_id=OuterRef("user_id"))
    if before is not None:
        held = held.filter(pk__lt=before)
    mine = Mark.objects.filter(user_id=user_id).values("digest")
    return Mark.objects.filter(Exists(held), digest__in=mine).exclude(user_id=user_id)


def _kind(marks: QuerySet[Mark]) -> str:
    return marks.order_by(F("kind").desc()).values_list("kind", flat=True).first() or ""


# -- The sign-up credit --------------------------------------------------------------------------


class Standing(NamedTuple):
    """What has become of an account's sign-up credit (nano-dollars), and why."""

    status: Status
    amount: int
    why: errors.ApiError | None = None


def welcome(user_id: int) -> int:
    """Give the sign-up credit if it is due; nano-dollars given now. Twice is once.

    Who is frozen could not use it: it is given when the account is thawed (`thawing`).
    """
    found = standing(user_id)
    if found.status != "due" or not is_good(user_id):
        return 0
    try:
        with transaction.atomic():
            claim(user_id, SIGNUP)
            _, created = ledger.post(
                key=signup_key(user_id),
                kind=Kind.SIGNUP,
                user_id=user_id,
                amount=found.amount,
                reason="Sign-up credit",
            )
    except Taken:
        return 0  # by somebody who came at the same moment
    return found.amount if created else 0


def thawing(user_id: int) -> Callable[[datetime, datetime], None]:
    """As accounts/people/freezing.py asks for it: what waited for the end of the freeze."""

    def thaw(since: datetime, now: datetime) -> None:
        if confirmed(user_id):
            welcome(user_id)

    return thaw


def standing(user_id: int) -> Standing:
    """Whether an account has had its sign-up credit, and if not, what keeps it from it."""
    given = Transfer.objects.filter(key=signup_key(user_id)).first()
    if given is not None:
        return Standing("given", given.amount)
    amount = money.nanos(settings.SIGNUP_CREDIT)
    user = User.objects.get(pk=user_id)
    waived = Claim.objects.filter(gift=SIGNUP, user_id=user_id).exists()
    if not amount or waived or not user.is_active:
        return Standing("none", 0)
    if timezone.now() - user.created_at > WELCOME_FOR:
        return Standing("late", 0)
    try:
        check(user_id, SIGNUP)
    except Unconfirmed as error:
        return Standing("unconfirmed", amount, error)
    except Taken as error:
        return Standing("taken", 0, error)
    return Standing("due", amount)


def signup_key(user_id: int) -> str:
    """Of the transfer that gave it."""
    return f"signup:{user_id}"
