"""Ordered misbehaviour of the API, for tests of what the product does about it.

* `error`: answer 500 in place of running. The result is stored under the idempotency key.
* `rate_limit`: answer 429 in place of running; nothing is stored.
* `slow`: run after `seconds`.
* `hold`: run when the orders are cleared; until then the same idempotency key is a 409.
* `lost`: run, store the result, and drop the connection, so the caller cannot know.
"""

import asyncio
from dataclasses import dataclass, field

from sandbox.stripe.errors import StripeError

KINDS = ("error", "rate_limit", "slow", "hold", "lost")


@dataclass
class Fault:
    """One order: which calls, and how many of them."""

    kind: str
    method: str = "POST"
    path: str = "/v1/"
    times: int = 1
    seconds: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")

    def matches(self, method: str, path: str) -> bool:
        """Whether this call is meant; `path` is a prefix."""
        return self.times > 0 and method == self.method and path.startswith(self.path)


@dataclass
class Faults:
    """The open orders, oldest first."""

    orders: list[Fault] = field(default_factory=list)
    cleared: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, method: str, path: str) -> Fault | None:
        """The order for this call, one fewer left."""
        for order in self.orders:
            if order.matches(method, path):
                order.times -= 1
                self.orders = [left for left in self.orders if left.times > 0]
                return order
        return None

    def clear(self) -> None:
        """Take back what is left, and let go what was held."""
        self.orders = []
        self.cleared.set()
        self.cleared = asyncio.Event()

    async def wait(self, fault: Fault | None) -> None:
        """As long as was ordered."""
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "hold":
            await self.cleared.wait()


def raise_ordered(fault: Fault | None) -> None:
    """Refuse the call where that was ordered."""
    if fault is not None and fault.kind == "error":
        raise StripeError(500, "api_error", "An unknown error occurred (ordered by the test).")
    if fault is not None and fault.kind == "rate_limit":
        raise StripeError(
            429,
            "rate_limit_error",
            "Request rate limit exceeded.",
            code="rate_limit",
            stored=False,
        )
