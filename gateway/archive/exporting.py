"""A month's rows into the archive's files. It changes nothing, so it may be done again."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from billing.books.ledger_files import ENTRIES, TRANSFERS
from gateway.archive.columns import USAGE
from gateway.archive.span import Span
from gateway.usage.models import UsageEvent
from hontoni import archive_files
from hontoni.archive_files import Table

_CHUNK = 5_000
_TRANSFER = (
    *("id", "key", "kind", "amount", "debit__code", "credit__code", "ref", "actor", "reason"),
    "created_at",
)
_ENTRY = ("account__code", "account_version", "transfer_id", "amount", "balance_after")


def export(span: Span) -> list[dict[str, Any]]:
    """Write the files of a span, all its rows in them: of each its name, digest, bytes and rows.
    Raises OSError, django.db.Error, or what the storage raises."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="archive-", dir=settings.DATA_DIR) as home:
        return [_file(Path(home), span.month, table, rows) for table, rows in _tables(span)]


def _tables(span: Span) -> Iterator[tuple[Table, Iterable[Sequence[Any]]]]:
    """What belongs together stands together: an account's requests, and its entries."""
    events = span.events().order_by("user_id", "id").iterator(chunk_size=_CHUNK)
    yield USAGE, map(_event, events)
    yield TRANSFERS, map(_transfer, _rows(span.transfers().order_by("id"), _TRANSFER))
    yield ENTRIES, _rows(span.entries().order_by("account__code", "account_version"), _ENTRY)


def _rows(found: Any, columns: Sequence[str]) -> Iterable[Sequence[Any]]:
    rows: Iterable[Sequence[Any]] = found.values_list(*columns).iterator(chunk_size=_CHUNK)
    return rows


def _event(event: UsageEvent) -> Sequence[Any]:
    batch = event.batch.hex if event.batch else None
    own = {"request_id": event.request_id, "batch": batch, "details": _json(event.details)}
    return [own[n] if n in own else getattr(event, n) for n in USAGE.schema.names]


def _transfer(row: Sequence[Any]) -> Sequence[Any]:
    return (*row[:6], _json(row[6]), *row[7:])


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _file(
    home: Path, month: datetime, table: Table, rows: Iterable[Sequence[Any]]
) -> dict[str, Any]:
    path = home / table.name
    count = archive_files.write(table, path, rows)
    digest, size = archive_files.sha256(path), path.stat().st_size
    name = table.file(month, digest)
    archive_files.store().put(path, name)
    return {"name": name, "sha256": digest, "bytes": size, "rows": count}
