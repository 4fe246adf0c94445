"""Customer portal sessions (https://docs.stripe.com/api/customer_portal/sessions)."""

from sandbox.stripe.clock import HOUR
from sandbox.stripe.errors import Object, invalid
from sandbox.stripe.resources import customers
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank

LASTS = HOUR
CONFIGURATION = "bpc_1HontoniSandboxPortal00"


def create(sim: Simulator, call: Call) -> Object:
    """A page for cards, invoices and the end of a subscription; good for an hour."""
    params = call.params
    customer = customers.need(sim, params.need("customer"), "customer")
    url = params.text("return_url")
    if url and not url.startswith(("http://", "https://")):
        raise invalid("Not a valid URL", "return_url", "url_invalid")
    session = sim.new(
        "billing_portal.session",
        **blank("customer_account flow on_behalf_of"),
        configuration=CONFIGURATION,
        customer=customer["id"],
        locale=params.text("locale"),
        return_url=url,
    )
    session["url"] = sim.url(f"portal/{session['id']}")
    return session


def expired(sim: Simulator, session: Object) -> bool:
    """Whether the page no longer opens."""
    return bool(sim.now() > session["created"] + LASTS)


ROUTES = (Route("POST", "/v1/billing_portal/sessions", create, "customer return_url locale"),)
