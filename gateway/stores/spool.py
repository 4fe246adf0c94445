"""Usage events on a gateway's own disk, until the books have them (docs/stores.md).

Each gateway process has a folder, locked while it lives, with segments: files that are only
appended to. An event is kept before it is sent to Valkey, and written within WRITE_SECONDS with
all others of that time: only a gateway that dies in it together with Valkey loses them. Nobody
waits for the disk. A segment goes when the stream has moved on past all of it and it is old
enough. What is read back is checked, so a torn end is no event.
"""

import fcntl
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from ratelimits import keys

logger = logging.getLogger(__name__)

WRITE_SECONDS = 0.01
SEGMENT_SECONDS = 5.0
SEGMENT_BYTES = 8 * 1024 * 1024
_HEAD = struct.Struct("<IIqqH")  # crc, length of the event, account, cost, length of the id
_LOCK = "lock"


class Kept(NamedTuple):
    """One usage event as it was sent to Valkey. The cost is nano-dollars."""

    account: int
    request_id: str
    cost: int
    event: bytes


@dataclass(eq=False)
class Segment:
    """One file. `unanswered`: how many of its events Valkey has not confirmed; `last`: by shard,
    the newest entry of the stream when all were; `passed`: the stream has moved on past it;
    `settled`: and was not lost meanwhile."""

    path: Path
    began: float
    shards: set[int] = field(default_factory=set)
    unanswered: int = 0
    last: dict[int, tuple[int, int]] | None = None
    passed: bool = False
    settled: bool = False

    def read(self) -> Iterator[Kept]:
        """Its events, as far as they can be read."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        yield from decode(data)


def folder(node: str) -> Path:
    """Where a node keeps its segments."""
    return Path(settings.SPOOL_DIR) / node


def is_orphan(path: str | Path) -> bool:
    """Whether the process that a folder belongs to is gone."""
    if not Path(path).is_dir():
        return True
    lock = _locked(Path(path))
    if lock is None:
        return False
    os.close(lock)
    return True


def _locked(path: Path) -> int | None:
    """The lock of a folder, if nobody has it. A folder that is not there is nobody's."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def encode(kept: Kept) -> bytes:
    """As it stands in a segment."""
    name = kept.request_id.encode()
    crc = zlib.crc32(kept.event)
    return _HEAD.pack(crc, len(kept.event), kept.account, kept.cost, len(name)) + name + kept.event


def decode(data: bytes) -> Iterator[Kept]:
    """The events of a segment, up to the first that is not whole."""
    at = 0
    while at + _HEAD.size <= len(data):
        crc, length, account, cost, named = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name, event = data[at : at + named], data[at + named : at + named + length]
        at += named + length
        if len(event) < length or zlib.crc32(event) != crc:
            return
        yield Kept(account, name.decode(), cost, event)


class Spool:
    """This process's. `keep` and `answered` belong to the event loop, the rest to a thread."""

    def __init__(self, node: str) -> None:
        self.path = folder(node)
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file = _locked(self.path)
        self._mutex = threading.Lock()
        self._buffer: list[bytes] = []
        self._unanswered: dict[str, Segment] = {}
        self.passed_over: dict[str, Kept] = {}  # by a replay, for their settlement is under way
        self._serial = 0
        self._closed: list[Segment] = []
        self._dirty = False
        self._file, self._now = self._open()

    def _open(self) -> tuple[int, Segment]:
        self._serial += 1
        path = self.path / f"{time.time_ns()}-{self._serial}.spool"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return file, Segment(path, time.monotonic())

    def size(self) -> int:
        """Bytes on the disk now."""
        with suppress(FileNotFoundError):  # a segment that just went
            return sum(each.stat().st_size for each in self.path.glob("*.spool"))
        return 0

    def keep(self, kept: Kept) -> bool:
        """Keep an event; True if it is the first since the last `flush`, who then has to be called
        soon. Kept again, it is the same event."""
        if kept.request_id in self._unanswered:
            return False
        segment = self._now
        segment.unanswered += 1
        segment.shards.add(keys.shard(kept.account))
        self._unanswered[kept.request_id] = segment
        self._buffer.append(encode(kept))
        return len(self._buffer) == 1

    def answered(self, request_id: str) -> None:
        """Valkey has it."""
        segment = self._unanswered.pop(request_id, None)
        if segment is not None:
            segment.unanswered -= 1

    def flush(self) -> None:
        """Write what was kept. A disk that fails stops nobody: it is said, and served on."""
        with self._mutex:
            if not self._buffer:
                return
            batch, self._buffer = self._buffer, []
            try:
                os.write(self._file, b"".join(batch))
            except OSError:
                logger.exception("spool.failed: %d events are not kept", len(batch))
            self._dirty = True

    def sync(self) -> None:
        """Ask the disk to keep it; begin a new segment where it is time."""
        self.flush()
        with self._mutex:
            file, dirty, self._dirty = os.dup(self._file), self._dirty, False
        try:
            if dirty:
                os.fsync(file)
        finally:
            os.close(file)
        self._turn()

    def _turn(self) -> None:
        with self._mutex:
            old = time.monotonic() - self._now.began > SEGMENT_SECONDS
            size = os.fstat(self._file).st_size
            if not size or not (old or size > SEGMENT_BYTES) or self._buffer:
                return
            os.close(self._file)
            self._closed.append(self._now)
            self._file, self._now = self._open()

    def segments(self) -> list[Segment]:
        """All of them, the one that is being written last."""
        with self._mutex:
            return [*self._closed, self._now]

    def unanswered(self) -> frozenset[str]:
        """The requests whose settlement Valkey has not confirmed: it is tried until it does."""
        return frozenset(tuple(self._unanswered))

    def adopt(self) -> list[Segment]:
        """Take over what dead processes on this disk have left; the segments."""
        found: list[Segment] = []
        for path in sorted(Path(settings.SPOOL_DIR).iterdir()):
            if path == self.path or not path.is_dir() or (lock := _locked(path)) is None:
                continue
            try:
                found += [self._take(each) for each in sorted(path.glob("*.spool"))]
                (path / _LOCK).unlink(missing_ok=True)
                path.rmdir()
            except OSError:
                logger.exception("spool.not_adopted %s", path)
            finally:
                os.close(lock)
        return found

    def _take(self, file: Path) -> Segment:
        mine = file.rename(self.path / file.name)
        segment = Segment(mine, time.monotonic())
        segment.shards = {keys.shard(kept.account) for kept in segment.read()}
        with self._mutex:
            self._closed.append(segment)
        return segment

    def drop(self, segment: Segment) -> None:
        """The books have all of it."""
        segment.path.unlink(missing_ok=True)
        with self._mutex:
            self._closed.remove(segment)

    def close(self) -> None:
        """Let another process have what is left, if anything is."""
        self.flush()
        os.close(self._file)
        if not self._now.path.stat().st_size:
            self._now.path.unlink()
        if not any(self.path.glob("*.spool")):
            (self.path / _LOCK).unlink(missing_ok=True)
            self.path.rmdir()
        if self._lock_file is not None:
            os.close(self._lock_file)
