"""How a subscription paid from the balance goes on: renewed, in grace, or ended.

A period is paid when it begins, for the price plans/prices.py says. If the balance does not
suffice, plan and limits stay for `periods.GRACE` from the first try, however late that was, and
it is tried again whenever there is enough; the period that is paid late still begins where the
last one ended. Unpaid to the end of the grace, the account goes back to the default plan. Periods
missed while no worker ran are paid one by one.

An account that is frozen is left alone, and so is its time (billing/payments/pauses.py); of one
that is closed nothing is renewed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from billing.books import ledger, standing
from billing.invoices.issuing import Line
from billing.invoices.models import Invoice
from billing.mails import notices
from billing.plans import periods, prices, quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.subscriptions import purchases
from billing.subscriptions.purchases import Purchase
from hontoni import errors
from hontoni.money import dollars

Status = Subscription.Status
Method = Subscription.PaymentMethod
# What Stripe is to pay from the next period on is handed over: arrangements.py.
_OURS = (
    Q(status__in=Subscription.LIVE, payment_method=Method.BALANCE)
    & ~Q(next_payment_method=Method.STRIPE)
    & standing.good()
)


def locked(user_id: int) -> Subscription | None:
    """The live subscription, ours until the transaction ends. Raises Conflict for Stripe's."""
    live = Subscription.objects.filter(user_id=user_id, status__in=Subscription.LIVE)
    live = live.select_related("plan", "add_on", "next_plan", "next_add_on", "user")
    mine = live.select_for_update(of=("self",)).first()
    must_be_ours(mine)
    return mine


def must_be_ours(mine: Subscription | None) -> None:
    """Raises Conflict `paid_through_stripe`: this module is about the balance."""
    if mine is not None and mine.payment_method != Subscription.PaymentMethod.BALANCE:
        raise errors.Conflict(
            "This subscription is paid through Stripe.", code="paid_through_stripe"
        )


def due(now: datetime) -> list[int]:
    """The users whose period has ended, of those in grace only who can pay or must go."""
    over = Subscription.objects.filter(_OURS, period_end__lte=now)
    found = over.select_related("plan", "add_on", "next_plan", "next_add_on", "user")
    return [mine.user_id for mine in found.order_by("period_end") if _is_ready(mine, now)]


def _is_ready(mine: Subscription, now: datetime) -> bool:
    if mine.status == Status.ACTIVE or now >= mine.grace_until:
        return True
    coming = quotes.next_period(mine)
    return coming is None or ledger.balance(mine.user_id) >= quotes.renewal(mine, *coming)


def renew(user_id: int, *, now: datetime) -> None:
    """Bring a subscription up to date; nothing if it is. Raises Unavailable without Redis."""
    over = Subscription.objects.filter(_OURS, user_id=user_id, period_end__lte=now)
    while over.exists() and _step(user_id, now):
        pass


def _step(user_id: int, now: datetime) -> bool:
    """One period further, if it is paid."""
    with purchases.opened(user_id) as purchase:
        mine = locked(user_id)
        if mine is None or mine.period_end > now:
            return False  # somebody else was first
        if not standing.is_good(user_id):
            return False
        coming = quotes.next_period(mine)
        if coming is None:
            end(mine, reason="canceled", now=now)
            return False
        try:
            _next_period(purchase, mine, *coming, now=now)
        except errors.PaymentRequired:
            _unpaid(mine, *coming, now=now)
            return False
    return True


def _next_period(
    purchase: Purchase, mine: Subscription, plan: Plan, add_on: AddOn | None, *, now: datetime
) -> None:
    start, until = mine.period_end, periods.next_end(mine.period_start, mine.period_end)
    costs = {sold: prices.next_price(mine, sold) for sold in (plan, add_on) if sold}
    lines = [quotes.month(sold, start, until, cost) for sold, cost in costs.items() if cost]
    key = f"renewal:{mine.pk}:{start.isoformat()}"
    invoice = _pay(purchase, mine, lines, key, now)
    changed = (plan, add_on) != (mine.plan, mine.add_on)
    begin(mine, plan, costs[plan], add_on, costs[add_on] if add_on else 0)
    mine.period_start, mine.period_end = start, until
    mine.save()
    if changed:
        terms.apply(mine.user_id)
    details = {
        "paid": dollars(sum(line.amount for line in lines)),
        "invoice": invoice and invoice.number,
        "renews_at": until.isoformat(),
    }
    notices.tell(
        user_id=mine.user_id,
        kind="plan_renewed",
        key=f"plan_renewed:{key}",
        facts=facts(mine) | details,
    )


