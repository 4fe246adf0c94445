"""PaymentMethods (https://docs.stripe.com/api/payment_methods).

A method that was used without a customer, or was detached from one, can never be used again.
"""

import time

from sandbox.stripe import cards
from sandbox.stripe.cards import TestMethod
from sandbox.stripe.errors import Object, card_error, invalid, malformed, no_such
from sandbox.stripe.forms import Params
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, paginate

EXPIRES_YEARS = 4


def make(sim: Simulator, test: TestMethod, billing_details: Object | None = None) -> Object:
    """A fresh PaymentMethod of a test card or bank account; there is no event for it."""
    details = {"address": blank("city country line1 line2 postal_code state")} | blank(
        "email name phone tax_id"
    )
    type = "us_bank_account" if test.bank else "card"
    return sim.new(
        "payment_method",
        allow_redisplay="unspecified",
        billing_details=details | (billing_details or {}),
        customer=None,
        customer_account=None,
        metadata={},
        type=type,
        **{type: _bank(test) if test.bank else _card(sim, test)},
        _test=test.name,
    )


def _card(sim: Simulator, test: TestMethod) -> Object:
    checks = blank("address_line1_check address_postal_code_check")
    return {
        "brand": test.brand,
        "checks": checks | {"cvc_check": "pass"},
        "country": "US",
        "display_brand": test.brand,
        "exp_month": 12,
        "exp_year": time.gmtime(sim.now()).tm_year + EXPIRES_YEARS,
        "fingerprint": test.fingerprint,
        "funding": test.funding,
        "generated_from": None,
        "last4": test.last4,
        "networks": {"available": [test.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank(test: TestMethod) -> Object:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "TEST BANK",
        "financial_connections_account": None,
        "fingerprint": test.fingerprint,
        "last4": test.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def test_method(method: Object) -> TestMethod:
    """The test card behind a PaymentMethod."""
    return cards.BY_NAME[method["_test"]]


def resolve(sim: Simulator, id: str, param: str) -> Object:
    """The PaymentMethod of that id; `pm_card_visa` and its like make a fresh one."""
    if id.startswith("pm_") and (test := cards.by_token(id)):
        return make(sim, test)
    method = sim.store.need("payment_method", id, param)
    if method.get("_spent"):
        raise invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
            "attachment, or was detached from a Customer. It may not be used again. To use a "
            "PaymentMethod multiple times, you must attach it to a Customer first.",
            param,
        )
    return method


def of(sim: Simulator, customer: str) -> list[Object]:
    """The methods attached to a customer, oldest first."""
    return [m for m in sim.store.all("payment_method") if m["customer"] == customer]


def create(sim: Simulator, call: Call) -> Object:
    """By token or by the number of a test card, as Stripe allows in test mode."""
    call.params.choice("type", ("card", "us_bank_account"), call.params.need("type"))
    details = call.params.hash("billing_details").data
    method = make(sim, _wanted(call.params), details)
    method["metadata"] = call.params.metadata()
    return method


def _wanted(params: Params) -> TestMethod:
    if params.text("type") == "us_bank_account":
        return cards.BY_NAME["usBankAccount_success"]
    card = params.hash("card")
    card.only(("token", "number", "exp_month", "exp_year", "cvc"))
    found = cards.by_token(card.text("token") or "") or cards.BY_NUMBER.get(
        (card.text("number") or "").replace(" ", "")
    )
    if found is None:
        if token := card.text("token"):
            raise no_such("token", token, "card[token]")
        raise card_error("incorrect_number", "Your card number is incorrect.", param="number")
    return found


def attach(sim: Simulator, call: Call) -> Object:
    """A card that declines everything cannot be attached."""
    method = resolve(sim, call.id, "id")
    id = call.params.need("customer")
    customer = sim.store.need("customer", id, "customer")
    if customer.get("deleted"):
        raise no_such("customer", id, "customer")
    return attach_to(sim, method, customer)


def attach_to(sim: Simulator, method: Object, customer: Object) -> Object:
    """Attach, or refuse what belongs to somebody else."""
    if method["customer"] == customer["id"]:
        return method
    if method["customer"]:
        raise invalid("The payment method you provided has already been attached to a customer.")
    test = test_method(method)
    if test.decline and not test.attachable and not test.bank:
        code, message = cards.DECLINES[test.decline]
        declined = test.decline if code == "card_declined" else None
        raise card_error(code, message, decline_code=declined)
    method["customer"] = customer["id"]
    sim.emit("payment_method.attached", method)
    return method


def detach(sim: Simulator, call: Call) -> Object:
    """Never to be used again."""
    method = sim.store.need("payment_method", call.id)
    if not method["customer"]:
        raise invalid("The payment method you provided is not attached to a customer.")
    return detach_from(sim, method)


def detach_from(sim: Simulator, method: Object) -> Object:
    """Detach; whatever used it by default loses its default."""
    owner, method["customer"], method["_spent"] = method["customer"], None, True
    sim.emit("payment_method.detached", method, {"customer": owner})
    customer = sim.store.need("customer", owner)
    if not customer.get("deleted"):
        with sim.changing(customer, "customer.updated"):
            if customer["invoice_settings"]["default_payment_method"] == method["id"]:
                customer["invoice_settings"]["default_payment_method"] = None
    for subscription in sim.store.all("subscription"):
        if subscription["default_payment_method"] == method["id"]:
            subscription["default_payment_method"] = None
    return method


def retrieve(sim: Simulator, call: Call) -> Object:
    """A test token answers with a fresh method."""
    if test := cards.by_token(call.id):
        return make(sim, test)
    return sim.store.need("payment_method", call.id)


def update(sim: Simulator, call: Call) -> Object:
    """Billing details and metadata; the card itself does not change."""
    method = sim.store.need("payment_method", call.id)
    with sim.changing(method, "payment_method.updated"):
        if "metadata" in call.params:
            method["metadata"] = call.params.metadata(method["metadata"])
        if "allow_redisplay" in call.params:
            method["allow_redisplay"] = call.params.text("allow_redisplay")
        details = call.params.hash("billing_details").data
        method["billing_details"] = method["billing_details"] | details
    return method


def index(sim: Simulator, call: Call) -> Object:
    """The methods of a customer."""
    customer, type = call.params.text("customer"), call.params.text("type")
    if customer is None:
        raise malformed("You must provide a customer.", "customer")
    sim.store.need("customer", customer, "customer")
    found = [m for m in of(sim, customer) if type in (None, m["type"])]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route(
        "POST",
        "/v1/payment_methods",
        create,
        "type card us_bank_account billing_details metadata allow_redisplay",
    ),
    Route("GET", "/v1/payment_methods", index, "customer type"),
    Route("GET", "/v1/payment_methods/{id}", retrieve),
    Route("POST", "/v1/payment_methods/{id}", update, "billing_details metadata allow_redisplay"),
    Route("POST", "/v1/payment_methods/{id}/attach", attach, "customer"),
    Route("POST", "/v1/payment_methods/{id}/detach", detach),
)
