"""Payouts (https://docs.stripe.com/api/payouts): what is available goes to the bank, once a day.

As on an account with automatic payouts, every one is reconciled: the movements it consists of are
listed by `balance_transactions?payout=`, and add up to it
(https://docs.stripe.com/payouts/reconciliation).
"""

from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object
from sandbox.stripe.resources import balance_transactions
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, paginate

EMPTY = (
    "application_fee application_fee_amount failure_balance_transaction failure_code"
    " failure_message original_payout payout_method reversed_by statement_descriptor trace_id"
)


def plan(sim: Simulator, transaction: Object) -> None:
    """Pay out what became available today at the day's end."""
    if transaction["type"] != "payout":
        sim.schedule("payout.run", transaction, (sim.now() // DAY + 1) * DAY)


def run(sim: Simulator, transaction: Object) -> None:
    """One payout of all that is available; whichever movement is due first brings the others."""
    there = [
        each
        for each in sim.store.all("balance_transaction")
        if each["status"] == "available" and not each.get("_payout") and each["type"] != "payout"
    ]
    amount = sum(each["net"] for each in there)
    if amount <= 0:
        return
    payout = _make(sim, amount)
    for each in there:
        each["_payout"] = payout["id"]
    booked = balance_transactions.make(sim, payout, -amount, "payout")
    booked["_payout"], payout["balance_transaction"] = payout["id"], booked["id"]
    sim.emit("payout.created", payout)
    sim.schedule("payout.arrive", payout, payout["arrival_date"])


def _make(sim: Simulator, amount: int) -> Object:
    return sim.new(
        "payout",
        **blank(EMPTY),
        amount=amount,
        arrival_date=sim.now() + DAY,
        automatic=True,
        balance_transaction=None,
        currency="usd",
        description="STRIPE PAYOUT",
        destination="ba_1SandboxBankAccount",
        metadata={},
        method="standard",
        reconciliation_status="completed",
        source_type="card",
        status="in_transit",
        type="bank_account",
    )


def arrive(sim: Simulator, payout: Object) -> None:
    """The bank has it."""
    payout["status"] = "paid"
    sim.emit("payout.paid", payout)


def retrieve(sim: Simulator, call: Call) -> Object:
    """One payout."""
    return sim.store.need("payout", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By status."""
    status = call.params.text("status")
    found = [each for each in sim.store.all("payout") if status in (None, each["status"])]
    return paginate(call.params, found, call.url)


ROUTES = (
    Route("GET", "/v1/payouts", index, "status"),
    Route("GET", "/v1/payouts/{id}", retrieve),
)
