"""Tables that Postgres keeps month by month, so that an old month is dropped and not deleted.

Such a table is partitioned by its primary key, whose values begin with the month: a UUIDv7, or a
number made by `hontoni_monthly_id` (migration billing 0014). So the key alone is unique, an
admin and foreign keys work as ever, and a range of ids is a range of months. In order:

* `<table>_before`, everything up to some month: what was there when the table was converted, and
  what stays of months that were dropped (gateway/archive);
* `<table>_2026_11`, a month each, made ahead (`make_ahead`);
* `<table>_rest`, the net: rows of months that nobody has made. `make_ahead` empties it.

Other unique columns are unique within a partition; what makes them so beyond it is said where they
are declared. Libraries were looked at: django-postgres-extra wants a composite primary key, which
the admin and foreign keys refuse, and cannot convert a table that is there; pg_partman is an
extension that plain installations lack. On SQLite there is one table; all of this does nothing.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction

from hontoni import months

AHEAD = 3  # months that are there before they begin
LOCK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Monthly:
    """A table by month. `first` is the smallest id of a month, `month` the one an id lies in.
    `unique` are columns that are unique within a partition."""

    table: str
    first: Callable[[datetime], str]
    month: Callable[[str], datetime]
    unique: tuple[tuple[str, ...], ...] = ()

    def partition(self, month: datetime) -> str:
        return f"{self.table}_{month:%Y_%m}"

    @property
    def before(self) -> str:
        return f"{self.table}_before"

    @property
    def rest(self) -> str:
        return f"{self.table}_rest"


class Bounds(NamedTuple):
    """A partition, and what it holds: from `since` on (None: from the beginning) to before
    `until`; the net has neither."""

    name: str
    since: str | None
    until: str | None


_BOUNDS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass ORDER BY c.relname
"""
_RANGE = re.compile(r"FOR VALUES FROM \((.+)\) TO \((.+)\)")


def is_partitioned(table: str) -> bool:
    """Whether it is: SQLite's never are."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [table])
        row = cursor.fetchone()
    return bool(row and row[0])


def partitions(of: Monthly) -> list[Bounds]:
    """In the order of their ids, the net last."""
    with connection.cursor() as cursor:
        cursor.execute(_BOUNDS, [of.table])
        found = [_bounds(name, spelled) for name, spelled in cursor.fetchall()]
    return sorted(found, key=lambda each: (each.until is None, each.name != of.before, each.name))


def _bounds(name: str, spelled: str) -> Bounds:
    found = _RANGE.fullmatch(spelled)
    if found is None:
        return Bounds(name, None, None)
    since, until = (each.strip("'") for each in found.groups())
    return Bounds(name, None if since == "MINVALUE" else since, until)


def ends(of: Monthly) -> datetime:
    """The first month that nobody has made a partition for."""
    bounds = [each.until for each in partitions(of) if each.until is not None]
    return max(map(of.month, bounds))


def has_rest(of: Monthly) -> bool:
    """Whether the net caught something."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {of.rest})")
        return bool(cursor.fetchone()[0])


# -- Making them ---------------------------------------------------------------------------------


def make_ahead(of: Monthly, now: datetime, ahead: int = AHEAD) -> list[str]:
    """Make what is missing up to so many months from now, each in a transaction of its own; which
    those are. Whoever writes waits for none of it. Raises OperationalError where a lock was not
    to be had within LOCK_SECONDS: the next time will do."""
    if not is_partitioned(of.table):
        return []
    made, month = [], ends(of)
    while month <= months.shifted(months.begin(now), ahead):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            _make(cursor, of, month)
        made.append(of.partition(month))
        month = months.shifted(month, 1)
    return made


def make_all_ahead(tables: Iterable[Monthly], now: datetime) -> list[str]:
    """Of all of these, as `make_ahead`."""
    return [name for of in tables for name in make_ahead(of, now)]


