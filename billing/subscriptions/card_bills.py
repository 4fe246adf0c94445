"""What cards paid at Stripe for plans and add-ons, as it was told to whoever paid it.

Stripe makes the invoice of it, and no balance moves, so that neither the ledger nor our documents
say it. Its notice does: written once, in the transaction that lets the plan hold
(entitlements.py). One invoice may be told of twice, as a plan and as an add-on: it counts once.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from billing.mails.models import Notice
from hontoni.money import nanos

KINDS = ("plan_started", "plan_renewed", "plan_upgraded", "add_on_started")


class CardBill(NamedTuple):
    """An invoice of Stripe's that a card paid: nano-dollars, `paid` with its tax."""

    user_id: int
    number: str
    at: datetime
    paid: int
    tax: int

    @property
    def net(self) -> int:
        return self.paid - self.tax


def paid(
    since: datetime | None = None, until: datetime | None = None, **whose: Any
) -> list[CardBill]:
    """From one moment until before another, the oldest first; of everybody, or narrowed."""
    told = Notice.objects.filter(kind__in=KINDS, facts__by_card=True, **whose)
    if since is not None:
        told = told.filter(created_at__gte=since)
    if until is not None:
        told = told.filter(created_at__lt=until)
    found: dict[str, CardBill] = {}
    for user_id, at, facts in told.order_by("pk").values_list("user", "created_at", "facts"):
        amount, number = nanos(Decimal(facts["paid"])), str(facts["invoice"])
        tax = nanos(Decimal(facts.get("tax", "0")))  # older ones do not say it
        if amount:
            found.setdefault(number, CardBill(user_id, number, at, amount, tax))
    return list(found.values())
