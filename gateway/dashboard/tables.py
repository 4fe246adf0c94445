"""What is downloaded: requests, or their sums by the hour, as CSV and as Parquet, bit by bit.

Both have the same columns. Arrow is loaded with the first Parquet only: it is 50 MB, which a
gateway needs for nothing else.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal

from accounts.models import ApiKey
from gateway.catalogue.models import BUCKETS
from hontoni.money import DOLLAR, dollars

Kind = Literal["text", "moment", "number", "flag", "money"]
_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `value` reads it from a row. Money is nano-dollars there, dollars outside."""

    name: str
    kind: Kind
    value: Callable[[Any], Any]


def _member(key: ApiKey) -> str:
    return key.member.person.email if key.member else ""


def _plain(kind: Kind, *names: str) -> list[Column]:
    return [Column(name, kind, attrgetter(name)) for name in names]


_KEY = Column("key", "text", lambda row: row.api_key.name)
_MEMBER = Column("member", "text", lambda row: _member(row.api_key))
REQUESTS: Sequence[Column] = (
    *_plain("text", "request_id"),
    *_plain("moment", "created_at"),
    _KEY,
    *_plain("text", "model", "dialect"),
    *_plain("number", "status"),
    *_plain("text", "error"),
    *_plain("number", *BUCKETS),
    Column("cost_usd", "money", lambda row: row.charged),
    *_plain("flag", "estimated", "aborted"),
    *_plain("number", "first_byte_ms", "duration_ms"),
    *_plain("text", "client", "tool"),
    Column("vendor", "text", lambda row: row.way.vendor),
    Column("attempts", "number", lambda row: len(row.way.attempts)),
    _MEMBER,
)
HOURS: Sequence[Column] = (
    *_plain("moment", "hour"),
    _KEY,
    *_plain("text", "model", "tool"),
    *_plain("number", "requests", "errors", *BUCKETS),
    Column("cost_usd", "money", lambda row: row.cost),
    _MEMBER,
)


class Csv:
    """Text with a head, a line a row."""

    content_type, rows_at_once = "text/csv", 1000

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns

    def begin(self) -> bytes:
        return _lines([[column.name for column in self.columns]])

    def rows(self, rows: Sequence[Any]) -> bytes:
        return _lines([[_spelled(c.kind, c.value(row)) for c in self.columns] for row in rows])

    def end(self) -> bytes:
        return b""


def _lines(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _spelled(kind: Kind, value: Any) -> Any:
    if kind == "text":  # spreadsheets run what begins like a formula
        return f"'{value}" if value and value[0] in "=+-@\t\r" else value
    if kind == "moment":
        return value.isoformat()
    return dollars(value) if kind == "money" else value


class _Sink(io.RawIOBase):
    """A file that hands on what is written to it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        self._length += len(self._parts[-1])
        return len(self._parts[-1])

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class Parquet:
    """A table that any tool for data reads, with types: money is a decimal of dollars."""

    content_type, rows_at_once = "application/vnd.apache.parquet", 10_000

    def __init__(self, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types: dict[Kind, Any] = {
            "text": pa.string(),
            "moment": pa.timestamp("us", tz="UTC"),
            "number": pa.int64(),
            "flag": pa.bool_(),
            "money": pa.decimal128(19, _DECIMALS),
        }
        self.columns = columns
        self._schema = pa.schema([(column.name, types[column.kind]) for column in columns])
        self._sink, self._batch = _Sink(), pa.RecordBatch.from_pydict
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")

    def begin(self) -> bytes:
        return self._sink.taken()

    def rows(self, rows: Sequence[Any]) -> bytes:
        found = {c.name: [_typed(c.kind, c.value(row)) for row in rows] for c in self.columns}
        if rows:
            self._writer.write_batch(self._batch(found, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.taken()


def _typed(kind: Kind, value: Any) -> Any:
    return Decimal(value) / DOLLAR if kind == "money" else value
