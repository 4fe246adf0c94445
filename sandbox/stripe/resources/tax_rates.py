"""Tax rates set by hand (https://docs.stripe.com/api/tax_rates), without Stripe Tax."""

from decimal import Decimal, InvalidOperation

from sandbox.stripe.errors import Object, invalid, malformed, missing
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, paginate

TEXTS = "display_name country description jurisdiction state tax_type"
TAKES = f"{TEXTS} active inclusive metadata percentage"


def create(sim: Simulator, call: Call) -> Object:
    """In percent; `inclusive` says that prices contain it."""
    params = call.params
    params.need("display_name")
    if "inclusive" not in params:
        raise missing("inclusive")
    fields: Object = blank(TEXTS) | blank("effective_percentage flat_amount jurisdiction_level")
    copy_texts(fields, params, TEXTS)
    return sim.new(
        "tax_rate",
        **fields,
        active=True,
        inclusive=params.boolean("inclusive"),
        metadata=params.metadata(),
        percentage=_percentage(params),
        rate_type="percentage",
    )


def _percentage(params: Params) -> float:
    given = params.need("percentage")
    try:
        percent = Decimal(given)
    except InvalidOperation:
        raise malformed(f"Invalid decimal: {given}", "percentage") from None
    if not 0 <= percent <= 100 or percent != round(percent, 4):
        raise malformed("From 0 to 100, with 4 decimal places at most.", "percentage")
    return float(percent)


def of(sim: Simulator, params: Params) -> list[Object]:
    """The `default_tax_rates` of a call; an empty string is none."""
    ids = params.texts("default_tax_rates")
    return [sim.store.need("tax_rate", id, "default_tax_rates") for id in ids]


def basis_points(rates: list[Object], customer: Object, items: list[Object]) -> int:
    """What they add up to for that customer, of prices that are taxed as the rates are."""
    behaviours = {"inclusive" if rate["inclusive"] else "exclusive" for rate in rates}
    if any({item["price"]["tax_behavior"]} - {"unspecified"} - behaviours for item in items):
        raise invalid("The tax behavior of the price is not that of the tax rate.", "items")
    if customer["tax_exempt"] != "none":
        return 0
    return sum(round(rate["percentage"] * 100) for rate in rates)


def retrieve(sim: Simulator, call: Call) -> Object:
    """One rate."""
    return sim.store.need("tax_rate", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """All of them."""
    return paginate(call.params, sim.store.all("tax_rate"), call.url)


PATH = "/v1/tax_rates"
ROUTES = (
    Route("POST", PATH, create, TAKES),
    Route("GET", PATH, index, "active inclusive"),
    Route("GET", f"{PATH}/{{id}}", retrieve),
)
