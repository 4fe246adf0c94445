"""What one customer pays in place of the list's price: pure, and told on the receipt's lines.

{"id": 7, "multiplier": 9000}          of the list's price, in basis points
{"id": 7, "rates": [...]}              nano-dollars per million tokens, in BUCKETS' order
{"id": 3, "rates": [...], "own_key": true}   the fee for the customer's own key, by its version
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.catalogue.features.models import WHOLE
from gateway.catalogue.own_prices.models import CustomerPrice

Rates = tuple[int, int, int, int, int, int]


class Terms(NamedTuple):
    """Of one customer price: a multiplier, or rates. `own_key`: of a fee for own keys."""

    id: int
    multiplier: int = 0
    rates: Rates | None = None
    own_key: bool = False

    def on(self, listed: Rates) -> Rates:
        """What is paid where the list says so much."""
        if self.rates is not None:
            return self.rates
        paid = tuple((2 * rate * self.multiplier + WHOLE) // (2 * WHOLE) for rate in listed)
        return paid  # type: ignore[return-value]  # as many as there were

    def as_dict(self) -> dict[str, Any]:
        if self.rates is not None:
            found: dict[str, Any] = {"id": self.id, "rates": list(self.rates)}
            return found | ({"own_key": True} if self.own_key else {})
        return {"id": self.id, "multiplier": self.multiplier}


def read(raw: Mapping[str, Any]) -> Terms:
    """What `as_dict` made."""
    if "rates" in raw:
        return Terms(raw["id"], rates=tuple(raw["rates"]), own_key=bool(raw.get("own_key")))
    return Terms(raw["id"], raw["multiplier"])


def of(row: CustomerPrice) -> Terms:
    rates: Any = row.rates
    return Terms(row.pk, row.multiplier or 0, rates)


Own = Mapping[int, Mapping[str, Terms]]  # by account, by model; "" is every other model


class Agreement(NamedTuple):
    """A row, as the snapshot keeps it. Moments are microseconds; 0: without an end."""

    account: int
    model: str
    since: int
    until: int
    terms: Terms


def at(agreed: Iterable[Agreement], micros: int) -> Own:
    """Which terms hold at a moment: the model's own before those for all, the later before the
    earlier."""
    found: dict[int, dict[str, Terms]] = {}
    for each in sorted(agreed, key=lambda one: (one.since, one.terms.id)):
        if each.since <= micros and (not each.until or micros < each.until):
            found.setdefault(each.account, {})[each.model] = each.terms
    return found


def held(own: Own, account: int, model: str) -> Terms | None:
    """What an account has agreed on for a model, or for all."""
    mine = own.get(account, {})
    return mine.get(model) or mine.get("")