def _make(cursor: Any, of: Monthly, month: datetime) -> None:
    """A month's partition. It is a table of its own until it is attached, so that no lock of the
    whole is taken; and it says by itself what it holds, so that attaching reads none of it. What
    the net has caught of that month goes into it."""
    name, since = of.partition(month), of.first(month)
    until = of.first(months.shifted(month, 1))
    _like(cursor, of, name)
    within = f"id >= '{since}' AND id < '{until}'"
    cursor.execute(f"ALTER TABLE {name} ADD CONSTRAINT {name}_month CHECK ({within})")
    cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {of.rest} WHERE {within})")
    if cursor.fetchone()[0]:
        cursor.execute(f"LOCK TABLE {of.table} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f"ALTER TABLE {of.table} DETACH PARTITION {of.rest}")
        cursor.execute(f"INSERT INTO {name} SELECT * FROM {of.rest} WHERE {within}")
        cursor.execute(f"ALTER TABLE {of.rest} RENAME TO {of.rest}_caught")
        _free_names(cursor, f"{of.rest}_caught")
        _like(cursor, of, of.rest)
        cursor.execute(
            f"INSERT INTO {of.rest} SELECT * FROM {of.rest}_caught WHERE NOT ({within})"
        )
        cursor.execute(f"DROP TABLE {of.rest}_caught")
        attach(cursor, of, Bounds(name, since, until))
        attach(cursor, of, Bounds(of.rest, None, None))
    else:
        attach(cursor, of, Bounds(name, since, until))
    cursor.execute(f"ALTER TABLE {name} DROP CONSTRAINT {name}_month")


def _free_names(cursor: Any, table: str) -> None:
    """So that a table in its place may have its indexes' names."""
    cursor.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass", [table]
    )
    for (index,) in cursor.fetchall():
        bare = index.split(".")[-1].strip('"')
        cursor.execute(f'ALTER INDEX "{bare}" RENAME TO "{bare[:56]}_caught"')


def _like(cursor: Any, of: Monthly, name: str) -> None:
    cursor.execute(
        f"CREATE TABLE {name} (LIKE {of.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
    )
    for columns in of.unique:
        cursor.execute(f"ALTER TABLE {name} ADD UNIQUE ({', '.join(columns)})")


def attach(cursor: Any, of: Monthly, bounds: Bounds) -> None:
    """A table that is there becomes a partition."""
    values = "DEFAULT"
    if bounds.until is not None:
        since = "MINVALUE" if bounds.since is None else f"'{bounds.since}'"
        values = f"FOR VALUES FROM ({since}) TO ('{bounds.until}')"
    cursor.execute(f"ALTER TABLE {of.table} ATTACH PARTITION {bounds.name} {values}")


# -- Converting a table that is there ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a plain table becomes one by month. `default` makes ids, if the table's own do not say
    the month; `left_out` are indexes that months from now on do without."""

    of: Monthly
    default: str = ""
    left_out: frozenset[str] = frozenset()


def convert(wanted: Conversion, now: datetime) -> None:
    """Make a live table the first partition of one by month, without touching a row of it.

    What reads all rows takes no lock that traffic needs: that all of them are older than the
    months to come is first promised (a CHECK, not valid), then looked up (VALIDATE). The switch
    itself reads nothing. Each step is done once, so what was interrupted, or gave way to traffic,
    is called again. Needs autocommit.
    """
    if is_partitioned(wanted.of.table):
        return
    until = _bound(wanted.of, now)
    with connection.cursor() as cursor:
        _promise(cursor, wanted.of, until)
        cursor.execute(f"ALTER TABLE {wanted.of.table} VALIDATE CONSTRAINT {wanted.of.before}")
    with transaction.atomic(), connection.cursor() as cursor:
        _Switch(cursor, wanted, until).run()
    make_ahead(wanted.of, now)


def _bound(of: Monthly, now: datetime) -> str:
    """The first id of the months to come. Of an empty table this month is one of them; otherwise
    the next that begins in two days or later: until the switch nothing of it can be written."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT max(id::text) FROM {of.table}"
        )  # both kinds are as long as another
        newest = cursor.fetchone()[0]
    if newest is None:
        return of.first(months.begin(now))
    soon = months.begin(now + timedelta(days=2))
    return of.first(months.shifted(max(soon, of.month(newest)), 1))


def _promise(cursor: Any, of: Monthly, until: str) -> None:
    cursor.execute(
        f"ALTER TABLE {of.table} DROP CONSTRAINT IF EXISTS {of.before}, "
        f"ADD CONSTRAINT {of.before} CHECK (id < '{until}') NOT VALID"
    )


def drop_references(cursor: Any, table: str) -> None:
    """The foreign keys into a table: whenever a month of it is dropped, all of them would look
    through theirs."""
    cursor.execute(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint "
        "WHERE contype = 'f' AND confrelid = %s::regclass AND conparentid = 0",
        [table],
    )
    for other, name in cursor.fetchall():
        cursor.execute(f'ALTER TABLE {other} DROP CONSTRAINT "{name}"')


