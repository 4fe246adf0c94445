"""The life of a subscription (https://docs.stripe.com/billing/subscriptions/overview).

* The first invoice is open at once; until it is paid the subscription is `incomplete`, and after
  23 hours `incomplete_expired`.
* A renewal's invoice stays a draft for an hour, then it is collected. A failure makes the
  subscription `past_due`; when the retries of `invoicing` are used up it is canceled.
"""

from collections.abc import Sequence

from sandbox.stripe import invoicing, lines, periods
from sandbox.stripe.clock import DAY, HOUR
from sandbox.stripe.errors import Object
from sandbox.stripe.lines import Line
from sandbox.stripe.resources import invoice_items
from sandbox.stripe.resources.invoice_objects import automatic_tax, subscription_parent
from sandbox.stripe.resources.subscription_objects import (
    blank_subscription,
    names,
    period,
    place,
    recurring_of,
)
from sandbox.stripe.simulator import Simulator

INCOMPLETE_LASTS = 23 * HOUR
DRAFT_LASTS = HOUR
UPCOMING_BEFORE = 7 * DAY
TRIAL_NOTICE = 3 * DAY
LIVE = ("trialing", "active", "past_due", "unpaid")
UPDATED = "customer.subscription.updated"


def start(
    sim: Simulator,
    customer: Object,
    items: list[Object],
    fields: Object,
    *,
    behaviour: str = "allow_incomplete",
    trial_end: int | None = None,
    extra: Sequence[Line] = (),
    off_session: bool = False,
    authenticated: bool = False,
) -> Object:
    """Begin now. `behaviour` is the payment_behavior; `extra` joins the first invoice."""
    now = sim.now()
    head = {
        "billing_cycle_anchor": trial_end or now,
        "currency": items[0]["price"]["currency"],
        "customer": customer["id"],
        "start_date": now,
        "status": "trialing" if trial_end else "incomplete",
        "trial_start": now if trial_end else None,
        "trial_end": trial_end,
    }
    subscription = sim.new("subscription", **blank_subscription() | head | fields)
    end = trial_end or periods.end_after(now, recurring_of(items), now)
    place(subscription, items, now, end)
    if subscription["cancel_at_period_end"]:
        subscription |= {"cancel_at": end, "canceled_at": now}
    sim.emit("customer.subscription.created", subscription)
    billed = [*extra, *whole_period(sim, subscription)]
    invoice = bill(sim, subscription, billed, "subscription_create")
    invoicing.finalize(sim, invoice, authenticated=authenticated)
    if invoice["status"] == "open" and behaviour != "default_incomplete":
        invoicing.pay(sim, invoice, off_session=off_session)
    if subscription["status"] == "incomplete":
        sim.schedule("subscription.expire", subscription, now + INCOMPLETE_LASTS)
    plan_next(sim, subscription)
    return subscription


def whole_period(sim: Simulator, subscription: Object) -> list[Line]:
    """A line an item for the whole current period; nothing while on trial."""
    items = subscription["items"]["data"]
    begin, end = period(subscription)
    known, trial = names(sim, items), subscription["status"] == "trialing"
    return [lines.full(i, known[i["price"]["product"]], begin, end, trial) for i in items]


