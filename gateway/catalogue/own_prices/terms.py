"""What one customer pays in place of the list's price: pure, and told on the receipt's lines.

{"id": 7, "multiplier": 9000}          of the list's price, in basis points
{"id": 7, "rates": [...]}              nano-dollars per million tokens, in BUCKETS' order
{"id": 3, "rates": [...], "own_key": true}   the fee for the customer's own key, by its version
{"id": 0, "multiplier": 10000, "surcharge": 2500}   the list's price, past a window of the plan

A surcharge is in basis points, on top of whatever is paid otherwise.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.catalogue.features.models import WHOLE
from gateway.catalogue.own_prices.models import CustomerPrice

Rates = tuple[int, int, int, int, int, int]


class Terms(NamedTuple):
    """Of one customer price: a multiplier, or rates. `own_key`: of a fee for own keys.
    `id` 0: nothing was agreed, and there is a surcharge alone."""

    id: int
    multiplier: int = 0
    rates: Rates | None = None
    own_key: bool = False
    surcharge: int = 0

    def on(self, listed: Rates) -> Rates:
        """What is paid where the list says so much."""
        paid = self.rates or tuple(_times(rate, self.multiplier) for rate in listed)
        if self.surcharge:
            paid = tuple(surcharged(rate, self.surcharge) for rate in paid)
        return paid  # type: ignore[return-value]  # as many as there were

    def as_dict(self) -> dict[str, Any]:
        more = {"surcharge": self.surcharge} if self.surcharge else {}
        if self.rates is not None:
            found: dict[str, Any] = {"id": self.id, "rates": list(self.rates)}
            return found | ({"own_key": True} if self.own_key else {}) | more
        return {"id": self.id, "multiplier": self.multiplier} | more


LISTED = Terms(0, WHOLE)  # what the list says


def surcharged(amount: int, surcharge: int) -> int:
    """Nano-dollars with the surcharge, rounded half up."""
    return _times(amount, WHOLE + surcharge)


def _times(amount: int, points: int) -> int:
    return (2 * amount * points + WHOLE) // (2 * WHOLE)


def read(raw: Mapping[str, Any]) -> Terms:
    """What `as_dict` made."""
    more = raw.get("surcharge", 0)
    if "rates" in raw:
        own_key = bool(raw.get("own_key"))
        return Terms(raw["id"], rates=tuple(raw["rates"]), own_key=own_key, surcharge=more)
    return Terms(raw["id"], raw["multiplier"], surcharge=more)


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
