"""Real processes, killed by kill -9 in an order that a seed draws, under traffic: two gateways,
two settlement processes, the worker and Valkey. `make test-faults` plays more seeds
(PROCESS_RUNS)."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hontoni.valkey import Valkey
from tests.ports import free_port
from tests.product import Product
from tests.traffic import Customer
from tests.waiting import until

FIRST = int(os.environ.get("FAULT_SEED", "1"))
RUNS = int(os.environ.get("PROCESS_RUNS", "1"))
KILLS = 6
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


class Beside(Product):
    """More processes of an installation that is there."""

    def begin(self) -> None:
        """Nothing: it is prepared."""


class Installation:
    """Two of each, and who dies next."""

    def __init__(self, home: Path, valkey: Valkey, seed: int) -> None:
        url = f"unix://{valkey.socket}"
        self.valkey, self.chance = valkey, random.Random(seed)
        self.first = Product(home, REDIS_URL=url, LEASE_SECONDS="6")
        self.second = Beside(home, REDIS_URL=url, LEASE_SECONDS="6", PORT=str(free_port()))
        self.second.port = int(self.second.environment["PORT"])
        self.second.url = f"http://127.0.0.1:{self.second.port}"
        self.both = (self.first, self.second)
        self.story: list[str] = []

    def start(self) -> None:
        for each in self.both:
            each.run("settlement")
            each.start()
        self.first.run("worker")

    def kill(self) -> None:
        """One of them, and it is started again."""
        among = ["web", "web", "settlement", "settlement", "worker", "valkey"]
        victim = self.chance.choice(among)
        self.story.append(victim)
        if victim == "valkey":
            assert self.valkey.process is not None
            self.valkey.process.send_signal(signal.SIGKILL)
            self.valkey.process.wait()
            self.valkey.socket.unlink(missing_ok=True)
            self.valkey.start()
            return
        product = self.first if victim == "worker" else self.chance.choice(self.both)
        dead = product.processes.pop(victim)
        dead.kill()
        dead.wait()
        product.run(victim)

    def stop(self) -> None:
        for each in self.both:
            each.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey", tmp_path / "own.sock") as running:
        yield running


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
def test_whoever_is_killed_the_books_are_exact(tmp_path: Path, valkey: Valkey, seed: int) -> None:
    installed = Installation(tmp_path, valkey, seed)
    product, key = installed.first, installed.first.key
    try:
        installed.start()
        customers = [Customer(each, key, pace=0.2) for each in installed.both]
        for _ in range(KILLS):
            customers[0].served(2)
            installed.kill()
        for each in installed.both:
            until(lambda each=each: each.status() == 200, each.log("web"))  # type: ignore[misc]
        for customer in customers:
            customer.served(2)
            customer.stop()
        until(lambda: held(product) == 0, "a hold or a slot is left")
    finally:
        print(f"FAULT_SEED={seed}: {', '.join(installed.story)}")  # noqa: T201
        installed.stop()
    receipts = product.receipts()
    answered = sum(customer.answers[200] for customer in customers)
    # An answer may be cut by the death of its gateway: it has a receipt, and nobody counted it.
    assert answered <= sum(row["status"] == 200 for row in receipts) <= len(receipts)
    charged = sum(row["cost"] for row in receipts)
    (wallet,) = product.rows("SELECT * FROM billing_wallet")
    assert wallet["settled_total"] == charged
    assert {status for each in customers for status in each.answers} <= {0, 200, 503}
    assert b"The books balance" in product.manage("reconcile")


HELD = """
from ratelimits import keys
from hontoni import redis
print(sum(redis.sync().zcard(keys.open_requests(shard)) for shard in range(keys.SHARDS)))
"""


def held(product: Product) -> int:
    """How many requests are open."""
    return int(product.manage("shell", "-v", "0", "-c", HELD))
