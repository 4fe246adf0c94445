"""The life of an invoice: draft, open, paid; or void, or uncollectible.

* https://docs.stripe.com/invoicing/integration/workflow-transitions
* A total below zero becomes credit on the customer, which later invoices use up first; a total
  below the least that can be charged is carried over to the customer's balance
  (https://docs.stripe.com/billing/customer/balance).
* A failed automatic payment is tried again after 3, 5 and 7 days
  (https://docs.stripe.com/billing/revenue-recovery/smart-retries).
"""

from collections.abc import Sequence

from sandbox.stripe import payments
from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object, StripeError, invalid
from sandbox.stripe.lines import Line
from sandbox.stripe.resources import invoice_payments, payment_intents, tax_rates
from sandbox.stripe.resources.invoice_objects import blank_invoice, line_items, totals
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.wire import listing

RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)


def compose(
    sim: Simulator, customer: Object, lines: Sequence[Line], *, reason: str, **fields: object
) -> Object:
    """An invoice of these lines, kept nowhere."""
    head: Object = {"id": sim.store.new_id("invoice"), "object": "invoice", "livemode": False}
    invoice = head | {"created": sim.now()} | blank_invoice(customer, reason, sim.now()) | fields
    rate = _rate(sim, invoice, customer)
    url = f"/v1/invoices/{invoice['id']}/lines"
    invoice["lines"] = listing(line_items(sim, invoice, lines, rate), url)
    if lines:
        invoice["currency"] = lines[0].price["currency"]
    invoice |= totals(lines, rate)
    due = max(0, invoice["total"])
    return invoice | {"amount_due": due, "amount_remaining": due}


def _rate(sim: Simulator, invoice: Object, customer: Object) -> int:
    """Of Stripe Tax, or of the rates that were set by hand."""
    if invoice["automatic_tax"]["enabled"]:
        return sim.tax_basis_points
    subscription = sim.store.find(invoice.get("_subscription"))
    rates = subscription["default_tax_rates"] if subscription else []
    if not subscription or not rates:
        return 0
    return tax_rates.basis_points(rates, customer, subscription["items"]["data"])


def draft(
    sim: Simulator, customer: Object, lines: Sequence[Line], *, reason: str, **fields: object
) -> Object:
    """A draft for these lines; pending invoice items among them are now on it."""
    invoice = sim.store.add(compose(sim, customer, lines, reason=reason, **fields))
    for line in lines:
        if line.invoice_item:
            sim.store.need("invoiceitem", line.invoice_item)["invoice"] = invoice["id"]
    sim.emit("invoice.created", invoice)
    return invoice


def finalize(
    sim: Simulator, invoice: Object, *, paid_by: Object | None = None, authenticated: bool = False
) -> None:
    """Number it, use up the customer's credit, and make the intent that is to pay it.

    `paid_by`: the intent that already did. `authenticated`: the customer's bank was asked before.
    """
    _number(sim, invoice)
    if paid_by is None:
        _use_balance(sim, invoice)
    if invoice["amount_due"]:
        intent = paid_by or _make_intent(sim, invoice, authenticated)
        invoice["_intent"] = intent["id"]
        invoice_payments.make(sim, invoice, intent["id"])
    sim.emit("invoice.finalized", invoice)
    if paid_by or not invoice["amount_due"]:
        _paid(sim, invoice)


def _number(sim: Simulator, invoice: Object) -> None:
    customer = sim.store.need("customer", invoice["customer"])
    sim.unschedule("invoice.advance", invoice)
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = number + 1
    invoice |= {
        "number": f"{customer['invoice_prefix']}-{number:04}",
        "status": "open",
        "effective_at": sim.now(),
        "automatically_finalizes_at": None,
        "hosted_invoice_url": sim.url(f"invoices/{invoice['id']}"),
        "invoice_pdf": sim.url(f"invoices/{invoice['id']}/pdf"),
    }
    invoice["status_transitions"]["finalized_at"] = sim.now()


def _use_balance(sim: Simulator, invoice: Object) -> None:
    customer = sim.store.need("customer", invoice["customer"])
    before, total = customer["balance"], invoice["total"]
    due = max(0, total + before)
    after = min(0, total + before)
    if 0 < due < payment_intents.LEAST:
        due, after = 0, due
    with sim.changing(customer, "customer.updated"):
        customer["balance"] = after
    customer["currency"] = invoice["currency"]
    invoice |= {"starting_balance": before, "ending_balance": after}
    invoice |= {"amount_due": due, "amount_remaining": due}


def _make_intent(sim: Simulator, invoice: Object, authenticated: bool) -> Object:
    method = default_method(sim, invoice)
    later = "off_session" if invoice.get("_subscription") else None
    return payment_intents.make(
        sim,
        invoice["amount_due"],
        invoice["currency"],
        customer=invoice["customer"],
        description=_description(invoice),
        setup_future_usage=later,
        payment_method=method and method["id"],
        status="requires_confirmation" if method else "requires_payment_method",
        _invoice=invoice["id"],
        _authenticated=authenticated,
    )


def _description(invoice: Object) -> str:
    reasons = {
        "subscription_create": "Subscription creation",
        "subscription_update": "Subscription update",
        "subscription_cycle": "Subscription update",
    }
    return reasons.get(invoice["billing_reason"], "Payment for Invoice")


