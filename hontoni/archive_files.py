"""The archive's files: Parquet tables of a month each, which any tool can read.

They are as secret as the database: a folder of the product's own, or a private bucket
(`ARCHIVE_URL`). Arrow is 50 MB: whoever serves requests imports this only where a file is read.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings

from hontoni import months, storage

GROUP = 20_000  # rows that are compressed, and read, together

MOMENT = pa.timestamp("us", tz="UTC")
WORD = pa.dictionary(pa.int32(), pa.string())  # one of few

Row = dict[str, Any]
Range = tuple[Any, Any]  # both included


@dataclass(frozen=True, slots=True)
class Table:
    """A file's name begins with `name`; `schema` are its columns. It ends with the beginning of
    the file's digest, so that no file ever takes another one's place."""

    name: str
    schema: pa.Schema

    def file(self, month: datetime, digest: str) -> str:
        return f"{self.name}-{months.name(month)}-{digest[:12]}.parquet"


def store() -> storage.Store:
    """Where the files are."""
    return storage.store(settings.ARCHIVE_URL)


# -- Writing -------------------------------------------------------------------------------------


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


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    found = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(_blocks(source), b""):
            found.update(block)
    return found.hexdigest()


def _blocks(source: Any) -> Callable[[], bytes]:
    return lambda: bytes(source.read(1 << 20))


# -- Reading -------------------------------------------------------------------------------------


class Reader:
    """A file that is open. One group of rows is in memory at a time: of the groups that can have
    some of what is looked for first the columns that say so, and the others where it has."""

    def __init__(self, source: IO[bytes]) -> None:
        self._file = pq.ParquetFile(source)
        self._columns = {name: place for place, name in enumerate(self._file.schema_arrow.names)}
        self._known: dict[str, list[Range | None]] = {}
        self._last: tuple[int, pa.Table] | None = None

    def rows(self, *, ascending: bool = True, **within: Range) -> Iterator[Row]:
        """Those whose columns have values in these ranges, in the file's order or against it."""
        groups = [n for n in range(self._file.num_row_groups) if self._may_have(n, within)]
        for number in groups if ascending else reversed(groups):
            found = self._found(number, within)
            yield from found if ascending else reversed(found)

    def _found(self, number: int, within: dict[str, Range]) -> list[Row]:
        if self._last and self._last[0] == number:
            group = self._last[1]
        else:
            wanted = self._file.read_row_group(number, columns=list(within) or None)
            if within and not pc.any(_mask(wanted, within)).as_py():
                return []
            group = self._file.read_row_group(number)
            self._last = number, group
        rows: list[Row] = (group.filter(_mask(group, within)) if within else group).to_pylist()
        return rows

    def _may_have(self, group: int, within: dict[str, Range]) -> bool:
        for column, (least, most) in within.items():
            known = self._bounds(column)[group]
            if known is not None and not (known[0] <= most and least <= known[1]):
                return False
        return True

    def _bounds(self, column: str) -> list[Range | None]:
        if column not in self._known:
            place, file = self._columns[column], self._file
            found = [
                file.metadata.row_group(n).column(place).statistics
                for n in range(file.num_row_groups)
            ]
            self._known[column] = [
                (each.min, each.max) if each is not None and each.has_min_max else None
                for each in found
            ]
        return self._known[column]


def _mask(table: pa.Table, within: dict[str, Range]) -> Any:
    return reduce(
        pc.and_,
        (
            part
            for column, (least, most) in within.items()
            for part in (
                pc.greater_equal(table[column], pa.scalar(least, table[column].type)),
                pc.less_equal(table[column], pa.scalar(most, table[column].type)),
            )
        ),
    )


@contextmanager
def opened(name: str) -> Iterator[Reader]:
    """Raises FileNotFoundError or the storage's own error; OSError of what is no such file."""
    with store().open(name) as source:
        try:
            yield Reader(source)
        except pa.ArrowException as error:
            raise OSError(f"{name} cannot be read: {error}") from error
