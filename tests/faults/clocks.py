"""Time as a settlement process feels it pass, whatever the clocks say."""

from django.conf import settings

from gateway.stores.reaping import Reaper

LEASE = settings.LEASE_SECONDS


class Steady:
    """A clock that nobody sets: seconds pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def watching() -> tuple[Reaper, Steady]:
    """A settlement process that looks for the dead, and its clock."""
    steady = Steady()
    return Reaper(steady), steady
