"""Checkout Sessions (https://docs.stripe.com/api/checkout/sessions), on the hosted page only."""

from sandbox.stripe.clock import DAY, MINUTE
from sandbox.stripe.errors import Object, invalid, malformed, missing
from sandbox.stripe.forms import Params
from sandbox.stripe.resources import customers, line_items
from sandbox.stripe.resources.payment_intents import check_amount
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import Store
from sandbox.stripe.wire import INCLUDABLE, blank, listing, paginate

EMPTY = (
    "after_expiration allow_promotion_codes billing_address_collection cancel_url"
    " client_reference_id client_secret collected_information consent consent_collection currency"
    " currency_conversion customer customer_account customer_creation customer_details"
    " customer_email discounts integration_identifier invoice invoice_creation locale"
    " managed_payments origin_context payment_intent payment_link payment_method_collection"
    " payment_method_configuration_details permissions recovered_from"
    " saved_payment_method_options setup_intent shipping_address_collection shipping_cost"
    " submit_type subscription total_details wallet_options amount_subtotal amount_total"
)
KEPT = (
    "billing_address_collection cancel_url client_reference_id customer_email locale submit_type"
)
PATH = "/v1/checkout/sessions"
TAKES = (
    f"{KEPT} mode success_url line_items customer customer_creation metadata payment_intent_data"
    " setup_intent_data subscription_data invoice_creation automatic_tax tax_id_collection ui_mode"
    " customer_update payment_method_types payment_method_collection expires_at currency"
    " payment_method_options allow_promotion_codes phone_number_collection"
    " saved_payment_method_options"
)
EARLIEST, LATEST = 30 * MINUTE, DAY


def create(sim: Simulator, call: Call) -> Object:
    """A page to pay, subscribe or save a card on, open for at most 24 hours."""
    params = call.params
    params.need("mode")
    mode = params.choice("mode", ("payment", "setup", "subscription"), "payment")
    params.choice("ui_mode", ("hosted_page", "hosted"), "hosted_page")
    _check_urls(params)
    if mode != "setup" and not params.each("line_items"):
        raise missing("line_items")
    taxed = params.hash("automatic_tax").boolean("enabled")
    rate = sim.tax_basis_points if taxed else 0
    items = [line_items.make(sim, item, rate) for item in params.each("line_items")]
    _check_items(mode, items)
    session = sim.new("checkout.session", **_fields(sim, params, mode))
    page = sim.url(f"checkout/{session['id']}")
    session |= {"url": page, "_return_url": page, "_items": [item["id"] for item in items]}
    session["automatic_tax"] = automatic_tax(taxed)
    _total(session, items)
    sim.schedule("checkout.session.expire", session, session["expires_at"])
    return session


def automatic_tax(enabled: bool) -> Object:
    """Stripe Tax, computed by Stripe for the account itself."""
    state = {"liability": {"type": "self"}, "provider": "stripe", "status": "complete"}
    empty = {"liability": None, "provider": None, "status": None}
    return {"enabled": enabled} | (state if enabled else empty)


def _check_urls(params: Params) -> None:
    params.need("success_url")
    for name in ("success_url", "cancel_url"):
        url = params.text(name)
        if url and not url.startswith(("http://", "https://")):
            message = f"Not a valid URL: {url}"
            raise invalid(message, name, "url_invalid")


def _check_items(mode: str, items: list[Object]) -> None:
    recurring = [item for item in items if item["price"]["recurring"]]
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices.",
            "line_items[0]",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices.",
            "line_items",
        )
    if len({item["currency"] for item in items}) > 1:
        raise invalid("All line items must have the same currency.", "line_items")


def _fields(sim: Simulator, params: Params, mode: str) -> Object:
    fields = blank(EMPTY) | {name: params.text(name) for name in KEPT.split()}
    customer = params.text("customer")
    if customer and params.text("customer_email"):
        message = "You may only specify one of these parameters: customer, customer_email."
        raise invalid(message, "customer_email")
    if customer:
        email = customers.need(sim, customer, "customer")["email"]
        fields |= {"customer": customer, "customer_details": _details(email)}
    if mode == "payment" and not customer:
        options = ("if_required", "always")
        fields["customer_creation"] = params.choice("customer_creation", options, "if_required")
    if mode == "payment":
        fields["invoice_creation"] = _invoice_creation(params.hash("invoice_creation"))
    return (
        fields
        | {
            "adaptive_pricing": {"enabled": False},
            "custom_fields": [],
            "custom_text": blank(
                "after_submit shipping_address submit terms_of_service_acceptance"
            ),
            "expires_at": _expiry(sim, params),
            "metadata": params.metadata(),
            "mode": mode,
            "payment_method_options": {},
            "payment_method_types": params.texts("payment_method_types") or ["card"],
            "payment_status": "unpaid" if mode != "setup" else "no_payment_required",
            "shipping_options": [],
            "status": "open",
            "success_url": params.text("success_url"),
            "ui_mode": "hosted_page",
        }
        | _inner(params, mode)
    )


