"""Admission, the ledger and the usage pipeline in plain Python: what the product must agree with.

One account. Nano-dollars. No Redis, no database, no clock.
"""

from dataclasses import dataclass, field
from typing import Literal

INPUT, OUTPUT = 3_000, 15_000  # claude-sonnet-4: nano-dollars a token

Verdict = Literal["ok", "insufficient_balance", "balance_on_hold", "concurrency_limit"]


def price(tokens_in: int, tokens_out: int) -> int:
    """The fair bill: no output, no charge."""
    return tokens_in * INPUT + tokens_out * OUTPUT if tokens_out else 0


@dataclass
class Request:
    """An open request as Redis knows it."""

    hold: int
    reported: int = 0  # what it had cost at its last heartbeat


@dataclass
class Books:
    """`spent`: every settled cost by request id; `waiting`: those still in the stream."""

    slots: int
    credits: int = 0
    credits_version: int = 0
    seeded: bool = False
    open: dict[str, Request] = field(default_factory=dict)
    leased: set[str] = field(default_factory=set)
    spent: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)

    @property
    def charged(self) -> int:
        return sum(self.spent.values())

    @property
    def settled(self) -> int:
        return sum(cost for name, cost in self.spent.items() if name not in self.waiting)

    @property
    def balance(self) -> int:
        return self.credits - self.charged

    @property
    def held(self) -> int:
        return sum(request.hold for request in self.open.values())

    def decide(self, full: int, floor: int, stretch: bool) -> tuple[Verdict, int]:
        """What is said to a request, and what it holds."""
        spendable = max(self.balance - self.held, 0)
        if self.balance < 0 or self.balance < floor and spendable < full:
            return "insufficient_balance", 0
        if spendable < floor and spendable < full:
            return "balance_on_hold", 0
        if len(self.leased) >= self.slots:
            return "concurrency_limit", 0
        if spendable >= full:
            return "ok", full
        return "ok", spendable if stretch else floor

    def admit(self, name: str, hold: int) -> None:
        self.open[name] = Request(hold)
        self.leased.add(name)

    def extend(self, name: str, step: int) -> int:
        """All that is affordable of a step."""
        request = self.open[name]
        if not self.seeded:
            return 0
        more = max(min(step, self.balance - self.held), 0)
        request.hold += more
        return more

    def settle(self, name: str, cost: int) -> None:
        """Once, whether or not Redis still knows the request."""
        self.open.pop(name, None)
        self.leased.discard(name)
        self.spent[name] = cost
        self.waiting.add(name)

    def lose_the_account(self) -> None:
        """Its requests' records are left: it is made anew with what they hold."""
        self.seeded = False

    def lose_everything(self) -> None:
        self.lose_the_account()
        self.open.clear()
        self.leased.clear()
