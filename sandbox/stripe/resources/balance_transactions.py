"""Balance transactions: what each movement did to the balance, and Stripe's fee.

https://docs.stripe.com/api/balance_transactions. The fee of a charge is the list price of US
cards, 2.9 % and 30 cents (https://stripe.com/pricing); that of a dispute is 15 dollars.
"""

from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import paginate

FEE_PER_MILLE, FEE_CENTS, DISPUTE_FEE_CENTS = 29, 30, 1500
AVAILABLE_AFTER = 2 * DAY
CATEGORIES = {
    "charge": "charge",
    "refund": "refund",
    "refund_failure": "refund_failure",
    "dispute": "dispute",
    "dispute_reversal": "dispute_reversal",
    "payout": "payout",
}
TYPES = ("charge", "refund", "refund_failure", "payout")  # the others are adjustments


def charge_fee(amount: int) -> int:
    """Cents, rounded half up."""
    return (amount * FEE_PER_MILLE + 500) // 1000 + FEE_CENTS


def make(
    sim: Simulator, source: Object, amount: int, category: str, fee: int = 0, note: str = ""
) -> Object:
    """Record a movement of `amount` cents (negative: out of the balance) caused by `source`."""
    type = category if category in TYPES else "adjustment"
    details = {"amount": fee, "application": None, "currency": "usd", "type": "stripe_fee"}
    transaction = sim.new(
        "balance_transaction",
        amount=amount,
        available_on=sim.now() + AVAILABLE_AFTER,
        balance_type="payments",
        currency=source["currency"],
        description=note or source.get("description"),
        exchange_rate=None,
        fee=fee,
        fee_details=[details | {"description": "Stripe processing fees"}] if fee else [],
        net=amount - fee,
        reporting_category=CATEGORIES[category],
        source=source["id"],
        status="pending",
        type=type,
    )
    del transaction["livemode"]  # Stripe sends none on this object
    sim.schedule("balance_transaction.available", transaction, transaction["available_on"])
    return transaction


def available(sim: Simulator, transaction: Object) -> None:
    """The money may now be paid out."""
    transaction["status"] = "available"


def retrieve(sim: Simulator, call: Call) -> Object:
    """One movement."""
    return sim.store.need("balance_transaction", call.id)


def index(sim: Simulator, call: Call) -> Object:
    """By type, by source, and by the payout they are part of."""
    type, source = call.params.text("type"), call.params.text("source")
    payout = call.params.text("payout")
    found = [
        transaction
        for transaction in sim.store.all("balance_transaction")
        if type in (None, transaction["type"])
        and source in (None, transaction["source"])
        and payout in (None, transaction.get("_payout"))
    ]
    return paginate(call.params, found, call.url)


def balance(sim: Simulator, call: Call) -> Object:
    """What is there, and what will be (https://docs.stripe.com/api/balance)."""
    sums = {"available": 0, "pending": 0}
    for transaction in sim.store.all("balance_transaction"):
        sums[transaction["status"]] += transaction["net"]
    parts: Object = {
        status: [{"amount": amount, "currency": "usd", "source_types": {"card": amount}}]
        for status, amount in sums.items()
    }
    return {"object": "balance", "livemode": False} | parts


ROUTES = (
    Route("GET", "/v1/balance", balance),
    Route("GET", "/v1/balance_transactions", index, "type source currency payout"),
    Route("GET", "/v1/balance_transactions/{id}", retrieve),
)
