"""Files in a folder, or in a bucket of S3-compatible storage, by a URL of the settings.

`s3+https://KEY:SECRET@host/bucket/prefix?region=eu-west-1`, or a path.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_BLOCK = 1 << 20


def errors() -> tuple[type[Exception], ...]:
    """What a storage that is away raises."""
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    return OSError, MinioException, HTTPError


class Store(Protocol):
    def sizes(self) -> Iterable[tuple[str, int]]:
        """Of every file: its name, and how many bytes it has."""

    def put(self, path: Path, name: str) -> None:
        """Keep a file, whole or not at all."""

    def get(self, name: str, path: Path) -> None:
        """Copy to a file. Raises FileNotFoundError or the storage's own error."""

    def open(self, name: str) -> IO[bytes]:
        """To be read from anywhere, without fetching the rest. Raises as `get`."""

    def remove(self, name: str) -> None: ...


class Folder:
    """On a disk of this machine, or one that is mounted here."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sizes(self) -> Iterable[tuple[str, int]]:
        if not self.path.is_dir():
            return []
        return [(each.name, each.stat().st_size) for each in self.path.iterdir()]

    def put(self, path: Path, name: str) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path / f".{name}"
        draft.write_bytes(b"")
        draft.chmod(0o600)
        with path.open("rb") as source, draft.open("wb") as target:
            while block := source.read(_BLOCK):
                target.write(block)
        draft.replace(self.path / name)

    def get(self, name: str, path: Path) -> None:
        with (self.path / name).open("rb") as source, path.open("wb") as target:
            while block := source.read(_BLOCK):
                target.write(block)

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


class Bucket:
    """S3, or what speaks like it."""

    def __init__(self, url: SplitResult) -> None:
        from minio import Minio  # 6 MB, where nothing is kept in a bucket

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

    def sizes(self) -> Iterable[tuple[str, int]]:
        found = self.client.list_objects(self.bucket, prefix=self.prefix)
        names = ((str(each.object_name), int(each.size or 0)) for each in found)
        return [(name.removeprefix(self.prefix), size) for name, size in names]

    def put(self, path: Path, name: str) -> None:
        self.client.fput_object(self.bucket, self.prefix + name, str(path))

    def get(self, name: str, path: Path) -> None:
        self.client.fget_object(self.bucket, self.prefix + name, str(path))

    def open(self, name: str) -> IO[bytes]:
        return io.BufferedReader(_Object(self, self.prefix + name), _BLOCK)

    def remove(self, name: str) -> None:
        self.client.remove_object(self.bucket, self.prefix + name)


class _Object(io.RawIOBase):
    """An object of a bucket, of which only what is read is fetched."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._client, self._place = bucket.client, (bucket.bucket, name)
        self._size = int(self._client.stat_object(*self._place).size or 0)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        answer = self._client.get_object(*self._place, offset=self._at, length=length)
        try:
            data = answer.read()
        finally:
            answer.close()
            answer.release_conn()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def store(url: str) -> Store:
    """The one at this URL."""
    parts = urlsplit(url)
    return Bucket(parts) if parts.scheme.startswith("s3") else Folder(Path(url))
