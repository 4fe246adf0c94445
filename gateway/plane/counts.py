"""What this process has done, in plain integers: /metrics (gateway/metrics/) tells them.

A request is counted once, when its cost is decided, from what its receipt says anyway: one look
into a dict and a few additions. Off (`METRICS`), it is not even that.
"""

import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.plane.call import Call

# Upper bounds in seconds; the last bucket has none.
OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
FIRST_BYTE = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0)
OUTCOMES = ("whole", "left", "overdue", "broke", "failed")  # by `life.End`

Exemplar = tuple[str, float, float]  # request id, seconds, when
Kind = tuple[str, str, str, str]  # dialect, model, vendor, outcome


class Histogram:
    """Counts by bucket, their sum, and the last request of each."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.sum = bounds, 0.0
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: list[Exemplar | None] = [None] * (len(bounds) + 1)

    def add(self, seconds: float, request_id: str, now: float) -> None:
        bucket = bisect_left(self.bounds, seconds)
        self.counts[bucket] += 1
        self.sum += seconds
        self.exemplars[bucket] = request_id, seconds, now


class Row:
    """Of all requests of one kind. Money in nano-dollars."""

    __slots__ = ("buckets", "cost", "first_byte", "gift", "requests")

    def __init__(self) -> None:
        self.requests = self.cost = self.gift = 0
        self.buckets = [0] * 6  # of usage, in the order of `ir.Usage`
        self.first_byte = Histogram(FIRST_BYTE)


class Counts:
    """Of this process."""

    on = False
    rows: dict[Kind, Row] = {}
    overhead = Histogram(OVERHEAD)
    refusals: Counter[tuple[str, str]] = Counter()  # status, code
    rebuilt = 0  # accounts made anew in Valkey

    @classmethod
    def forget(cls) -> None:
        cls.rows, cls.overhead, cls.refusals = {}, Histogram(OVERHEAD), Counter()
        cls.rebuilt = 0


def ended(call: "Call") -> None:
    """Its cost is decided. Said once a call."""
    model = call.request.model
    kind = call.request.dialect.name, model.id, model.vendor, OUTCOMES[call.end]
    row = Counts.rows.get(kind)
    if row is None:
        row = Counts.rows[kind] = Row()
    row.requests += 1
    row.cost += call.cost
    row.gift += call.gift
    if (usage := call.usage) is not None:
        buckets = row.buckets
        for place, tokens in enumerate(usage):
            if tokens:
                buckets[place] += tokens
    if call.sent_at:
        now = time.time()
        Counts.overhead.add(overhead(call, now), call.id, now)
        if call.first_byte is not None:
            row.first_byte.add(call.first_byte - call.began, call.id, now)


def refused(status: int, code: str) -> None:
    """An error was the answer. Codes are ours: there are a few dozen."""
    Counts.refusals[str(status), code] += 1


def overhead(call: "Call", now: float) -> float:
    """Seconds of ours in a request: from its whole body until a vendor was asked, and of an answer
    that came whole from its last byte until now. Waiting for a slot is included."""
    seconds = (call.sent_at or now) - call.began
    if not call.stream and call.first_byte is not None:
        seconds += now - call.first_byte
    return max(0.0, seconds)
