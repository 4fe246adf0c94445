"""SetupIntents (https://docs.stripe.com/api/setup_intents): a card saved without a charge."""

from sandbox.stripe import cards
from sandbox.stripe.errors import Object, StripeError, card_error, invalid
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.payments import AUTHENTICATION_FAILED, next_action
from sandbox.stripe.resources import payment_methods
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import random_id
from sandbox.stripe.wire import HERE, blank, paginate, render

EMPTY = (
    "application cancellation_reason customer customer_account description"
    " excluded_payment_method_types flow_directions last_setup_error latest_attempt mandate"
    " managed_payments next_action on_behalf_of payment_method payment_method_options"
    " payment_method_configuration_details single_use_mandate automatic_payment_methods"
)
CONFIRMS = "payment_method return_url mandate_data use_stripe_sdk"
UPDATES = "customer description metadata payment_method payment_method_types"
CREATES = f"{CONFIRMS} {UPDATES} automatic_payment_methods confirm usage payment_method_options"
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def make(sim: Simulator, **fields: object) -> Object:
    """A new intent, announced."""
    id = sim.store.new_id("setup_intent")
    head = {
        "id": id,
        "client_secret": random_id(f"{id}_secret_", 25),
        "metadata": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    }
    intent = sim.new("setup_intent", **blank(EMPTY) | head | fields)
    sim.emit("setup_intent.created", intent)
    return intent


def create(sim: Simulator, call: Call) -> Object:
    """Create, and with `confirm` also set the card up."""
    params, fields = call.params, Object()
    _assign(sim, fields, params)
    usage = params.choice("usage", ("off_session", "on_session"), "off_session")
    if not params.texts("payment_method_types"):
        automatic = {"allow_redirects": "always", "enabled": True}
        fields["automatic_payment_methods"] = automatic
    intent = make(sim, usage=usage, **fields)
    return _confirm(sim, intent) if params.boolean("confirm") else intent


def _assign(sim: Simulator, intent: Object, params: Params) -> None:
    copy_texts(intent, params, "description")
    if "metadata" in params:
        intent["metadata"] = params.metadata(intent.get("metadata"))
    if url := params.text("return_url"):
        intent["_return_url"] = url
    if customer := params.text("customer"):
        sim.store.need("customer", customer, "customer")
        intent["customer"] = customer
    if token := params.text("payment_method"):
        method = payment_methods.resolve(sim, token, "payment_method")
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}


def confirm(sim: Simulator, call: Call) -> Object:
    """Set the card up, asking the bank where it wants to be asked."""
    intent = sim.store.need("setup_intent", call.id)
    _check_open(intent, "confirm")
    _assign(sim, intent, call.params)
    return _confirm(sim, intent)


def _confirm(sim: Simulator, intent: Object) -> Object:
    if not intent["payment_method"]:
        raise invalid("This SetupIntent is missing a payment method.", "payment_method")
    if error := attempt(sim, intent):
        raise error
    return intent


def attempt(sim: Simulator, intent: Object) -> StripeError | None:
    """Set up `intent[payment_method]`; a refusal is also returned as an error."""
    method = payment_methods.resolve(sim, intent["payment_method"], "payment_method")
    test = payment_methods.test_method(method)
    if test.decline and not test.attachable and not test.bank:
        return _refuse(sim, intent, method, test.decline)
    if test.authentication != "never" and not intent.get("_authenticated"):
        intent |= {"status": "requires_action", "next_action": next_action(sim, intent)}
        sim.emit("setup_intent.requires_action", intent)
        return None
    intent |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    method["_set_up"] = True
    if intent["customer"]:
        customer = sim.store.need("customer", intent["customer"])
        payment_methods.attach_to(sim, method, customer)
    sim.emit("setup_intent.succeeded", intent)
    sim.react(intent)
    return None


def _refuse(sim: Simulator, intent: Object, method: Object, decline: str) -> StripeError:
    code, message = cards.DECLINES[decline]
    declined = decline if code == "card_declined" else None
    error = card_error(code, message, decline_code=declined)
    _fail(sim, intent, dict(error.error), method)
    error.error["setup_intent"] = render(intent, HERE)
    return error


def _fail(sim: Simulator, intent: Object, error: Object, method: Object) -> None:
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_setup_error": error | {"payment_method": render(method, HERE)},
    }
    sim.emit("setup_intent.setup_failed", intent)


def authenticate(sim: Simulator, intent: Object, success: bool) -> None:
    """The bank's answer on the 3-D-Secure page."""
    method = sim.store.need("payment_method", intent["payment_method"])
    if success:
        intent["_authenticated"] = True
        attempt(sim, intent)
        return
    error = {"code": "setup_intent_authentication_failure", "message": AUTHENTICATION_FAILED}
    _fail(sim, intent, error | {"type": "invalid_request_error"}, method)


def cancel(sim: Simulator, call: Call) -> Object:
    """Not once it succeeded."""
    intent = sim.store.need("setup_intent", call.id)
    _check_open(intent, "cancel")
    reason = call.params.text("cancellation_reason")
    intent |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
    sim.emit("setup_intent.canceled", intent)
    return intent


def _check_open(intent: Object, verb: str) -> None:
    if intent["status"] not in OPEN:
        raise invalid(
            f"You cannot {verb} this SetupIntent because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
        )


def update(sim: Simulator, call: Call) -> Object:
    """Only while it is open."""
    intent = sim.store.need("setup_intent", call.id)
    _check_open(intent, "update")
    _assign(sim, intent, call.params)
    return intent


def retrieve(sim: Simulator, call: Call) -> Object:
    """One intent."""
    return sim.store.need("setup_intent", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By customer and by card."""
    customer, method = call.params.text("customer"), call.params.text("payment_method")
    found = [
        intent
        for intent in sim.store.all("setup_intent")
        if customer in (None, intent["customer"]) and method in (None, intent["payment_method"])
    ]
    return paginate(call.params, found, call.url)


PATH = "/v1/setup_intents"
ROUTES = (
    Route("POST", PATH, create, CREATES),
    Route("GET", PATH, index, "customer payment_method"),
    Route("GET", f"{PATH}/{{id}}", retrieve, "client_secret"),
    Route("POST", f"{PATH}/{{id}}", update, UPDATES),
    Route("POST", f"{PATH}/{{id}}/confirm", confirm, CONFIRMS),
    Route("POST", f"{PATH}/{{id}}/cancel", cancel, "cancellation_reason"),
)
