"""Invoice items (https://docs.stripe.com/api/invoiceitems): what the next invoice will include."""

from sandbox.stripe.errors import Object, invalid
from sandbox.stripe.lines import Line
from sandbox.stripe.resources import customers, prices
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, paginate


def make(sim: Simulator, customer: str, line: Line, subscription: str | None) -> Object:
    """Keep a line for the next invoice of the subscription, or of the customer."""
    details = {"subscription": subscription, "subscription_item": line.item}
    parent = {"type": "subscription_details", "subscription_details": details}
    item = sim.new(
        "invoiceitem",
        **blank("customer_account invoice test_clock"),
        amount=line.amount,
        currency=line.price["currency"],
        customer=customer,
        date=sim.now(),
        description=line.description,
        discountable=not line.proration,
        discounts=[],
        metadata={},
        net_amount=line.amount,
        parent=parent if subscription else None,
        period={"start": line.start, "end": line.end},
        pricing=pricing(line),
        proration=line.proration,
        quantity=line.quantity,
        quantity_decimal=str(line.quantity),
        tax_rates=[],
        _price=line.price["id"],
        _subscription_item=line.item,
        _for=subscription,
    )
    del item["created"]  # Stripe calls it `date`
    sim.emit("invoiceitem.created", item)
    return item


def pricing(line: Line) -> Object:
    """Which price a line was computed from."""
    details = {"price": line.price["id"], "product": line.price["product"]}
    decimal = line.price["unit_amount_decimal"]
    return {"type": "price_details", "price_details": details, "unit_amount_decimal": decimal}


def pending(sim: Simulator, customer: str, subscription: str | None) -> list[Line]:
    """What waits for the next invoice of the subscription (None: of no subscription)."""
    return [
        Line(
            price=sim.store.need("price", item["_price"]),
            quantity=item["quantity"],
            amount=item["amount"],
            start=item["period"]["start"],
            end=item["period"]["end"],
            description=item["description"],
            item=item["_subscription_item"],
            proration=item["proration"],
            invoice_item=item["id"],
        )
        for item in sim.store.all("invoiceitem")
        if item["customer"] == customer and item["invoice"] is None
        if item["_for"] in (None, subscription)
    ]


def create(sim: Simulator, call: Call) -> Object:
    """For a price, or for an amount with a description."""
    params = call.params
    customer = customers.need(sim, params.need("customer"), "customer")
    quantity = params.integer("quantity") or 1
    pricing = params.hash("pricing")
    pricing.only(("price",))
    if id := pricing.text("price"):
        price = sim.store.need("price", id, "pricing[price]")
    else:
        price = prices.ad_hoc(sim, params)
    amount = price["unit_amount"] * quantity
    text = params.text("description") or sim.store.need("product", price["product"])["name"]
    line = Line(price, quantity, amount, sim.now(), sim.now(), text)
    item = make(sim, customer["id"], line, None)
    item["metadata"] = params.metadata()
    return item


def delete(sim: Simulator, call: Call) -> Object:
    """Only while it is on no invoice."""
    item = sim.store.need("invoiceitem", call.id)
    if item["invoice"]:
        raise invalid("This invoice item is already attached to an invoice.")
    sim.emit("invoiceitem.deleted", item)
    sim.store.remove(call.id)
    return {"id": call.id, "object": "invoiceitem", "deleted": True}


def retrieve(sim: Simulator, call: Call) -> Object:
    """One item."""
    return sim.store.need("invoiceitem", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By customer and invoice; `pending` for those on none."""
    customer, invoice = call.params.text("customer"), call.params.text("invoice")
    waiting = call.params.boolean("pending") if "pending" in call.params else None
    found = [
        item
        for item in sim.store.all("invoiceitem")
        if customer in (None, item["customer"])
        and invoice in (None, item["invoice"])
        and waiting in (None, item["invoice"] is None)
    ]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route(
        "POST",
        "/v1/invoiceitems",
        create,
        "customer amount currency description metadata pricing quantity tax_behavior",
    ),
    Route("GET", "/v1/invoiceitems", index, "customer invoice pending"),
    Route("GET", "/v1/invoiceitems/{id}", retrieve),
    Route("DELETE", "/v1/invoiceitems/{id}", delete),
)
