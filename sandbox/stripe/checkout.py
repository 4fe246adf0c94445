"""What the hosted checkout page does when the customer submits it.

Fulfilment events: https://docs.stripe.com/checkout/fulfillment. A card answers at once; a bank
debit completes the session unpaid and reports `async_payment_succeeded` or `_failed` later.
"""

from sandbox.stripe import invoicing, payments, subscribing
from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object, StripeError
from sandbox.stripe.lines import Line
from sandbox.stripe.resources import (
    checkout_sessions,
    customers,
    payment_intents,
    payment_methods,
    setup_intents,
    subscription_objects,
)
from sandbox.stripe.simulator import Simulator


def submit(sim: Simulator, session: Object, token: str, email: str, name: str) -> str | None:
    """Pay with that method. Returns what to tell the customer, None when all went well.

    Afterwards the session is complete, or its intent waits for authentication.
    """
    checkout_sessions.identify(session, email or None, name or None)
    method = payment_methods.resolve(sim, token, "payment_method")
    method["billing_details"] |= {"email": session["customer_details"]["email"]}
    error = WAYS[session["mode"]](sim, session, method)
    return None if error is None else str(error)


def _customer(sim: Simulator, session: Object) -> str:
    """The session's customer, made now if there is none yet."""
    if session["customer"] is None:
        details = session["customer_details"]
        customer = customers.make(sim, email=details["email"], name=details["name"])
        session["customer"] = customer["id"]
    id: str = session["customer"]
    return id


def _pay(sim: Simulator, session: Object, method: Object) -> StripeError | None:
    intent = sim.store.find(session["payment_intent"]) or _intent(sim, session)
    return payments.attempt(sim, intent, method, off_session=False)


def _intent(sim: Simulator, session: Object) -> Object:
    data = session["_data"]
    billed = session["invoice_creation"]["enabled"]
    if billed or session["customer_creation"] == "always" or data.get("setup_future_usage"):
        _customer(sim, session)
    names = "description receipt_email setup_future_usage statement_descriptor_suffix metadata"
    intent = payment_intents.make(
        sim,
        session["amount_total"],
        session["currency"],
        **{name: data[name] for name in names.split() if name in data},
        customer=session["customer"],
        payment_method_types=session["payment_method_types"],
        _session=session["id"],
        _return_url=sim.url(f"checkout/{session['id']}"),
    )
    session["payment_intent"] = intent["id"]
    return intent


def _set_up(sim: Simulator, session: Object, method: Object) -> StripeError | None:
    intent = sim.store.find(session["setup_intent"])
    if intent is None:
        intent = setup_intents.make(
            sim,
            customer=_customer(sim, session),
            metadata=session["_data"]["metadata"],
            _session=session["id"],
            _return_url=sim.url(f"checkout/{session['id']}"),
        )
        session["setup_intent"] = intent["id"]
    intent["payment_method"] = method["id"]
    return setup_intents.attempt(sim, intent)


def _subscribe(sim: Simulator, session: Object, method: Object) -> StripeError | None:
    """Nothing is made until the card is known to be good."""
    if payments.wants_authentication(method) and not session.get("_authenticated"):
        session["_method"] = method["id"]
        return None
    if error := payments.refusal(method, off_session=True, authenticated=True):
        return error
    customer = sim.store.need("customer", _customer(sim, session))
    payment_methods.attach_to(sim, method, customer)
    method["_set_up"] = True
    items, once = _items(sim, session)
    subscription = subscribing.start(
        sim,
        customer,
        items,
        _subscription_fields(sim, session, method),
        trial_end=_trial_end(sim, session),
        extra=once,
        authenticated=True,
    )
    session |= {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}
    due = sim.store.need("invoice", subscription["latest_invoice"])["total"]
    _complete(sim, session, "paid" if due else "no_payment_required")
    return None


def _subscription_fields(sim: Simulator, session: Object, method: Object) -> Object:
    data, taxed = session["_data"], session["automatic_tax"]["enabled"]
    liability = {"type": "self"} if taxed else None
    return {
        "automatic_tax": {"disabled_reason": None, "enabled": taxed, "liability": liability},
        "default_payment_method": method["id"],
        "description": data.get("description"),
        "metadata": data["metadata"],
        "default_tax_rates": [
            sim.store.need("tax_rate", id) for id in data.get("default_tax_rates") or []
        ],
    }


def _trial_end(sim: Simulator, session: Object) -> int | None:
    days, at = session["_data"].get("trial_period_days"), session["_data"].get("trial_end")
    return sim.now() + int(days) * DAY if days else int(at) if at else None


def _items(sim: Simulator, session: Object) -> tuple[list[Object], list[Line]]:
    """What recurs, as subscription items, and what is billed once, as lines."""
    found = checkout_sessions.items_of(sim.store, session)
    recurring = [
        subscription_objects.make_item(sim, item["price"], item["quantity"])
        for item in found
        if item["price"]["recurring"]
    ]
    return recurring, _lines(sim, [item for item in found if not item["price"]["recurring"]])


def _lines(sim: Simulator, items: list[Object]) -> list[Line]:
    now = sim.now()
    return [
        Line(i["price"], i["quantity"], i["amount_subtotal"], now, now, i["description"])
        for i in items
    ]


WAYS = {"payment": _pay, "setup": _set_up, "subscription": _subscribe}


def on_intent(sim: Simulator, intent: Object) -> None:
    """The intent of a session moved on."""
    session, status = sim.store.need("checkout.session", intent["_session"]), intent["status"]
    waiting = session["status"] == "complete" and session["payment_status"] == "unpaid"
    if status == "succeeded" and session["mode"] == "payment":
        _add_invoice(sim, session, intent)
    if session["status"] == "open" and status == "succeeded":
        _complete(sim, session, "paid" if session["mode"] == "payment" else "no_payment_required")
    elif session["status"] == "open" and status == "processing":
        _complete(sim, session, "unpaid")
    elif waiting and status == "succeeded":
        session["payment_status"] = "paid"
        sim.emit("checkout.session.async_payment_succeeded", session)
    elif waiting and status == "requires_payment_method":
        sim.emit("checkout.session.async_payment_failed", session)


def _add_invoice(sim: Simulator, session: Object, intent: Object) -> None:
    if session["invoice_creation"]["enabled"]:
        lines = _lines(sim, checkout_sessions.items_of(sim.store, session))
        session["invoice"] = invoicing.for_session(sim, session, intent, lines)["id"]


def _complete(sim: Simulator, session: Object, payment_status: str) -> None:
    session |= {"status": "complete", "url": None, "payment_status": payment_status}
    sim.unschedule("checkout.session.expire", session)
    sim.emit("checkout.session.completed", session)


def waiting_for(session: Object) -> str:
    """The id the 3-D-Secure page is to ask about."""
    id: str = session["payment_intent"] or session["setup_intent"] or session["id"]
    return id


def authenticate(sim: Simulator, session: Object, success: bool) -> None:
    """The bank's answer for a session that has no intent of its own yet."""
    method = sim.store.need("payment_method", session.pop("_method"))
    session["_problem"] = None if success else payments.AUTHENTICATION_FAILED
    if success:
        session["_authenticated"] = True
        error = _subscribe(sim, session, method)
        session["_problem"] = error and str(error)