class _Switch:
    """The moment of it: a few milliseconds in which nobody else may use the table."""

    def __init__(self, cursor: Any, wanted: Conversion, until: str) -> None:
        self.cursor, self.wanted, self.until = cursor, wanted, until
        self.table, self.before = wanted.of.table, wanted.of.before

    def run(self) -> None:
        self._do(f"LOCK TABLE {self.table} IN ACCESS EXCLUSIVE MODE")
        drop_references(self.cursor, self.table)  # they would look into this partition alone
        columns, checks = self._columns(), self._constraints("c")
        foreign, triggers = self._constraints("f"), self._triggers()
        sequence = self._sequence()
        indexes = self._free_indexes()
        self._do(f"ALTER TABLE {self.table} RENAME TO {self.before}")
        self._do(f"CREATE TABLE {self.table} ({columns}) PARTITION BY RANGE (id)")
        if sequence:
            self._do(f"ALTER SEQUENCE {sequence} OWNED BY {self.table}.id")
        self._do(f"ALTER TABLE {self.table} ADD PRIMARY KEY (id)")
        for name, definition in [*checks, *foreign]:
            if name != self.before:
                self._do(f'ALTER TABLE {self.table} ADD CONSTRAINT "{name}" {definition}')
        for definition in indexes:
            self._do(definition)
        attach(self.cursor, self.wanted.of, Bounds(self.before, None, self.until))
        self._do(f"ALTER TABLE {self.before} DROP CONSTRAINT {self.before}")
        _like(self.cursor, self.wanted.of, self.wanted.of.rest)
        attach(self.cursor, self.wanted.of, Bounds(self.wanted.of.rest, None, None))
        for definition in triggers:
            self._do(definition)

    def _do(self, sql: str) -> None:
        self.cursor.execute(sql)

    def _all(self, sql: str) -> Sequence[tuple[Any, ...]]:
        self.cursor.execute(sql, [self.table])
        found: Sequence[tuple[Any, ...]] = self.cursor.fetchall()
        return found

    def _columns(self) -> str:
        """The widest first, so that nothing is lost between them."""
        rows = self._all(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
            "pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a "
            "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            "WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped "
            "ORDER BY a.attlen = -1, position(a.attalign::text IN 'disc'), a.attnum"
        )
        return ", ".join(
            f'"{name}" {kind}{" NOT NULL" if required else ""}'
            + _default(self.wanted.default if name == "id" and self.wanted.default else default)
            for name, kind, required, default in rows
        )

    def _constraints(self, kind: str) -> Sequence[tuple[Any, ...]]:
        return self._all(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            f"WHERE contype = '{kind}' AND conrelid = %s::regclass ORDER BY conname"
        )

    def _triggers(self) -> list[str]:
        """Those of the table are dropped: each partition gets the whole's."""
        found = self._all(
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger "
            "WHERE tgrelid = %s::regclass AND NOT tgisinternal"
        )
        for name, _ in found:
            self._do(f'DROP TRIGGER "{name}" ON {self.table}')
        return [definition for _, definition in found]

    def _sequence(self) -> str:
        """An identity cannot be a partition's: a sequence of the same name goes on from it."""
        if not self.wanted.default:
            return ""
        ((name, last, called),) = self._identity()
        self._do(f"ALTER TABLE {self.table} ALTER COLUMN id DROP IDENTITY")
        self._do(f"CREATE SEQUENCE {name} START {last + 1 if called else last}")
        return name

    def _identity(self) -> Sequence[tuple[str, int, bool]]:
        ((name,),) = self._all("SELECT pg_get_serial_sequence(%s, 'id')")
        self.cursor.execute(f"SELECT last_value, is_called FROM {name}")
        return [(name, *self.cursor.fetchone())]

    def _free_indexes(self) -> list[str]:
        """The definitions of those that the whole shall have. Theirs are renamed: each becomes a
        part of the whole's."""
        definitions = []
        for name, definition, plain in self._all(
            "SELECT i.relname, pg_get_indexdef(x.indexrelid), NOT x.indisunique FROM pg_index x "
            "JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %s::regclass"
        ):
            self._do(f'ALTER INDEX "{name}" RENAME TO "{name[:55]}_before"')
            if plain and name not in self.wanted.left_out:
                definitions.append(definition)
        return definitions


def _default(expression: str | None) -> str:
    return f" DEFAULT {expression}" if expression else ""
