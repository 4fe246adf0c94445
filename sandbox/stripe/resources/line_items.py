"""Line items of Checkout (https://docs.stripe.com/api/checkout/sessions/line_items)."""

from sandbox.stripe.errors import Object, malformed
from sandbox.stripe.forms import Params
from sandbox.stripe.resources import prices
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.tax import taxed
from sandbox.stripe.wire import INCLUDABLE

# There are no discounts here; `breakdown` is of a session's totals, a hash without a name.
INCLUDABLE["item", "discounts"] = lambda store, item: []
INCLUDABLE["", "breakdown"] = lambda store, totals: {"discounts": [], "taxes": []}
TAKES = ("price", "price_data", "quantity", "adjustable_quantity", "tax_rates", "metadata")


def make(sim: Simulator, params: Params, basis_points: int) -> Object:
    """One item, its price by id or inline, its amounts in cents."""
    params.only(TAKES)
    price = prices.resolve(sim, params)
    quantity = params.integer("quantity")
    if quantity is None or quantity < 1:
        raise malformed("Quantity is required and must be at least 1.", params.name("quantity"))
    product = sim.store.need("product", price["product"])
    amount = price["unit_amount"] * quantity
    split = taxed(amount, price["tax_behavior"], basis_points)
    item = sim.new(
        "item",
        adjustable_quantity=None,
        amount_discount=0,
        amount_subtotal=amount,
        amount_tax=split.tax,
        amount_total=split.total,
        currency=price["currency"],
        description=product["name"],
        metadata=params.metadata(),
        price=price,
        quantity=quantity,
    )
    for absent in ("created", "livemode"):  # Stripe sends neither on this object
        del item[absent]
    return item
