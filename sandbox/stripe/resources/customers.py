"""Customers (https://docs.stripe.com/api/customers)."""

from sandbox.stripe.errors import Object, invalid, no_such
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.resources import payment_methods
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import Store, random_id
from sandbox.stripe.wire import INCLUDABLE, blank, listing, paginate

TAKES = (
    "address description email invoice_settings metadata name phone preferred_locales shipping"
    " tax_exempt balance"
)
TEXTS = "description email name phone"


def make(sim: Simulator, **fields: object) -> Object:
    """A new customer, announced."""
    customer = sim.new("customer", **_blank() | fields)
    sim.emit("customer.created", customer)
    return customer


def _blank() -> Object:
    return (
        blank("default_source shipping address discount test_clock customer_account")
        | {
            "balance": 0,
            "delinquent": False,
            "invoice_prefix": random_id("", 8).upper(),
            "invoice_settings": blank(
                "custom_fields default_payment_method footer rendering_options"
            ),
            "metadata": {},
            "next_invoice_sequence": 1,
            "preferred_locales": [],
            "tax_exempt": "none",
            "currency": None,
        }
        | blank(TEXTS)
    )


def create(sim: Simulator, call: Call) -> Object:
    """`payment_method` attaches a card at once."""
    given: Object = {}
    _assign(sim, given, call.params)
    customer = make(sim, **given)
    if token := call.params.text("payment_method"):
        method = payment_methods.resolve(sim, token, "payment_method")
        payment_methods.attach_to(sim, method, customer)
    return customer


def _assign(sim: Simulator, customer: Object, params: Params) -> None:
    copy_texts(customer, params, TEXTS)
    if "metadata" in params:
        customer["metadata"] = params.metadata(customer.get("metadata"))
    if "balance" in params:
        customer["balance"] = params.need_integer("balance")
    if "tax_exempt" in params:
        customer["tax_exempt"] = params.choice("tax_exempt", ("none", "exempt", "reverse"), "none")
    if "preferred_locales" in params:
        customer["preferred_locales"] = params.texts("preferred_locales")
    for name in ("address", "shipping"):
        if name in params:
            customer[name] = _address(params, name)
    if "invoice_settings" in params:
        _assign_invoice_settings(sim, customer, params.hash("invoice_settings"))


def _address(params: Params, name: str) -> Object | None:
    if params.unset(name):
        return None
    given = params.hash(name).data
    if name == "shipping":
        return {"name": None, "phone": None} | given
    return blank("city country line1 line2 postal_code state") | given


def _assign_invoice_settings(sim: Simulator, customer: Object, params: Params) -> None:
    params.only(("default_payment_method", "footer", "custom_fields", "rendering_options"))
    settings = dict(customer.get("invoice_settings") or _blank()["invoice_settings"])
    copy_texts(settings, params, "footer")
    if "custom_fields" in params:
        settings["custom_fields"] = _custom_fields(params)
    if "default_payment_method" in params:
        id = params.text("default_payment_method")
        if id and sim.store.need("payment_method", id, "invoice_settings")["customer"] is None:
            raise no_such("payment_method", id, "invoice_settings[default_payment_method]")
        settings["default_payment_method"] = id
    customer["invoice_settings"] = settings


def _custom_fields(params: Params) -> list[Object] | None:
    """At most four, of at most 40 and 140 characters."""
    if params.unset("custom_fields"):
        return None
    fields = [
        {n: each.need(n) for n in ("name", "value")} for each in params.each("custom_fields")
    ]
    if len(fields) > 4 or any(len(f["name"]) > 40 or len(f["value"]) > 140 for f in fields):
        raise invalid("Invalid custom_fields.", "invoice_settings[custom_fields]")
    return fields


def need(sim: Simulator, id: str, param: str) -> Object:
    """A customer named by a parameter, still there."""
    customer = sim.store.need("customer", id, param)
    if customer.get("deleted"):
        raise no_such("customer", id, param)
    return customer


def retrieve(sim: Simulator, call: Call) -> Object:
    """A deleted customer answers with three fields."""
    return sim.store.need("customer", call.id)


def update(sim: Simulator, call: Call) -> Object:
    """Fields not given stay."""
    customer = need(sim, call.id, "id")
    with sim.changing(customer, "customer.updated"):
        _assign(sim, customer, call.params)
    return customer


def delete(sim: Simulator, call: Call) -> Object:
    """Cancels the subscriptions at once, and detaches the cards."""
    customer = need(sim, call.id, "id")
    for subscription in sim.store.all("subscription"):
        if subscription["customer"] == customer["id"] and not subscription["ended_at"]:
            sim.due["subscription.cancel"](sim, subscription)
    for method in payment_methods.of(sim, customer["id"]):
        payment_methods.detach_from(sim, method)
    sim.emit("customer.deleted", customer)
    remains = {"id": customer["id"], "object": "customer", "deleted": True}
    sim.store.add(remains)
    return remains


def index(sim: Simulator, call: Call) -> Object:
    """By e-mail, exactly and with its case."""
    email = call.params.text("email")
    found = [
        customer
        for customer in sim.store.all("customer")
        if not customer.get("deleted") and (email is None or customer["email"] == email)
    ]
    return paginate(call.params, found, call.url)


def methods(sim: Simulator, call: Call) -> Object:
    """The customer's PaymentMethods."""
    customer = need(sim, call.id, "id")
    type = call.params.text("type")
    found = [m for m in payment_methods.of(sim, customer["id"]) if type in (None, m["type"])]
    return paginate(call.params, found, call.url)


def method(sim: Simulator, call: Call) -> Object:
    """One PaymentMethod of the customer."""
    found = sim.store.need("payment_method", call.ids["method"])
    if found["customer"] != call.id:
        raise no_such("payment_method", found["id"])
    return found


def nothing(sim: Simulator, call: Call) -> Object:
    """Lists this account never fills: tax ids, balance transactions, sources."""
    need(sim, call.id, "id")
    return listing([], call.url)


def _subscriptions(store: Store, customer: Object) -> Object:
    found = store.all("subscription")
    mine = [s for s in found if s["customer"] == customer["id"] and s["status"] != "canceled"]
    return listing(mine[::-1], f"/v1/customers/{customer['id']}/subscriptions")


INCLUDABLE["customer", "subscriptions"] = _subscriptions
INCLUDABLE["customer", "sources"] = lambda store, customer: listing([], "/v1/sources")
INCLUDABLE["customer", "tax_ids"] = lambda store, customer: listing([], "/v1/tax_ids")


ROUTES = (
    Route("POST", "/v1/customers", create, f"{TAKES} payment_method"),
    Route("GET", "/v1/customers", index, "email"),
    Route("GET", "/v1/customers/{id}", retrieve),
    Route("POST", "/v1/customers/{id}", update, TAKES),
    Route("DELETE", "/v1/customers/{id}", delete),
    Route("GET", "/v1/customers/{id}/payment_methods", methods, "type"),
    Route("GET", "/v1/customers/{id}/payment_methods/{method}", method),
    Route("GET", "/v1/customers/{id}/tax_ids", nothing),
    Route("GET", "/v1/customers/{id}/sources", nothing, "object"),
    Route("GET", "/v1/customers/{id}/balance_transactions", nothing),
)