def bill(
    sim: Simulator, subscription: Object, billed: Sequence[Line], reason: str, **fields: object
) -> Object:
    """A draft for the subscription, from now on its latest invoice."""
    customer = sim.store.need("customer", subscription["customer"])
    begin, end = period(subscription)
    invoice = invoicing.draft(
        sim,
        customer,
        billed,
        reason=reason,
        auto_advance=True,
        automatic_tax=automatic_tax(subscription["automatic_tax"]["enabled"]),
        parent=subscription_parent(subscription),
        period_start=begin,
        period_end=end,
        _subscription=subscription["id"],
        **fields,
    )
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def plan_next(sim: Simulator, subscription: Object) -> None:
    """Schedule the end of the current period, and the notice before it."""
    begin, end = period(subscription)
    sim.schedule("subscription.renew", subscription, end)
    if end - begin > UPCOMING_BEFORE and not subscription["cancel_at_period_end"]:
        sim.schedule("subscription.upcoming", subscription, end - UPCOMING_BEFORE)
    if subscription["status"] == "trialing" and end - TRIAL_NOTICE > sim.now():
        sim.schedule("subscription.trial_will_end", subscription, end - TRIAL_NOTICE)
    cancel_at = subscription["cancel_at"]
    if cancel_at and cancel_at != end:
        sim.schedule("subscription.cancel_at", subscription, cancel_at)
    else:
        sim.unschedule("subscription.cancel_at", subscription)


def on_invoice(sim: Simulator, invoice: Object) -> None:
    """An invoice of the subscription was paid, failed, was given up or voided."""
    subscription = sim.store.need("subscription", invoice["_subscription"])
    outcome, latest = invoice["_outcome"], subscription["latest_invoice"] == invoice["id"]
    if subscription["ended_at"] or invoice.get("_pending"):
        return
    status = subscription["status"]
    if outcome == "paid" and latest and status in ("incomplete", "past_due", "unpaid"):
        _activate(sim, subscription, invoice)
    elif outcome == "failed" and status in ("active", "trialing"):
        with sim.changing(subscription, UPDATED):
            subscription["status"] = "past_due"
    elif outcome == "given_up":
        cancel(sim, subscription, reason="payment_failed")
    elif outcome == "void" and status == "incomplete":
        expire(sim, subscription)


def _activate(sim: Simulator, subscription: Object, invoice: Object) -> None:
    sim.unschedule("subscription.expire", subscription)
    with sim.changing(subscription, UPDATED):
        trial = (subscription["trial_end"] or 0) > sim.now()
        subscription["status"] = "trialing" if trial else "active"
        intent = sim.store.find(invoice.get("_intent"))
        keep = subscription["payment_settings"]["save_default_payment_method"]
        if intent and keep == "on_subscription":
            subscription["default_payment_method"] = intent["payment_method"]