def begin(
    mine: Subscription, plan: Plan, plan_price: int, add_on: AddOn | None, add_on_price: int
) -> None:
    """A period is paid, whichever way: nothing waits for it, and nothing is unpaid, any more."""
    mine.plan, mine.plan_price = plan, plan_price
    mine.add_on, mine.add_on_price, mine.add_on_ends = add_on, add_on_price, False
    mine.next_plan, mine.next_plan_price = None, 0
    mine.next_add_on, mine.next_add_on_price = None, 0
    mine.status, mine.past_due_since, mine.trial = Status.ACTIVE, None, False


def _pay(
    purchase: Purchase, mine: Subscription, lines: Sequence[Line], key: str, now: datetime
) -> Invoice | None:
    if not lines:
        return None
    ref = {"subscription": mine.pk}
    return purchases.invoiced(purchase, mine, lines, key=key, ref=ref, now=now)[1]


def _unpaid(mine: Subscription, plan: Plan, add_on: AddOn | None, *, now: datetime) -> None:
    """Into grace with the first try, whenever that was; or out of it."""
    tried = mine.status == Status.PAST_DUE or mine.past_due_since is not None
    if tried and now >= mine.grace_until:
        end(mine, reason="unpaid", now=now)
        return
    past_due(mine, now)
    mine.save()
    details = facts(mine) | _amounts(mine, plan, add_on)
    details["grace_until"] = mine.grace_until.isoformat()
    key = f"plan_renewal_failed:{mine.pk}:{mine.period_end.isoformat()}"
    notices.tell(user_id=mine.user_id, kind="plan_renewal_failed", key=key, facts=details)


def past_due(mine: Subscription, now: datetime) -> None:
    """The grace begins with the first try, and no second one begins it again."""
    if mine.status != Status.PAST_DUE and mine.past_due_since is None:
        mine.past_due_since = max(now, mine.period_end)
    mine.status = Status.PAST_DUE


def end(mine: Subscription, *, reason: str, now: datetime, invoice: Invoice | None = None) -> None:
    """Back to the default plan, in the caller's transaction. `reason` as in mails/notices.py.

    Nobody hears of what ends with a closed account.
    """
    mine.status, mine.ended_at = Status.ENDED, now
    mine.save()
    terms.apply(mine.user_id)
    if not mine.user.is_active:
        return
    details = facts(mine) | {
        "reason": reason,
        "credited": dollars(-invoice.total) if invoice else "0.00",
        "invoice": invoice and invoice.number,
    }
    notices.tell(
        user_id=mine.user_id, kind="plan_ended", key=f"plan_ended:{mine.pk}", facts=details
    )


def announce(now: datetime) -> int:
    """Tell of every renewal within `periods.NOTICE`, once each. Returns how many are near."""
    near = Subscription.objects.filter(
        standing.good(),
        status__in=Subscription.LIVE,
        period_end__gt=now,
        period_end__lte=now + periods.NOTICE,
    )
    rows = near.select_related("plan", "add_on", "next_plan", "next_add_on", "user")
    found = list(rows)
    for mine in found:
        if coming := quotes.next_period(mine):
            key = f"plan_renewal_soon:{mine.pk}:{mine.period_end.isoformat()}"
            details = facts(mine) | _soon(mine, *coming)
            details["renews_at"] = mine.period_end.isoformat()
            notices.tell(user_id=mine.user_id, kind="plan_renewal_soon", key=key, facts=details)
    return len(found)


def _soon(mine: Subscription, plan: Plan, add_on: AddOn | None) -> dict[str, Any]:
    """What it will cost, by whichever way the next period is paid."""
    if (mine.next_payment_method or mine.payment_method) == Method.BALANCE:
        return _amounts(mine, plan, add_on)
    return {
        "amount": dollars(quotes.renewal(mine, plan, add_on)),
        "balance": None,
        "enough": True,
        "by_card": True,
        "plus_tax": settings.STRIPE_TAX,
    }


def facts(mine: Subscription) -> dict[str, Any]:
    """What a notice says of a subscription, by the names that its reader knows."""
    return {"plan": mine.plan.name, "add_on": mine.add_on and mine.add_on.name}


def _amounts(mine: Subscription, plan: Plan, add_on: AddOn | None) -> dict[str, Any]:
    amount, balance = quotes.renewal(mine, plan, add_on), ledger.balance(mine.user_id)
    return {
        "amount": dollars(amount),
        "balance": dollars(balance),
        "enough": balance >= amount,
    }
