"""Where backups are kept: a folder, or a bucket of S3-compatible storage (`BACKUP_URL`)."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from hontoni import storage

_NAME = re.compile(r"hontoni-(\d{8}T\d{6})Z\.backup")
_WHEN = "%Y%m%dT%H%M%S"


class Kept(NamedTuple):
    """A backup: its name, the moment it is of, and its bytes."""

    name: str
    at: datetime
    size: int


def name_of(at: datetime) -> str:
    return f"hontoni-{at.astimezone(UTC).strftime(_WHEN)}Z.backup"


def _kept(name: str, size: int) -> Kept | None:
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Kept(name, datetime.strptime(found[1], _WHEN).replace(tzinfo=UTC), size)


class Shelf:
    """The backups in a store, which may have other files."""

    def __init__(self, store: storage.Store) -> None:
        self.store = store
        self.put, self.get, self.remove = store.put, store.get, store.remove

    def listed(self) -> list[Kept]:
        """The oldest first."""
        kept = [each for name, size in self.store.sizes() if (each := _kept(name, size))]
        return sorted(kept, key=lambda each: each.at)


def shelf() -> Shelf:
    """The one that is set."""
    return Shelf(storage.store(settings.BACKUP_URL))


def folders() -> list[Path]:
    """The folder, if it is one: a disk that may be full."""
    store = shelf().store
    return [store.path] if isinstance(store, storage.Folder) else []


def thin_out(there: Shelf, keep: int) -> list[str]:
    """Remove the oldest beyond so many; which those were."""
    surplus = [each.name for each in there.listed()[:-keep]] if keep > 0 else []
    for name in surplus:
        there.remove(name)
    return surplus
