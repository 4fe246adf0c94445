"""The free rider: sends shapes to the real product over a real socket, and reads what came of it.

It settles without the worker: the usage event is read from its stream the moment it is there.
"""

import http.client
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.plane import admission
from gateway.usage import books, events
from gateway.usage.models import UsageEvent
from gateway.usage.settlement import Entry
from hontoni import redis
from ratelimits.keys import shard, usage
from sandbox.vendors.meter import Bill
from tests.gateway_server import Gateway
from tests.money import law
from tests.money.law import Breach
from tests.money.rows import Rows
from tests.money.shapes import Shape
from tests.world import Person

_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Ride:
    """What became of one shape."""

    shape: Shape
    status: int  # 0: left before it was known
    bills: tuple[Bill, ...]
    events: tuple[UsageEvent, ...]
    answer: bytes = b""


@dataclass(slots=True)
class Rider:
    """`rich` can pay for everything, `poor` for little."""

    gateway: Gateway
    rich: Person
    poor: Person
    rows: Rows = field(default_factory=Rows.read)
    rides: int = 0
    _line: http.client.HTTPConnection | None = None
    _read: dict[int, bytes] = field(default_factory=dict)

    def ride(self, shape: Shape) -> Ride:
        """Send it, wait until it is settled, and tell."""
        self.rides += 1
        meter = self.gateway.vendors.sandbox.meter
        meter.clear()
        person = self.poor if shape.poor else self.rich
        status, answer = self._send(shape, person)
        self._settled(meter.bills)
        if shape.fails:
            _forgive()
        return Ride(shape, status, tuple(meter.bills), tuple(self._events(person)), answer)

    # -- The wire ----------------------------------------------------------------------------

    def _send(self, shape: Shape, person: Person) -> tuple[int, bytes]:
        line = self._line or self._dial()
        headers = {"authorization": f"Bearer {person.raw}", "content-type": "application/json"}
        try:
            line.request("POST", shape.path, shape.body(self.rides), headers | shape.headers)
            if shape.leave == 0 and self._asked(line):
                return 0, b""
            reply = line.getresponse()
            if shape.leave > 0:
                with reply:
                    return reply.status, _some(reply, shape.leave)
            answer = reply.read()
        except (http.client.HTTPException, OSError):
            line.close()
            self._line = None
            return 0, b""
        finally:
            if shape.leave >= 0:
                line.close()
                self._line = None
        return reply.status, answer

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()

    def _asked(self, line: http.client.HTTPConnection) -> bool:
        """Wait until a vendor was asked; False if the answer was there before."""
        bills = self.gateway.vendors.sandbox.meter.bills
        answered = select.poll()
        answered.register(line.sock, select.POLLIN)
        while not answered.poll(1):
            if bills:
                return True
        return False

    def _dial(self) -> http.client.HTTPConnection:
        where = urlsplit(self.gateway.url)
        self._line = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
        return self._line

    # -- What came of it ---------------------------------------------------------------------

    def _settled(self, bills: list[Bill]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while admission.LIVE or not all(bill.ended for bill in bills):
            assert time.monotonic() < deadline, "a request never ended"
            time.sleep(0.0005)

    def _events(self, person: Person) -> Iterator[UsageEvent]:
        """The account's new entries of the usage stream, as the books will have them."""
        number = shard(person.user.pk)
        last = self._read.get(number, b"-")
        start = b"(" + last if last != b"-" else last
        for ident, fields in redis.sync().xrange(usage(number), min=start):
            self._read[number] = ident
            event = events.read(fields[b"event"])
            if event["user_id"] == person.user.pk:
                (row,) = books.rows_of({Entry(number, ident, event).request_id: event})
                yield UsageEvent(**row._asdict())

    # -- The law -----------------------------------------------------------------------------

    def breach(self, ride: Ride) -> Breach | None:
        """How this ride broke the law, if it did; the cheapest of its breaches."""
        found = sorted(self._breaches(ride), key=lambda breach: breach.ratio)
        return found[0] if found else None

    def _breaches(self, ride: Ride) -> Iterator[Breach]:
        billed = [bill for bill in ride.bills if not bill.failed]
        if len(ride.events) > 1:
            yield Breach("one request has two receipts", None, ride.events[0], 1)
        if not ride.events:
            for bill in billed:
                yield Breach("nobody was charged for it", bill, None, 1)
            return
        event = ride.events[0]
        for bill in billed:
            if (why := law.breach(self.rows, bill, event)) and not _untimed(bill, event):
                yield Breach(why, bill, event, law.due(self.rows, bill, event))
        if len(billed) > 1:
            yield Breach("two answers were paid for one", billed[0], event, 1)
        if not billed and event.cost:
            yield Breach("charged, and no vendor billed anything", None, event, 1)


def _untimed(bill: Bill, event: UsageEvent) -> bool:
    """Left while it reasoned: that is estimated by the time it took, and here time is nothing.
    test_cuts.py holds such estimates to the law."""
    silent = bill.lines[-1].tokens.output == 0
    return bill.left and silent and event.estimated and event.aborted


def _forgive() -> None:
    """The vendors' failures of one ride are not the next one's."""
    from hontoni.asgi import v1

    assert v1.upstream is not None
    v1.upstream.forget()


def _some(reply: http.client.HTTPResponse, size: int) -> bytes:
    answer = b""
    while len(answer) < size:
        more = reply.read1(size - len(answer))
        if not more:
            break
        answer += more
    return answer


def simplest(rider: Rider, shape: Shape, why: str) -> tuple[Shape, Breach | None]:
    """The same breach, about as cheap, with as little as it needs."""
    best, breach = shape, rider.breach(rider.ride(shape))
    most = 1.25 * (breach.ratio if breach else 1.0) + 0.001
    tried: set[Any] = set()
    while True:
        for plainer in best.plainer():
            if plainer in tried:
                continue
            tried.add(plainer)
            found = rider.breach(rider.ride(plainer))
            if found is not None and found.why == why and found.ratio <= most:
                best, breach = plainer, found
                break
        else:
            return best, breach
