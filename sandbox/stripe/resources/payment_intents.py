"""PaymentIntents (https://docs.stripe.com/api/payment_intents)."""

import re

from sandbox.stripe import payments
from sandbox.stripe.errors import Object, StripeError, card_error, invalid, malformed, missing
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.resources import payment_methods
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import random_id
from sandbox.stripe.wire import HERE, blank, paginate, render

EMPTY = (
    "application application_fee_amount canceled_at cancellation_reason customer customer_account"
    " description excluded_payment_method_types last_payment_error latest_charge managed_payments"
    " next_action on_behalf_of payment_method payment_method_configuration_details processing"
    " receipt_email review setup_future_usage shipping source statement_descriptor"
    " statement_descriptor_suffix transfer_data transfer_group automatic_payment_methods"
)
TEXTS = "description receipt_email statement_descriptor_suffix statement_descriptor"
CONFIRMS = (
    "payment_method off_session return_url setup_future_usage receipt_email mandate_data"
    " payment_method_options error_on_requires_action use_stripe_sdk payment_method_types"
)
UPDATES = f"{TEXTS} amount currency customer metadata payment_method setup_future_usage"
CREATES = f"{CONFIRMS} {UPDATES} automatic_payment_methods confirm capture_method"
LEAST, MOST = (
    50,
    99_999_999,
)  # https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
SETUP_USAGES = ("off_session", "on_session")


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse what Stripe cannot charge."""
    if not re.fullmatch("[a-z]{3}", currency):
        raise malformed(f"Invalid currency: {currency}.", "currency")
    if amount < LEAST:
        message = "Amount must be at least $0.50 usd"
        raise invalid(message, param, "amount_too_small")
    if amount > MOST:
        raise invalid("Amount must be no more than $999,999.99", param, "amount_too_large")


def make(sim: Simulator, amount: int, currency: str, **fields: object) -> Object:
    """A new intent, announced. Fields starting with `_` tell what it pays for."""
    id = sim.store.new_id("payment_intent")
    intent = sim.new(
        "payment_intent",
        **blank(EMPTY)
        | {
            "id": id,
            "amount": amount,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "capture_method": "automatic_async",
            "client_secret": random_id(f"{id}_secret_", 25),
            "confirmation_method": "automatic",
            "currency": currency,
            "metadata": {},
            "payment_method_options": {
                "card": blank("installments mandate_options network")
                | {"request_three_d_secure": "automatic"}
            },
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }
        | fields,
    )
    sim.emit("payment_intent.created", intent)
    return intent


def create(sim: Simulator, call: Call) -> Object:
    """Create, and with `confirm` also try to collect."""
    params = call.params
    currency = params.need("currency").lower()
    amount = params.need_integer("amount")
    check_amount(amount, currency)
    params.choice("capture_method", ("automatic", "automatic_async"), "automatic_async")
    confirm = params.boolean("confirm")
    if not confirm and "off_session" in params:
        raise invalid("The parameter `off_session` can only be passed with `confirm`.")
    fields: Object = {}
    _assign(sim, fields, params)
    _choose_types(fields, params)
    if confirm and not fields.get("payment_method"):
        raise missing("payment_method")
    _check_return_url(fields, params, confirm)
    intent = make(sim, amount, currency, **fields)
    return _confirm(sim, intent, params) if confirm else intent


def _assign(sim: Simulator, intent: Object, params: Params) -> None:
    copy_texts(intent, params, TEXTS)
    if "metadata" in params:
        intent["metadata"] = params.metadata(intent.get("metadata"))
    if usage := params.text("setup_future_usage"):
        params.choice("setup_future_usage", SETUP_USAGES, usage)
        intent["setup_future_usage"] = usage
    if customer := params.text("customer"):
        sim.store.need("customer", customer, "customer")
        intent["customer"] = customer
    if token := params.text("payment_method"):
        method = payment_methods.resolve(sim, token, "payment_method")
        _check_owner(intent, method)
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_confirmation"


def _check_owner(intent: Object, method: Object) -> None:
    owner, customer = method["customer"], intent.get("customer")
    if owner and customer is None:
        raise invalid(
            "The provided PaymentMethod cannot be attached. To reuse a PaymentMethod, you must "
            f"provide the Customer it belongs to: {owner}.",
            "payment_method",
        )
    if owner and owner != customer:
        raise invalid(
            "The customer does not have a payment method with the ID "
            f"{method['id']}. The payment method must be attached to the customer.",
            "payment_method",
        )


def _choose_types(fields: Object, params: Params) -> None:
    """Without `payment_method_types`, automatic payment methods are on."""
    types = params.texts("payment_method_types")
    automatic = params.hash("automatic_payment_methods")
    automatic.only(("enabled", "allow_redirects"))
    fields["payment_method_types"] = types or ["card", "us_bank_account"]
    if not types and automatic.boolean("enabled", default=True):
        redirects = automatic.choice("allow_redirects", ("always", "never"), "always")
        fields["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": True}


def _check_return_url(intent: Object, params: Params, confirm: bool) -> None:
    intent["_return_url"] = params.text("return_url") or intent.get("_return_url")
    automatic = intent.get("automatic_payment_methods") or {}
    redirects = automatic.get("allow_redirects") == "always"
    if confirm and redirects and not intent["_return_url"]:
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your "
            "Dashboard. Because some of these payment methods might redirect your customer off of "
            "your page, you must provide a `return_url`. If you don't want to accept "
            "redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` "
            "and `automatic_payment_methods[allow_redirects]` to `never`.",
            "return_url",
        )


def confirm(sim: Simulator, call: Call) -> Object:
    """Try to collect, with the method given now or before."""
    intent = sim.store.need("payment_intent", call.id)
    if intent["status"] not in OPEN:
        raise _unexpected(intent, "confirm")
    _check_return_url(intent, call.params, confirm=True)
    _assign(sim, intent, call.params)
    if not intent["payment_method"]:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    return _confirm(sim, intent, call.params)


def _confirm(sim: Simulator, intent: Object, params: Params) -> Object:
    method = payment_methods.resolve(sim, intent["payment_method"], "payment_method")
    error = payments.attempt(sim, intent, method, off_session=_off_session(params))
    if error is None and intent["status"] == "requires_action":
        error = _no_action_wanted(sim, intent, params)
    if error is not None:
        raise error
    return intent


def _off_session(params: Params) -> bool:
    """`true`, or in older use the kind of payment: `one_off`, `recurring`."""
    return params.text("off_session") not in (None, "false")


def _no_action_wanted(sim: Simulator, intent: Object, params: Params) -> StripeError | None:
    if not params.boolean("error_on_requires_action"):
        return None
    payments.authenticate(sim, intent, success=False)
    message = "This payment required an authentication action to complete, but "
    message += "`error_on_requires_action` was set."
    return card_error("authentication_required", message, payment_intent=intent)


def _unexpected(intent: Object, verb: str) -> StripeError:
    error = invalid(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
    )
    error.error["payment_intent"] = render(intent, HERE)
    return error


def update(sim: Simulator, call: Call) -> Object:
    """Only while nothing was collected."""
    intent, params = sim.store.need("payment_intent", call.id), call.params
    if intent["status"] not in OPEN and set(params.data) - {"metadata", "description", "expand"}:
        raise _unexpected(intent, "update")
    amount = params.integer("amount")
    check_amount(intent["amount"] if amount is None else amount, intent["currency"])
    if amount is not None:
        intent["amount"] = amount
    _assign(sim, intent, params)
    return intent


def cancel(sim: Simulator, call: Call) -> Object:
    """Not once it succeeded, is processing or was canceled."""
    intent = sim.store.need("payment_intent", call.id)
    if intent["status"] not in OPEN:
        raise _unexpected(intent, "cancel")
    if intent.get("_invoice"):
        raise invalid("You cannot cancel this PaymentIntent: void its invoice instead.")
    reason = call.params.text("cancellation_reason")
    return void(sim, intent, reason)


def void(sim: Simulator, intent: Object, reason: str | None) -> Object:
    """Cancel without asking."""
    intent |= {
        "status": "canceled",
        "canceled_at": sim.now(),
        "cancellation_reason": reason,
        "next_action": None,
    }
    sim.emit("payment_intent.canceled", intent)
    return intent


def retrieve(sim: Simulator, call: Call) -> Object:
    """One intent."""
    return sim.store.need("payment_intent", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By customer."""
    customer = call.params.text("customer")
    found = [i for i in sim.store.all("payment_intent") if customer in (None, i["customer"])]
    return paginate(call.params, found, call.url)


PATH = "/v1/payment_intents"
ROUTES = (
    Route("POST", PATH, create, CREATES),
    Route("GET", PATH, index, "customer"),
    Route("GET", f"{PATH}/{{id}}", retrieve, "client_secret"),
    Route("POST", f"{PATH}/{{id}}", update, UPDATES),
    Route("POST", f"{PATH}/{{id}}/confirm", confirm, CONFIRMS),
    Route("POST", f"{PATH}/{{id}}/cancel", cancel, "cancellation_reason"),
)
