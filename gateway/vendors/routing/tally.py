"""What came of one credential and model in this process, over the last minutes: a few additions a
request, and no clock of its own."""

import time
from typing import NamedTuple

MINUTES = 5


class Sums(NamedTuple):
    """Of the last MINUTES. `first_ms` is the sum over the `firsts` streams that began."""

    ok: int = 0
    failed: int = 0
    limited: int = 0
    first_ms: int = 0
    firsts: int = 0


class Tally:
    """`limited_until`: when the vendor takes requests again (seconds since 1970), as it said."""

    __slots__ = ("_minutes", "error", "limited_until")

    def __init__(self) -> None:
        self._minutes: dict[int, list[int]] = {}
        self.limited_until = 0.0
        self.error = ""

    def first(self, ms: float) -> None:
        """The first good byte of a stream came."""
        row = self._row()
        row[3] += int(ms)
        row[4] += 1

    def ended(self, error: str = "", *, limited: bool = False, wait: float = 0.0) -> None:
        """It is over; `error` says what failed, if the vendor did."""
        row = self._row()
        if not error:
            row[0] += 1
            return
        row[1] += 1
        self.error = error
        if limited:
            row[2] += 1
            self.limited_until = time.time() + wait

    def sums(self) -> Sums:
        """What there is now."""
        since = int(time.time() // 60) - MINUTES
        rows = [row for minute, row in self._minutes.items() if minute > since]
        return Sums(*(sum(column) for column in zip(*rows, strict=True))) if rows else Sums()

    def _row(self) -> list[int]:
        minute = int(time.time() // 60)
        row = self._minutes.get(minute)
        if row is None:
            row = self._minutes[minute] = [0] * len(Sums._fields)
            for old in [each for each in self._minutes if each <= minute - MINUTES]:
                del self._minutes[old]
        return row
