"""Leaves alone what keeps failing: a circuit breaker for each credential and model.

    closed      asked
    open        not asked, for a pause that doubles each time it fails again
    half-open   the pause is over: one request is let through, and decides

In the memory of a process, on purpose: the hot path asks it without a round trip, and every node
has a network of its own to judge by. What the others say of it (routing/health.py) only decides
who is asked first.
"""

import time

from gateway.vendors.routing.health import Health
from gateway.vendors.routing.tally import Tally

FAILURES = 5  # in a row
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 60.0


class Breaker:
    """`refused` while the vendor does not accept the credential itself; `gone` while it says that
    it does not have the model; `tally` is what came of it here lately, `shared` what all gateways
    say."""

    __slots__ = (
        *("_failures", "_pause", "_probing", "_until"),
        *("gone", "refused", "shared", "tally"),
    )

    def __init__(self) -> None:
        self._failures = 0
        self._pause = 0.0
        self._until = 0.0
        self._probing = False
        self.refused = self.gone = False
        self.tally = Tally()
        self.shared: Health | None = None

    def allows(self) -> bool:
        """Whether a request may be sent now."""
        return not self._until or (not self._probing and time.monotonic() >= self._until)

    def wait(self) -> float:
        """Seconds until one may be sent; 0 if one may, or if the probe is on its way."""
        return max(0.0, self._until - time.monotonic()) if self._until else 0.0

    def state(self) -> int:
        """0 closed, 1 half-open, 2 open."""
        if not self._until:
            return 0
        return 2 if self.wait() else 1

    def begin(self) -> bool:
        """A request is sent. True if it is the probe; then it must be said what came of it."""
        if self._until:
            self._probing = True
        return self._probing

    def succeeded(self) -> None:
        """It answered, were it only to say that the request is wrong."""
        if self._failures or self._until:
            self._failures, self._pause, self._until = 0, 0.0, 0.0
            self._probing = self.refused = self.gone = False

    def failed(
        self, *, retry_after: float = 0.0, refused: bool = False, gone: bool = False
    ) -> bool:
        """It did not. A credential that is refused is not asked again to see if that was meant.
        True if that opened it."""
        self._probing = False
        if self.wait():
            return False  # sent before it opened
        self._failures += 1
        self.refused, self.gone = refused, gone
        if self._until or refused or self._failures >= FAILURES:
            self._pause = min(LONGEST_SECONDS, max(SHORTEST_SECONDS, 2 * self._pause, retry_after))
            self._until = time.monotonic() + self._pause
        return bool(self._until)

    def abandoned(self) -> None:
        """The probe was given up by its client: the next request is the probe."""
        self._probing = False
