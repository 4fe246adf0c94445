"""Changing a running subscription (https://docs.stripe.com/billing/subscriptions/upgrade-downgrade).

* `proration_behavior`: `create_prorations` leaves the difference for the next invoice,
  `always_invoice` bills it now, `none` forgets it.
* A new rhythm, or `billing_cycle_anchor=now`, begins a new period and is always billed now.
* `pending_if_incomplete`: the change waits, at most 23 hours, until its invoice is paid
  (https://docs.stripe.com/billing/subscriptions/pending-updates).
"""

from dataclasses import dataclass

from sandbox.stripe import invoicing, lines, periods
from sandbox.stripe.errors import Object
from sandbox.stripe.lines import Line
from sandbox.stripe.resources import invoice_items
from sandbox.stripe.resources.subscription_objects import names, period, place, recurring_of
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.subscribing import INCOMPLETE_LASTS, UPDATED, bill, plan_next

PRORATIONS = ("create_prorations", "always_invoice", "none")
PAYMENTS = (
    "allow_incomplete",
    "default_incomplete",
    "error_if_incomplete",
    "pending_if_incomplete",
)


@dataclass(frozen=True)
class Change:
    """What the subscription becomes, and what that costs now."""

    items: list[Object]
    start: int
    end: int
    lines: list[Line]
    reset: bool
    trial_end: int | None = None

    def billed_now(self, proration: str) -> bool:
        """Whether there is an invoice at once."""
        return bool(self.lines) and (self.reset or proration == "always_invoice")


def plan(
    sim: Simulator,
    subscription: Object,
    items: list[Object],
    *,
    proration: str,
    at: int,
    reset: bool = False,
    trial_end: int | None = None,
) -> Change:
    """Compute a change to these items at that time; nothing is changed yet."""
    old = subscription["items"]["data"]
    free = proration == "none" or subscription["status"] == "trialing"
    known = names(sim, [*old, *items])
    start, end = period(subscription)
    if trial_end is not None:
        return Change(items, start, trial_end, [], False, trial_end)
    if not reset and recurring_of(items) == recurring_of(old):
        parts = [] if free else lines.prorate(old, items, known, (start, end), at)
        return Change(items, start, end, parts, False)
    credits = [] if free else lines.prorate(old, [], known, (start, end), at)
    end = periods.end_after(at, recurring_of(items), at)
    whole = [lines.full(item, known[item["price"]["product"]], at, end) for item in items]
    return Change(items, at, end, [*credits, *whole], True)


def apply(sim: Simulator, subscription: Object, change: Change) -> None:
    """Make the change. The caller announces it."""
    place(subscription, change.items, change.start, change.end)
    if change.reset:
        subscription["billing_cycle_anchor"] = change.start
        if subscription["status"] == "trialing":
            subscription |= {"status": "active", "trial_end": sim.now()}
    if change.trial_end is not None:
        subscription |= {"status": "trialing", "trial_end": change.trial_end}
        subscription["trial_start"] = subscription["trial_start"] or sim.now()
        subscription["billing_cycle_anchor"] = change.trial_end
    plan_next(sim, subscription)


def settle(
    sim: Simulator,
    subscription: Object,
    change: Change,
    *,
    proration: str,
    payment: str,
    off_session: bool,
) -> None:
    """Bill a change that was made: now, or with the next invoice."""
    if not change.billed_now(proration):
        for line in change.lines:
            invoice_items.make(sim, subscription["customer"], line, subscription["id"])
        return
    invoice = _invoice(sim, subscription, change)
    if invoice["status"] != "open":
        return
    if payment != "default_incomplete":
        invoicing.pay(sim, invoice, off_session=off_session)
        return
    with sim.changing(subscription, UPDATED):
        subscription["status"] = "past_due"


def _invoice(sim: Simulator, subscription: Object, change: Change, **fields: object) -> Object:
    pending = invoice_items.pending(sim, subscription["customer"], subscription["id"])
    billed = [*pending, *change.lines]
    invoice = bill(sim, subscription, billed, "subscription_update", **fields)
    invoicing.finalize(sim, invoice)
    return invoice


def wait_for_payment(
    sim: Simulator, subscription: Object, change: Change, *, off_session: bool
) -> None:
    """`pending_if_incomplete`: the change is made when its invoice is paid, maybe at once."""
    subscription["_change"] = {
        "items": change.items,
        "start": change.start,
        "end": change.end,
        "reset": change.reset,
    }
    invoice = _invoice(sim, subscription, change, _pending=True)
    if invoice["status"] == "open":
        invoicing.pay(sim, invoice, off_session=off_session)
    if invoice["status"] == "open":
        with sim.changing(subscription, UPDATED):
            subscription["pending_update"] = _pending_update(sim, change)
        sim.schedule("subscription.pending_update", subscription, sim.now() + INCOMPLETE_LASTS)


def _pending_update(sim: Simulator, change: Change) -> Object:
    return {
        "billing_cycle_anchor": change.start if change.reset else None,
        "discount": None,
        "discounts": None,
        "expires_at": sim.now() + INCOMPLETE_LASTS,
        "metadata": None,
        "subscription_items": change.items,
        "trial_end": None,
        "trial_from_plan": None,
    }


def on_invoice(sim: Simulator, invoice: Object) -> None:
    """The invoice of a waiting change was paid, or voided."""
    subscription = sim.store.need("subscription", invoice["_subscription"])
    waiting = subscription.get("_change")
    if waiting is None or subscription["ended_at"]:
        return
    if invoice["_outcome"] == "paid":
        _apply_waiting(sim, subscription, waiting)
    elif invoice["_outcome"] == "void":
        _forget(sim, subscription)


def _apply_waiting(sim: Simulator, subscription: Object, waiting: Object) -> None:
    shown = subscription["pending_update"] is not None
    with sim.changing(subscription, UPDATED):
        apply(sim, subscription, Change(**waiting, lines=[]))
        _forget(sim, subscription)
    if shown:
        sim.emit("customer.subscription.pending_update_applied", subscription)


def _forget(sim: Simulator, subscription: Object) -> None:
    subscription["pending_update"] = None
    subscription.pop("_change", None)
    sim.unschedule("subscription.pending_update", subscription)


def expire(sim: Simulator, subscription: Object) -> None:
    """A waiting change was not paid in time: it lapses, and its invoice is void."""
    invoice = sim.store.need("invoice", subscription["latest_invoice"])
    with sim.changing(subscription, UPDATED):
        _forget(sim, subscription)
    sim.emit("customer.subscription.pending_update_expired", subscription)
    if invoice["status"] == "open":
        invoicing.void(sim, invoice)
