"""Refunds (https://docs.stripe.com/api/refunds), whole or in parts, never more than was paid."""

from sandbox.stripe.clock import MINUTE
from sandbox.stripe.errors import Object, invalid, malformed
from sandbox.stripe.forms import Params
from sandbox.stripe.resources import balance_transactions
from sandbox.stripe.resources.payment_methods import test_method
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, paginate

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
EMPTY = "receipt_number source_transfer_reversal transfer_reversal customer_account"
SETTLES = 2 * MINUTE


def create(sim: Simulator, call: Call) -> Object:
    """Of a charge, or of a PaymentIntent's charge."""
    charge = _charge(sim, call.params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = call.params.integer("amount")
    amount = left if amount is None else amount
    _check(charge, amount, left)
    reason = call.params.text("reason")
    if reason:
        call.params.choice("reason", REASONS, reason)
    return make(sim, charge, amount, reason, call.params.metadata())


def _charge(sim: Simulator, params: Params) -> Object:
    if id := params.text("charge"):
        return sim.store.need("charge", id, "charge")
    if id := params.text("payment_intent"):
        intent = sim.store.need("payment_intent", id, "payment_intent")
        if intent["latest_charge"]:
            return sim.store.need("charge", intent["latest_charge"], "payment_intent")
        raise invalid(f"This PaymentIntent ({id}) does not have a successful charge to refund.")
    raise malformed("One of the following params should be provided: payment_intent or charge.")


def _check(charge: Object, amount: int, left: int) -> None:
    id = charge["id"]
    if charge["status"] != "succeeded":
        raise invalid(f"Charge {id} has not succeeded and cannot be refunded.")
    if charge["disputed"]:
        raise invalid(
            f"Charge {id} has been charged back; cannot issue a refund.", None, "charge_disputed"
        )
    if left <= 0:
        message = f"Charge {id} has already been refunded."
        raise invalid(message, None, "charge_already_refunded")
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        raise invalid(
            f"Refund amount (${amount / 100:,.2f}) is greater than unrefunded amount on charge "
            f"(${left / 100:,.2f})",
            "amount",
        )


def make(
    sim: Simulator, charge: Object, amount: int, reason: str | None, metadata: dict[str, str]
) -> Object:
    """Give back `amount` cents; some test cards do it later, or fail."""
    outcome = test_method(sim.store.need("payment_method", charge["payment_method"])).refund
    status = "pending" if outcome == "pending" else "succeeded"
    refund = sim.new(
        "refund",
        **blank(EMPTY),
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        destination_details={"card": {"type": "refund"}, "type": "card"},
        metadata=metadata,
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=reason,
        status=status,
    )
    del refund["livemode"]  # Stripe sends none on this object
    booked = balance_transactions.make(sim, refund, -amount, "refund", note="REFUND FOR CHARGE")
    refund["balance_transaction"] = booked["id"]
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    sim.emit("refund.created", refund)
    sim.emit("charge.refunded", charge, before)
    if outcome != "succeeded":
        sim.schedule(f"refund.{outcome}", refund, sim.now() + SETTLES)
    return refund


def arrive(sim: Simulator, refund: Object) -> None:
    """A pending refund went through."""
    with sim.changing(refund, "refund.updated"):
        refund["status"] = "succeeded"
    sim.emit("charge.refund.updated", refund, {"status": "pending"})


def fail(sim: Simulator, refund: Object) -> None:
    """The bank could not take it back: the money returns to the balance."""
    charge = sim.store.need("charge", refund["charge"])
    booked = balance_transactions.make(sim, refund, refund["amount"], "refund_failure")
    before = refund["status"]
    refund |= {
        "status": "failed",
        "failure_reason": "lost_or_stolen_card",
        "failure_balance_transaction": booked["id"],
    }
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    sim.emit("refund.failed", refund)
    sim.emit("refund.updated", refund, {"status": before})
    sim.emit("charge.refund.updated", refund, {"status": before})


def retrieve(sim: Simulator, call: Call) -> Object:
    """One refund."""
    return sim.store.need("refund", call.id)


def update(sim: Simulator, call: Call) -> Object:
    """Metadata only."""
    refund = sim.store.need("refund", call.id)
    with sim.changing(refund, "refund.updated"):
        refund["metadata"] = call.params.metadata(refund["metadata"])
    return refund


def index(sim: Simulator, call: Call) -> Object:
    """By charge and by PaymentIntent."""
    charge, intent = call.params.text("charge"), call.params.text("payment_intent")
    found = [
        refund
        for refund in sim.store.all("refund")
        if charge in (None, refund["charge"]) and intent in (None, refund["payment_intent"])
    ]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route("POST", "/v1/refunds", create, "amount charge payment_intent metadata reason"),
    Route("GET", "/v1/refunds", index, "charge payment_intent"),
    Route("GET", "/v1/refunds/{id}", retrieve),
    Route("POST", "/v1/refunds/{id}", update, "metadata"),
)
