"""Where backups are kept: a folder, or a bucket of S3-compatible storage (`BACKUP_URL`)."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.conf import settings
from minio import Minio

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


class Shelf(Protocol):
    def listed(self) -> list[Kept]:
        """The oldest first."""

    def put(self, path: Path, name: str) -> None:
        """Keep a file, whole or not at all; the file may be moved."""

    def get(self, name: str, path: Path) -> None:
        """Copy a backup to a file. Raises FileNotFoundError or the storage's own error."""

    def remove(self, name: str) -> None: ...


class Folder:
    """On a disk of this machine, or one that is mounted here."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def listed(self) -> list[Kept]:
        if not self.path.is_dir():
            return []
        return _listed((each.name, each.stat().st_size) for each in self.path.iterdir())

    def put(self, path: Path, name: str) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path / f".{name}"
        draft.write_bytes(b"")
        draft.chmod(0o600)
        with path.open("rb") as source, draft.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
        draft.replace(self.path / name)

    def get(self, name: str, path: Path) -> None:
        with (self.path / name).open("rb") as source, path.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


class Bucket:
    """S3, or what speaks like it: `s3+https://KEY:SECRET@host/bucket/prefix?region=eu-west-1`."""

    def __init__(self, url: SplitResult) -> None:
        host = (url.hostname or "") + (f":{url.port}" if url.port else "")
        region = parse_qs(url.query).get("region", ["us-east-1"])[0]
        self.bucket, _, prefix = url.path.strip("/").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self.client = Minio(
            host,
            access_key=unquote(url.username or ""),
            secret_key=unquote(url.password or ""),
            secure=url.scheme == "s3+https",
            region=region,
        )

    def listed(self) -> list[Kept]:
        found = self.client.list_objects(self.bucket, prefix=self.prefix)
        names = ((str(each.object_name), int(each.size or 0)) for each in found)
        return _listed((name.removeprefix(self.prefix), size) for name, size in names)

    def put(self, path: Path, name: str) -> None:
        self.client.fput_object(self.bucket, self.prefix + name, str(path))

    def get(self, name: str, path: Path) -> None:
        self.client.fget_object(self.bucket, self.prefix + name, str(path))

    def remove(self, name: str) -> None:
        self.client.remove_object(self.bucket, self.prefix + name)


def _listed(found: Iterable[tuple[str, int]]) -> list[Kept]:
    kept = [each for name, size in found if (each := _kept(name, size))]
    return sorted(kept, key=lambda each: each.at)


def shelf() -> Shelf:
    """The one that is set."""
    url = urlsplit(settings.BACKUP_URL)
    return Bucket(url) if url.scheme.startswith("s3") else Folder(Path(settings.BACKUP_URL))


def folders() -> list[Path]:
    """The folder, if it is one: a disk that may be full."""
    there = shelf()
    return [there.path] if isinstance(there, Folder) else []


def thin_out(there: Shelf, keep: int) -> list[str]:
    """Remove the oldest beyond so many; which those were."""
    surplus = [each.name for each in there.listed()[:-keep]] if keep > 0 else []
    for name in surplus:
        there.remove(name)
    return surplus
