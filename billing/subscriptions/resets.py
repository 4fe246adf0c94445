"""The reset pass: all windows of an account (5h, daily, weekly, monthly) empty at once, for money.

Always true:

1. It is sold one time in a period of a plan that staff have priced it for: a row is unique to
   that, so of many purchases at once one is paid, and the others are told (409).
2. Paid from the balance, invoiced, in force and told in one transaction, or not at all.
3. What is reset is no counter: the account's terms say since when its windows count
   (plans/terms.py), and admission closes those that opened before. So every node follows with the
   next request, and an account made anew in Redis from its old requests follows too.
4. It works at once, so nothing of it is given back when a plan ends or changes. Staff may refund
   its invoice; the windows stay as they are, and the period has had its pass.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from billing.books import audit, standing
from billing.books.models import Transfer
from billing.invoices.issuing import Line
from billing.invoices.models import Invoice
from billing.mails import notices
from billing.plans import quotes, terms
from billing.plans.models import Plan, ResetPass, Subscription
from billing.subscriptions import purchases, renewals
from hontoni import errors, redis
from hontoni.money import dollars
from ratelimits.scripts import unavailable


@dataclass(frozen=True, slots=True)
class Bought:
    """A pass, and what documents it."""

    reset: ResetPass
    invoice: Invoice
    replayed: bool = False


def offered(mine: Subscription | None, now: datetime) -> int:
    """What a pass costs this subscriber now, in nano-dollars; 0 where none is to be had."""
    try:
        return _price(mine, now)
    except errors.Conflict:
        return 0


def why_none(mine: Subscription | None, now: datetime) -> str | None:
    """Why none is to be had now, as an error's code; None if it is."""
    try:
        _price(mine, now)
    except errors.Conflict as error:
        return error.code
    return None


def sold_with_plans() -> bool:
    """Whether there is a plan on sale that has one."""
    return Plan.objects.filter(active=True, reset_price__gt=0).exists()


def last(mine: Subscription | None) -> ResetPass | None:
    """The pass of the period that runs, if it was bought."""
    if mine is None:
        return None
    found = ResetPass.objects.filter(subscription=mine, period_start=mine.period_start)
    return found.select_related("plan").first()


def buy(
    user_id: int, *, now: datetime, key: str = "", most: int | None = None, by: str = ""
) -> Bought:
    """Reset the windows of an account. `most` is what its buyer was shown, `by` their address,
    for the audit: staff are asked why an account's windows were empty.

    Raises Conflict (`not_subscribed`, `reset_pass_not_sold`, `reset_pass_used`, `price_changed`),
    and as `Purchase.pay`.
    """
    standing.must_be_good(user_id)
    renewals.renew(user_id, now=now)  # a period that is over is settled first
    with purchases.opened(user_id) as purchase:
        key = f"buy:{user_id}:{key}" if key else purchase.new_key()
        if earlier := purchase.earlier(key, "reset"):
            return _again(earlier)
        live = Subscription.objects.select_for_update(of=("self",), no_key=True)
        live = live.filter(user_id=user_id, status__in=Subscription.LIVE)
        mine = live.select_related("plan", "add_on", "user").first()
        price = _price(mine, now)
        assert mine is not None
        if most is not None and price > most:
            raise errors.Conflict(
                "The price has changed. Look at it again, please.", code="price_changed"
            )
        paid, invoice = purchases.invoiced(
            purchase,
            mine,
            [_line(mine, price)],
            key=key,
            ref={"subscription": mine.pk, "asked": "reset"},
            now=now,
        )
        reset = _reset(mine, paid, price)
        terms.apply(user_id)
        _tell(mine, reset, invoice)
        _audit(reset, by)
    return Bought(reset, invoice)


def _price(mine: Subscription | None, now: datetime) -> int:
    if mine is None:
        raise quotes.NotSubscribed(
            "You have no plan with a period that is paid: pay as you go has no reset pass."
        )
    plan: Plan = mine.plan
    if not plan.reset_price or not mine.period_start <= now < mine.period_end:
        raise errors.Conflict(
            "No reset pass is sold for your plan now.", code="reset_pass_not_sold"
        )
    if last(mine) is not None:
        raise errors.Conflict(
            "You have had the reset pass of this period. The next one is sold from %(when)s on.",
            code="reset_pass_used",
            about={"when": f"{mine.period_end:%d %b %Y}"},
        )
    return plan.reset_price


def _line(mine: Subscription, price: int) -> Line:
    until = f"{mine.period_start:%d %b %Y} to {mine.period_end:%d %b %Y}"
    return Line(f"Reset pass of {mine.plan.name}, {until}", price)


def _reset(mine: Subscription, paid: Transfer, price: int) -> ResetPass:
    return ResetPass.objects.create(
        user_id=mine.user_id,
        subscription=mine,
        plan=mine.plan,
        period_start=mine.period_start,
        transfer=paid,
        price=price,
        reset_at=_redis_now(),
    )


def _redis_now() -> datetime:
    try:
        seconds, micros = redis.clock()
    except redis.RedisError as error:
        raise unavailable(error) from error
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros))


def _audit(reset: ResetPass, by: str) -> None:
    audit.record(
        actor=by or reset.user.email,
        action="buy reset pass",
        subject=f"user:{reset.user_id}",
        before={},
        after={"plan": reset.plan.slug, "paid": dollars(reset.price), "pass": reset.pk},
    )


def _again(earlier: Transfer) -> Bought:
    return Bought(ResetPass.objects.get(transfer=earlier), earlier.invoice, replayed=True)


def _tell(mine: Subscription, reset: ResetPass, invoice: Invoice) -> None:
    facts = renewals.facts(mine) | {
        "paid": dollars(reset.price),
        "invoice": invoice.number,
        "renews_at": mine.period_end.isoformat(),
    }
    key = f"windows_reset:{mine.pk}:{mine.period_start.isoformat()}"
    notices.tell(user_id=mine.user_id, kind="windows_reset", key=key, facts=facts)
