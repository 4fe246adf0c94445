"""Put a backup back. Nothing else of the product may run meanwhile.

The database becomes what it was; the usage events that were on their way go back into the stream,
beside those that are there now; a new epoch begins, so every account in Valkey is made anew from
the database before its next request, and gateways put back what their spools still keep. Then the
books must balance.
"""

import json
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from gateway.reconciliation.invariants import problems
from gateway.stores import epochs, nodes
from gateway.stores.models import Node
from gateway.usage import shards
from hontoni import redis
from operations import schema
from operations.backups import in_flight, postgres_copy, shelves, sqlite_copy
from operations.backups.moment import EVENTS, FORMAT, MANIFEST
from operations.backups.sealing import Opener, Unreadable


class Refused(Exception):
    """It cannot be restored here and now. Says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup's files, and what it says of itself."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def applied(self) -> set[tuple[str, str]]:
        return {(app, name) for app, name in self.manifest["migrations"]}

    def events(self) -> Iterator[dict[str, str]]:
        with (self.folder / EVENTS).open() as lines:
            yield from map(json.loads, lines)


@contextmanager
def opened(name: str) -> Iterator[Opened]:
    """A backup of the shelf, whole and checked. Raises Unreadable, Refused."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.DATA_DIR) as home:
        sealed, folder = Path(home, "sealed"), Path(home, "content")
        shelves.shelf().get(name, sealed)
        with sealed.open("rb") as file:
            opener = Opener(file, settings.BACKUP_KEY)
            with tarfile.open(mode="r|gz", fileobj=opener) as archive:
                archive.extractall(folder, filter="data")
            opener.read()
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise Refused(f"It has format {manifest['format']}; this release reads {FORMAT}.")
        if manifest["vendor"] == "sqlite" and (wrong := sqlite_copy.check(folder)):
            raise Unreadable(wrong)
        yield Opened(folder, manifest)


def restore(name: str, *, replace: bool = False, force: bool = False) -> int:
    """Put it back. Answers how many usage events went back into the stream. Raises Refused,
    Unreadable, and what the stores raise; the database is then as it was, or to be restored again.
    """
    if not force and (who := _running()):
        raise Refused(f"{who} runs. Stop gateways, settlement, workers and beat first.")
    with opened(name) as backup:
        if backup.manifest["vendor"] != connection.vendor:
            raise Refused(f"It is of {backup.manifest['vendor']}; this is {connection.vendor}.")
        _fits_this_code(backup)
        if connection.vendor == "sqlite":
            _refuse_to_overwrite(replace)
            sqlite_copy.put_back(backup.folder)
        else:
            _make_tables(backup, replace=replace)
            postgres_copy.put_back(backup.folder, backup.manifest["copied"])
        in_flight.forget_accounts()
        count = in_flight.put_back(backup.events())
    call_command("prepare", verbosity=0, no_backup=True)
    epochs.begin(epochs.RESTORED)
    if found := problems():
        raise Refused("It is restored, and the books do not balance: " + "; ".join(found))
    return count


def _running() -> str:
    """Who would write meanwhile; empty if nobody does."""
    seconds, micros = redis.clock()
    now = int(seconds) * 1000 + int(micros) // 1000
    if redis.sync().zcount(shards.MEMBERS, now, "+inf"):
        return "Settlement"
    known = Node._meta.db_table in connection.introspection.table_names()
    return "A gateway" if known and nodes.behind("of nobody") else ""


def _fits_this_code(backup: Opened) -> None:
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    ours = {app for app, _ in known}
    if later := sorted(each for each in backup.applied - set(known) if each[0] in ours):
        raise Refused(f"It was taken by a later release: {later[0][0]} {later[0][1]}.")


def _refuse_to_overwrite(replace: bool) -> None:
    if not replace and connection.introspection.table_names():
        raise Refused("There is a database already. With --replace it is overwritten.")


def _make_tables(backup: Opened, *, replace: bool) -> None:
    """Of the release that took the backup."""
    if not postgres_copy.is_empty():
        _refuse_to_overwrite(replace)
        applied = set(MigrationRecorder(connection).applied_migrations())
        if applied == backup.applied:
            return
        postgres_copy.drop_everything()
    schema.make(backup.applied)
