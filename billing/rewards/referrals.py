"""Referrals: who invited whom, what it earns, and who may not.

* An account accepts one referral, within 30 days of its sign-up.
* A reward is a share of what the invited account paid, computed from the books and never added
  up: what refunds and disputes took back is not in it, nor is anything we gave away.
* What is paid is the least that it was at any time of the hold period, so it has stood for so
  long; when it sinks, the difference is taken back, even below zero.
* The invited account earns somebody something once its address is confirmed, if the same person
  was not invited under another account before (gifts.py).
* Nobody earns by inviting himself. The same mailbox is refused; the same card, a crowd from one
  address and the like wait for staff, and earn nothing until then.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Min, Q, QuerySet, Sum, When
from django.db.models.functions import Coalesce

from accounts.models import User
from accounts.people import mailboxes
from billing.books import ledger
from billing.books.ledger import Kind
from billing.books.models import Transfer, Wallet
from billing.books.standing import is_good
from billing.rewards import fraud, gifts
from billing.rewards.models import Accrual, Referral, ReferralCode, ReferralProgram
from hontoni import errors
from hontoni.money import CENT

ACCEPTED_FOR = timedelta(days=30)
Status = Referral.Status

# No vowels, so no words; no 0, 1 and 5, which look like letters.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ2346789"


class Refused(errors.Conflict):
    code = "referral_refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account's invitations have come to. Amounts in nano-dollars."""

    code: str
    invited: int
    pending: int
    earned: int

    @property
    def link(self) -> str:
        """Where who is invited signs up."""
        return f"{settings.PUBLIC_URL}/r/{self.code}"


def may_accept(invitee: User, now: datetime) -> bool:
    """Whether this account may say who invited it: within 30 days of signing up, and once."""
    late = now - invitee.created_at > ACCEPTED_FOR
    return not late and not Referral.objects.filter(invitee=invitee).exists()


def code_of(user_id: int) -> str:
    """The code an account invites with, made the first time it is asked for."""
    found = ReferralCode.objects.filter(pk=user_id).first()
    while found is None:
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        # Somebody else may have it, or another request of ours was first.
        ReferralCode.objects.bulk_create(
            [ReferralCode(user_id=user_id, code=letters)], ignore_conflicts=True
        )
        found = ReferralCode.objects.filter(pk=user_id).first()
    return found.code


def standing(user_id: int) -> Standing:
    """How it stands with everybody this account invited."""
    mine = Referral.objects.filter(referrer_id=user_id)
    sums = mine.aggregate(
        earned=Coalesce(Sum("paid"), 0),
        pending=Coalesce(Sum(F("accrued") - F("paid"), filter=Q(accrued__gt=F("paid"))), 0),
    )
    return Standing(code_of(user_id), mine.count(), sums["pending"], sums["earned"])


def program() -> ReferralProgram:
    """The terms of new referrals."""
    return ReferralProgram.objects.get_or_create(pk=1)[0]


def accept(
    invitee: User, code: str, *, address: str, now: datetime, signing_up: bool = False
) -> Referral:
    """Note who invited this account. Raises NotFound, Refused or as `gifts.claim`.

    `address` is the IP address it comes from; only a digest is kept. Who is `signing_up` has no
    address confirmed yet: the referral waits for that.
    """
    terms = program()
    owner = ReferralCode.objects.select_related("user").filter(code=code.strip().upper()).first()
    if owner is None or not owner.user.is_active or not terms.active:
        raise errors.NotFound("There is no such referral code.", param="code")
    _check(invitee, owner.user, now)
    confirmed = bool(mailboxes.confirmed(invitee.pk)) or not signing_up
    digest = fraud.digest(address)
    signals = fraud.signals(owner.user, invitee, address=address, digest=digest, now=now)
    try:
        with transaction.atomic():
            if confirmed:
                gifts.claim(invitee.pk, gifts.REFERRAL)
            return Referral.objects.create(
                referrer=owner.user,
                invitee=invitee,
                status=Status.REVIEW if signals else Status.ACTIVE,
                signals=signals,
                confirmed=confirmed,
                address=digest,
                percent=terms.percent,
                basis=terms.basis,
                hold_days=terms.hold_days,
                most=terms.most,
            )
    except IntegrityError:
        raise _once() from None


def confirm(invitee_id: int) -> None:
    """The invited account has confirmed its address: if it is a new person, it counts."""
    with transaction.atomic():
        waiting = Referral.objects.select_for_update().filter(invitee_id=invitee_id)
        referral = waiting.filter(confirmed=False).exclude(status=Status.REJECTED).first()
        if referral is None:
            return
        try:
            gifts.claim(invitee_id, gifts.REFERRAL)
            referral.confirmed = True
        except gifts.Taken as error:
            referral.status = Status.REJECTED
            referral.signals = [*referral.signals, f"same {error.kind}"]
        referral.seen_credits_version = -1  # look at the books, though they have not changed
        referral.save()


def forget_unconfirmed(invitee_id: int) -> None:
    """The account turned out to be another person's than who signed up with the code."""
    Referral.objects.filter(invitee_id=invitee_id, confirmed=False).delete()


def _check(invitee: User, referrer: User, now: datetime) -> None:
    if Referral.objects.filter(invitee=invitee).exists():
        raise _once()
    if now - invitee.created_at > ACCEPTED_FOR:
        raise Refused("A referral code is accepted within 30 days of signing up.", code="too_late")
    if fraud.same_person(referrer, invitee):
        raise Refused("You cannot invite yourself.", code="self_referral")
    if Referral.objects.filter(referrer=invitee, invitee=referrer).exists():
        raise Refused("You have invited this account yourself.", code="self_referral")


