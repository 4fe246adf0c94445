"""uvicorn's protocol, bounded: what happens on a connection is told to its conduct, and what that
says is done (connections.py). Nobody's `X-Forwarded-For` is believed here (addresses.py does).
"""

import contextlib
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from hontoni import addresses
from hontoni.connections import REFUSED, Bounds, Conduct, Lobby, farewell
from hontoni.errors import ApiError, BadRequest, Unavailable

_lobbies: WeakKeyDictionary[ServerState, Lobby] = WeakKeyDictionary()


class _Dropped(list[Any]):
    """Where trailers go: nobody reads them, and they must not become headers."""

    def append(self, _: Any) -> None:
        pass


_DROPPED = _Dropped()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Any, server_state: ServerState, *args: Any, **more: Any) -> None:
        if isinstance(app := config.loaded_app, ProxyHeadersMiddleware):
            config.loaded_app = app.app  # on by default, and then believes whoever is local
        super().__init__(config, server_state, *args, **more)
        if (lobby := _lobbies.get(server_state)) is None:
            bounds = Bounds.read(config.timeout_keep_alive)
            lobby = _lobbies[server_state] = Lobby(self.loop, bounds)
        self.lobby, self.conduct = lobby, Conduct(lobby)
        self.address, self.url = "", b""
        self.served: RequestResponseCycle | None = None  # `cycle` may wait behind it
        self.opened: Any = None  # the websocket that it became

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.address = addresses.network(self.client[0]) if self.client else ""
        if not self.lobby.enter(self):
            self.refuse(Unavailable("Too many connections.", headers={"Retry-After": "1"}))
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self.lobby.leave(self)
        self._gone()

    def data_received(self, data: bytes) -> None:
        if self.conduct.stage != REFUSED:
            self.conduct.sent(len(data))
            super().data_received(data)
            if (problem := self.conduct.read()) is not None:
                self.refuse(problem)

    def on_message_begin(self) -> None:
        if self.conduct.stage != REFUSED:
            super().on_message_begin()
            self.conduct.begins()

    def on_headers_complete(self) -> None:
        if self.conduct.stage == REFUSED:
            return
        problem = self.conduct.may_ask(self.url, self.headers, len(self.pipeline))
        if problem is not None:
            self.refuse(problem)
            return
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # but for a websocket
            self.conduct.owed += 1
        if not self.parser.should_upgrade():
            self.headers = _DROPPED

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.served = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        if self.conduct.stage != REFUSED:
            super().on_body(body)
            if not self.conduct.embodies(len(body)):
                self.ignore()

    def on_message_complete(self) -> None:
        if self.conduct.stage != REFUSED:
            super().on_message_complete()
            self.conduct.ends()

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer: who is idle too long is seen when all are looked at."""
        self.server_state.total_requests += 1
        self.conduct.answered()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

    def handle_websocket_upgrade(self) -> None:
        if self.conduct.stage != REFUSED:
            super().handle_websocket_upgrade()
            self.conduct.opens()
            self.opened = self.transport.get_protocol()
            lost = self.opened.connection_lost

            def left(problem: Exception | None) -> None:
                self._leave()
                lost(problem)

            self.opened.connection_lost = left

    def look(self, now: int) -> None:
        if self.opened is not None:
            excused = self.opened.handshake_complete
        else:
            waits = self.cycle is not None and self.cycle.waiting_for_100_continue
            excused = waits or self.flow.read_paused
        verdict = self.conduct.look(now, self.transport.get_write_buffer_size(), excused)
        if isinstance(verdict, ApiError):
            self.refuse(verdict)
        elif verdict is not None:
            self.end()

    def end(self) -> None:
        self.lobby.leave(self)
        self.transport.abort()

    def refuse(self, error: ApiError) -> None:
        """Say so, unless an answer has begun; what still comes is not read."""
        self.ignore()
        self._gone()
        served = self.served
        if served is not None and served.response_started and not served.response_complete:
            self.end()
            return
        with contextlib.suppress(RuntimeError, OSError):
            self.transport.write(farewell(error, self.url))
            self.transport.write_eof()

    def _gone(self) -> None:
        """Nobody waits for the answers that are to come: not for what is being answered, which
        uvicorn forgets once more was asked, nor for what waits behind it."""
        self.pipeline.clear()
        for cycle in (self.served, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def ignore(self) -> None:
        """Read no more: its client sees what it was told, and the end in LINGER_SECONDS."""
        self.conduct.refused()
        self.flow.pause_reading()

    def send_400_response(self, msg: str) -> None:
        if self.conduct.stage != REFUSED:
            self.refuse(BadRequest(msg))
