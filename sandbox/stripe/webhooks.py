"""The signed webhook sender, and the knobs that make it misbehave.

* Signature: `t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`
  (https://docs.stripe.com/webhooks#verify-manually). `t` is real time, whatever the account's
  clock says, because receivers compare it with theirs.
* An answer that is not 2xx is tried again for up to three days with growing pauses, by the
  account's clock (https://docs.stripe.com/webhooks#retries).
* Copies of one event are sent at once; different events one after the other.
"""

import asyncio
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import orjson

from sandbox.stripe.clock import HOUR, MINUTE, Clock
from sandbox.stripe.errors import Object
from sandbox.stripe.store import Store

# Pauses before the second, third ... attempt; together a little under three days.
RETRIES = (5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, *[12 * HOUR] * 4)
TIMEOUT_SECONDS = 10
GATHER_SECONDS = 0.5
LOG_LENGTH = 1000
WRONG_SECRET = "whsec_not_the_secret_of_this_endpoint"


@dataclass
class Knobs:
    """What goes wrong with the first attempt of the next `times` events of these `types`."""

    drop: bool = False
    duplicate: int = 0  # extra copies, sent in parallel with the first
    delay: int = 0  # seconds of the account's clock
    reorder: bool = False  # what gathers in half a second, or until a flush, goes out backwards
    hold: bool = False  # nothing goes out but by a flush
    wrong_secret: bool = False
    timestamp: int = 0  # seconds added to the signed time: -600 is old, 600 is the future
    oversize: int = 0  # bytes of padding
    livemode: bool = False  # the event claims to be live
    types: list[str] = field(default_factory=list)  # empty: all
    times: int | None = None  # None: until the knobs are changed

    def apply_to(self, type: str) -> bool:
        """Whether this event is meant; counts it."""
        if (self.types and type not in self.types) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Delivery:
    """One event on its way to one endpoint."""

    event: str
    endpoint: str
    due: int
    attempt: int = 1
    copies: int = 1
    wrong_secret: bool = False
    timestamp: int = 0
    oversize: int = 0
    livemode: bool = False


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """The `Stripe-Signature` header."""
    payload = str(timestamp).encode() + b"." + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()}"


class Webhooks:
    """The queue of deliveries, and the log of those made."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.knobs = Knobs()
        self.queue: list[Delivery] = []
        self.log: deque[Object] = deque(maxlen=LOG_LENGTH)
        self.wake = asyncio.Event()
        self.changed = False
        self._sending = asyncio.Lock()

    def enqueue(self, event: Object) -> int:
        """Queue the event for every endpoint that wants it. Returns how many."""
        endpoints = [e for e in self.store.all("webhook_endpoint") if _wants(e, event["type"])]
        for endpoint in endpoints:
            self._enqueue(event, endpoint)
        self.wake.set()
        return len(endpoints)

    def _enqueue(self, event: Object, endpoint: Object) -> None:
        delivery = Delivery(event["id"], endpoint["id"], due=self.clock.now())
        if self.knobs.apply_to(event["type"]):
            if self.knobs.drop:
                self._note(delivery, "dropped")
                return
            _twist(delivery, self.knobs)
        self.queue.append(delivery)

    async def run(self) -> None:
        """Deliver for ever, as events come and retries fall due."""
        while True:
            if self.knobs.reorder and self._due():
                await asyncio.sleep(GATHER_SECONDS)
            if not self.knobs.hold:
                await self.flush()
            self.wake.clear()
            try:
                await asyncio.wait_for(self.wake.wait(), timeout=1)
            except TimeoutError:
                continue  # a retry may have fallen due

    async def flush(self) -> None:
        """Deliver whatever is due now, and what that causes; ends when nothing is due."""
        async with self._sending:
            if not self._due():
                return
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
                while due := self._due():
                    delivery = due[-1] if self.knobs.reorder else due[0]
                    self.queue.remove(delivery)
                    await self._deliver(client, delivery)

    def _due(self) -> list[Delivery]:
        return [delivery for delivery in self.queue if delivery.due <= self.clock.now()]

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        event, endpoint = self.store.find(delivery.event), self.store.find(delivery.endpoint)
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            return
        self.changed = True
        body = _body(event, delivery)
        sends = [self._post(client, delivery, endpoint, body) for _ in range(delivery.copies)]
        if (await asyncio.gather(*sends))[0]:
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
        else:
            self._retry(delivery)

    async def _post(
        self, client: httpx.AsyncClient, delivery: Delivery, endpoint: Object, body: bytes
    ) -> bool:
        secret = WRONG_SECRET if delivery.wrong_secret else endpoint["_secret"]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(body, secret, int(time.time()) + delivery.timestamp),
        }
        try:
            answer = await client.post(endpoint["url"], content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._note(delivery, "failed", error=str(error) or type(error).__name__)
            return False
        outcome = "delivered" if answer.is_success else "failed"
        self._note(delivery, outcome, status=answer.status_code, bytes=len(body))
        return answer.is_success

    def _retry(self, delivery: Delivery) -> None:
        """Once more, later, and honestly: a knob spoils the first attempt only."""
        if delivery.attempt <= len(RETRIES):
            due = self.clock.now() + RETRIES[delivery.attempt - 1]
            again = Delivery(delivery.event, delivery.endpoint, due, delivery.attempt + 1)
            self.queue.append(again)

    def _note(self, delivery: Delivery, outcome: str, **fields: Any) -> None:
        event, endpoint = self.store.find(delivery.event), self.store.find(delivery.endpoint)
        head = {"outcome": outcome, "type": event and event["type"], "at": self.clock.now()}
        self.log.append(head | asdict(delivery) | {"url": endpoint and endpoint["url"]} | fields)

    def dump(self) -> list[Object]:
        """What a snapshot holds: what is still to be delivered."""
        return [asdict(delivery) for delivery in self.queue]

    def load(self, dumped: Iterable[Object]) -> None:
        """Take a snapshot back."""
        self.queue = [Delivery(**fields) for fields in dumped]


def _wants(endpoint: Object, type: str) -> bool:
    enabled = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in enabled or type in enabled)


def _twist(delivery: Delivery, knobs: Knobs) -> None:
    delivery.due += knobs.delay
    delivery.copies += knobs.duplicate
    delivery.wrong_secret = knobs.wrong_secret
    delivery.timestamp = knobs.timestamp
    delivery.oversize = knobs.oversize
    delivery.livemode = knobs.livemode


def _body(event: Object, delivery: Delivery) -> bytes:
    """Stripe sends its JSON indented: who verifies a re-encoded body fails."""
    sent = dict(event)
    if delivery.livemode:
        sent["livemode"] = True
    if delivery.oversize:
        sent["padding"] = "x" * delivery.oversize
    return orjson.dumps(sent, option=orjson.OPT_INDENT_2)
