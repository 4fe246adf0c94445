"""Whatever breaks, in whatever order: the vendors' meter = receipts = ledger = counters.

`make test-faults FAULT_SEED=1 FAULT_RUNS=5000` plays more; one that fails is printed, and replays.
"""

import asyncio
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from gateway.catalogue.models import Price
from gateway.stores import epochs
from gateway.usage import settlement
from hontoni import redis
from ratelimits import keys
from tests.billing.shop import Shop
from tests.billing.shop import loop as loop
from tests.billing.shop import shop as shop
from tests.billing.shop import worker as worker
from tests.faults.payments import Payments
from tests.faults.simulator import Simulator
from tests.world import Person, person

FIRST = int(os.environ.get("FAULT_SEED", "1"))
RUNS = int(os.environ.get("FAULT_RUNS", "100"))
PURCHASES = 3  # in each so many runs, customers pay by card besides
GROUP = 10  # runs a test: emptying the database costs more than a run
pytestmark = [pytest.mark.faults, pytest.mark.any_database]


@pytest.fixture
def run() -> Iterator[Any]:
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(redis.close())


@pytest.fixture
def price_id(transactional_db: None) -> int:
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue

    seed_billing()
    seed_catalogue()
    return Price.objects.get(model_id="claude-sonnet-4").pk


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, GROUP))
def test_the_books_are_exact_whatever_breaks(
    first: int,
    run: Any,
    price_id: int,
    shop: Shop,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.SPOOL_DIR, settings.SIGNUP_CREDIT = str(tmp_path), "0"
    a_small_world(monkeypatch)
    logging.disable(logging.ERROR)
    try:
        for seed in range(first, min(first + GROUP, FIRST + RUNS)):
            redis.sync().flushall()
            buys = seed % PURCHASES == 0  # they go by HTTP, and are dearer than all else
            payments = Payments(shop, random.Random(seed)) if buys else None
            played = Simulator(seed, people(seed), run, price_id, payments=payments)
            try:
                played.play()
            except BaseException:
                print(f"\nFAULT_SEED={seed}: " + ", ".join(played.story))  # noqa: T201
                raise
            finally:
                played.close()
    finally:
        logging.disable(logging.NOTSET)


def a_small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards, and dead workers are known at once: what differs is only how long it takes."""
    monkeypatch.setattr(settlement, "ABANDONED_MS", 0)
    monkeypatch.setattr(settlement, "SHARDS", 2)
    monkeypatch.setattr(keys, "SHARDS", 2)
    monkeypatch.setattr(epochs, "_SHARDS", epochs._SHARDS[:2])


def people(seed: int) -> list[Person]:
    """Two new customers: the books of the runs before are left alone."""
    return [person(f"{name}{seed}") for name in ("alice", "bob")]
