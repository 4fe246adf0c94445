"""Many rows in one statement, on either database.

Postgres is sent one array a column and unnests them: the statement is as short for a thousand rows
as for one, and is planned once. Rows that are new for sure are copied, which is cheaper still.
SQLite, which has no round trips, is given its rows one by one inside one call.
A column is its name and its type, as Postgres calls it.

Table and column names are ours, never anybody's input.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.db import connection

Column = tuple[str, str]  # name; bigint, integer, boolean, text, jsonb, inet, uuid, ...
Row = Sequence[Any]


def insert(table: str, columns: Sequence[Column], rows: Sequence[Row], conflict: str = "") -> None:
    """Insert rows; `conflict` is an ON CONFLICT clause."""
    if not rows:
        return
    names = ", ".join(name for name, _ in columns)
    into = f"INSERT INTO {table} ({names})"
    if _is_postgres():
        sql, arrays = _unnested(columns, rows)
        _execute(f"{into} SELECT * FROM {sql} {conflict}", arrays)
    else:
        marks = ", ".join(["%s"] * len(columns))
        _execute_many(f"{into} VALUES ({marks}) {conflict}", _adapted(columns, rows))


def append(table: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Insert rows that are new for sure: by COPY, where there is one."""
    if not rows:
        return
    if not _is_postgres():
        insert(table, columns, rows)
        return
    names = ", ".join(name for name, _ in columns)
    whole = f"COPY {table} ({names}) FROM STDIN"
    # psycopg's own method: without this its errors would not be Django's, and not be told apart.
    errors = connection.wrap_database_errors
    with errors, connection.cursor() as cursor, cursor.copy(whole) as copy:
        copy.write(_copied(columns, rows))


def update(
    table: str,
    key: Column,
    columns: Sequence[Column],
    assign: str,
    rows: Sequence[Row],
    where: str = "",
) -> int:
    """Update the rows named by `key`, the first value of each. Returns how many.

    `assign` and `where` are SQL over the table's columns and, as `given.<name>`, those given; an
    empty `where` is all.
    """
    if not rows:
        return 0
    both = (key, *columns)
    which = f"{table}.{key[0]} = given.{key[0]}" + (f" AND ({where})" if where else "")
    if _is_postgres():
        sql, arrays = _unnested(both, rows)
        return _execute(f"UPDATE {table} SET {assign} FROM {sql} WHERE {which}", arrays)
    # SQLite numbers its parameters: each may be used as often as it is named.
    text = f"UPDATE {table} SET {assign} WHERE {which}"
    for place, (name, _) in sorted(enumerate(both, 1), key=lambda each: -len(each[1][0])):
        text = text.replace(f"given.{name}", f"?{place}")
    return _execute_many(text, _adapted(both, rows))


def select(sql: str, values: Sequence[Any], kind: str) -> list[tuple[Any, ...]]:
    """The rows of a query in which `{among}` stands for `IN (these values)`."""
    if _is_postgres():
        query, given = sql.format(among=f"= ANY(%s::{kind}[])"), _array(kind, values)
    else:
        query = sql.format(among="IN (SELECT value FROM json_each(%s))")
        given = json.dumps([_ADAPT.get(kind, _as_it_is)(value) for value in values])
    with connection.cursor() as cursor:
        cursor.execute(query, [given])
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _execute(sql: str, params: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def _execute_many(sql: str, rows: Iterable[Row]) -> int:
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(rows))
        return int(cursor.rowcount)


# -- Postgres ------------------------------------------------------------------------------------


def _unnested(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[str, list[str]]:
    kinds = [kind for _, kind in columns]
    marks = ", ".join(f"%s::{kind}[]" for kind in kinds)
    names = ", ".join(name for name, _ in columns)
    arrays = [
        _array(kind, values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)
    ]
    return f"unnest({marks}) AS given ({names})", arrays


def _array(kind: str, values: Sequence[Any]) -> str:
    """A Postgres array as text, joined as a whole: the driver would look at every value by itself,
    which costs more than all the rest of settling an event."""
    if kind in _BARE:
        return "{" + repr(list(values))[1:-1].replace("None", "NULL") + "}"
    spell = _SPELLED.get(kind)
    texts: Sequence[Any] = (
        values if spell is None else [None if v is None else spell(v) for v in values]
    )
    if None in texts:
        return "{" + ",".join("NULL" if text is None else _quoted(text) for text in texts) + "}"
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) != len(texts) - 1:
        return "{" + ",".join(map(_quoted, texts)) + "}"
    return "{" + _quoted(joined).replace(_SEPARATOR, '","') + "}"


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_SEPARATOR = "\x1f"
_BARE = ("bigint", "integer", "boolean")
_SPELLED: dict[str, Callable[[Any], str]] = {
    "uuid": lambda value: str(value.hex),
    "bytea": lambda value: "\\x" + value.hex(),
    "timestamptz": str,
    "date": str,
}


def _copied(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Rows as COPY reads them, made column by column: most of them need no look at each value."""
    texts = [
        _copied_column(kind, values)
        for (_, kind), values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return "\n".join(map("\t".join, zip(*texts, strict=True))) + "\n"


def _copied_column(kind: str, values: Sequence[Any]) -> Sequence[str]:
    if kind in _BARE:
        texts = list(map(str, values))
        return ["\\N" if t == "None" else t for t in texts] if None in values else texts
    spell: Callable[[Any], str] = _SPELLED.get(kind, _as_it_is)
    given = ["" if value is None else spell(value) for value in values]
    if _SPECIAL.search("".join(given)):
        given = [text.translate(_ESCAPED) for text in given]
    if None in values:
        return ["\\N" if v is None else t for v, t in zip(values, given, strict=True)]
    return given


_SPECIAL = re.compile(r"[\\\n\r\t]")
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})

# -- SQLite, as Django keeps these there ---------------------------------------------------------


def _adapted(columns: Sequence[Column], rows: Sequence[Row]) -> Iterable[Row]:
    """Column by column: most of them are fit as they are."""
    spelled = [
        list(map(_ADAPT[kind], values)) if kind in _ADAPT else values
        for (_, kind), values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return zip(*spelled, strict=True)


def _as_it_is(value: Any) -> Any:
    return value


def _hex(value: UUID | None) -> str | None:
    return None if value is None else value.hex


def _naive(value: datetime | None) -> str | None:
    if value is None:
        return None
    return str(value if value.tzinfo is UTC else value.astimezone(UTC)).removesuffix("+00:00")


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


_ADAPT: dict[str, Callable[[Any], Any]] = {"uuid": _hex, "timestamptz": _naive, "date": _day}