def _inner(params: Params, mode: str) -> Object:
    """What the thing the session will make is to carry."""
    name = {"payment": "payment_intent_data", "setup": "setup_intent_data"}.get(
        mode, "subscription_data"
    )
    for other in ("payment_intent_data", "setup_intent_data", "subscription_data"):
        if other in params and other != name:
            raise invalid(f"You can not pass `{other}` in `{mode}` mode.", other)
    data = params.hash(name)
    known = "metadata description setup_future_usage receipt_email statement_descriptor_suffix"
    known += " trial_period_days trial_end trial_settings default_tax_rates"
    data.only(known.split())
    return {"_data": data.data | {"metadata": data.metadata()}}


def _details(email: str | None) -> Object:
    return blank("address business_name individual_name name phone") | {
        "email": email,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def identify(session: Object, email: str | None, name: str | None) -> None:
    """Who paid, as typed into the page."""
    known = session["customer_details"] or _details(session["customer_email"])
    session["customer_details"] = known | {"email": known["email"] or email, "name": name}


def _invoice_creation(params: Params) -> Object:
    params.only(("enabled", "invoice_data"))
    data = params.hash("invoice_data")
    data.only(("description", "footer", "metadata"))
    empty = blank("account_tax_ids custom_fields issuer rendering_options")
    texts = {"description": data.text("description"), "footer": data.text("footer")}
    return {
        "enabled": params.boolean("enabled"),
        "invoice_data": empty | texts | {"metadata": data.metadata()},
    }


def _expiry(sim: Simulator, params: Params) -> int:
    at = params.integer("expires_at")
    if at is None:
        return sim.now() + LATEST
    if not EARLIEST <= at - sim.now() <= LATEST:
        raise malformed(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.",
            "expires_at",
        )
    return at


def _total(session: Object, items: list[Object]) -> None:
    if not items:
        return
    session["currency"] = items[0]["currency"]
    session["amount_subtotal"] = sum(item["amount_subtotal"] for item in items)
    session["amount_total"] = sum(item["amount_total"] for item in items)
    tax = sum(item["amount_tax"] for item in items)
    session["total_details"] = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": tax}
    if session["mode"] == "payment":
        check_amount(session["amount_total"], session["currency"], "line_items")


def items_of(store: Store, session: Object) -> list[Object]:
    """The line items of a session."""
    kept = store.need("checkout.session", session["id"])
    return [store.need("item", id) for id in kept["_items"]]


def _include_items(store: Store, session: Object) -> Object:
    return listing(items_of(store, session), f"{PATH}/{session['id']}/line_items")


INCLUDABLE["checkout.session", "line_items"] = _include_items


def index_items(sim: Simulator, call: Call) -> Object:
    """The line items, oldest first as on the page."""
    session = sim.store.need("checkout.session", call.id)
    return paginate(call.params, items_of(sim.store, session)[::-1], call.url)


def expire(sim: Simulator, call: Call) -> Object:
    """Close an open session."""
    session = sim.store.need("checkout.session", call.id)
    if session["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of {session['status']}."
        )
    close(sim, session)
    return session


def close(sim: Simulator, session: Object) -> None:
    """Its time is over, or somebody closed it."""
    if session["status"] == "open":
        session |= {"status": "expired", "url": None}
        sim.emit("checkout.session.expired", session)


def update(sim: Simulator, call: Call) -> Object:
    """Metadata only."""
    session = sim.store.need("checkout.session", call.id)
    session["metadata"] = call.params.metadata(session["metadata"])
    return session


def retrieve(sim: Simulator, call: Call) -> Object:
    """One session."""
    return sim.store.need("checkout.session", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By customer, intent, subscription and status."""
    names = ("customer", "payment_intent", "subscription", "status")
    wanted = {name: call.params.text(name) for name in names}
    found = [
        session
        for session in sim.store.all("checkout.session")
        if all(value in (None, session[name]) for name, value in wanted.items())
    ]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route("POST", PATH, create, TAKES),
    Route("GET", PATH, index, "customer payment_intent subscription status"),
    Route("GET", f"{PATH}/{{id}}", retrieve),
    Route("POST", f"{PATH}/{{id}}", update, "metadata"),
    Route("POST", f"{PATH}/{{id}}/expire", expire),
    Route("GET", f"{PATH}/{{id}}/line_items", index_items),
)
