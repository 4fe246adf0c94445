"""The archive's files: three Parquet tables a month, which any tool can read.

They are as secret as the database: a folder of the product's own, or a private bucket.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings

from gateway.catalogue.models import BUCKETS
from hontoni import months, storage

GROUP = 20_000  # rows that are compressed, and read, together

_MOMENT = pa.timestamp("us", tz="UTC")
_WORD = pa.dictionary(pa.int32(), pa.string())  # one of few


@dataclass(frozen=True, slots=True)
class Table:
    """A file's name begins with `name`; `schema` are its columns. It ends with the beginning of
    the file's digest, so that no file ever takes another one's place."""

    name: str
    schema: pa.Schema

    def file(self, month: datetime, digest: str) -> str:
        return f"{self.name}-{months.name(month)}-{digest[:12]}.parquet"


USAGE = Table(
    "usage",
    pa.schema(
        [
            *(("user_id", pa.int64()), ("request_id", pa.string()), ("api_key_id", pa.int64())),
            *(("model", _WORD), ("requested_model", _WORD), ("price_id", pa.int64())),
            *(("batch", pa.string()), ("dialect", _WORD), ("stream", pa.bool_())),
            ("created_at", _MOMENT),
            *((bucket, pa.int64()) for bucket in BUCKETS),
            *(("cost", pa.int64()), ("hold", pa.int64()), ("estimated", pa.bool_())),
            *(("aborted", pa.bool_()), ("status", pa.int16()), ("error", _WORD)),
            *(("upstream_status", pa.int16()), ("upstream_request_id", pa.string())),
            *(("first_byte_ms", pa.int64()), ("duration_ms", pa.int64())),
            *(("client", _WORD), ("tool", _WORD), ("details", pa.string())),
        ]
    ),
)
TRANSFERS = Table(
    "transfers",
    pa.schema(
        [
            *(("id", pa.int64()), ("key", pa.string()), ("kind", _WORD), ("amount", pa.int64())),
            *(("debit", pa.string()), ("credit", pa.string()), ("ref", pa.string())),
            *(("actor", _WORD), ("reason", pa.string()), ("created_at", _MOMENT)),
        ]
    ),
)
ENTRIES = Table(
    "entries",
    pa.schema(
        [
            *(("account", pa.string()), ("account_version", pa.int64())),
            *(("transfer_id", pa.int64()), ("amount", pa.int64()), ("balance_after", pa.int64())),
        ]
    ),
)


def store() -> storage.Store:
    """Where the files are."""
    return storage.store(settings.ARCHIVE_URL)


def write(table: Table, path: Path, rows: Iterable[Sequence[Any]]) -> int:
    """A file of these rows; how many there were."""
    count, source = 0, iter(rows)
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        while group := list(islice(source, GROUP)):
            writer.write_batch(_batch(table.schema, group))
            count += len(group)
    return count


def _batch(schema: pa.Schema, rows: list[Sequence[Any]]) -> pa.RecordBatch:
    columns = [
        pa.array(values, type=field.type)
        for field, values in zip(schema, zip(*rows, strict=True), strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def find(name: str, **wanted: Any) -> Iterator[dict[str, Any]]:
    """The rows of a file in which these columns have these values; of the rest only what tells
    where they are is read. Raises FileNotFoundError or the storage's own error."""
    with store().open(name) as source:
        filters = [(column, "=", value) for column, value in wanted.items()]
        yield from pq.read_table(source, filters=filters).to_pylist()


def of_account(name: str, user_id: int, *, ascending: bool) -> Iterator[dict[str, Any]]:
    """An account's rows of a file of requests, in the order of their ids or against it. One group
    of rows is in memory at a time, and only those are read that can have some.

    Raises as `find`."""
    with store().open(name) as source, pq.ParquetFile(source) as file:
        groups = [n for n in range(file.num_row_groups) if _may_have(file, n, user_id)]
        for number in groups if ascending else reversed(groups):
            group = file.read_row_group(number)
            rows = group.filter(pc.equal(group["user_id"], user_id)).to_pylist()
            yield from rows if ascending else reversed(rows)


def _may_have(file: pq.ParquetFile, group: int, user_id: int) -> bool:
    known = file.metadata.row_group(group).column(0).statistics
    return known is None or not known.has_min_max or known.min <= user_id <= known.max


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    found = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(_blocks(source), b""):
            found.update(block)
    return found.hexdigest()


def _blocks(source: Any) -> Callable[[], bytes]:
    return lambda: bytes(source.read(1 << 20))
