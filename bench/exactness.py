"""Whether a run left the books exact: every request once, and the money that they cost.

Looked up in the installation's own database, past the gateway: `python -m bench.exactness` prints
it as JSON, in an installation's environment.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

import django


@dataclass(frozen=True)
class Books:
    """Sums over all accounts; money in nano-dollars."""

    requests: int
    cost: int
    charged: int
    rolled_up: int

    def check(self, before: "Books", requests: int) -> None:
        """Raises AssertionError unless exactly so many requests were booked since, and paid."""
        booked, spent = self.requests - before.requests, self.cost - before.cost
        if booked != requests:
            raise AssertionError(f"{booked} of {requests} requests are in the books")
        if not spent == self.charged - before.charged == self.rolled_up - before.rolled_up:
            raise AssertionError(f"{spent} was spent, but {self} after {before}")


def books(env: dict[str, str]) -> Books:
    """What the books of an installation say now."""
    command = [sys.executable, "-m", "bench.exactness"]
    told = subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=True)
    return Books(**json.loads(told.stdout))


def _read() -> Books:
    from django.db.models import Sum

    from billing.models import Wallet
    from gateway.usage.models import UsageEvent, UsageHour

    events = UsageEvent.objects.aggregate(cost=Sum("cost"))
    return Books(
        UsageEvent.objects.count(),
        events["cost"] or 0,
        Wallet.objects.aggregate(charged=Sum("settled_total"))["charged"] or 0,
        UsageHour.objects.aggregate(cost=Sum("cost"))["cost"] or 0,
    )


if __name__ == "__main__":
    django.setup()
    print(json.dumps(asdict(_read())))
