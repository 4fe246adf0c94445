"""Taking a month's rows out of the tables, in the transaction that has written down their sums.

A month that is a partition of its own is put aside whole, and dropped after the commit; what stays
of it goes into the first partition. Otherwise (on SQLite, and of what was there before there were
months) rows are deleted. For the moment of the switch nobody else may use the tables: whoever
cannot have them at once gives up, long before Postgres would take anybody for deadlocked.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from billing.books import brought_forward
from billing.books.monthly import ENTRIES, TRANSFERS, first_number
from gateway.archive.span import Span
from gateway.usage.monthly import EVENTS
from hontoni import partitions
from hontoni.partitions import Bounds, Monthly

logger = logging.getLogger(__name__)

MONTHLY = (EVENTS, TRANSFERS, ENTRIES)  # in the order in which settlement writes them
_PATIENCE_MS = 700
_STAYS = {
    EVENTS.table: (
        "id IN (SELECT event_id FROM gateway_correctedrequest"
        " UNION ALL SELECT event_id FROM gateway_usagequarantine)"
    ),
    TRANSFERS.table: "kind <> 'usage'",
    ENTRIES.table: "transfer_id IN (SELECT id FROM {transfers} WHERE kind <> 'usage')",
}


@dataclass(frozen=True, slots=True)
class Whole:
    """A month that is a partition of each table, next to what was before it."""

    month: datetime

    def bounds(self, of: Monthly) -> Bounds:
        return next(b for b in partitions.partitions(of) if b.name == of.partition(self.month))

    def stays(self, of: Monthly) -> str:
        """Which of its rows do."""
        return _STAYS[of.table].format(transfers=TRANSFERS.partition(self.month))


def whole(month: datetime) -> Whole | None:
    """If it can be put aside whole."""
    if not all(partitions.is_partitioned(of.table) for of in MONTHLY):
        return None
    return Whole(month) if all(_is_next(of, month) for of in MONTHLY) else None


def _is_next(of: Monthly, month: datetime) -> bool:
    names = [bounds.name for bounds in partitions.partitions(of)[:2]]
    return names == [of.before, of.partition(month)]


def promise(found: Whole) -> None:
    """Before the transaction: that the first partition has only what is older than the month's
    end, so that it need not be read when it is attached again."""
    for of in MONTHLY:
        until, name = found.bounds(of).until, f"{of.before}_until"
        with connection.cursor() as cursor:
            cursor.execute(
                f"ALTER TABLE {of.before} DROP CONSTRAINT IF EXISTS {name}, "
                f"ADD CONSTRAINT {name} CHECK (id < '{until}') NOT VALID"
            )
            cursor.execute(f"ALTER TABLE {of.before} VALIDATE CONSTRAINT {name}")


def hold_still(found: Whole | None) -> None:
    """Until the transaction ends nothing is written that it is about to count: no correction of
    an old request; and nothing into the month, if it is whole."""
    if connection.vendor != "postgresql":
        return
    still = ["gateway_correctedrequest", "gateway_usagequarantine"]
    still += [of.partition(found.month) for of in MONTHLY] if found else []
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE_MS}ms'")
        cursor.execute(f"LOCK TABLE {', '.join(still)} IN SHARE MODE")


def drop(span: Span, found: Whole | None) -> tuple[int, int, int]:
    """Take it out; how many events, charges and entries are gone. Raises OperationalError where
    the tables were not to be had."""
    if found is None:
        return _delete(span)
    gone = _delete_late(span, found)
    going = [_going(of, found) for of in MONTHLY]
    _put_aside(found)
    events, charges, entries = (a + b for a, b in zip(gone, going, strict=True))
    return events, charges, entries


def _delete(span: Span) -> tuple[int, int, int]:
    return _deleted(span.leaving(), *span.charges())


def _delete_late(span: Span, found: Whole) -> tuple[int, int, int]:
    """What is older than the month and came when its own was gone."""
    since = first_number(found.month)
    late = span.leaving().filter(pk__lt=found.bounds(EVENTS).since)
    return _deleted(late, *brought_forward.usage_below(since, since))


def _deleted(
    events: QuerySet[Any], charges: QuerySet[Any], entries: QuerySet[Any]
) -> tuple[int, int, int]:
    """The entries first: by their transfers it is known that they may go."""
    last = _raw_delete(entries)
    return _raw_delete(events), _raw_delete(charges), last


def _raw_delete(rows: Any) -> int:
    """Past the models, which delete nothing that is written once; the database lets go of what a
    checkpoint names."""
    return int(rows.order_by()._raw_delete(rows.db) or 0)


def _going(of: Monthly, found: Whole) -> int:
    with connection.cursor() as cursor:
        name = of.partition(found.month)
        cursor.execute(f"SELECT count(*) FROM {name} WHERE NOT ({found.stays(of)})")
        return int(cursor.fetchone()[0])


def _put_aside(found: Whole) -> None:
    bounds = [found.bounds(of) for of in MONTHLY]
    with connection.cursor() as cursor:
        for of in MONTHLY:
            cursor.execute(f"LOCK TABLE {of.table} IN ACCESS EXCLUSIVE MODE")
        for of, own in zip(MONTHLY, bounds, strict=True):
            columns = _columns(cursor, of.table)
            cursor.execute(f"ALTER TABLE {of.table} DETACH PARTITION {of.before}")
            cursor.execute(f"ALTER TABLE {of.table} DETACH PARTITION {own.name}")
            cursor.execute(
                f"INSERT INTO {of.before} ({columns}) SELECT {columns} FROM {own.name} "
                f"WHERE {found.stays(of)}"
            )
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks to come stays
            partitions.attach(cursor, of, Bounds(of.before, None, own.until))
            cursor.execute(f"ALTER TABLE {of.before} DROP CONSTRAINT {of.before}_until")


def _columns(cursor: Any, table: str) -> str:
    """By name: the first partition has them in another order."""
    cursor.execute(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    )
    return str(cursor.fetchone()[0])


def sweep() -> None:
    """Drop what was put aside. Each in a transaction of its own: it wants a lock on whatever the
    table refers to, for a moment; where that is not to be had, the next time will do."""
    for of in MONTHLY:
        for name in _aside(of):
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE_MS}ms'")
                    cursor.execute(f"DROP TABLE {name}")
            except OperationalError:
                logger.warning("archive.busy: %s is dropped another time", name)


def _aside(of: Monthly) -> Iterator[str]:
    """Tables named like a month that are no partitions: all of them were taken out, for a month
    that is being made is one before its transaction ends."""
    if not partitions.is_partitioned(of.table):
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND "
            "relkind = 'r' AND NOT relispartition AND relname ~ %s ORDER BY relname",
            [f"^{of.table}_[0-9]{{4}}_[0-9]{{2}}$"],
        )
        yield from [name for (name,) in cursor.fetchall()]
