"""Which routes there are, what is done when a job is due, and who hears of a finished payment."""

from billing.stripe_simulator import checkout, payments
from billing.stripe_simulator.resources import (
    accounts,
    balance_transactions,
    charges,
    checkout_sessions,
    customers,
    disputes,
    events,
    payment_intents,
    payment_methods,
    prices,
    products,
    refunds,
    setup_intents,
    webhook_endpoints,
)
from billing.stripe_simulator.simulator import Reaction, Route

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *balance_transactions.ROUTES,
    *charges.ROUTES,
    *checkout_sessions.ROUTES,
    *customers.ROUTES,
    *disputes.ROUTES,
    *events.ROUTES,
    *payment_intents.ROUTES,
    *payment_methods.ROUTES,
    *prices.ROUTES,
    *products.ROUTES,
    *refunds.ROUTES,
    *setup_intents.ROUTES,
    *webhook_endpoints.ROUTES,
)

DUE: dict[str, Reaction] = {
    "balance_transaction.available": balance_transactions.available,
    "checkout.session.expire": checkout_sessions.close,
    "payment_intent.settle": payments.settle,
    "refund.failed": refunds.fail,
    "refund.pending": refunds.arrive,
}

REACTIONS: dict[str, Reaction] = {"_session": checkout.on_intent}
