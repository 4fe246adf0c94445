"""A gateway process of the simulator: the product's scripts and spool, without HTTP."""

import os
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import orjson
from uuid_utils import uuid7

from billing.models import Wallet
from gateway.stores import nodes, rebuilding, replaying, windows
from gateway.stores.epochs import watch_mark
from gateway.stores.models import StoreEpoch
from gateway.stores.spool import Kept, Spool
from gateway.usage import spending
from hontoni import errors
from ratelimits import epochs, limiter
from ratelimits import rebuilding as accounts
from ratelimits.limiter import Ask, Limits, State
from ratelimits.purses import Caps
from tests.world import Person

LEASE_MS = 60_000
RETRIES = 60


@dataclass(eq=False)
class Request:
    """One that was admitted. `reported`: what its heartbeats said it had cost."""

    ask: Ask
    person: Person
    hold: int
    state: State
    epoch: str
    cost: int = 0
    reported: int = 0
    given_back: bool = False
    ended: bool = False

    @property
    def id(self) -> str:
        return self.ask.request_id

    def event(self, price_id: int) -> bytes:
        """As gateway/plane/usage_events.py makes it, with what is read again."""
        details = {
            "admitted_at": self.state.now,
            "windows": self.state.windows,
            "windows_at": self.state.now // 1000,
        }
        if self.given_back:
            details["given_back"] = True
        lasted = int((time.time() - self.state.now / 1e6) * 1000)
        told = {"cost": self.cost, "hold": self.hold, "status": 200, "duration_ms": lasted}
        return event(self.id, self.person, price_id, details=details, **told)


def event(name: str, person: Person, price_id: int, **told: Any) -> bytes:
    """The usage event of a request, or its draft where nothing is told."""
    return orjson.dumps(
        {
            "id": name[4:], "user_id": person.user.pk, "api_key_id": person.key.pk,
            "model": "claude-sonnet-4", "requested_model": "claude-sonnet-4",
            "price_id": price_id, "dialect": "anthropic_messages", "stream": False,
            "began": time.time(), "ip": "127.0.0.1", "details": {}, **told,
        }
    )  # fmt: skip


@dataclass(eq=False)
class Gateway:
    """`run` runs the calls of the data plane; `epoch` is what this process believes."""

    run: Any
    price_id: int
    limits: Limits
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    epoch: str = ""
    announced: str = ""
    live: list[Request] = field(default_factory=list)
    unsettled: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spool = Spool(self.id)

    def awake(self) -> None:
        """Let the process's memory be this gateway's."""
        epochs.believe(self.epoch)

    def asleep(self) -> None:
        self.epoch = epochs.believed()

    def watch(self) -> None:
        """What it does each second."""
        self.enter(accounts.confirmed_sync())
        nodes.beat(self.id, self.announced)
        if adopted := self.spool.adopt():
            replaying.replay(self.spool, adopted, restored=self._restored())
        replaying.catch_up(self.spool)
        self.spool.sync()
        replaying.trim(self.spool, keep_seconds=3600, now=time.monotonic())

    def enter(self, epoch: str) -> None:
        if self.announced == epoch:
            return
        for request in (*self.live, *self.unsettled):
            self.announce(request)
        self.spool.adopt()
        segments = self.spool.segments()
        replaying.replay(self.spool, segments, restored=self._restored())
        nodes.beat(self.id, epoch)
        self.announced = epoch

    def _restored(self) -> bool:
        return StoreEpoch.objects.filter(restored=True).exists()

    def announce(self, request: Request) -> None:
        state = request.state
        request.epoch = epochs.believed()
        for attempt in range(RETRIES):
            try:
                self.run(
                    accounts.announce(
                        request.ask,
                        hold=request.hold,
                        cost=request.reported,
                        draft=request.event(self.price_id),
                        admitted=state.now,
                        windows=windows.opened(state.windows, state.now // 1000),
                    )
                )
            except errors.Unavailable:  # the connection was lost: it looks again in a second
                assert attempt < RETRIES - 1
            else:
                return

    def admit(self, person: Person, others: list["Gateway"], full: int, caps: Caps) -> str:
        """Ask for one request; what was said. `others` look at the stores while it waits."""
        ask = self._ask(person, full, caps)
        for _ in range(RETRIES):
            believed = epochs.believed()
            try:
                state = self.run(limiter.admit(ask))
            except errors.Unavailable:
                continue  # the connection was lost; the client asks again
            if state.status == "ok":
                draft = Request(ask, person, state.hold, state, believed)
                self.live.append(draft)
                if self.announced and epochs.believed() != believed:
                    self.announce(draft)
                return "ok"
            if state.status == "refused":
                return str(state.binding)
            self._renew(person, state.status, others)
            ask = self._ask(person, full, caps, ask.request_id)
        raise AssertionError(f"{person.user} was not admitted, and not refused: {state}")

    def _ask(self, person: Person, full: int, caps: Caps, name: str = "") -> Ask:
        watch_mark()
        name = name or f"req_{uuid7().hex}"
        wallet = Wallet.objects.get(pk=person.user.pk)
        person.user.refresh_from_db(fields=["terms_version"])
        return Ask(
            request_id=name,
            account=person.user.pk,
            subject=person.key.subject,
            limits=self.limits,
            terms_version=person.user.terms_version,
            credits=wallet.credits_total,
            credits_version=wallet.credits_version,
            full=full,
            floor=full,
            lease_ms=LEASE_MS,
            draft=event(name, person, self.price_id),
            caps=caps,
        )

    def _renew(self, person: Person, status: str, others: list["Gateway"]) -> None:
        if status == "unseeded":
            spending.seed(person.key.pk)
            return
        self.rebuild(person, others)

    def rebuild(self, person: Person, others: list["Gateway"]) -> None:
        self.enter(accounts.confirmed_sync())
        try:
            rebuilding.rebuild(person.user.pk)
        except rebuilding.Behind:
            self.asleep()
            for other in others:
                other.awake()
                other.watch()
                other.asleep()
            self.awake()

    def end(self, request: Request, *, chance: random.Random) -> bool:
        """Settle it; False if the answer (or the question) was lost, and it is tried again."""
        event = request.event(self.price_id)
        self.spool.keep(Kept(request.person.user.pk, request.id, request.cost, event))
        self.spool.flush()
        lost = chance.random()
        if lost < 0.1:  # the question
            return False
        try:
            self.run(
                limiter.settle(
                    request.ask, cost=request.cost, event=event, giveback=request.given_back
                )
            )
        except errors.Unavailable:
            return False
        if lost < 0.2:  # the answer
            return False
        self.spool.answered(request.id)
        request.ended = True
        return True

    def die(self) -> None:
        """kill -9: what it knew is gone, its spool stays."""
        assert self.spool._lock_file is not None
        os.close(self.spool._lock_file)
        os.close(self.spool._file)
