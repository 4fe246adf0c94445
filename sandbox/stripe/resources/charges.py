"""Charges (https://docs.stripe.com/api/charges): every attempt to take money leaves one."""

from sandbox.stripe.cards import DECLINES, TestMethod
from sandbox.stripe.errors import Object
from sandbox.stripe.resources import balance_transactions
from sandbox.stripe.resources.payment_methods import test_method
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.store import Store
from sandbox.stripe.wire import INCLUDABLE, blank, listing, paginate

BANK = "account_holder_type account_type bank_name fingerprint last4 routing_number"
_AUTH = "authentication_required"
EMPTY = (
    "application application_fee application_fee_amount balance_transaction"
    " failure_balance_transaction failure_code failure_message on_behalf_of"
    " receipt_number review shipping source source_transfer statement_descriptor transfer_data"
    " transfer_group"
)


def make(sim: Simulator, intent: Object, method: Object, status: str) -> Object:
    """An attempt on that method: `succeeded`, `pending` (a bank debit) or `failed`."""
    test = test_method(method)
    charge = sim.new(
        "charge",
        **blank(EMPTY),
        amount=intent["amount"],
        amount_captured=intent["amount"] if status == "succeeded" else 0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="HONTONI SANDBOX",
        captured=status != "failed",
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        fraud_details={},
        metadata=dict(intent["metadata"]),
        outcome=_outcome(test, status),
        paid=status == "succeeded",
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_details(method, bool(intent.get("_authenticated"))),
        receipt_email=intent["receipt_email"],
        receipt_url=None,
        refunded=False,
        statement_descriptor_suffix=intent["statement_descriptor_suffix"],
        status=status,
    )
    if status == "failed":
        charge["failure_code"], charge["failure_message"] = DECLINES[test.decline or _AUTH]
    else:
        charge["receipt_url"] = sim.url(f"receipts/{charge['id']}")
    return charge


def _outcome(test: TestMethod, status: str) -> Object:
    outcome = blank("advice_code network_advice_code network_decline_code reason") | {
        "network_status": "approved_by_network",
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if status == "failed":
        outcome |= {
            "network_status": "declined_by_network",
            "reason": test.decline or _AUTH,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }
    return outcome


def _details(method: Object, authenticated: bool) -> Object:
    type = method["type"]
    if type != "card":
        bank = blank("payment_reference") | {key: method[type][key] for key in BANK.split()}
        return {"type": type, type: bank}
    kept = "brand checks country exp_month exp_year fingerprint funding last4 regulated_status"
    card = {key: method["card"][key] for key in kept.split()}
    empty = "installments mandate network_transaction_id transaction_link_id wallet"
    secure = {"authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0"}
    secure |= blank("electronic_commerce_indicator exemption_indicator result_reason")
    card |= blank(f"amount_authorized authorization_code {empty}") | {
        "network": card["brand"],
        "three_d_secure": secure | {"transaction_id": None} if authenticated else None,
    }
    return {"type": "card", "card": card}


def settle(sim: Simulator, charge: Object) -> None:
    """The money arrived: book it."""
    fee = balance_transactions.charge_fee(charge["amount"])
    booked = balance_transactions.make(sim, charge, charge["amount"], "charge", fee)
    charge["balance_transaction"] = booked["id"]
    charge["status"], charge["paid"] = "succeeded", True
    charge["amount_captured"] = charge["amount"]


def _refunds(store: Store, charge: Object) -> Object:
    found = [r for r in store.all("refund") if r["charge"] == charge["id"]]
    return listing(found[::-1], f"/v1/charges/{charge['id']}/refunds")


INCLUDABLE["charge", "refunds"] = _refunds


def retrieve(sim: Simulator, call: Call) -> Object:
    """One charge."""
    return sim.store.need("charge", call.id)


def update(sim: Simulator, call: Call) -> Object:
    """Metadata, description and receipt address."""
    charge = sim.store.need("charge", call.id)
    with sim.changing(charge, "charge.updated"):
        for name in ("description", "receipt_email"):
            if name in call.params:
                charge[name] = call.params.text(name)
        if "metadata" in call.params:
            charge["metadata"] = call.params.metadata(charge["metadata"])
    return charge


def index(sim: Simulator, call: Call) -> Object:
    """By customer and by PaymentIntent."""
    customer, intent = call.params.text("customer"), call.params.text("payment_intent")
    found = [
        charge
        for charge in sim.store.all("charge")
        if customer in (None, charge["customer"]) and intent in (None, charge["payment_intent"])
    ]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route("GET", "/v1/charges", index, "customer payment_intent"),
    Route("GET", "/v1/charges/{id}", retrieve),
    Route("POST", "/v1/charges/{id}", update, "description metadata receipt_email"),
)
