"""Take a backup: both stores as they were at one moment, in one sealed file."""

import json
import tarfile
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from operations.backups import in_flight, postgres_copy, shelves, sqlite_copy
from operations.backups.sealing import Sealer
from operations.backups.shelves import Kept

FORMAT = 1
MANIFEST, EVENTS = "manifest.json", "events.jsonl"


def take() -> Kept:
    """A backup of now, on its shelf; the oldest ones beyond BACKUP_KEEP are removed. Raises
    RedisError, django.db.Error, OSError, or what the storage raises."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="backup-", dir=settings.DATA_DIR) as home:
        folder = Path(home, "content")
        folder.mkdir()
        at = _fill(folder)
        sealed = Path(home, "sealed")
        _seal(folder, sealed)
        kept = Kept(shelves.name_of(at), at, sealed.stat().st_size)
        there = shelves.shelf()
        there.put(sealed, kept.name)
    shelves.thin_out(there, settings.BACKUP_KEEP)
    return kept


def _fill(folder: Path) -> datetime:
    moments: list[datetime] = []

    def at_that_moment() -> None:
        """No usage is booked meanwhile: an event is in the copy of the database, or here."""
        moments.append(datetime.now(UTC).replace(microsecond=0))
        with (folder / EVENTS).open("w") as target:
            for fields in in_flight.events():
                target.write(json.dumps(fields) + "\n")

    copied = _copier()(folder, at_that_moment)
    manifest = {
        "format": FORMAT,
        "at": moments[0].isoformat(),
        "vendor": connection.vendor,
        "migrations": sorted(map(list, MigrationRecorder(connection).applied_migrations())),
        "copied": copied,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return moments[0]


def _copier() -> Callable[[Path, Callable[[], None]], dict[str, Any]]:
    return sqlite_copy.copy if connection.vendor == "sqlite" else postgres_copy.copy


def _seal(folder: Path, path: Path) -> None:
    with path.open("wb") as file:
        path.chmod(0o600)
        sealer = Sealer(file, settings.BACKUP_KEY)
        with tarfile.open(mode="w|gz", fileobj=sealer) as archive:
            for each in sorted(folder.iterdir()):
                archive.add(each, each.name)
        sealer.close()
