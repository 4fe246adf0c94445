"""Invoice payments (https://docs.stripe.com/api/invoice-payment): which intent pays which invoice.

Since 2025-03-31 this is the only link between the two.
"""

from sandbox.stripe.errors import Object
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import Store
from sandbox.stripe.wire import INCLUDABLE, listing, paginate

PATH = "/v1/invoice_payments"


def make(sim: Simulator, invoice: Object, intent: str) -> Object:
    """The intent is to pay what is due."""
    return sim.new(
        "invoice_payment",
        amount_paid=None,
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"type": "payment_intent", "payment_intent": intent},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )


def of(store: Store, invoice: str) -> list[Object]:
    """The payments of an invoice."""
    return [p for p in store.all("invoice_payment") if p["invoice"] == invoice]


def finish(sim: Simulator, invoice: Object, status: str) -> None:
    """The invoice was paid, or will never be."""
    for payment in of(sim.store, invoice["id"]):
        if payment["status"] == "open":
            payment["status"] = status
            payment["status_transitions"][f"{status}_at"] = sim.now()
            if status == "paid":
                payment["amount_paid"] = payment["amount_requested"]
                sim.emit("invoice_payment.paid", payment)


def _include(store: Store, invoice: Object) -> Object:
    return listing(of(store, invoice["id"]), f"{PATH}?invoice={invoice['id']}")


INCLUDABLE["invoice", "payments"] = _include


def retrieve(sim: Simulator, call: Call) -> Object:
    """One payment."""
    return sim.store.need("invoice_payment", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By invoice, by intent, by status."""
    invoice, status = call.params.text("invoice"), call.params.text("status")
    paid_by = call.params.hash("payment")
    paid_by.only(("type", "payment_intent"))
    intent = paid_by.text("payment_intent")
    found = [
        payment
        for payment in sim.store.all("invoice_payment")
        if invoice in (None, payment["invoice"])
        and status in (None, payment["status"])
        and intent in (None, payment["payment"]["payment_intent"])
    ]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route("GET", PATH, index, "invoice payment status"),
    Route("GET", f"{PATH}/{{id}}", retrieve),
)
