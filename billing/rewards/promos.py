"""Promo codes: what they give, to whom, and how often.

Always true, whoever redeems at the same moment:

1. A code is redeemed at most `max_uses` times, and `max_uses_per_account` times by an account:
   one conditional UPDATE of the code's row is the lock, and the count.
2. A redemption gives once: at once, or with the next paid top-up of at least `minimum_top_up`.
   A top-up brings one of those that wait for it, the oldest.
3. What came with a top-up goes with it: after refunds its share is what is left of the top-up's.
4. A redemption needs a confirmed address, and one person has each use of a code once, under
   whichever account (gifts.py); a bonus is looked at again when its top-up is paid.
5. Money moves through billing/books/ledger.py only, under keys that name the redemption.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from billing.books import ledger, standing
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.mails import notices
from billing.plans import terms
from billing.plans.models import Subscription
from billing.rewards import gifts
from billing.rewards.models import PromoCode, Redemption, normal
from hontoni import errors
from hontoni.money import CENT, dollars


class Unknown(errors.NotFound):
    code = "promo_code_unknown"


class NotForYou(errors.Conflict):
    code = "promo_code_refused"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What came of it. `granted` nano-dollars are on the balance now."""

    redemption: Redemption
    granted: int
    waits_for_top_up: bool


def check(user_id: int, code: str, now: datetime) -> PromoCode:
    """The code, if this account may redeem it now. Raises Unknown, NotForYou with a reason, or
    as `standing.must_be_good` and `gifts.check`."""
    standing.must_be_good(user_id)
    found = PromoCode.objects.select_related("plan").filter(code=normal(code), active=True).first()
    if found is None or now < found.valid_from:
        raise Unknown("There is no such promo code.", param="code")
    if not found.valid_at(now):
        raise NotForYou("This promo code has expired.", code="promo_code_expired")
    if found.max_uses is not None and found.uses >= found.max_uses:
        raise _used_up()
    _check_account(found, user_id)
    return found


def _check_account(code: PromoCode, user_id: int) -> None:
    used = Redemption.objects.filter(code=code, user_id=user_id).count()
    if used >= code.max_uses_per_account:
        raise NotForYou("You have used this promo code.", code="promo_code_already_used")
    gifts.check(user_id, _gift(code, used + 1))
    if code.first_time_only and _has_topped_up(gifts.person(user_id)):
        raise NotForYou(
            "This promo code is for accounts that have never topped up.",
            code="promo_code_first_time_only",
        )
    if code.kind == PromoCode.Kind.TRIAL and terms.subscription_of(user_id):
        raise has_plan()


def has_plan() -> NotForYou:
    return NotForYou("You have a plan already.", code="promo_code_has_plan")


def _used_up() -> NotForYou:
    return NotForYou("This promo code is used up.", code="promo_code_used_up")


def _gift(code: PromoCode, number: int) -> str:
    return f"promo:{code.pk}:{number}"


def _has_topped_up(user_ids: Iterable[int]) -> bool:
    wallets = [ledger.wallet_code(user_id) for user_id in user_ids]
    credited = Q(credit__code__in=wallets, kind__in=ledger.PAID)
    return Transfer.objects.filter(~Q(kind=Kind.USAGE), credited).exists()


def redeem(user_id: int, code: str, now: datetime) -> Redeemed:
    """Use a code: it gives now, or waits for the next top-up. Raises as `check`.

    Customers come by `changes.redeem`, which knows of plans that are being ordered.
    """
    found = check(user_id, code, now)  # most refusals need no lock
    ledger.wallet(user_id)
    with transaction.atomic():
        free = Q(max_uses=None) | Q(uses__lt=F("max_uses"))
        taken = PromoCode.objects.filter(free, pk=found.pk, active=True)
        if not taken.update(uses=F("uses") + 1):
            raise _used_up()
        # Under the code's lock: what another request of this account has used is seen now.
        _check_account(found, user_id)
        number = Redemption.objects.filter(code=found, user_id=user_id).count() + 1
        gifts.claim(user_id, _gift(found, number))
        redemption = Redemption.objects.create(code=found, user_id=user_id, number=number)
        if not found.waits_for_top_up:
            _grant(redemption, now)
    return Redeemed(redemption, redemption.granted, found.waits_for_top_up)


def _grant(redemption: Redemption, now: datetime) -> None:
    """What needs no top-up: money, or a plan."""
    code = redemption.code
    redemption.granted_at = now
    if code.kind == PromoCode.Kind.TRIAL:
        _start_trial(redemption, now)
    else:
        redemption.granted = redemption.bonus = code.amount
        _post(redemption, _key(redemption), code.amount)
    redemption.save(update_fields=["granted_at", "granted", "bonus"])
    _tell(redemption)


