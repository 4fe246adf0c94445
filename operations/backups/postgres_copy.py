"""Postgres, by COPY of every table in one snapshot. The tables themselves come from migrations, so
a copy goes into any version of Postgres, and needs no pg_dump of the server's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, transaction
from psycopg import sql

_TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname
"""
_SEQUENCES = """
SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'public'
"""
_LOCK = "LOCK TABLE gateway_usageevent IN SHARE MODE"


def copy(folder: Path, at_that_moment: Callable[[], None]) -> dict[str, Any]:
    """Each table into a file of `folder`. No usage is booked while `at_that_moment` runs."""
    with _connected() as reader, _connected() as keeper:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.read_only = True
        keeper.execute("SET lock_timeout = '10s'")
        keeper.execute(_LOCK)
        tables = dict(reader.execute(_TABLES).fetchall())  # takes the snapshot
        at_that_moment()
        keeper.rollback()
        for table, columns in tables.items():
            _copy_out(reader, table, columns, folder / f"{table}.copy")
        sequences = dict(reader.execute(_SEQUENCES).fetchall())
    return {"tables": tables, "sequences": sequences}


@contextmanager
def _connected() -> Iterator[psycopg.Connection[Any]]:
    """A connection of our own, outside of the pool."""
    given = connection.get_connection_params()
    wanted = {name: given[name] for name in given.keys() - _OURS}
    with psycopg.connect(**wanted) as found:
        yield found


_OURS = {
    "pool",
    "cursor_factory",
    "context",
    "prepare_threshold",
    "isolation_level",
    "assume_role",
}


def _copy_out(reader: Any, table: str, columns: list[str], path: Path) -> None:
    """By a query: a table that is kept by month has no rows of its own."""
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(*_named(table, columns))
    with path.open("wb") as target, reader.cursor().copy(query) as rows:
        for block in rows:
            target.write(block)


def _named(table: str, columns: list[str]) -> tuple[sql.Composed, sql.Identifier]:
    return sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)


def is_empty() -> bool:
    """Whether the database has no table at all."""
    return not connection.introspection.table_names()


def drop_everything() -> None:
    """The schema, with all that is in it."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


# With what a month is closed (billing migration 0017), nothing more goes into it.
_LAST = ("billing_closedmonth",)


def put_back(folder: Path, copied: dict[str, Any]) -> None:
    """All rows, in one transaction, in place of what the tables have."""
    tables: dict[str, list[str]] = copied["tables"]
    into = sql.SQL("COPY {1} ({0}) FROM STDIN")
    names = sql.SQL(", ").join(map(sql.Identifier, tables))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
        for table, columns in sorted(tables.items(), key=lambda each: each[0] in _LAST):
            with (
                (folder / f"{table}.copy").open("rb") as source,
                cursor.copy(into.format(*_named(table, columns))) as rows,
            ):
                while block := source.read(1 << 20):
                    rows.write(block)
        for sequence, last in copied["sequences"].items():
            if last:
                cursor.execute("SELECT setval(%s, %s)", [f'public."{sequence}"', last])
