"""Webhook endpoints (https://docs.stripe.com/api/webhook_endpoints). The secret shows once."""

from sandbox.stripe.errors import Object, invalid, malformed
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import random_id
from sandbox.stripe.wire import paginate

MOST = 16  # a test account may have sixteen


def make(sim: Simulator, url: str, events: list[str], secret: str | None = None) -> Object:
    """Register an address; a configured one may bring its own secret."""
    return sim.new(
        "webhook_endpoint",
        api_version=None,
        application=None,
        description=None,
        enabled_events=events,
        metadata={},
        status="enabled",
        url=url,
        _secret=secret or random_id("whsec_", 32),
    )


def configure(sim: Simulator, url: str, secret: str) -> Object:
    """The endpoint given at start, once however often it starts."""
    for endpoint in sim.store.all("webhook_endpoint"):
        if endpoint["metadata"].get("configured") == "true":
            endpoint |= {"url": url, "_secret": secret}
            return endpoint
    endpoint = make(sim, url, ["*"], secret)
    endpoint["metadata"] = {"configured": "true"}
    return endpoint


def create(sim: Simulator, call: Call) -> Object:
    """The only answer that tells the secret."""
    url, events = call.params.need("url"), call.params.texts("enabled_events")
    _check_url(url)
    if not events:
        raise malformed("Missing required param: enabled_events.", "enabled_events")
    if len(sim.store.all("webhook_endpoint")) >= MOST:
        raise invalid("You have reached the maximum of 16 test webhook endpoints.")
    endpoint = make(sim, url, events)
    endpoint["api_version"] = call.params.text("api_version")
    _assign(endpoint, call.params)
    return endpoint | {"secret": endpoint["_secret"]}


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url")


def _assign(endpoint: Object, params: Params) -> None:
    copy_texts(endpoint, params, "description")
    if "metadata" in params:
        endpoint["metadata"] = params.metadata(endpoint["metadata"])


def update(sim: Simulator, call: Call) -> Object:
    """Move it, change what it hears, or switch it off."""
    endpoint = sim.store.need("webhook_endpoint", call.id)
    if url := call.params.text("url"):
        _check_url(url)
        endpoint["url"] = url
    if events := call.params.texts("enabled_events"):
        endpoint["enabled_events"] = events
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if call.params.boolean("disabled") else "enabled"
    _assign(endpoint, call.params)
    return endpoint


def retrieve(sim: Simulator, call: Call) -> Object:
    """Without its secret."""
    return sim.store.need("webhook_endpoint", call.id)


def delete(sim: Simulator, call: Call) -> Object:
    """What was still to be delivered there is not."""
    sim.store.need("webhook_endpoint", call.id)
    sim.store.remove(call.id)
    return {"id": call.id, "object": "webhook_endpoint", "deleted": True}


def index(sim: Simulator, call: Call) -> Object:
    """All of them."""
    return paginate(call.params, sim.store.all("webhook_endpoint"), call.url)


TAKES = "url enabled_events description metadata"
ROUTES = (
    Route("POST", "/v1/webhook_endpoints", create, f"{TAKES} api_version connect"),
    Route("GET", "/v1/webhook_endpoints", index),
    Route("GET", "/v1/webhook_endpoints/{id}", retrieve),
    Route("POST", "/v1/webhook_endpoints/{id}", update, f"{TAKES} disabled"),
    Route("DELETE", "/v1/webhook_endpoints/{id}", delete),
)
