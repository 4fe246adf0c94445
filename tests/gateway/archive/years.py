"""A year and more of usage, written into the books as settlement writes it, month by month."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from billing.books import ledger
from billing.books.models import Checkpoint
from gateway.archive import expiry
from gateway.archive.dropping import MONTHLY
from gateway.catalogue import seed
from gateway.dashboard.views import data_views
from gateway.reconciliation.invariants import problems
from gateway.usage import events as spelled
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from gateway.usage.request_ids import first_id
from hontoni import months, partitions
from hontoni.money import nanos
from tests.gateway.usage.test_settlement import event
from tests.world import Person

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
FIRST = datetime(2025, 8, 1, tzinfo=UTC)  # two whole months are older than thirteen
_numbers = count(1)

_MONTHLY_ID = """
CREATE OR REPLACE FUNCTION hontoni_monthly_id(sequence regclass) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT ((extract(year FROM {now} AT TIME ZONE 'UTC')::bigint - 2000) * 12
            + extract(month FROM {now} AT TIME ZONE 'UTC')::bigint - 1) * 100000000000
           + nextval(sequence)
$$
"""


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Everybody's clock says this, the database's too where it makes ids."""
    with patch.object(timezone, "now", lambda: moment):
        _database_clock(f"'{moment.isoformat()}'::timestamptz")
        try:
            yield
        finally:
            _database_clock("now()")


def _database_clock(now: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_MONTHLY_ID.format(now=now))


def a_partition_each() -> None:
    """As if the tables were kept by month for so long. They are empty."""
    for of in MONTHLY:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {of.table} DETACH PARTITION {of.before}")
            bounds = partitions.Bounds(of.before, None, of.first(FIRST))
            partitions.attach(cursor, of, bounds)
            there = {each.name for each in partitions.partitions(of)}
            month = FIRST
            while of.partition(month) not in there:
                partitions._make(cursor, of, month)
                month = months.shifted(month, 1)


def nothing_but_before() -> None:
    """As in a database that is older than its months."""
    for of in MONTHLY:
        with connection.cursor() as cursor:
            for each in partitions.partitions(of):
                if each.until and each.name != of.before and of.month(each.until) <= NOW:
                    cursor.execute(f"DROP TABLE {each.name}")
            cursor.execute(f"ALTER TABLE {of.table} DETACH PARTITION {of.before}")
            until = of.first(months.begin(NOW))
            partitions.attach(cursor, of, partitions.Bounds(of.before, None, until))


def send(person: Person, moment: datetime, times: int = 1, **changes: Any) -> None:
    """So many requests of this person's at that moment, charged together."""
    seed.seed()
    with at(moment + timedelta(seconds=5)):
        entries = []
        for _ in range(times):
            number = next(_numbers)
            pk = uuid.UUID(int=first_id(moment.timestamp()).int | 7 << 76 | 1 << 63 | number)
            each = event(person, id=pk.hex, began=moment.timestamp(), **changes)
            entries.append(settlement.Entry(0, f"{number}-0".encode(), spelled.read(_text(each))))
        settlement.record(entries)


def _text(each: dict[str, Any]) -> bytes:
    return spelled.pack(each)


def paid(person: Person, moment: datetime, dollars: str) -> None:
    """An adjustment of that moment."""
    with at(moment):
        ledger.post(
            key=f"test:{next(_numbers)}",
            kind="adjustment",
            user_id=person.user.pk,
            amount=nanos(dollars),
            reason="for the test",
            actor="tests",
        )


YEAR = range(16)  # months from FIRST to NOW
EDGES = (0, 1, 2, 15)  # those that go, the first that stays, the last


def live(*people: Person, during: Iterable[int] = EDGES) -> None:
    """Each of these months begins with a payment, and has three charges of two requests."""
    for month in (months.shifted(FIRST, number) for number in during):
        for person in people:
            paid(person, month + timedelta(hours=1), "5")
            for day in (3, 9, 20):
                send(person, month + timedelta(days=day), times=2)


def requests(person: Person, month: datetime) -> list[UsageEvent]:
    """A month's, oldest first."""
    found = UsageEvent.objects.filter(user=person.user, created_at__gte=month).order_by("pk")
    return list(found.filter(created_at__lt=months.shifted(month, 1)))


_ON_POSTGRES = "postgresql" in settings.DATABASES["default"]["ENGINE"]


@pytest.fixture(params=["partitions", "before"] if _ON_POSTGRES else ["one table"])
def layout(request: pytest.FixtureRequest, transactional_db: None) -> str:
    """On Postgres: each month its own partition, or all of them in the first one."""
    name = str(request.param)
    if name != "one table":
        {"partitions": a_partition_each, "before": nothing_but_before}[name]()
    return name


GONE = [FIRST, datetime(2025, 9, 1, tzinfo=UTC)]
KEPT = datetime(2025, 10, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def archive(settings: Settings, tmp_path: Path) -> Path:
    settings.ARCHIVE_URL, settings.RETENTION_MONTHS = str(tmp_path / "archive"), 13
    return tmp_path / "archive"


@pytest.fixture
def lived(layout: str, alice: Person, bob: Person) -> Person:
    """Alice, and bob beside her, for more than a year."""
    live(alice, bob)
    assert problems() == []
    return alice


def retain() -> list[Checkpoint]:
    return expiry.run(NOW)


def pages(person: Person, path: str) -> list[dict[str, Any]]:
    """Of /api, all of them, from the newest on."""
    found = []
    while path:
        answer = person.client().get(path).json()
        found += answer["results"]
        path = answer["next"]
    return found


async def joined(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


def exported(person: Person, part: str) -> list[Any]:
    """A list in the file of all that is kept about a customer."""
    document = asyncio.run(joined(data_views._document(person.user)))
    found: list[Any] = orjson.loads(document)[part]
    return found
