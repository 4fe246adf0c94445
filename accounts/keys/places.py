"""From where keys are used, by day: who watches over them asks it (cockpit/watch/).

It is written in the transaction that records usage. A process remembers what it has written, so
that a key that stays where it is costs nothing.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.db import transaction

from accounts.models import KeyPlace
from hontoni import rowsets
from hontoni.addresses import network

KEPT = timedelta(days=30)
MOST_LETTERS = 50  # of a network, as the table takes it: what is no address is kept as it came
_MOST_REMEMBERED = 100_000
_COLUMNS = (("day", "date"), ("network", "text"), ("key_id", "bigint"), ("user_id", "bigint"))


class Use(NamedTuple):
    """That a key of somebody's was used at a moment (epoch seconds), from an IP address."""

    key_id: int
    user_id: int
    at: float
    ip: str


Row = tuple[date, str, int, int]
_written: set[Row] = set()


def note(uses: Iterable[Use]) -> None:
    """Keep what is new of it. Late news is kept like any other."""
    rows = {_row(use) for use in uses if use.ip} - _written
    if not rows:
        return
    once = "ON CONFLICT (day, network, key_id) DO NOTHING"
    # In one order, so that two batches do not wait for each other.
    rowsets.insert("accounts_keyplace", _COLUMNS, sorted(rows), once)
    transaction.on_commit(lambda: _remember(rows), robust=True)


def _row(use: Use) -> Row:
    day = datetime.fromtimestamp(use.at, UTC).date()
    return day, _network(use.ip)[:MOST_LETTERS], use.key_id, use.user_id


_network = lru_cache(maxsize=4_096)(network)


def _remember(rows: set[Row]) -> None:
    if len(_written) + len(rows) > _MOST_REMEMBERED:
        _written.clear()
    _written.update(rows)


def forget() -> None:
    """What this process remembers; for tests, whose databases are emptied."""
    _written.clear()


def forget_old(today: date) -> int:
    """Addresses are personal: what is older than KEPT goes. Returns how many rows."""
    return KeyPlace.objects.filter(day__lt=today - KEPT).delete()[0]
