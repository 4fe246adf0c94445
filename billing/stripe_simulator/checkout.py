"""What the hosted checkout page does when the customer submits it.

Fulfilment events: https://docs.stripe.com/checkout/fulfillment. A card answers at once; a bank
debit completes the session unpaid and reports `async_payment_succeeded` or `_failed` later.
"""

from billing.stripe_simulator import payments
from billing.stripe_simulator.errors import Object, StripeError
from billing.stripe_simulator.resources import (
    checkout_sessions,
    customers,
    payment_intents,
    payment_methods,
    setup_intents,
)
from billing.stripe_simulator.simulator import Simulator


def submit(sim: Simulator, session: Object, token: str, email: str, name: str) -> str | None:
    """Pay with that method. Returns what to tell the customer, None when all went well.

    Afterwards the session is complete, or its intent waits for authentication.
    """
    checkout_sessions.identify(session, email or None, name or None)
    method = payment_methods.resolve(sim, token, "payment_method")
    method["billing_details"] |= {"email": session["customer_details"]["email"]}
    error = {"payment": _pay, "setup": _set_up}[session["mode"]](sim, session, method)
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
    if session["customer_creation"] == "always" or data.get("setup_future_usage"):
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


def on_intent(sim: Simulator, intent: Object) -> None:
    """The intent of a session moved on."""
    session, status = sim.store.need("checkout.session", intent["_session"]), intent["status"]
    waiting = session["status"] == "complete" and session["payment_status"] == "unpaid"
    if session["status"] == "open" and status in ("succeeded", "processing"):
        _complete(sim, session, paid=status == "succeeded")
    elif waiting and status == "succeeded":
        session["payment_status"] = "paid"
        sim.emit("checkout.session.async_payment_succeeded", session)
    elif waiting and status == "requires_payment_method":
        sim.emit("checkout.session.async_payment_failed", session)


def _complete(sim: Simulator, session: Object, paid: bool) -> None:
    session |= {"status": "complete", "url": None}
    if session["mode"] != "setup":
        session["payment_status"] = "paid" if paid else "unpaid"
    sim.unschedule("checkout.session.expire", session)
    sim.emit("checkout.session.completed", session)


def waiting_for(session: Object) -> str:
    """The id the 3-D-Secure page is to ask about."""
    id: str = session["payment_intent"] or session["setup_intent"] or session["id"]
    return id


def authenticate(sim: Simulator, session: Object, success: bool) -> None:
    """The bank's answer for a session that has no intent of its own yet."""
    raise NotImplementedError
