"""/v1/responses over a WebSocket, as OpenAI documents it and Codex speaks it: `response.create`
events, one response each, answered by the events of a stream (socket_turns.py).

* Lanes: what has the same `stream_id` is answered in its order, lanes beside each other.
* The last response of each lane that is not kept elsewhere (`gateway/state/`) is remembered while
  the socket is open (socket_memory.py).
* `generate: false` prepares a state to go on from; nobody is asked, and nothing is paid.
* Who asks is proven at the handshake (socket_door.py), with every response and every half minute:
  a key that is revoked ends its sockets. So does an hour, or SOCKET_IDLE_SECONDS without a word.
* A process that ends closes a socket as soon as nothing is being answered on it.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar
from weakref import ref

from django.conf import settings
from starlette.types import Message, Scope

from gateway.plane import (
    admission,
    callers,
    inbound,
    kept_responses,
    members,
    pipeline,
    socket_turns,
)
from gateway.plane.client_dialects import RESPONSES
from gateway.plane.exchange import Exchange
from gateway.plane.members import Written, written
from gateway.plane.socket_memory import Latest, Memory
from gateway.plane.socket_turns import Turn
from gateway.plane.socket_wire import SocketWire
from gateway.plane.upstream import Upstream
from gateway.plane.watching import ClientGone, Stopping
from gateway.state import conversation
from hontoni import bodies, logs
from hontoni.errors import ApiError, BadRequest, Forbidden, RateLimited, Unauthenticated

logger = logging.getLogger(__name__)

MOST_SECONDS = 3600.0  # as at OpenAI, whose clients know it
LOOK_SECONDS, PROVE_SECONDS = 5.0, 30.0
_AT_ONCE, _PENDING, _LANES = 16, 32, 32
_LARGE = 262_144  # bytes of JSON, beyond which it is not for the event loop
_NORMAL, POLICY, _RESTART, _LATER = 1000, 1008, 1012, 1013
_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_OF_HANDSHAKES = (b"sec-websocket-", b"upgrade", b"connection", b"content-")
_OF_TRANSPORT = ("type", "stream_id", "generate", "stream", "background")
T = TypeVar("T")
_OPEN: set["Socket"] = set()
_of_account: Counter[int] = Counter()


class Create(NamedTuple):
    """One `response.create`: `body` is what a POST would have, `held` what it takes of the
    process's memory."""

    lane: str
    body: Written
    generate: bool
    held: bodies.Held


class _Expired(BadRequest):
    """An hour is over, in the words by which clients know to connect anew."""

    code = "websocket_connection_limit_reached"

    def __init__(self) -> None:
        super().__init__(
            "Responses websocket connection limit reached (60 minutes). Create a new websocket "
            "connection to continue."
        )


