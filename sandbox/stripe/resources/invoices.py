"""Invoices (https://docs.stripe.com/api/invoices)."""

from sandbox.stripe import invoicing, previews
from sandbox.stripe.errors import Object, invalid
from sandbox.stripe.forms import copy_texts
from sandbox.stripe.resources import customers, invoice_items, payment_methods
from sandbox.stripe.resources.invoice_objects import automatic_tax
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import listing, paginate

TEXTS = "description footer"


def create(sim: Simulator, call: Call) -> Object:
    """A draft of the customer's pending invoice items; it is not collected by itself."""
    params = call.params
    customer = customers.need(sim, params.need("customer"), "customer")
    params.choice("collection_method", ("charge_automatically",), "charge_automatically")
    behaviour = params.choice("pending_invoice_items_behavior", ("include", "exclude"), "exclude")
    lines = []
    if behaviour == "include":
        lines = invoice_items.pending(sim, customer["id"], None)
    taxed = automatic_tax(params.hash("automatic_tax").boolean("enabled"))
    invoice = invoicing.draft(
        sim,
        customer,
        lines,
        reason="manual",
        automatic_tax=taxed,
        metadata=params.metadata(),
        description=params.text("description"),
        footer=params.text("footer"),
    )
    if method := params.text("default_payment_method"):
        found = sim.store.need("payment_method", method, "default_payment_method")
        invoice["default_payment_method"] = found["id"]
    return invoice


def retrieve(sim: Simulator, call: Call) -> Object:
    """One invoice."""
    return sim.store.need("invoice", call.id)


def update(sim: Simulator, call: Call) -> Object:
    """Metadata always, texts while it is a draft."""
    invoice = sim.store.need("invoice", call.id)
    if invoice["status"] != "draft" and set(call.params.data) - {"metadata", "expand"}:
        raise invalid("Finalized invoices can't be updated in this way")
    with sim.changing(invoice, "invoice.updated"):
        copy_texts(invoice, call.params, TEXTS)
        if "metadata" in call.params:
            invoice["metadata"] = call.params.metadata(invoice["metadata"])
    return invoice


def finalize(sim: Simulator, call: Call) -> Object:
    """A draft becomes open, or paid where nothing is due."""
    invoice = _in(sim, call.id, ("draft",), "This invoice is already finalized.")
    invoicing.finalize(sim, invoice)
    return invoice


def pay(sim: Simulator, call: Call) -> Object:
    """Collect now, with the given card or the default one."""
    params = call.params
    message = "Invoice is already paid" if _status(sim, call.id) == "paid" else "Not payable"
    invoice = _in(sim, call.id, ("draft", "open", "uncollectible"), message)
    if invoice["status"] == "draft":
        invoicing.finalize(sim, invoice)
    if invoice["status"] == "paid":
        return invoice
    method = None
    if token := params.text("payment_method"):
        method = payment_methods.resolve(sim, token, "payment_method")
    invoice["status"] = "open"
    off_session = params.boolean("off_session", default=True)
    error = invoicing.pay(sim, invoice, method, off_session=off_session)
    if error is not None:
        raise error
    return invoice


def _status(sim: Simulator, id: str) -> str:
    status: str = sim.store.need("invoice", id)["status"]
    return status


def void(sim: Simulator, call: Call) -> Object:
    """Like deleting it, and on record."""
    invoice = _in(sim, call.id, ("open", "uncollectible"), "You can only void open invoices.")
    invoicing.void(sim, invoice)
    return invoice


def uncollectible(sim: Simulator, call: Call) -> Object:
    """Written off; it can still be paid."""
    message = "You can only mark open invoices as uncollectible."
    invoice = _in(sim, call.id, ("open",), message)
    invoicing.void(sim, invoice, "uncollectible")
    return invoice


def delete(sim: Simulator, call: Call) -> Object:
    """Drafts of no subscription only."""
    message = "You can only delete draft invoices."
    invoice = _in(sim, call.id, ("draft",), message)
    if invoice.get("_subscription"):
        raise invalid("You can't delete invoices created by subscriptions.")
    for item in sim.store.all("invoiceitem"):
        if item["invoice"] == call.id:
            item["invoice"] = None
    sim.emit("invoice.deleted", invoice)
    sim.store.remove(call.id)
    return {"id": call.id, "object": "invoice", "deleted": True}


def _in(sim: Simulator, id: str, statuses: tuple[str, ...], message: str) -> Object:
    invoice = sim.store.need("invoice", id)
    if invoice["status"] not in statuses:
        raise invalid(message)
    return invoice


def lines(sim: Simulator, call: Call) -> Object:
    """The line items, in the order of the invoice."""
    invoice = sim.store.need("invoice", call.id)
    return paginate(call.params, invoice["lines"]["data"][::-1], call.url)


def preview(sim: Simulator, call: Call) -> Object:
    """What would be billed; nothing is kept."""
    invoice = previews.preview(sim, call.params)
    invoice["lines"] = listing(invoice["lines"]["data"], "/v1/invoices/upcoming/lines")
    return invoice


def index(sim: Simulator, call: Call) -> Object:
    """By customer, subscription and status."""
    params = call.params
    customer, status = params.text("customer"), params.text("status")
    subscription = params.text("subscription")
    found = [
        invoice
        for invoice in sim.store.all("invoice")
        if customer in (None, invoice["customer"])
        and status in (None, invoice["status"])
        and subscription in (None, invoice.get("_subscription"))
    ]
    return paginate(params, found, call.url)


PATH = "/v1/invoices"
ROUTES = (
    Route(
        "POST",
        PATH,
        create,
        f"{TEXTS} customer metadata auto_advance automatic_tax collection_method currency"
        " default_payment_method pending_invoice_items_behavior",
    ),
    Route("GET", PATH, index, "customer status subscription collection_method"),
    Route(
        "POST",
        f"{PATH}/create_preview",
        preview,
        "customer subscription subscription_details automatic_tax currency preview_mode",
    ),
    Route("GET", f"{PATH}/{{id}}", retrieve),
    Route("POST", f"{PATH}/{{id}}", update, f"{TEXTS} metadata"),
    Route("DELETE", f"{PATH}/{{id}}", delete),
    Route("GET", f"{PATH}/{{id}}/lines", lines),
    Route("POST", f"{PATH}/{{id}}/finalize", finalize, "auto_advance"),
    Route("POST", f"{PATH}/{{id}}/pay", pay, "payment_method off_session"),
    Route("POST", f"{PATH}/{{id}}/void", void),
    Route("POST", f"{PATH}/{{id}}/mark_uncollectible", uncollectible),
)
