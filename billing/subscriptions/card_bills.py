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
    """An invoice of Stripe's that a card paid, in nano-dollars: `paid` has its tax in it, of which
    `on_top` was added to the price."""

    user_id: int
    number: str
    at: datetime
    paid: int
    tax: int
    on_top: int = 0

    @property
    def net(self) -> int:
        return self.paid - self.tax

    @property
    def worth(self) -> int:
        """The balance that would have bought the same: its tax was paid with it."""
        return self.paid - self.on_top


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
        said = facts.get("tax", "0")  # older ones do not say it, nor how much came on top
        tax, on_top = nanos(Decimal(said)), nanos(Decimal(facts.get("on_top", said)))
        if amount:
            found.setdefault(number, CardBill(user_id, number, at, amount, tax, on_top))
    return list(found.values())
