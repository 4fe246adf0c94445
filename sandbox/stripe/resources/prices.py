"""Prices (https://docs.stripe.com/api/prices): cents a unit, once or every so often."""

from sandbox.stripe.errors import Object, invalid, malformed
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.resources import products
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import Store
from sandbox.stripe.wire import INCLUDABLE, blank, paginate

INTERVALS = ("day", "week", "month", "year")
BEHAVIOURS = ("exclusive", "inclusive", "unspecified")
DATA = ("currency", "unit_amount", "unit_amount_decimal", "recurring", "tax_behavior", "metadata")


def from_data(sim: Simulator, params: Params, product: str, **fields: object) -> Object:
    """A price from `price_data` or from a create call. Whole cents only."""
    amount = params.integer("unit_amount")
    if amount is None:
        decimal = params.need("unit_amount_decimal").removesuffix(".0")
        if not decimal.isdecimal():
            raise malformed("Only whole cents are simulated.", params.name("unit_amount_decimal"))
        amount = int(decimal)
    if amount < 0:
        raise malformed("Invalid non-negative integer", params.name("unit_amount"))
    recurring = _recurring(params)
    head = {
        "active": True,
        "billing_scheme": "per_unit",
        "currency": params.need("currency").lower(),
        "metadata": params.metadata(),
        "product": product,
        "recurring": recurring,
        "tax_behavior": params.choice("tax_behavior", BEHAVIOURS, "unspecified"),
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    empty = blank("custom_unit_amount lookup_key nickname tiers_mode transform_quantity")
    price = sim.new("price", **empty | head | fields)
    sim.emit("price.created", price)
    return price


def _recurring(params: Params) -> Object | None:
    if "recurring" not in params:
        return None
    given = params.hash("recurring")
    given.only(("interval", "interval_count", "usage_type", "trial_period_days"))
    given.choice("usage_type", ("licensed",), "licensed")
    given.need("interval")
    return {
        "interval": given.choice("interval", INTERVALS, "month"),
        "interval_count": given.integer("interval_count") or 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def inline(sim: Simulator, params: Params) -> Object:
    """`price_data` of a line item: its product by id or by `product_data`."""
    params.only((*DATA, "product", "product_data"))
    if "product_data" not in params:
        id = sim.store.need("product", params.need("product"), params.name("product"))["id"]
        return from_data(sim, params, id)
    data = params.hash("product_data")
    data.only(("name", "description", "images", "metadata", "tax_code", "unit_label"))
    fields = {"metadata": data.metadata(), "description": data.text("description")}
    product = products.make(sim, data.need("name"), **fields, tax_code=data.text("tax_code"))
    return from_data(sim, params, product["id"])


def ad_hoc(sim: Simulator, params: Params) -> Object:
    """The price behind an invoice item given as an amount; it may be negative."""
    text = params.text("description") or "Invoice item"
    product = products.make(sim, text, active=False)
    amount = params.need_integer("amount")
    data = {"currency": params.need("currency"), "unit_amount": str(abs(amount))}
    data["tax_behavior"] = params.text("tax_behavior") or "unspecified"
    price = from_data(sim, Params(data), product["id"], active=False)
    price |= {"unit_amount": amount, "unit_amount_decimal": str(amount)}
    return price


def resolve(sim: Simulator, params: Params) -> Object:
    """The price of an item: `price` by id, or `price_data` inline; it must be active."""
    if "price_data" in params:
        return inline(sim, params.hash("price_data"))
    price = sim.store.need("price", params.need("price"), params.name("price"))
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise invalid(message, params.name("price"))
    return price


def _currency_options(store: Store, price: Object) -> Object:
    names = ("custom_unit_amount", "tax_behavior", "unit_amount", "unit_amount_decimal")
    return {price["currency"]: {name: price[name] for name in names}}


INCLUDABLE["price", "currency_options"] = _currency_options
INCLUDABLE["price", "tiers"] = lambda store, price: None  # no price here has tiers


def create(sim: Simulator, call: Call) -> Object:
    """For a product that exists, or with `product_data` for a new one."""
    params, fields = call.params, Object()
    copy_texts(fields, params, "nickname lookup_key")
    if key := params.text("lookup_key"):
        _claim_key(sim, key, params.boolean("transfer_lookup_key"))
    if "active" in params:
        fields["active"] = params.boolean("active")
    if "product_data" in params:
        name = params.hash("product_data").need("name")
        return from_data(sim, params, products.make(sim, name)["id"], **fields)
    product = sim.store.need("product", params.need("product"), "product")
    return from_data(sim, params, product["id"], **fields)


def _claim_key(sim: Simulator, key: str, transfer: bool) -> None:
    for price in sim.store.all("price"):
        if price["lookup_key"] == key:
            if not transfer:
                message = f"A price (`{price['id']}`) already uses that lookup key."
                raise invalid(message, "lookup_key", "resource_already_exists")
            price["lookup_key"] = None


def update(sim: Simulator, call: Call) -> Object:
    """Its amount never changes."""
    price, params = sim.store.need("price", call.id), call.params
    with sim.changing(price, "price.updated"):
        if key := params.text("lookup_key"):
            _claim_key(sim, key, params.boolean("transfer_lookup_key"))
        copy_texts(price, params, "nickname lookup_key tax_behavior")
        if "active" in params:
            price["active"] = params.boolean("active")
        if "metadata" in params:
            price["metadata"] = params.metadata(price["metadata"])
    return price


def retrieve(sim: Simulator, call: Call) -> Object:
    """One price."""
    return sim.store.need("price", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By product, state, type and lookup keys."""
    params = call.params
    keys, active = params.texts("lookup_keys"), None
    if "active" in params:
        active = params.boolean("active")
    wanted = {name: params.text(name) for name in ("product", "type", "currency")}
    found = [
        price
        for price in sim.store.all("price")
        if active in (None, price["active"])
        and (not keys or price["lookup_key"] in keys)
        and all(value in (None, price[name]) for name, value in wanted.items())
    ]
    return paginate(params, found, call.url)


UPDATES = "active lookup_key transfer_lookup_key metadata nickname tax_behavior"
ROUTES = (
    Route(
        "POST",
        "/v1/prices",
        create,
        f"{UPDATES} currency product product_data recurring unit_amount unit_amount_decimal"
        " billing_scheme",
    ),
    Route("GET", "/v1/prices", index, "active currency lookup_keys product type"),
    Route("GET", "/v1/prices/{id}", retrieve),
    Route("POST", "/v1/prices/{id}", update, UPDATES),
)
