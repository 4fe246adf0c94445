"""ASGI apps served over real HTTP on loopback, all in the one event loop of a thread."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Loop:
    """An event loop in a thread, for as long as the tests run."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.servers: list[Future[None]] = []
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def stop(self) -> None:
        for serving in self.servers:
            serving.result(timeout=10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=10)
        self.loop.close()


class Running:
    """`with Running(app, loop) as server: server.url` serves the app on a free port."""

    def __init__(self, app: Starlette, loop: Loop) -> None:
        config = uvicorn.Config(
            app, port=0, http="httptools", log_level="error", timeout_graceful_shutdown=1
        )
        self.app, self.loop, self.server = app, loop, uvicorn.Server(config)

    def __enter__(self) -> Self:
        serving = asyncio.run_coroutine_threadsafe(self.server.serve(), self.loop.loop)
        self.loop.servers.append(serving)
        while not self.server.started:
            if serving.done():
                serving.result()
            self.loop.run(asyncio.sleep(0.002))
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.should_exit = True  # it takes a tick; nobody has to wait for it


@dataclass
class Received:
    """One webhook, as it came in."""

    body: bytes
    signature: str


@dataclass
class Receiver:
    """Where webhooks arrive. `answer` says what to answer to the n-th one."""

    answer: Callable[[int], int] = lambda count: 200
    received: list[Received] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/hook", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        self.received.append(Received(body, request.headers["stripe-signature"]))
        return Response(status_code=self.answer(len(self.received)))
