"""Taking money for a PaymentIntent: what the test card says, and what follows from it.

The life of an intent: https://docs.stripe.com/payments/paymentintents/lifecycle. Off session, a
card that wants authentication is declined with `authentication_required`
(https://docs.stripe.com/payments/save-and-reuse#charge-saved-payment-method).
"""

from sandbox.stripe import cards
from sandbox.stripe.clock import MINUTE
from sandbox.stripe.errors import Object, StripeError, card_error
from sandbox.stripe.resources import charges, disputes
from sandbox.stripe.resources.payment_methods import attach_to, test_method
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.wire import HERE, render

# A bank debit really takes days; here it takes two minutes, so that a sandbox shows both ends.
BANK_DEBIT_SETTLES = 2 * MINUTE
AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method "
    "and try again."
)


def attempt(
    sim: Simulator, intent: Object, method: Object, *, off_session: bool
) -> StripeError | None:
    """Try to collect. The intent shows the outcome; a refusal is also returned as an error."""
    test = test_method(method)
    intent["payment_method"], intent["last_payment_error"] = method["id"], None
    intent["_off_session"] = off_session
    if wants_authentication(method) and not intent.get("_authenticated"):
        if off_session:
            return _refuse(sim, intent, method, "authentication_required")
        _ask(sim, intent)
    elif test.bank:
        _start_debit(sim, intent, method)
    elif test.decline:
        return _refuse(sim, intent, method, test.decline)
    else:
        _collect(sim, intent, charges.make(sim, intent, method, "succeeded"))
    return None


def refusal(
    method: Object, *, off_session: bool, authenticated: bool = False
) -> StripeError | None:
    """How the card would be refused, for calls that must do all or nothing."""
    test, decline = test_method(method), test_method(method).decline
    if wants_authentication(method) and not authenticated:
        if not off_session:
            _, message = cards.DECLINES["authentication_required"]
            return card_error("subscription_payment_intent_requires_action", message)
        decline = "authentication_required"
    if decline is None or test.bank:
        return None
    code, message = cards.DECLINES[decline]
    return card_error(code, message, decline_code=decline)


def wants_authentication(method: Object) -> bool:
    """Whether the card's bank wants to be asked before it pays."""
    authentication = test_method(method).authentication
    return authentication == "always" or (authentication == "setup" and not method.get("_set_up"))


def _ask(sim: Simulator, intent: Object) -> None:
    intent["status"] = "requires_action"
    intent["next_action"] = next_action(sim, intent)
    sim.emit("payment_intent.requires_action", intent)
    sim.react(intent)


def next_action(sim: Simulator, intent: Object) -> Object:
    """The hosted 3-D-Secure page; without a `return_url` Stripe.js would have shown it."""
    url = sim.url(f"3ds/{intent['id']}")
    if intent.get("_return_url"):
        redirect = {"return_url": intent["_return_url"], "url": url}
        return {"type": "redirect_to_url", "redirect_to_url": redirect}
    source = {"type": "three_d_secure_redirect", "stripe_js": url}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": source}


def authenticate(sim: Simulator, intent: Object, success: bool) -> None:
    """The bank's answer on the 3-D-Secure page."""
    method = sim.store.need("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if success:
        intent["_authenticated"] = method["_set_up"] = True
        attempt(sim, intent, method, off_session=False)
        return
    error = {"code": "payment_intent_authentication_failure", "message": AUTHENTICATION_FAILED}
    _fail(sim, intent, error | {"type": "invalid_request_error"}, method)


def _start_debit(sim: Simulator, intent: Object, method: Object) -> None:
    charge = charges.make(sim, intent, method, "pending")
    intent |= {"status": "processing", "latest_charge": charge["id"], "next_action": None}
    sim.emit("charge.pending", charge)
    sim.emit("payment_intent.processing", intent)
    sim.schedule("payment_intent.settle", intent, sim.now() + BANK_DEBIT_SETTLES)
    sim.react(intent)


def settle(sim: Simulator, intent: Object) -> None:
    """The bank debit went through, or came back."""
    if intent["status"] != "processing":
        return
    charge = sim.store.need("charge", intent["latest_charge"])
    method = sim.store.need("payment_method", intent["payment_method"])
    decline = test_method(method).decline
    if decline is None:
        _collect(sim, intent, charge)
        return
    code, message = cards.DECLINES[decline]
    charge |= {"status": "failed", "failure_code": code, "failure_message": message}
    sim.emit("charge.failed", charge)
    error = {"type": "card_error", "code": code, "decline_code": decline, "message": message}
    _fail(sim, intent, error | {"charge": charge["id"]}, method)


def _collect(sim: Simulator, intent: Object, charge: Object) -> None:
    charges.settle(sim, charge)
    method = sim.store.need("payment_method", intent["payment_method"])
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "next_action": None,
    }
    remember(sim, intent, method)
    sim.emit("charge.succeeded", charge)
    sim.emit("payment_intent.succeeded", intent)
    if dispute := test_method(method).dispute:
        disputes.make(sim, charge, reason=dispute)
    sim.react(intent)


def remember(sim: Simulator, intent: Object, method: Object) -> None:
    """`setup_future_usage` attaches the method; used without a customer it is spent."""
    customer = intent["customer"] and sim.store.need("customer", intent["customer"])
    if customer and intent.get("setup_future_usage"):
        attach_to(sim, method, customer)
        method["_set_up"] = True
    elif method["customer"] is None:
        method["_spent"] = True


def _refuse(sim: Simulator, intent: Object, method: Object, decline: str) -> StripeError:
    charge = charges.make(sim, intent, method, "failed")
    intent["latest_charge"] = charge["id"]
    code, message = cards.DECLINES[decline]
    declined = decline if code in ("card_declined", "authentication_required") else None
    error = card_error(code, message, decline_code=declined, charge=charge["id"])
    sim.emit("charge.failed", charge)
    _fail(sim, intent, dict(error.error), method)
    error.error["payment_intent"] = render(intent, HERE)
    error.error["payment_method"] = render(method, HERE)
    return error


def _fail(sim: Simulator, intent: Object, error: Object, method: Object) -> None:
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_payment_error": error | {"payment_method": render(method, HERE)},
    }
    sim.emit("payment_intent.payment_failed", intent)
    sim.react(intent)