def expire(sim: Simulator, subscription: Object) -> None:
    """The first invoice was not paid in time."""
    if subscription["status"] != "incomplete":
        return
    with sim.changing(subscription, UPDATED):
        subscription |= {"status": "incomplete_expired", "ended_at": sim.now()}
    _stop(sim, subscription)
    invoice = sim.store.need("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        invoicing.void(sim, invoice)


def _stop(sim: Simulator, subscription: Object) -> None:
    for job in ("renew", "upcoming", "trial_will_end", "expire", "cancel_at", "pending_update"):
        sim.unschedule(f"subscription.{job}", subscription)


def trial_will_end(sim: Simulator, subscription: Object) -> None:
    """Three days' notice of the end of a trial."""
    if subscription["status"] == "trialing":
        sim.emit("customer.subscription.trial_will_end", subscription)


def upcoming(sim: Simulator, subscription: Object) -> None:
    """A week's notice of the renewal, with the invoice as it will be, less its id."""
    if subscription["status"] in LIVE:
        invoice = compose_next(sim, subscription)
        del invoice["id"]
        sim.emit("invoice.upcoming", invoice)


def compose_next(sim: Simulator, subscription: Object) -> Object:
    """The next renewal's invoice, kept nowhere."""
    items = subscription["items"]["data"]
    _, begin = period(subscription)
    end = periods.end_after(subscription["billing_cycle_anchor"], recurring_of(items), begin)
    known = names(sim, items)
    pending = invoice_items.pending(sim, subscription["customer"], subscription["id"])
    renewed = [lines.full(i, known[i["price"]["product"]], begin, end) for i in items]
    customer = sim.store.need("customer", subscription["customer"])
    return invoicing.compose(
        sim,
        customer,
        [*pending, *renewed],
        reason="upcoming",
        automatic_tax=automatic_tax(subscription["automatic_tax"]["enabled"]),
        parent=subscription_parent(subscription),
        period_start=period(subscription)[0],
        period_end=begin,
        next_payment_attempt=begin + DRAFT_LASTS,
        _subscription=subscription["id"],
    )


def renew(sim: Simulator, subscription: Object) -> None:
    """The period is over: end, pause, or begin the next one and bill it."""
    if subscription["cancel_at_period_end"] or subscription["status"] == "incomplete":
        cancel(sim, subscription)
        return
    if subscription["status"] == "trialing" and _stops_after_trial(sim, subscription):
        return
    _, begin = period(subscription)
    items = subscription["items"]["data"]
    end = periods.end_after(subscription["billing_cycle_anchor"], recurring_of(items), begin)
    pending = invoice_items.pending(sim, subscription["customer"], subscription["id"])
    with sim.changing(subscription, UPDATED):
        place(subscription, items, begin, end)
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
        billed = [*pending, *whole_period(sim, subscription)]
        invoice = bill(sim, subscription, billed, "subscription_cycle")
    invoice["automatically_finalizes_at"] = sim.now() + DRAFT_LASTS
    sim.schedule("invoice.advance", invoice, sim.now() + DRAFT_LASTS)
    plan_next(sim, subscription)


def _stops_after_trial(sim: Simulator, subscription: Object) -> bool:
    wish = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    probe = {"_subscription": subscription["id"], "default_payment_method": None}
    probe["customer"] = subscription["customer"]
    if wish == "create_invoice" or invoicing.default_method(sim, probe):
        return False
    if wish == "cancel":
        cancel(sim, subscription)
        return True
    with sim.changing(subscription, UPDATED):
        subscription["status"] = "paused"
    sim.emit("customer.subscription.paused", subscription)
    return True


def cancel(
    sim: Simulator,
    subscription: Object,
    *,
    reason: str = "cancellation_requested",
    prorate: bool = False,
    invoice_now: bool = False,
) -> None:
    """End it now. `prorate` credits the unused time, `invoice_now` settles what is pending."""
    items, now = subscription["items"]["data"], sim.now()
    if prorate and subscription["status"] in ("active", "past_due"):
        for line in lines.prorate(items, [], names(sim, items), period(subscription), now):
            invoice_items.make(sim, subscription["customer"], line, subscription["id"])
    _stop(sim, subscription)
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or now,
        "ended_at": now,
        "pending_update": None,
    }
    subscription["cancellation_details"]["reason"] = reason
    pending = invoice_items.pending(sim, subscription["customer"], subscription["id"])
    if invoice_now and pending:
        invoice = bill(sim, subscription, pending, "subscription_update")
        invoicing.advance(sim, invoice)
    for invoice in sim.store.all("invoice"):
        if invoice.get("_subscription") == subscription["id"] and invoice["status"] == "open":
            invoice |= {"auto_advance": False, "next_payment_attempt": None}
            sim.unschedule("invoice.retry", invoice)
    sim.emit("customer.subscription.deleted", subscription)


def resume(sim: Simulator, subscription: Object, *, anchor_now: bool) -> None:
    """Out of `paused`: a new period begins now, or the old one goes on, and is billed."""
    begin, end = period(subscription)
    items = subscription["items"]["data"]
    if anchor_now or end <= sim.now():
        begin = subscription["billing_cycle_anchor"] = sim.now()
        end = periods.end_after(begin, recurring_of(items), begin)
    with sim.changing(subscription, UPDATED):
        place(subscription, items, begin, end)
        subscription["status"] = "active"
        invoice = bill(sim, subscription, whole_period(sim, subscription), "subscription_cycle")
    sim.emit("customer.subscription.resumed", subscription)
    invoicing.advance(sim, invoice)
    plan_next(sim, subscription)
