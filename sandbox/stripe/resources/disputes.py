"""Disputes (https://docs.stripe.com/api/disputes): opened by a control or by a test card.

Opening one takes the amount and a fee out of the balance at once; winning it brings both back
(https://docs.stripe.com/disputes/how-disputes-work). As on the real test account, the evidence
`winning_evidence` wins and `losing_evidence` loses.
"""

from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object, invalid, malformed, no_such
from sandbox.stripe.forms import Params
from sandbox.stripe.resources import balance_transactions
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, paginate

EVIDENCE = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure"
    " cancellation_rebuttal customer_communication customer_email_address customer_name"
    " customer_purchase_ip customer_signature duplicate_charge_documentation"
    " duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy"
    " refund_policy_disclosure refund_refusal_explanation service_date service_documentation"
    " shipping_address shipping_carrier shipping_date shipping_documentation"
    " shipping_tracking_number uncategorized_file uncategorized_text"
)
# Those that name an upload of POST /v1/files; there is none of those here.
FILES = (
    "cancellation_policy customer_communication customer_signature duplicate_charge_documentation"
    " receipt refund_policy service_documentation shipping_documentation uncategorized_file"
)
MOST_CHARACTERS = 150_000  # of all evidence together
ANSWER_WITHIN = 9 * DAY
REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}


def make(
    sim: Simulator, charge: Object, amount: int | None = None, reason: str = "fraudulent"
) -> Object:
    """The customer's bank takes the money back, `amount` cents or all of it."""
    amount = charge["amount"] if amount is None else amount
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise invalid("Only a charge that succeeded can be disputed, and only once.", "charge")
    if not 0 < amount <= charge["amount"]:
        raise invalid("A dispute is for at most what was charged.", "amount")
    card = charge["payment_method_details"].get("card") or {}
    network = {"brand": card.get("brand", "visa"), "network": card.get("network", "visa")}
    network |= {"case_type": "chargeback", "network_reason_code": REASON_CODES.get(reason, "13.7")}
    dispute = sim.new(
        "dispute",
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=blank(EVIDENCE) | {"enhanced_evidence": {}},
        evidence_details={
            "due_by": sim.now() + ANSWER_WITHIN,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        is_charge_refundable=False,
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": network, "type": "card"},
        reason=reason,
        status="needs_response",
    )
    charge["disputed"] = True
    sim.emit("charge.dispute.created", dispute)
    _move(sim, dispute, -amount, "dispute", balance_transactions.DISPUTE_FEE_CENTS)
    sim.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _move(sim: Simulator, dispute: Object, amount: int, category: str, fee: int) -> None:
    booked = balance_transactions.make(sim, dispute, amount, category, fee)
    dispute["balance_transactions"].append(booked)


def settle(sim: Simulator, dispute: Object, won: bool) -> Object:
    """The bank's decision."""
    if dispute["status"] in ("won", "lost"):
        raise invalid("This dispute is already closed.")
    before = dispute["status"]
    dispute["status"] = "won" if won else "lost"
    if won:
        fee = -balance_transactions.DISPUTE_FEE_CENTS
        _move(sim, dispute, dispute["amount"], "dispute_reversal", fee)
        sim.emit("charge.dispute.funds_reinstated", dispute)
    sim.emit("charge.dispute.closed", dispute, {"status": before})
    return dispute


def retrieve(sim: Simulator, call: Call) -> Object:
    """One dispute."""
    return sim.store.need("dispute", call.id)


def update(sim: Simulator, call: Call) -> Object:
    """Hand in evidence, once and in time; unless `submit` is false the bank has it then, and
    decides, here at once where the text says how."""
    dispute, given = sim.store.need("dispute", call.id), call.params.hash("evidence")
    _check(sim, dispute, given)
    with sim.changing(dispute, "charge.dispute.updated"):
        dispute["evidence"] |= {name: text or None for name, text in given.data.items()}
        dispute["evidence_details"]["has_evidence"] = any(dispute["evidence"].values())
        if "metadata" in call.params:
            dispute["metadata"] = call.params.metadata(dispute["metadata"])
        if call.params.boolean("submit", default="evidence" in call.params):
            dispute["status"] = "under_review"
            dispute["evidence_details"]["submission_count"] += 1
    text = dispute["evidence"]["uncategorized_text"]
    if dispute["status"] == "under_review" and text in ("winning_evidence", "losing_evidence"):
        settle(sim, dispute, won=text == "winning_evidence")
    return dispute


def _check(sim: Simulator, dispute: Object, given: Params) -> None:
    """https://docs.stripe.com/disputes/responding: one submission, before `due_by`, of text up to
    MOST_CHARACTERS in all, and of files that were uploaded."""
    given.only(EVIDENCE.split())
    if given.data and dispute["status"] not in ("needs_response", "warning_needs_response"):
        raise invalid("This dispute is already closed or submitted: no evidence can be added.")
    if given.data and sim.now() > dispute["evidence_details"]["due_by"]:
        raise invalid("The evidence for this dispute is past due.", "evidence")
    for name in given.data:
        text = given.text(name)
        if name in FILES.split() and text:
            raise no_such("file upload", text, given.name(name))
    texts = [text for text in (dispute["evidence"] | given.data).values() if isinstance(text, str)]
    if sum(map(len, texts)) > MOST_CHARACTERS:
        raise malformed(f"Evidence is limited to {MOST_CHARACTERS} characters.", "evidence")


def close(sim: Simulator, call: Call) -> Object:
    """Give up: the dispute is lost."""
    return settle(sim, sim.store.need("dispute", call.id), won=False)


def index(sim: Simulator, call: Call) -> Object:
    """By charge and by PaymentIntent."""
    charge, intent = call.params.text("charge"), call.params.text("payment_intent")
    found = [
        dispute
        for dispute in sim.store.all("dispute")
        if charge in (None, dispute["charge"]) and intent in (None, dispute["payment_intent"])
    ]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route("GET", "/v1/disputes", index, "charge payment_intent"),
    Route("GET", "/v1/disputes/{id}", retrieve),
    Route("POST", "/v1/disputes/{id}", update, "evidence metadata submit"),
    Route("POST", "/v1/disputes/{id}/close", close),
)
