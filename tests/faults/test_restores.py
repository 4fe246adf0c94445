"""A database that goes back more than once, or while something else gives way: whatever spools
keep is looked at again, by every gateway."""

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from billing.models import Transfer
from gateway.stores import epochs, replaying
from gateway.stores.models import StoreEpoch
from gateway.stores.spool import Kept, Spool
from hontoni import redis
from ratelimits import keys
from tests.gateway_server import fund
from tests.world import Person

NAME = "req_" + "7" * 32


def row() -> StoreEpoch:
    return StoreEpoch.objects.get(pk=StoreEpoch.THE)


@pytest.fixture
def begun(db: None) -> StoreEpoch:
    redis.sync().flushdb()
    epochs.confirm()
    assert not row().restored
    return row()


def test_a_second_restore_is_one_too(begun: StoreEpoch) -> None:
    """Nothing was written in between, so that no transfer is missing: only the epoch tells."""
    epochs.begin(epochs.RESTORED)
    begun.save()  # the row, as the copy of the database has it
    epochs.confirm()
    assert row().restored and row().epoch != begun.epoch


def test_a_restore_is_not_hidden_by_what_happens_next(begun: StoreEpoch) -> None:
    epochs.begin(epochs.RESTORED)
    redis.sync().flushdb()
    epochs.confirm()
    assert row().reason != epochs.RESTORED and row().restored


def test_it_is_forgotten_with_the_spools_of_its_time(
    begun: StoreEpoch, settings: Settings
) -> None:
    epochs.begin(epochs.RESTORED)
    past = row().began_at - timedelta(seconds=settings.SPOOL_KEEP_SECONDS + 1)
    StoreEpoch.objects.update(began_at=past)
    redis.sync().flushdb()
    epochs.confirm()
    assert not row().restored


def test_a_restore_is_not_hidden_by_what_is_booked_before_anybody_looks(
    begun: StoreEpoch, alice: Person
) -> None:
    """The first transfers after it get the numbers of those that are lost, and higher ones."""
    fund(alice, "1")
    lost = Transfer.objects.latest("pk")
    redis.sync().hset(keys.MARK, mapping={"number": lost.pk, "name": "what is lost"})
    fund(alice, "1")
    epochs.watch_mark()
    assert row().reason == epochs.RESTORED and row().restored


def test_a_wiped_valkey_alone_is_no_restore(begun: StoreEpoch) -> None:
    redis.sync().flushdb()
    epochs.confirm()
    assert row().epoch != begun.epoch and not row().restored


def test_what_was_under_way_is_looked_at_once_it_is_answered(
    begun: StoreEpoch, alice: Person, settings: Settings, tmp_path: Path
) -> None:
    """Its first answer was lost, the books that had it went back, and Valkey knows it as settled:
    the second answer adds nothing."""
    settings.SPOOL_DIR = str(tmp_path)
    spool, stream = Spool("one"), keys.usage(keys.shard(alice.user.pk))
    spool.keep(Kept(alice.user.pk, NAME, 7, b"{}"))
    assert replaying.replay(spool, spool.segments(), restored=True) == 0
    assert replaying.catch_up(spool) == 0 and redis.sync().xlen(stream) == 0
    spool.answered(NAME)
    assert [replaying.catch_up(spool) for _ in range(2)] == [1, 0]
    assert redis.sync().xlen(stream) == 1
    spool.close()
    redis.sync().flushdb()
