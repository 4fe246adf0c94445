"""What is compared: places, and what either side has in one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from gateway.usage.vendor_day import COUNTED, UNITS
from hontoni import money


class Place(NamedTuple):
    """What is compared: one credential's model on one day. `model` is ours, else the vendor's."""

    day: date
    vendor: str
    credential: str
    model: str


@dataclass(slots=True)
class Bill:
    """What a vendor billed in one place, `tokens` by UNITS: `calls` are those of hosted tools, and
    of a model that is billed by the piece its pictures, seconds or characters. `dollars` is None
    until costs are imported; `is_counted` once usage is."""

    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(UNITS, 0))
    costs: dict[str, int] = field(default_factory=dict)
    dollars: int | None = None
    is_counted: bool = False

    def add_costs(self, costs: Mapping[str, int]) -> None:
        self.dollars = (self.dollars or 0) + sum(costs.values())
        for name, cost in costs.items():
            self.costs[name] = self.costs.get(name, 0) + cost

    def by_bucket(self, listed: Mapping[str, int]) -> dict[str, int]:
        """Costs of the units. One that is only known as a sum is split as these prices, in
        nano-dollars per million tokens, would split it; so is one that nobody knows."""
        if self.dollars is None:
            return {n: money.per_million(self.tokens[n] * listed.get(n, 0)) for n in UNITS}
        if self.tokens["calls"] and not any(self.tokens[name] for name in COUNTED):
            # Pictures, seconds, characters: whatever the costs are called, they are of these.
            return dict.fromkeys(COUNTED, 0) | {"calls": self.dollars}
        found_there = {name: self.costs.get(name, 0) for name in UNITS}
        if any(name in self.costs for name in COUNTED) or not any(self.tokens.values()):
            return found_there
        weights = [self.tokens[name] * listed[name] for name in COUNTED]
        if not any(weights):
            weights = [self.tokens[name] for name in COUNTED]
        split = shares(self.costs.get("other", 0), weights)
        return found_there | dict(zip(COUNTED, split, strict=True))


@dataclass(slots=True)
class Booked:
    """One part of what we booked in one place."""

    requests: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(UNITS, 0))
    cost: int = 0
    at_most: int = 0
    calls_cost: int = 0


def a_million_calls(books: Mapping[str, Booked]) -> int:
    """At what we ask for them: not every vendor's report counts them."""
    calls = sum(each.tokens["calls"] for each in books.values())
    requested = sum(each.calls_cost for each in books.values())
    return requested * money.MILLION // calls if calls else 0


def shares(amount: int, weights: list[int]) -> list[int]:
    """An amount in proportion to these weights, whole and to the last nano-dollar: each takes what
    is between two roundings of the running sum. Without any weight, in equal parts."""
    if not any(weights):
        weights = [1] * len(weights)
    total, running, given, found = sum(weights), 0, 0, []
    for weight in weights:
        running += weight
        upto = (amount * running * 2 + total) // (2 * total)
        found.append(upto - given)
        given = upto
    return found
