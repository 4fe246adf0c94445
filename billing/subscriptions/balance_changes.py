"""What a customer does about a plan and an add-on, paid from the prepaid balance.

Always true:

1. An account has at most one live subscription. Its plan holds, and its add-on multiplies, until
   `period_end`, and for `periods.GRACE` longer while a renewal is unpaid.
2. A change that costs is paid, invoiced, in force and told in one transaction, or not at all.
3. A key of the customer's stands for one change: sent again, it answers what it bought.
4. An account without plan and add-on has no live subscription, and is on the default plan. An
   add-on alone is a subscription to the default plan.

New limits bind on every node with the next request (plans/terms.py). Windows keep what was used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction

from billing.books import audit
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.mails import notices
from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.plans.quotes import Quote
from billing.subscriptions import purchases, renewals
from billing.subscriptions.purchases import Purchase
from hontoni import errors
from hontoni.money import dollars

Quoting = Callable[[Subscription | None], Quote]
_TOLD = {
    "subscribe": "plan_started",
    "upgrade": "plan_upgraded",
    "add": "add_on_started",
    "swap": "add_on_started",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a change. `transfer` and `invoice` are None where the balance paid nothing.

    `by_card` is what Stripe took, in nano-dollars, below 0 if it was credited there. With a
    `payment_url` nothing has changed yet: the customer is to pay there first.
    """

    subscription: Subscription
    transfer: Transfer | None = None
    invoice: Invoice | None = None
    replayed: bool = False
    by_card: int = 0
    payment_url: str = ""

    @property
    def paid(self) -> int:
        """Nano-dollars, by whichever way."""
        return self.invoice.total if self.invoice else self.by_card


def preview(user_id: int, quoting: Quoting) -> Quote:
    """What a change would cost now. Raises as `quoting`, and for Stripe's as `renewals.locked`."""
    mine = terms.subscription_of(user_id)
    renewals.must_be_ours(mine)
    return quoting(mine)


# -- What costs, now -----------------------------------------------------------------------------


def subscribe(user_id: int, plan: Plan, *, now: datetime, key: str = "") -> Outcome:
    """Buy a first month of a plan. Raises as `quotes.subscribe` and `Purchase.pay`."""
    quoting = partial(quotes.subscribe, plan=plan, now=now)
    return _buy(user_id, f"subscribe:{plan.slug}", quoting, now=now, key=key)


def upgrade(user_id: int, plan: Plan, *, now: datetime, key: str = "") -> Outcome:
    """Go to a dearer plan at once. Raises as `quotes.upgrade` and `Purchase.pay`."""
    quoting = partial(quotes.upgrade, plan=plan, now=now)
    return _buy(user_id, f"upgrade:{plan.slug}", quoting, now=now, key=key)


def add(user_id: int, add_on: AddOn, *, now: datetime, key: str = "") -> Outcome:
    """Take an add-on in place of the one there is; a cheaper one when the period ends.

    Raises as `quotes.add` and `Purchase.pay`.
    """
    quoting = partial(quotes.add, add_on=add_on, default=terms.default_plan(), now=now)
    return _buy(user_id, f"add:{add_on.slug}", quoting, now=now, key=key)


def _buy(user_id: int, purpose: str, quoting: Quoting, *, now: datetime, key: str) -> Outcome:
    renewals.renew(user_id, now=now)  # a period that is over is settled first
    with purchases.opened(user_id) as purchase:
        key = f"buy:{user_id}:{key}" if key else purchase.new_key()
        if earlier := purchase.earlier(key, purpose):
            return _again(earlier)
        mine = renewals.locked(user_id)
        quote = quoting(mine)
        mine = _change(mine or Subscription(user_id=user_id), quote)
        paid, invoice = _pay(purchase, mine, quote, key=key, purpose=purpose, now=now)
        terms.apply(user_id)
        _tell(mine, quote, invoice, key)
    if quote.action == "swap_later":  # in grace that is now
        renewals.renew(user_id, now=now)
        mine.refresh_from_db()
    return Outcome(mine, paid, invoice)


def _change(mine: Subscription, quote: Quote) -> Subscription:
    """Let a quote come true; it is paid in the same transaction."""
    begins = mine.pk is None or mine.period_start != quote.period_start
    if begins:
        add_on_price = quote.add_on.price if quote.add_on else 0
        renewals.begin(mine, quote.plan, quote.plan.price, quote.add_on, add_on_price)
    if quote.action in ("subscribe", "upgrade"):
        _change_plan(mine, quote.plan)
    elif quote.add_on is not None:
        _change_add_on(mine, quote.add_on, later=quote.action == "swap_later")
    mine.period_start, mine.period_end = quote.period_start, quote.period_end
    mine.save()
    return mine


def _change_plan(mine: Subscription, plan: Plan) -> None:
    """Who buys a plan goes on with it. What was paid for the period counts, if that was more."""
    mine.plan, mine.plan_price = plan, max(mine.plan_price, plan.price)
    mine.next_plan, mine.next_plan_price = None, 0
    mine.trial = mine.cancel_at_period_end = False


def _change_add_on(mine: Subscription, add_on: AddOn, *, later: bool) -> None:
    """Now, or with the next period; the present one again is neither to end nor to change."""
    mine.next_add_on, mine.next_add_on_price, mine.add_on_ends = None, 0, False
    if later:
        mine.next_add_on, mine.next_add_on_price = add_on, add_on.price
    elif mine.add_on != add_on:
        mine.add_on, mine.add_on_price = add_on, max(mine.add_on_price, add_on.price)


