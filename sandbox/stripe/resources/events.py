"""Events (https://docs.stripe.com/api/events): what happened in the last 30 days, newest first."""

from sandbox.stripe.errors import Object, malformed
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import paginate


def retrieve(sim: Simulator, call: Call) -> Object:
    """One event."""
    return sim.store.need("event", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By type or types, and by whether every webhook took it. A type may end in `.*`."""
    type, types = call.params.text("type"), call.params.texts("types")
    if type and types:
        raise malformed("You may only specify one of these parameters: type, types.", "type")
    found = [event for event in sim.store.all("event") if _is(event["type"], type, types)]
    if "delivery_success" in call.params:
        wanted = call.params.boolean("delivery_success")
        found = [event for event in found if (event["pending_webhooks"] == 0) == wanted]
    return paginate(call.params, found, call.url)


def _is(name: str, type: str | None, types: list[str]) -> bool:
    if type and type.endswith("*"):
        return name.startswith(type.removesuffix("*"))
    return type in (None, name) and (not types or name in types)


ROUTES = (
    Route("GET", "/v1/events", index, "type types delivery_success"),
    Route("GET", "/v1/events/{id}", retrieve),
)
