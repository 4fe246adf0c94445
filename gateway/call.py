"""One paid request on its way: what was asked, what was held, what came of it.

Everything the receipt will say is collected here, and nowhere else.
"""

import logging
import math
import time
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway import bill, metering
from gateway.asked import Asked
from gateway.callers import Caller
from gateway.catalogue import Model
from gateway.exchange import Exchange
from gateway.ir import NO_TALLY, Tally, Usage
from gateway.lanes import Lane, Stream
from gateway.metering import Estimate, Hold
from gateway.pools.attempts import Attempt
from gateway.pools.routes import NATIVE, Route
from gateway.taps import text_bytes
from hontoni.errors import ApiError, PaymentRequired
from ratelimits.limiter import Ask, State

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Call:
    """Mutable: the pipeline fills it in. Times are epoch seconds, money nano-dollars."""

    http: Exchange
    caller: Caller
    request: Asked
    lane: Lane
    stream: bool
    clamps: dict[str, Any]
    ip: str
    began: float = field(default_factory=time.time)
    ask: Ask | None = None
    state: State | None = None
    held: int = 0
    extend_at: float = math.inf  # bytes of text after which the hold must be extended
    reached: bool = False  # the vendor accepted it: from here on it counts
    settled: bool = False
    tap: Stream | None = None
    usage: Usage | None = None
    tally: Tally = NO_TALLY  # of a unary answer
    lines: list[bill.Line] = field(default_factory=list)
    text_bytes: int = 0
    whole: bytes = b""  # a unary answer, as the vendor sent it
    failed: bool = False  # the vendor's fault, or ours: nothing is charged
    estimated: bool = False
    aborted: bool = False
    cost: int = 0
    status: int = 0
    error: str = ""
    upstream_status: int | None = None
    upstream_request_id: str = ""
    first_byte: float | None = None
    quarantined: Usage | None = None  # the vendor's own numbers, where they cannot be true
    routes: tuple[Route, ...] = ()  # in the order in which they are asked
    named: tuple[str, str] = NATIVE  # what the lane calls the model, and in which dialect
    fitted: int | None = None  # output tokens that the balance pays for, if fewer than asked
    attempts: list[Attempt] = field(default_factory=list)
    repaired: bool = False

    @property
    def id(self) -> str:
        return self.http.request_id

    @property
    def model(self) -> Model:
        return self.request.model

    @property
    def estimate(self) -> Estimate:
        return self.request.estimate

    @property
    def hold(self) -> Hold:
        return self.request.hold

    def asked(self) -> Ask:
        """What was admitted; every later word about this request repeats it."""
        assert self.ask is not None
        return self.ask

    def hidden_reasoning(self) -> bool:
        """Whether the reply may cost output we cannot watch being produced."""
        return self.request.hides()

    def hold_is(self, held: int) -> None:
        """Note the hold, and when three quarters of the output it pays for will be used."""
        self.held = held
        if self.stream and held < self.hold.full and not self.hidden_reasoning():
            tokens = metering.affordable_output(self.model, self.estimate, held)
            self.extend_at = tokens * metering.BYTES_PER_TOKEN * 3 // 4

    def cost_so_far(self) -> int:
        """What has been produced up to now costs this, by the vendor's numbers or our estimate."""
        return bill.cost(self._priced(self._believed()))

    def fail(self, error: ApiError) -> None:
        """It ended in an error. Only running out of money leaves something to pay."""
        self.status, self.error = error.status, error.code
        self.failed = not isinstance(error, PaymentRequired)

    def close_account(self) -> None:
        """Decide, once, what was used and what it costs: the fair bill."""
        self.usage, self.estimated = self._used()
        if self._absurd(self.usage):
            self._quarantine(self.usage)
        self.lines = self._priced(self.usage)
        asked_for_none = (
            self.request.parsed.get("max_tokens") == 0
        )  # filling a prompt cache on purpose
        produced = self.usage.output or self.usage.reasoning or asked_for_none
        if self.failed or not self.reached or not produced:
            self.cost = 0
            return
        price = bill.cost(self.lines)
        self.cost = min(price, self.held)
        if self.cost < price:
            # Only where the balance covered less than the whole bound: our estimate was too low,
            # and so it is our loss. Charging more would overdraw.
            self.clamps["charge"] = {"asked": price, "applied": self.cost, "by": "hold"}
            logger.warning("charge.capped %s: %d of %d", self.id, self.cost, price)

    def _quarantine(self, told: Usage) -> None:
        """Numbers that cannot be true are kept for staff; our own estimate is billed."""
        logger.critical("usage.absurd %s %s", self.id, told)
        self.usage, self.estimated = self._guessed(), True
        self.quarantined = told

    def _absurd(self, used: Usage) -> bool:
        return bill.absurd(used, self._tally(), self.model, self.estimate, self.lane.sifted.uses)

    def _tally(self) -> Tally:
        return self.tally if self.tap is None else self.tap.tally()

    def _priced(self, used: Usage) -> list[bill.Line]:
        """The lines of the bill, by what the vendor told, unless nobody believes it."""
        tally = NO_TALLY if self.quarantined else self._tally()
        return bill.lines(used, tally, self.model.at(self.named), self.lane.sifted)

    def _guessed(self) -> Usage:
        text = self.tap.text_bytes if self.tap else text_bytes(self.whole)
        return metering.produced(self.estimate, text)

    def _believed(self) -> Usage:
        """Usage up to now, or our estimate where the vendor's numbers cannot be true."""
        used = self._used()[0]
        return self._guessed() if self._absurd(used) else used

    def _used(self) -> tuple[Usage, bool]:
        """Usage up to now, and whether it is (partly) an estimate."""
        tap = self.tap
        if tap is None:
            reported, ended, text = self.usage, True, self.text_bytes
        else:
            ended = tap.finished and not tap.cut
            reported, text = tap.decoded_usage(), tap.text_bytes
        if reported is not None and ended:
            return reported, False
        if not text:
            return reported or Usage(), False
        guess = metering.produced(self.estimate, text)
        if reported is None:
            return guess, True
        return reported._replace(output=max(reported.output, guess.output)), True

    def so_far(self) -> tuple[int, bytes]:
        """The cost up to now and the usage event to settle with, should this process die."""
        usage = self._believed()
        draft = copy(self)
        draft.lines = self._priced(usage)
        cost = bill.cost(draft.lines) if usage.output or usage.reasoning else 0
        draft.usage, draft.cost, draft.estimated = usage, cost, True
        return cost, draft.event(lost=True)

    def draft(self) -> bytes:
        """The event to settle with if not even a heartbeat is heard of this request: who asked
        for what. The rest is UsageEvent's defaults."""
        return orjson.dumps(
            {
                "id": self.http.request_id[4:],
                "user_id": self.caller.account,
                "api_key_id": self.caller.key_id,
                "model": self.model.id,
                "requested_model": self.request.name[:200],
                "price_id": self.model.price.id,
                "dialect": self.request.dialect.name,
                "stream": self.stream,
                "began": self.began,
                "error": "process_lost",
                "ip": self.ip,
            }
        )

    def event(self, *, lost: bool = False) -> bytes:
        """The usage event as JSON: gateway.models.UsageEvent's fields. `lost` makes it the one to
        settle with if nothing is heard of this process again."""
        now = time.time()
        usage = self.usage or Usage()
        return orjson.dumps(
            {
                "id": self.http.request_id[4:],
                "user_id": self.caller.account,
                "api_key_id": self.caller.key_id,
                "model": self.model.id,
                "requested_model": self.request.name[:200],
                "price_id": self.model.price.id,
                "dialect": self.request.dialect.name,
                "stream": self.stream,
                "began": self.began,
                "input": usage.input,
                "cache_read": usage.cache_read,
                "cache_write_5m": usage.cache_write_5m,
                "cache_write_1h": usage.cache_write_1h,
                "output": usage.output,
                "reasoning": usage.reasoning,
                "cost": self.cost,
                "hold": self.held,
                "estimated": self.estimated,
                "aborted": self.aborted,
                "status": 500 if lost else self.status,
                "error": "process_lost" if lost else self.error,
                "upstream_status": self.upstream_status,
                "upstream_request_id": self._upstream_id()[:200],
                "first_byte_ms": self._milliseconds(self.first_byte),
                "duration_ms": self._milliseconds(now),
                "client": self.http.header(b"user-agent")[:200],
                "ip": self.ip,
                "details": self._details(),
            }
        )

    def _upstream_id(self) -> str:
        """The vendor's id of the request; Google has one only in its answers."""
        return self.upstream_request_id or (self.tap.upstream_id if self.tap else "")

    def _milliseconds(self, until: float | None) -> int | None:
        return None if until is None else max(0, int((until - self.began) * 1000))

    def _details(self) -> dict[str, Any]:
        details: dict[str, Any] = {}
        if self.clamps:
            details["clamps"] = self.clamps
        if self.state is not None:
            details["windows"] = self.state.windows
            details["windows_at"] = self.state.now // 1000
        if self.lane.dialect != self.request.dialect.name:
            details["upstream_dialect"] = self.lane.dialect
        if self.attempts:
            details["attempts"] = [attempt.told() for attempt in self.attempts]
        if self.lines and not bill.is_plain(self.lines):
            details["lines"] = [line.told() for line in self.lines]
        if self.lane.sifted.left_out:
            details["left_out"] = self.lane.sifted.left_out
        if self.quarantined is not None:
            details["quarantine"] = self.quarantined._asdict()
        return details