def _start_trial(redemption: Redemption, now: datetime) -> None:
    """A plan for nothing: it ends with its period, as if it were cancelled."""
    code = redemption.code
    assert code.plan is not None, "promo_is_one_thing"
    try:
        with transaction.atomic():
            Subscription.objects.create(
                user_id=redemption.user_id,
                plan=code.plan,
                period_start=now,
                period_end=now + timedelta(days=code.trial_days),
                cancel_at_period_end=True,
                trial=True,
            )
    except IntegrityError:
        raise has_plan() from None
    terms.apply(redemption.user_id)


def bonus_for(top_up: Transfer, user_id: int) -> int:
    """Give what waits for a paid top-up that was just credited; nano-dollars, 0 if nothing does.

    Call it in the transaction of the top-up, begun with `ledger.lock` on `promo:expense`, the
    top-up's own account and the wallet's: billing/payments/funding.py does. Twice is once.
    """
    now = timezone.now()
    if Redemption.objects.filter(top_up=top_up).exists():
        return 0
    valid = Q(code__valid_until=None) | Q(code__valid_until__gt=now)
    waiting = _next(
        Redemption.objects.select_related("code")
        .filter(valid, user_id=user_id, granted_at=None, refused="")
        .filter(code__minimum_top_up__lte=top_up.amount)
        .order_by("pk")
    )
    if waiting is None:
        return 0
    bonus = _bonus(waiting.code, top_up.amount)
    waiting.granted_at, waiting.top_up, waiting.top_up_left = now, top_up, top_up.amount
    waiting.granted = waiting.bonus = bonus
    waiting.save()
    if bonus:
        _post(waiting, _key(waiting), bonus)
    _tell(waiting)
    return bonus


def _next(waiting: Iterable[Redemption]) -> Redemption | None:
    """The oldest that the same person was not given under another account: the card that pays
    now may be known. Under the lock of what promo codes cost, so one is given first."""
    for redemption in waiting:
        others = gifts.person(redemption.user_id) - {redemption.user_id}
        theirs = Redemption.objects.filter(code=redemption.code, user_id__in=others)
        given = theirs.exclude(granted_at=None).first()
        if given is None:
            return redemption
        redemption.refused = gifts.shared(redemption.user_id, given.user_id)[0]
        redemption.save(update_fields=["refused"])
    return None


def _bonus(code: PromoCode, top_up: int) -> int:
    """Nano-dollars, rounded down to cents: a bonus is never more than its percentage."""
    if code.kind == PromoCode.Kind.CREDIT:
        return code.amount
    bonus = top_up * code.percent // (100 * CENT) * CENT
    return min(bonus, code.amount) if code.amount else bonus


def follow(top_up: Transfer, user_id: int, taken: int, *, cause: str) -> int:
    """Take the share of the bonus, after `taken` of its top-up was taken back (or given, below 0).

    Answers what was posted, in nano-dollars. Same transaction and locks as `bonus_for`; `cause` is
    the key of the transfer that took it.
    """
    redemption = Redemption.objects.select_related("code").filter(top_up=top_up).first()
    if redemption is None:
        return 0
    left = redemption.top_up_left - taken  # below 0 while a refund is disputed as well
    kept = min(max(left, 0), top_up.amount)
    share = redemption.bonus * kept // (top_up.amount * CENT) * CENT
    change = share - redemption.granted
    redemption.top_up_left, redemption.granted = left, share
    redemption.save(update_fields=["top_up_left", "granted"])
    if change:
        _post(redemption, f"promo-back:{cause}", change)
    return change


def _key(redemption: Redemption) -> str:
    return f"promo:{redemption.code_id}:{redemption.user_id}:{redemption.number}"


def _post(redemption: Redemption, key: str, amount: int) -> None:
    ledger.post(
        key=key,
        kind=Kind.PROMO,
        user_id=redemption.user_id,
        amount=amount,
        reason=f"Promo code {redemption.code}",
        ref={"redemption": redemption.pk},
    )


def _tell(redemption: Redemption) -> None:
    code = redemption.code
    facts = {
        "code": code.code,
        "kind": code.kind,
        "amount": dollars(redemption.granted),
        "plan": code.plan.name if code.plan else "",
        "days": code.trial_days,
    }
    notices.tell(user_id=redemption.user_id, kind="promo", key=_key(redemption), facts=facts)


def describe(code: PromoCode) -> str:
    """What a code gives, in a sentence."""
    if code.kind == PromoCode.Kind.TRIAL and code.plan is not None:
        return f"{code.plan.name} for {code.trial_days} days."
    if code.kind == PromoCode.Kind.CREDIT:
        gift = f"${dollars(code.amount)} of credit"
    else:
        gift = f"{code.percent} % of your next top-up"
        gift += f", up to ${dollars(code.amount)}" if code.amount else ""
    if code.minimum_top_up:
        gift += f", with a top-up of at least ${dollars(code.minimum_top_up)}"
    return f"{gift}."