def _once() -> Refused:
    return Refused("A referral is accepted once.", code="referral_already_accepted")


def review(referral_id: int, *, approve: bool) -> None:
    """Staff's decision. Rejected, what was paid is taken back when it is settled next."""
    Referral.objects.filter(pk=referral_id).update(
        status=Status.ACTIVE if approve else Status.REJECTED,
        seen_credits_version=-1,  # look at the books again, though they have not changed
    )


# -- Rewards -------------------------------------------------------------------------------------


def settle_all(now: datetime) -> int:
    """Settle every referral with something to do; how many. One query finds them."""
    due = _due().values_list("pk", flat=True)
    for referral_id in list(due):
        settle(referral_id, now)
    return len(due)


def _due() -> QuerySet[Referral]:
    """Whose books have moved, or with a reward on hold."""
    wallet = F("invitee__wallet__credits_version"), F("invitee__wallet__settled_total")
    moved = ~Q(seen_credits_version=wallet[0]) | ~Q(seen_settled_total=wallet[1])
    held = ~Q(accrued=F("paid"))
    return Referral.objects.filter(moved | held, invitee__wallet__isnull=False).order_by("pk")


def settle(referral_id: int, now: datetime) -> int:
    """Bring what is paid to what is due; the nano-dollars posted (negative: taken back)."""
    people = Referral.objects.values_list("referrer_id", "invitee_id").get(pk=referral_id)
    for user_id in people:
        ledger.wallet(user_id)
    referrer_id = people[0]
    with transaction.atomic():
        ledger.lock([ledger.COUNTERPARTS[Kind.REFERRAL], ledger.wallet_code(referrer_id)])
        referral = Referral.objects.select_for_update().get(pk=referral_id)
        _accrue(referral, now)
        change = _payable(referral, now) - referral.paid
        if change > 0 and not _may_earn(referrer_id):
            change = 0  # it waits until the account is not frozen any more, and confirmed
        if change:
            referral.paid += change
            referral.payments += 1
            _post(referral, change)
        referral.save()
    return change


def _may_earn(referrer_id: int) -> bool:
    return is_good(referrer_id) and bool(mailboxes.confirmed(referrer_id))


def _accrue(referral: Referral, now: datetime) -> None:
    """Compute the reward from the invited account's books, and note it if it changed."""
    wallet = Wallet.objects.get(pk=referral.invitee_id)
    total = _reward(referral, wallet) if _honest(referral) else 0
    if total != referral.accrued:
        referral.accrued = total
        Accrual.objects.create(referral=referral, total=total, at=now)
    referral.seen_credits_version = wallet.credits_version
    referral.seen_settled_total = wallet.settled_total


def _honest(referral: Referral) -> bool:
    """Confirmed, and active still: a card that turns up on both sides, or on that of somebody
    invited before, sends it to staff."""
    if referral.status == Status.ACTIVE and (unseen := _suspicions(referral)):
        referral.status = Status.REVIEW
        referral.signals = [*referral.signals, *unseen]
    return referral.confirmed and referral.status == Status.ACTIVE


def _suspicions(referral: Referral) -> list[str]:
    """What staff have not looked at yet."""
    found = []
    if "card" not in referral.signals and fraud.shared_card(
        referral.referrer_id, referral.invitee_id
    ):
        found.append("card")
    if "invited before" not in referral.signals and gifts.second(
        referral.invitee_id, gifts.REFERRAL
    ):
        found.append("invited before")
    return found


def _reward(referral: Referral, wallet: Wallet) -> int:
    """Nano-dollars, rounded down to cents, never more than `most`."""
    paid, purchases = _books(wallet.pk)
    basis = max(paid, 0)
    if referral.basis == ReferralProgram.Basis.SPEND:
        basis = min(basis, wallet.settled_total + purchases)
    return min(basis * referral.percent // 100, referral.most) // CENT * CENT


def _books(user_id: int) -> tuple[int, int]:
    """What an account topped up, less what was taken back; what it spent on plans and add-ons."""
    code = ledger.wallet_code(user_id)
    signed = Case(When(credit__code=code, then=F("amount")), default=-F("amount"))
    payments = Q(kind__in=[*ledger.PAID, *ledger.TAKEN_BACK])
    # Two queries, each over the index of one side, and never over usage.
    sides = [Q(credit__code=code), Q(debit__code=code)]
    paid = purchases = 0
    for side in sides:
        found = Transfer.objects.filter(~Q(kind=Kind.USAGE), side)
        sums = found.aggregate(
            paid=Coalesce(Sum(signed, filter=payments), 0),
            purchases=Coalesce(Sum(signed, filter=Q(kind=Kind.SUBSCRIPTION)), 0),
        )
        paid, purchases = paid + sums["paid"], purchases - sums["purchases"]
    return paid, purchases


def _payable(referral: Referral, now: datetime) -> int:
    """The least it was at any time of the hold period."""
    began = now - timedelta(days=referral.hold_days)
    before = Accrual.objects.filter(referral=referral, at__lte=began).order_by("-at", "-pk")
    standing = before.values_list("total", flat=True).first() or 0
    since = Accrual.objects.filter(referral=referral, at__gt=began).aggregate(least=Min("total"))
    return standing if since["least"] is None else min(standing, since["least"])


def _post(referral: Referral, change: int) -> None:
    ledger.post(
        key=f"referral:{referral.pk}:{referral.payments}",
        kind=Kind.REFERRAL,
        user_id=referral.referrer_id,
        amount=change,
        reason="Referral reward" if change > 0 else "Referral reward taken back",
        ref={"referral": referral.pk},
    )
