"""Subscription items (https://docs.stripe.com/api/subscription_items): one item at a time.

Each call is the update of the subscription that names just this item.
"""

from sandbox.stripe.errors import Object, missing, no_such
from sandbox.stripe.forms import Params
from sandbox.stripe.resources import subscriptions
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import paginate

ITEM = "price price_data quantity metadata"
BEHAVIOURS = "payment_behavior proration_behavior proration_date"


def _find(sim: Simulator, id: str) -> tuple[Object, Object]:
    """The item and its subscription."""
    for subscription in sim.store.all("subscription"):
        for item in subscription["items"]["data"]:
            if item["id"] == id:
                return item, subscription
    raise no_such("subscription_item", id)


def _update(sim: Simulator, subscription: str, params: Params, item: Object) -> Object:
    given = {
        name: params.data[name] for name in (*BEHAVIOURS.split(), "off_session") if name in params
    }
    merged = Params(given | {"items": [item]})
    return subscriptions.update(sim, Call(merged, {"id": subscription}, ""))


def create(sim: Simulator, call: Call) -> Object:
    """Add an item."""
    subscription = call.params.need("subscription")
    sim.store.need("subscription", subscription, "subscription")
    item = {name: call.params.data[name] for name in ITEM.split() if name in call.params}
    if not item:
        raise missing("price")
    changed = _update(sim, subscription, call.params, item)
    added: Object = changed["items"]["data"][-1]
    return added


def update(sim: Simulator, call: Call) -> Object:
    """Another price, another quantity."""
    _, subscription = _find(sim, call.id)
    item = {name: call.params.data[name] for name in ITEM.split() if name in call.params}
    _update(sim, subscription["id"], call.params, item | {"id": call.id})
    return _find(sim, call.id)[0]


def delete(sim: Simulator, call: Call) -> Object:
    """Take an item off; the last one stays until the subscription is canceled."""
    _, subscription = _find(sim, call.id)
    _update(sim, subscription["id"], call.params, {"id": call.id, "deleted": "true"})
    return {"id": call.id, "object": "subscription_item", "deleted": True}


def retrieve(sim: Simulator, call: Call) -> Object:
    """One item."""
    return _find(sim, call.id)[0]


def index(sim: Simulator, call: Call) -> Object:
    """The items of a subscription."""
    id = call.params.need("subscription")
    subscription = sim.store.need("subscription", id, "subscription")
    return paginate(call.params, subscription["items"]["data"][::-1], call.url)


PATH = "/v1/subscription_items"
ROUTES = (
    Route("POST", PATH, create, f"{ITEM} {BEHAVIOURS} subscription"),
    Route("GET", PATH, index, "subscription"),
    Route("GET", f"{PATH}/{{id}}", retrieve),
    Route("POST", f"{PATH}/{{id}}", update, f"{ITEM} {BEHAVIOURS} off_session"),
    Route("DELETE", f"{PATH}/{{id}}", delete, BEHAVIOURS),
)
