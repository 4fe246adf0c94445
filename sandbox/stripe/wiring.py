"""Which routes there are, what is done when a job is due, and who hears of a finished payment."""

from sandbox.stripe import checkout, invoicing, payments, subscribing, updating
from sandbox.stripe.errors import Object
from sandbox.stripe.resources import (
    accounts,
    balance_transactions,
    charges,
    checkout_sessions,
    customers,
    disputes,
    events,
    invoice_items,
    invoice_payments,
    invoices,
    payment_intents,
    payment_methods,
    payouts,
    portal_sessions,
    prices,
    products,
    refunds,
    search,
    setup_intents,
    subscription_items,
    subscriptions,
    tax_rates,
    webhook_endpoints,
)
from sandbox.stripe.simulator import Reaction, Route, Simulator

ROUTES: tuple[Route, ...] = (
    *search.ROUTES,  # before the routes that would take `search` for an id
    *accounts.ROUTES,
    *balance_transactions.ROUTES,
    *charges.ROUTES,
    *checkout_sessions.ROUTES,
    *customers.ROUTES,
    *disputes.ROUTES,
    *events.ROUTES,
    *invoice_items.ROUTES,
    *invoice_payments.ROUTES,
    *invoices.ROUTES,
    *payment_intents.ROUTES,
    *payment_methods.ROUTES,
    *payouts.ROUTES,
    *portal_sessions.ROUTES,
    *prices.ROUTES,
    *products.ROUTES,
    *refunds.ROUTES,
    *setup_intents.ROUTES,
    *subscription_items.ROUTES,
    *subscriptions.ROUTES,
    *tax_rates.ROUTES,
    *webhook_endpoints.ROUTES,
)


def available(sim: Simulator, transaction: Object) -> None:
    """The money may be paid out, and is when the day is over."""
    balance_transactions.available(sim, transaction)
    payouts.plan(sim, transaction)


DUE: dict[str, Reaction] = {
    "balance_transaction.available": available,
    "checkout.session.expire": checkout_sessions.close,
    "invoice.advance": invoicing.advance,
    "invoice.retry": invoicing.advance,
    "payment_intent.settle": payments.settle,
    "payout.arrive": payouts.arrive,
    "payout.run": payouts.run,
    "refund.failed": refunds.fail,
    "refund.pending": refunds.arrive,
    "subscription.cancel": subscribing.cancel,
    "subscription.cancel_at": subscribing.cancel,
    "subscription.expire": subscribing.expire,
    "subscription.pending_update": updating.expire,
    "subscription.renew": subscribing.renew,
    "subscription.trial_will_end": subscribing.trial_will_end,
    "subscription.upcoming": subscribing.upcoming,
}

REACTIONS: dict[str, Reaction] = {
    "_session": checkout.on_intent,
    "_invoice": invoicing.on_intent,
    "_subscription": subscribing.on_invoice,
    "_pending": updating.on_invoice,
}
