"""The shape of a subscription and its items (https://docs.stripe.com/api/subscriptions/object).

Since 2025-03-31 the current period is on the items.
"""

from sandbox.stripe.errors import Object, invalid, malformed, missing, no_such
from sandbox.stripe.forms import Params
from sandbox.stripe.resources import prices
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.wire import blank, listing

EMPTY = (
    "application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at"
    " canceled_at customer_account days_until_due default_payment_method default_source"
    " description ended_at latest_invoice managed_payments next_pending_invoice_item_invoice"
    " on_behalf_of pause_collection pending_invoice_item_interval pending_setup_intent"
    " pending_update schedule test_clock transfer_data trial_end trial_start"
)
ITEM_TAKES = ("price", "price_data", "quantity", "metadata")


def blank_subscription() -> Object:
    """A subscription with everything optional left out."""
    return blank(EMPTY) | {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": blank("comment feedback reason"),
        "collection_method": "charge_automatically",
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": blank("account_tax_ids custom_fields description footer")
        | {"issuer": {"type": "self"}},
        "items": listing([], ""),
        "metadata": {},
        "payment_settings": blank("payment_method_options payment_method_types")
        | {"save_default_payment_method": "off"},
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }


def new_items(sim: Simulator, given: list[Params], name: str = "items") -> list[Object]:
    """The items of a create call, not yet in a period."""
    if not given:
        raise missing(name)
    items = [new_item(sim, params) for params in given]
    check_items(items)
    return items


def new_item(sim: Simulator, params: Params) -> Object:
    """One item, its price by id or inline."""
    params.only((*ITEM_TAKES, "id", "deleted"))
    price = prices.resolve(sim, params)
    return make_item(sim, price, _quantity(params), params.metadata())


def _quantity(params: Params) -> int:
    quantity = params.integer("quantity")
    if quantity is not None and quantity < 0:
        raise malformed("Invalid non-negative integer", params.name("quantity"))
    return 1 if quantity is None else quantity


def make_item(
    sim: Simulator, price: Object, quantity: int, metadata: dict[str, str] | None = None
) -> Object:
    """One item of a recurring price."""
    if price["recurring"] is None:
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices "
            "with `type=recurring`.",
            "items",
        )
    return {
        "id": sim.store.new_id("subscription_item"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": sim.now(),
        "current_period_end": 0,
        "current_period_start": 0,
        "discounts": [],
        "metadata": metadata or {},
        "plan": _plan(price),
        "price": price,
        "quantity": quantity,
        "subscription": "",
        "tax_rates": [],
    }


def _plan(price: Object) -> Object:
    recurring = price["recurring"]
    copied = ("active", "billing_scheme", "created", "currency", "id", "livemode", "metadata")
    return {name: price[name] for name in copied} | {
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "meter": None,
        "nickname": price["nickname"],
        "object": "plan",
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def check_items(items: list[Object]) -> None:
    """All items of a subscription renew together, in one currency, each price once."""
    rhythms = {(i["plan"]["interval"], i["plan"]["interval_count"]) for i in items}
    if len(rhythms) > 1:
        raise invalid("All prices on a subscription must have the same `recurring.interval`.")
    if len({item["price"]["currency"] for item in items}) > 1:
        raise invalid("All prices on a subscription must have the same currency.")
    if len({item["price"]["id"] for item in items}) < len(items):
        raise invalid("Cannot add multiple subscription items with the same price.")
    if not items:
        raise invalid("A subscription must have at least one item.", "items")


def changed_items(sim: Simulator, subscription: Object, given: list[Params]) -> list[Object]:
    """The items after an update: by `id` changed or `deleted`, without one added."""
    items = {item["id"]: dict(item) for item in subscription["items"]["data"]}
    for params in given:
        id = params.text("id")
        if id is None:
            added = new_item(sim, params)
            items[added["id"]] = added
        elif id not in items:
            raise no_such("subscription_item", id, params.name("id"))
        elif params.boolean("deleted"):
            del items[id]
        else:
            _change_item(sim, items[id], params)
    check_items(list(items.values()))
    return list(items.values())


def _change_item(sim: Simulator, item: Object, params: Params) -> None:
    params.only((*ITEM_TAKES, "id", "deleted"))
    if "price" in params or "price_data" in params:
        price = prices.resolve(sim, params)
        if price["recurring"] is None:
            raise invalid("The price must be recurring.", params.name("price"))
        item |= {"price": price, "plan": _plan(price)}
    if "quantity" in params:
        item["quantity"] = _quantity(params)
    if "metadata" in params:
        item["metadata"] = params.metadata(item["metadata"])


def place(subscription: Object, items: list[Object], start: int, end: int) -> None:
    """Make these the subscription's items, in that period."""
    for item in items:
        item["subscription"] = subscription["id"]
        item["current_period_start"], item["current_period_end"] = start, end
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    subscription["items"] = listing(items, url)


def period(subscription: Object) -> tuple[int, int]:
    """The current period, which all items share."""
    first = subscription["items"]["data"][0]
    return first["current_period_start"], first["current_period_end"]


def recurring_of(items: list[Object]) -> Object:
    """The rhythm all items share."""
    recurring: Object = items[0]["price"]["recurring"]
    return recurring


def names(sim: Simulator, items: list[Object]) -> dict[str, str]:
    """Product names by product id."""
    ids = {item["price"]["product"] for item in items}
    return {id: sim.store.need("product", id)["name"] for id in ids}