class Socket:
    """One open WebSocket of a customer's."""

    def __init__(self, http: Exchange, wire: SocketWire, upstream: Upstream) -> None:
        assert http.owner is not None
        self.account, self.config, self.upstream = http.owner[0], http.config, upstream
        self.headers, self.wire, self.scope = http.headers, wire, _scope(http)
        self.loop = asyncio.get_running_loop()
        self.opened = self.heard = self.proven = self.loop.time()
        self.request_id = http.request_id
        self._gone = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()
        self._tails: dict[str, asyncio.Task[None]] = {}  # the last of each lane
        self._lanes: set[str] = set()
        self._inbox, self._memory = self._held(), Memory(self.account)
        self._arrived = 0
        self._ending: ApiError | None = None  # what is asked from now on is refused with it
        self._code = _NORMAL  # and then it is closed so

    def _held(self) -> bodies.Held:
        return bodies.Held(str(self.account))

    async def serve(self) -> None:
        """Until it is closed, and everything on it is settled."""
        _OPEN.add(self)
        _of_account[self.account] += 1
        self.wire.may_send(self.config.max_body_bytes)
        self.wire.meter(self._arrives)
        self.wire.hand_over(self._take)
        self.wire.when_stopping(lambda: self.retire(Stopping(), _RESTART))
        try:
            while (message := await self.wire.receive())["type"] == "websocket.receive":
                await self._receive(message)
        except asyncio.CancelledError:  # by the server, which waits for nobody any more
            for task in self._running:
                task.cancel()
            raise
        finally:
            self._gone.set()
            self._inbox.free()
            await asyncio.gather(*self._running, return_exceptions=True)
            self._memory.free()
            _OPEN.discard(self)
            _of_account[self.account] -= 1
            if not _of_account[self.account]:
                del _of_account[self.account]

    # -- What arrives ----------------------------------------------------------------------------

    def _arrives(self, size: int) -> None:
        """So many bytes of a message that may not be whole yet."""
        self._arrived += size
        if self._arrived <= bodies.FREE_BYTES and not self._running:
            return
        try:
            self._inbox.grow(self._arrived - self._inbox.size)
        except ApiError:
            self._close_soon(_LATER, "Too many large requests are being served.")

    def _take(self, raw: bytes) -> bool:
        """Begin what nothing stands before, as nearly always; the rest is received."""
        if self._running or self._ending is not None or len(raw) > _LARGE:
            return False
        try:
            event = members.parsed(raw)
            if _needs_no_answer(event):
                return False
            self._begin(event, self._lane_of(event), self._inbox)
        except ApiError:
            return False
        self._read()
        return True

    async def _receive(self, message: Message) -> None:
        text, data = message.get("text"), message.get("bytes")
        raw = text.encode("utf-8", "surrogatepass") if text is not None else data or b""
        lane, held = "", self._read()
        try:
            event = await _aside(len(raw), members.parsed, raw)
            if _needs_no_answer(event):
                return held.free()
            lane = self._lane_of(event)
            self._begin(event, lane, held)
        except ApiError as error:
            held.free()
            await self.wire.write([socket_turns.refusal(error, self.request_id, lane)])

    def _read(self) -> bodies.Held:
        """A message is whole, and what comes is another's; what it holds."""
        held, self._inbox = self._inbox, self._held()
        self.heard, self._arrived = self.loop.time(), 0
        return held

    def _begin(self, event: dict[str, Any], lane: str, held: bodies.Held) -> None:
        """Put it behind what its lane is asked already. Raises ApiError."""
        create = _create(event, lane, held)
        if self._ending is not None:
            raise self._ending
        if len(self._running) >= _PENDING:
            raise _crowded()
        task = self.loop.create_task(self._run(create, self._tails.get(lane)))
        self._tails[lane] = task
        self._running.add(task)
        task.add_done_callback(partial(self._ran, lane))

    def _lane_of(self, event: Mapping[str, Any]) -> str:
        """Raises BadRequest."""
        lane = event.get("stream_id")
        if lane is None:
            return ""
        if not isinstance(lane, str) or not _LANE.fullmatch(lane):
            raise BadRequest(
                "The 'stream_id' field must be a non-empty string with at most 256 characters and "
                "may only contain letters, numbers, underscores, hyphens, and periods.",
                code="invalid_stream_id",
                param="stream_id",
            )
        if lane not in self._lanes and len(self._lanes) >= _LANES:
            raise BadRequest(
                "This WebSocket connection has reached its maximum number of distinct stream IDs "
                f"({_LANES}). Reuse an existing stream_id or open a new WebSocket connection.",
                code="websocket_stream_limit_reached",
                param="stream_id",
            )
        self._lanes.add(lane)
        return lane

    # -- What is answered ------------------------------------------------------------------------

    def _ran(self, lane: str, task: asyncio.Task[None]) -> None:
        self.heard = self.loop.time()
        if self._tails.get(lane) is task:  # what it was asked is not for an idle socket to keep
            del self._tails[lane]
        self._running.discard(task)
        if self._ending is not None and not self._running:
            self._close_soon(self._code, self._ending.message)

    async def _run(self, create: Create, before: asyncio.Task[None] | None) -> None:
        """In its turn."""
        try:
            if before is not None and not before.done():
                await asyncio.wait((before,))
            async with self._slots:
                if not self._gone.is_set():
                    await self._answer(create)
        finally:
            create.held.free()

    async def _answer(self, create: Create) -> None:
        turn = Turn(self.scope, self._left, self.config, self.wire, create.lane)
        logs.about.set(ref(turn))
        try:
            parsed = await self._whole(create.body)
            body = await _aside(create.held.size, written, parsed)
            turn.remember = partial(self._remember, create.lane, parsed, body)
            if create.generate:
                turn.ask(parsed, body)
                await pipeline.serve(turn, RESPONSES, self.upstream)
            else:
                await self._prepare(turn, parsed)
        except ApiError as error:
            await pipeline.refuse(turn, error)
        except (ClientGone, OSError):
            return
        except Exception:
            logger.exception("request.failed %s", turn.request_id)
            if not turn.started:
                await turn.fail(ApiError("Something went wrong on our side."))
        finally:
            if turn.held is not None:
                turn.held.free()
        self._look_at(turn, create)

    def _look_at(self, turn: Turn, create: Create) -> None:
        """What a refusal means for the rest of it."""
        if turn.status < 400:
            return
        if previous := create.body.get("previous_response_id"):
            self._memory.forget(create.lane, str(previous))
        if turn.status == 401:
            self.retire(Unauthenticated("This API key is not valid any more."), POLICY)

    async def _left(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _prepare(self, turn: Turn, body: dict[str, Any]) -> None:
        """A state to go on from, and no output. Raises ApiError."""
        turn.dialect, turn.parsed = RESPONSES.name, body
        caller = await admission.enter(turn)
        model, variant = await inbound.model_of(body, self.upstream, caller)
        needed = inbound.permission(model, variant, caller)
        if problem := caller.forbidden(turn.client_ip(), needed):
            raise problem
        await turn.prepared(body)

    # -- What is remembered ----------------------------------------------------------------------

    async def _whole(self, body: Written) -> Written:
        """The body with what was said before it, if that is known here alone, or if its answer is
        to be remembered here alone. Raises BadRequest, Unavailable."""
        previous = body.get("previous_response_id")
        if not previous:
            return body
        if (latest := self._memory.find(str(previous))) is not None:
            before = await _aside(latest.size, Latest.items, latest)
            rest = {name: each for name, each in body.items() if name != "previous_response_id"}
            return Written(rest, input=[*before, *conversation.items(body.get("input"))])
        if not _unkept(body):
            return body
        return Written(await kept_responses.whole(self.account, body))

    def _remember(
        self, lane: str, parsed: Mapping[str, Any], body: bytes, event: bytes, kept: bool
    ) -> None:
        """What was said up to the end of this response, where nobody else keeps it."""
        if kept or parsed.get("previous_response_id"):
            self._memory.forget(lane)
        else:
            self._memory.keep(lane, Latest(body, event))

    # -- How it ends -----------------------------------------------------------------------------

    def retire(self, error: ApiError, code: int) -> None:
        """Answer what was asked, refuse what is asked from now on, and close."""
        if self._ending is None:
            self._ending, self._code = error, code
            if not self._running:
                self._close_soon(code, error.message)

    def _close_soon(self, code: int, reason: str) -> None:
        task = self.loop.create_task(self.wire.close(code, reason[:120]))
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def look(self) -> None:
        """Whether it may stay open."""
        now = self.loop.time()
        if now - self.opened >= MOST_SECONDS and self._ending is None:
            expired = _Expired()
            await self.wire.write([socket_turns.refusal(expired, self.request_id)])
            self.retire(expired, _NORMAL)
        elif not self._running and now - self.heard >= settings.SOCKET_IDLE_SECONDS:
            self._close_soon(_NORMAL, "Nothing was asked for a while.")
        elif now - self.proven >= PROVE_SECONDS:
            self.proven = now
            try:
                await callers.authenticate(self.headers)
            except (Unauthenticated, Forbidden) as error:
                self.retire(error, POLICY)
            except ApiError:
                pass  # the database is away: what was read last is gone by


_closing: set[asyncio.Task[None]] = set()


def _scope(http: Exchange) -> Scope:
    """What each request on it has of its handshake."""
    kept = [each for each in http.headers.items() if not each[0].startswith(_OF_HANDSHAKES)]
    return {**http.scope, "method": "POST", "headers": kept, "extensions": {}}


def _needs_no_answer(event: Mapping[str, Any]) -> bool:
    return event.get("type") == "response.processed"  # Codex tells what it has read


def _create(event: dict[str, Any], lane: str, held: bodies.Held) -> Create:
    """Raises BadRequest."""
    kind = event.get("type")
    if kind != "response.create":
        raise BadRequest(
            f"{str(kind)[:100]!r} is no event that is taken here: send response.create.",
            code="unknown_event_type",
            param="type",
        )
    body = Written(each for each in event.items() if each[0] not in _OF_TRANSPORT)
    body["stream"] = True
    return Create(lane, body, event.get("generate") is not False, held)


def _unkept(body: Mapping[str, Any]) -> bool:
    return body.get("store") is False


def _crowded() -> RateLimited:
    return RateLimited(
        f"{_PENDING} responses are waiting on this connection. Wait for one to end.",
        code="websocket_queue_full",
        headers={"Retry-After": "1"},
    )


async def _aside(size: int, work: Callable[[Any], T], value: Any) -> T:
    """For the event loop, unless it is large."""
    return await asyncio.to_thread(work, value) if size > _LARGE else work(value)


def of_account(account: int) -> int:
    """How many of it are open in this process."""
    return _of_account[account]


async def look() -> None:
    """At each that is open."""
    for socket in list(_OPEN):
        try:
            await socket.look()
        except Exception:
            logger.exception("socket.look %s", socket.request_id)


async def look_for_ever() -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await look()
