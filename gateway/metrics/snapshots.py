"""The counts of all processes behind one port, of which a scrape only meets one.

Each writes its own into a file now and then (only if something changed), and holds a lock while it
lives. What an ended process had counted stays counted: its files are folded into one at the next
start. What it had open is forgotten with it.
"""

import asyncio
import fcntl
import json
import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.conf import settings

from gateway.plane.counts import OVERHEAD, Counts, Histogram, Kind, Row

logger = logging.getLogger(__name__)

WRITE_SECONDS = 2.0
_ENDED = "ended.json"


class Snapshot:
    """What some processes have counted, and what they have open (by the name of the gauge)."""

    def __init__(self) -> None:
        self.rows: dict[Kind, Row] = {}
        self.overhead = Histogram(OVERHEAD)
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.gauges: Counter[str] = Counter()
        self.breakers: dict[tuple[str, str], int] = {}  # credential, model: the worst state
        self.rebuilt = 0
        self.processes = 0

    def add(self, other: dict[str, Any], *, alive: bool) -> None:
        """Another's, as `told` has it."""
        for *kind, requests, cost, gift, buckets, first_byte in other["rows"]:
            row = self.rows.setdefault((kind[0], kind[1], kind[2], kind[3]), Row())
            row.requests += requests
            row.cost += cost
            row.gift += gift
            row.buckets = [a + b for a, b in zip(row.buckets, buckets, strict=True)]
            _add(row.first_byte, first_byte)
        _add(self.overhead, other["overhead"])
        for status, code, count in other["refusals"]:
            self.refusals[status, code] += count
        self.rebuilt += other.get("rebuilt", 0)
        if alive:
            self.processes += 1
            self.gauges.update(other["gauges"])
            for label, model, state in other["breakers"]:
                known = self.breakers.get((label, model), 0)
                self.breakers[label, model] = max(known, state)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can keep it."""
        return {
            "rows": [
                [*kind, row.requests, row.cost, row.gift, row.buckets, _histogram(row.first_byte)]
                for kind, row in self.rows.items()
            ],
            "overhead": _histogram(self.overhead),
            "refusals": [[*kind, count] for kind, count in self.refusals.items()],
            "rebuilt": self.rebuilt,
            "gauges": dict(self.gauges),
            "breakers": [[*kind, state] for kind, state in self.breakers.items()],
        }


def _histogram(histogram: Histogram) -> list[Any]:
    return [histogram.counts, histogram.sum, histogram.exemplars]


def _add(into: Histogram, numbers: list[Any]) -> None:
    counts, total, exemplars = numbers
    if len(counts) != len(into.counts):
        return  # of a release with other buckets
    into.counts = [a + b for a, b in zip(into.counts, counts, strict=True)]
    into.sum += total
    for place, theirs in enumerate(exemplars):
        mine = into.exemplars[place]
        if theirs is not None and (mine is None or theirs[2] > mine[2]):
            into.exemplars[place] = (theirs[0], theirs[1], theirs[2])


class Live(NamedTuple):
    """What this process has open now."""

    gauges: dict[str, int]
    breakers: dict[tuple[str, str], int]


def own(live: Live) -> Snapshot:
    """What this process has counted, and has open. For reading only: it is not a copy."""
    mine = Snapshot()
    mine.rows, mine.overhead, mine.refusals = Counts.rows, Counts.overhead, Counts.refusals
    mine.rebuilt = Counts.rebuilt
    mine.gauges, mine.breakers, mine.processes = Counter(live.gauges), live.breakers, 1
    return mine


class Folder:
    """Where the processes behind one port leave their counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.mine = path / f"{os.getpid()}-{os.urandom(4).hex()}.json"
        self._lock = _locked(self.mine.with_suffix(".lock"))
        self._written = ""
        with _locked(path / "fold"):
            self._fold()

    def close(self) -> None:
        """This process counts no more."""
        self._lock.close()

    def write(self, snapshot: Snapshot) -> None:
        """This process's, if it is another than last time."""
        text = json.dumps(snapshot.as_dict())
        if text != self._written:
            _replace(self.mine, text)
            self._written = text

    def read(self, mine: Snapshot) -> Snapshot:
        """Everybody's, with this process's own as it is now."""
        whole = Snapshot()
        whole.add(mine.as_dict(), alive=True)
        for path in self._others():
            if (numbers := _load(path)) is not None:
                whole.add(numbers, alive=path.name != _ENDED and not _is_over(path))
        return whole

    def _others(self) -> list[Path]:
        return [path for path in self.path.glob("*.json") if path != self.mine]

    def _fold(self) -> None:
        """Those of ended processes into one file."""
        over = [path for path in self._others() if path.name != _ENDED and _is_over(path)]
        if not over:
            return
        whole = Snapshot()
        for path in (self.path / _ENDED, *over):
            if (numbers := _load(path)) is not None:
                whole.add(numbers, alive=False)
        _replace(self.path / _ENDED, json.dumps(whole.as_dict()))
        for path in over:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)


def _locked(path: Path) -> IO[str]:
    held = path.open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def _is_over(path: Path) -> bool:
    try:
        with path.with_suffix(".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _load(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return None


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


class Shared:
    """This process's folder, if it could be made."""

    folder: Folder | None = None


def open_folder() -> None:
    """Before the first request. A disk that cannot be written leaves each process to itself."""
    try:
        Shared.folder = Folder(settings.METRICS_DIR / str(settings.PORT))
    except OSError:
        Shared.folder = None
        logger.warning("metrics.alone: %s", settings.METRICS_DIR, exc_info=True)


def everybodys(mine: Snapshot) -> Snapshot:
    """Of all processes behind this port."""
    return mine if Shared.folder is None else Shared.folder.read(mine)


def write(mine: Snapshot) -> None:
    """Leave this process's counts where the others find them."""
    if Shared.folder is not None:
        with suppress(OSError):
            Shared.folder.write(mine)


def leave(mine: Snapshot) -> None:
    """The last word of this process."""
    write(mine)
    if Shared.folder is not None:
        Shared.folder.close()
        Shared.folder = None


async def write_for_ever(live: Callable[[], Live]) -> None:
    """Until it is cancelled; `live` says what is open."""
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        write(own(live()))