def _pay(
    purchase: Purchase, mine: Subscription, quote: Quote, *, key: str, purpose: str, now: datetime
) -> tuple[Transfer | None, Invoice | None]:
    if not quote.due_now:
        return None, None
    return purchases.invoiced(
        purchase,
        mine,
        quote.lines,
        key=key,
        ref={"subscription": mine.pk, "asked": purpose},
        now=now,
    )


def _again(earlier: Transfer) -> Outcome:
    mine = Subscription.objects.select_related("plan", "add_on", "next_plan", "next_add_on")
    bought = mine.get(pk=earlier.ref["subscription"])
    return Outcome(bought, earlier, earlier.invoice, replayed=True)


def _tell(mine: Subscription, quote: Quote, invoice: Invoice | None, key: str) -> None:
    if kind := _TOLD.get(quote.action):
        facts = renewals.facts(mine) | {
            "paid": dollars(quote.due_now),
            "invoice": invoice and invoice.number,
            "renews_at": mine.period_end.isoformat(),
        }
        notices.tell(user_id=mine.user_id, kind=kind, key=f"{kind}:{mine.pk}:{key}", facts=facts)


# -- What happens when the period ends -----------------------------------------------------------


def downgrade(user_id: int, plan: Plan, *, now: datetime) -> Subscription:
    """Go to a cheaper plan when the period ends. Raises as `quotes.downgrade`."""

    def arrange(mine: Subscription) -> None:
        quotes.downgrade(mine, plan=plan, now=now)
        mine.next_plan, mine.next_plan_price = plan, plan.price
        mine.cancel_at_period_end = False

    return _arrange(user_id, arrange, now=now)


def cancel(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Let plan and add-on end with the period; in grace that is now. Raises NotSubscribed.

    An `actor` is a member of staff, who is audited.
    """

    def arrange(mine: Subscription) -> None:
        undo(mine)
        mine.cancel_at_period_end = True
        audited("cancel subscription", mine, actor, request_id)

    return _arrange(user_id, arrange, now=now)


def resume(user_id: int, *, now: datetime, actor: str = "", request_id: str = "") -> Subscription:
    """Undo whatever was to happen when the period ends. Raises NotSubscribed. `actor` as above."""

    def arrange(mine: Subscription) -> None:
        undo(mine)
        mine.cancel_at_period_end = mine.add_on_ends = False
        # Of a trial that is to go on: what it is to cost was shown.
        mine.next_plan_price = mine.plan.price if mine.on_trial else 0
        audited("resume subscription", mine, actor, request_id)

    return _arrange(user_id, arrange, now=now)


def undo(mine: Subscription) -> None:
    """What was to change with the period does not."""
    mine.next_plan, mine.next_plan_price = None, 0
    mine.next_add_on, mine.next_add_on_price = None, 0


def remove(user_id: int, add_on: AddOn, *, now: datetime) -> Subscription:
    """Let the add-on end with the period. Raises NotFound if it is not the active one."""
    inactive = errors.NotFound(f"{add_on} is not active.")

    def arrange(mine: Subscription) -> None:
        if add_on not in (mine.add_on, mine.next_add_on):
            raise inactive
        mine.next_add_on, mine.next_add_on_price, mine.add_on_ends = None, 0, True

    return _arrange(user_id, arrange, now=now, missing=inactive)


def _arrange(
    user_id: int,
    arrange: Callable[[Subscription], None],
    *,
    now: datetime,
    missing: errors.ApiError | None = None,
) -> Subscription:
    with transaction.atomic():
        mine = renewals.locked(user_id)
        if mine is None:
            raise missing or quotes.NotSubscribed("You have no plan and no add-on.")
        mine.trial = mine.on_trial
        arrange(mine)
        mine.save()
    # In grace, or a moment before beat comes by, the period has ended already.
    renewals.renew(user_id, now=now)
    mine.refresh_from_db()
    return mine


# -- By staff ------------------------------------------------------------------------------------


def end_now(user_id: int, *, now: datetime, actor: str, request_id: str = "") -> Subscription:
    """End a subscription and credit what is unused of it. Audited; raises NotSubscribed."""
    with purchases.opened(user_id) as purchase:
        mine = renewals.locked(user_id)
        if mine is None:
            raise quotes.NotSubscribed("There is no subscription to end.")
        lines = quotes.unused(mine, now)
        invoice = None
        if lines:
            _, invoice = purchases.invoiced(
                purchase, mine, lines, key=f"end:{mine.pk}", ref={"subscription": mine.pk}, now=now
            )
        renewals.end(mine, reason="staff", invoice=invoice, now=now)
        credited = dollars(-invoice.total) if invoice else "0.00"
        audited("end subscription", mine, actor, request_id, credited=credited)
    return mine


def audited(action: str, mine: Subscription, actor: str, request_id: str, **after: str) -> None:
    """Write down what staff did to a customer's subscription; what customers do is not audited."""
    if not actor:
        return
    audit.record(
        actor=actor,
        action=action,
        subject=f"user:{mine.user_id}",
        before={
            "plan": mine.plan.slug,
            "add_on": mine.add_on and mine.add_on.slug,
            "period_end": mine.period_end.isoformat(),
        },
        after=after,
        request_id=request_id,
    )
