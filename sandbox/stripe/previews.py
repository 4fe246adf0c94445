"""`create_preview` (https://docs.stripe.com/api/invoices/create_preview): what would be billed.

The arithmetic is the one real changes use; nothing is kept.
"""

from sandbox.stripe import invoicing, lines, periods, subscribing, updating
from sandbox.stripe.errors import Object, malformed
from sandbox.stripe.forms import Params
from sandbox.stripe.lines import Line
from sandbox.stripe.resources import invoice_items
from sandbox.stripe.resources.invoice_objects import automatic_tax, subscription_parent
from sandbox.stripe.resources.subscription_objects import (
    changed_items,
    names,
    new_items,
    recurring_of,
)
from sandbox.stripe.simulator import Simulator

TAKES = ("items", "proration_behavior", "proration_date", "billing_cycle_anchor", "trial_end")


def preview(sim: Simulator, params: Params) -> Object:
    """The next invoice of a subscription, changed or not, or the first one of a new one."""
    details = params.hash("subscription_details")
    details.only(TAKES)
    taxed = params.hash("automatic_tax").boolean("enabled")
    if id := params.text("subscription"):
        subscription = sim.store.need("subscription", id, "subscription")
        invoice = _existing(sim, subscription, details)
    else:
        invoice = _new(sim, params, details, taxed)
    customer = sim.store.need("customer", invoice["customer"])
    due = max(0, invoice["total"] + customer["balance"])
    invoice |= {"starting_balance": customer["balance"], "amount_due": due}
    return invoice | {"amount_remaining": due, "id": f"upcoming_{invoice['id']}"}


def _existing(sim: Simulator, subscription: Object, details: Params) -> Object:
    if subscription["ended_at"]:
        raise malformed("The subscription has ended: it has no upcoming invoice.", "subscription")
    if not details.data:
        return subscribing.compose_next(sim, subscription)
    options = updating.PRORATIONS
    proration = details.choice("proration_behavior", options, "create_prorations")
    change = updating.plan(
        sim,
        subscription,
        changed_items(sim, subscription, details.each("items")),
        proration=proration,
        at=details.integer("proration_date") or sim.now(),
        reset=details.text("billing_cycle_anchor") == "now",
    )
    customer, id = subscription["customer"], subscription["id"]
    billed = [*invoice_items.pending(sim, customer, id), *change.lines]
    if not change.billed_now(proration):
        billed += _next_period(sim, subscription, change)
    return _compose(sim, subscription, billed)


def _next_period(sim: Simulator, subscription: Object, change: updating.Change) -> list[Line]:
    rhythm, known = recurring_of(change.items), names(sim, change.items)
    end = periods.end_after(subscription["billing_cycle_anchor"], rhythm, change.end)
    return [lines.full(i, known[i["price"]["product"]], change.end, end) for i in change.items]


def _compose(sim: Simulator, subscription: Object, billed: list[Line]) -> Object:
    return invoicing.compose(
        sim,
        sim.store.need("customer", subscription["customer"]),
        billed,
        reason="upcoming",
        automatic_tax=automatic_tax(subscription["automatic_tax"]["enabled"]),
        parent=subscription_parent(subscription),
        _subscription=subscription["id"],
    )


def _new(sim: Simulator, params: Params, details: Params, taxed: bool) -> Object:
    customer = sim.store.need("customer", params.need("customer"), "customer")
    items = new_items(sim, details.each("items"), "subscription_details[items]")
    now, known = sim.now(), names(sim, items)
    end = periods.end_after(now, recurring_of(items), now)
    billed = [lines.full(i, known[i["price"]["product"]], now, end) for i in items]
    tax = automatic_tax(taxed)
    return invoicing.compose(sim, customer, billed, reason="upcoming", automatic_tax=tax)