def default_method(sim: Simulator, invoice: Object) -> Object | None:
    """The invoice's own card, its subscription's, or the customer's."""
    subscription = sim.store.find(invoice.get("_subscription"))
    customer = sim.store.need("customer", invoice["customer"])
    settings = customer.get("invoice_settings") or {}
    return (
        sim.store.find(invoice["default_payment_method"])
        or (subscription and sim.store.find(subscription["default_payment_method"]))
        or sim.store.find(settings.get("default_payment_method"))
    )


def pay(
    sim: Simulator, invoice: Object, method: Object | None = None, *, off_session: bool = True
) -> StripeError | None:
    """Try to collect an open invoice. The reaction to its intent does the rest."""
    method = method or default_method(sim, invoice)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    if method is None:
        missing = (
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a "
            "default payment method before attempting to pay."
        )
        _failed(sim, invoice, "invoice.payment_failed")
        return invalid(missing)
    intent = sim.store.need("payment_intent", invoice["_intent"])
    error = payments.attempt(sim, intent, method, off_session=off_session)
    if error is not None:
        error.error.pop("payment_intent", None)
    return error


def on_intent(sim: Simulator, intent: Object) -> None:
    """The intent of an invoice moved on; the customer may have confirmed it directly."""
    invoice = sim.store.need("invoice", intent["_invoice"])
    if invoice["status"] != "open":
        return
    if intent["status"] == "succeeded":
        invoice["attempted"] = True
        _paid(sim, invoice)
    elif intent["status"] == "requires_action":
        _failed(sim, invoice, "invoice.payment_action_required")
    elif intent["status"] == "requires_payment_method":
        error = intent["last_payment_error"] or {}
        if intent.get("_off_session") and error.get("code") == "authentication_required":
            sim.emit("invoice.payment_action_required", invoice)
        _failed(sim, invoice, "invoice.payment_failed")


def _paid(sim: Simulator, invoice: Object) -> None:
    due = invoice["amount_due"]
    invoice |= {"status": "paid", "amount_paid": due, "amount_remaining": 0}
    invoice |= {"next_payment_attempt": None, "auto_advance": False, "_outcome": "paid"}
    invoice["status_transitions"]["paid_at"] = sim.now()
    sim.unschedule("invoice.retry", invoice)
    invoice_payments.finish(sim, invoice, "paid")
    _set_delinquent(sim, invoice, False)
    sim.emit("invoice.paid", invoice)
    sim.emit("invoice.payment_succeeded", invoice)
    sim.react(invoice)


def _failed(sim: Simulator, invoice: Object, type: str) -> None:
    invoice["_outcome"] = "failed"
    retried = ("subscription_cycle", "subscription_update")
    if invoice["billing_reason"] in retried and not invoice.get("_pending"):
        _plan_retry(sim, invoice)
    _set_delinquent(sim, invoice, True)
    sim.emit(type, invoice)
    sim.react(invoice)


def _plan_retry(sim: Simulator, invoice: Object) -> None:
    done = invoice["attempt_count"] - 1
    at = sim.now() + RETRIES[done] if 0 <= done < len(RETRIES) else None
    invoice["next_payment_attempt"] = at
    if at is None:
        invoice["_outcome"] = "given_up"
        sim.unschedule("invoice.retry", invoice)
    else:
        sim.schedule("invoice.retry", invoice, at)


def _set_delinquent(sim: Simulator, invoice: Object, delinquent: bool) -> None:
    customer = sim.store.need("customer", invoice["customer"])
    if not customer.get("deleted") and customer["delinquent"] != delinquent:
        with sim.changing(customer, "customer.updated"):
            customer["delinquent"] = delinquent


def advance(sim: Simulator, invoice: Object) -> None:
    """The hour of a renewal's draft is over, or a retry is due: finalize and collect."""
    if invoice["status"] == "draft":
        finalize(sim, invoice)
    if invoice["status"] == "open":
        pay(sim, invoice)


def void(sim: Simulator, invoice: Object, status: str = "void") -> None:
    """It will not be paid: `void`, or `uncollectible`."""
    invoice |= {"status": status, "next_payment_attempt": None, "auto_advance": False}
    key = "voided_at" if status == "void" else "marked_uncollectible_at"
    invoice["status_transitions"][key] = sim.now()
    sim.unschedule("invoice.retry", invoice)
    intent = sim.store.find(invoice.get("_intent"))
    if status == "void":
        invoice_payments.finish(sim, invoice, "canceled")
        if intent and intent["status"] in payment_intents.OPEN:
            payment_intents.void(sim, intent, "void_invoice")
    name = "voided" if status == "void" else "marked_uncollectible"
    sim.emit(f"invoice.{name}", invoice)
    sim.react(invoice | {"_outcome": "void"})


def for_session(sim: Simulator, session: Object, intent: Object, lines: Sequence[Line]) -> Object:
    """The paid invoice of a Checkout payment with `invoice_creation`."""
    customer, data = sim.store.need("customer", session["customer"]), session["invoice_creation"]
    texts = {name: data["invoice_data"][name] for name in ("description", "footer", "metadata")}
    tax = session["automatic_tax"] | {"disabled_reason": None}
    invoice = draft(sim, customer, lines, reason="manual", automatic_tax=tax, **texts)
    finalize(sim, invoice, paid_by=intent)
    return invoice
