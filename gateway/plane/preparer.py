"""The process beside the gateway that prepares large requests (preparation.py).

It is started when the first one comes, is told by pickles through a socket what to do, and ends
when nothing has come for IDLE_SECONDS, and with it the memory that it took. It knows no database,
no Redis and no vendor, and keeps nothing but the last request: what it is asked about another is
sent with it again. One that dies, or takes too long, is replaced with the next request.
"""

import asyncio
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

from django.conf import settings

from gateway.dialects.json_patch import parse
from gateway.plane import adapters, preparation
from gateway.vendors.manners import Named
from hontoni.errors import ApiError, Unavailable

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
PATIENCE_SECONDS = 120.0  # for one request, however large
_NICENESS = 5  # whoever is served by the event loop comes first


_BEGIN = """
import sys, django
django.setup()
from gateway.plane import preparer
preparer.main(int(sys.argv[1]), float(sys.argv[2]))
"""


class Order(NamedTuple):
    """A function of `_Work`'s, for the request and the catalogue of these numbers."""

    work: str
    request: int
    catalogue: int
    args: tuple[Any, ...] = ()


class Wanted(NamedTuple):
    """What it has to be sent first: "question", "catalogue" or "body"."""

    what: str


class Refused(NamedTuple):
    """An ApiError on its way back, and the model that was named."""

    kind: type[ApiError]
    members: dict[str, Any]
    model: Any

    def error(self) -> ApiError:
        """As it was raised there."""
        found = self.kind.__new__(self.kind)
        Exception.__init__(found, self.members["message"])
        vars(found).update(self.members)
        return found


T = TypeVar("T")
Send = Callable[[str], bytes]  # what is wanted, as it is sent


class Preparer:
    """One such process, as the gateway has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._threads = ThreadPoolExecutor(1, "preparer")

    async def ask(self, order: Order, send: Send) -> Any:
        """Its answer, or a Refused; the event loop goes on meanwhile. Raises Unavailable."""
        return await self.run(self.ask_now, order, send)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do what asks it, blocking, in a thread that waits for nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def ask_now(self, order: Order, send: Send) -> Any:
        """The same, blocking."""
        with self._lock:
            return self._answer(order, send)

    def _answer(self, order: Order, send: Send) -> Any:
        try:
            return self._exchange(order, send)
        except (OSError, EOFError):  # it had ended, or ends just now
            self.stop()
        try:
            return self._exchange(order, send)
        except (OSError, EOFError) as error:
            logger.critical("preparer.died: %r", error)
            self.stop()
            raise Unavailable("This request is too much for us right now.") from error

    def _exchange(self, order: Order, send: Send) -> Any:
        line = self._started()
        line.send(order)
        while True:
            if not line.poll(PATIENCE_SECONDS):
                logger.critical("preparer.late: %s s are over", PATIENCE_SECONDS)
                self.stop()
                raise Unavailable("This request takes too long to be read.")
            answer = line.recv()
            if not isinstance(answer, Wanted):
                return answer
            line.send_bytes(send(answer.what))

    def _started(self) -> Connection:
        if self._line is None:
            ours, theirs = socket.socketpair()
            with theirs:
                descriptor = theirs.fileno()
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BEGIN, str(descriptor), str(IDLE_SECONDS)],
                    pass_fds=(descriptor,),
                    cwd=settings.BASE_DIR,
                    env={**os.environ, "DJANGO_SETTINGS_MODULE": "hontoni.settlement_settings"},
                )
            self._line = Connection(ours.detach())
        return self._line

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def stop(self) -> None:
        """End it now."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._line = self._process = None


# -- In the process beside -----------------------------------------------------------------------


class _Work:
    """What it does, and what it has of the last order."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._catalogue: tuple[int, Any] = (0, None)
        self._number = 0
        self._request: Any = None
        self._parsed: dict[str, Any] = {}

    def do(self, order: Order) -> Any:
        """The answer to one order."""
        try:
            self._have(order)
            return getattr(self, order.work)(*order.args)
        except ApiError as error:
            failure = error
        except Exception:
            logger.exception("preparer.failed")
            failure = ApiError("Something went wrong on our side. Nothing was charged.")
        return Refused(type(failure), vars(failure), self._parsed.get("model"))

    def _have(self, order: Order) -> None:
        if self._number == order.request:
            return
        self._number, self._request, self._parsed = 0, None, {}
        question: preparation.Question = pickle.loads(self._wanted("question"))
        if self._catalogue[0] != order.catalogue:
            self._catalogue = order.catalogue, pickle.loads(self._wanted("catalogue"))
        question = question._replace(body=self._wanted("body"))
        self._headers, self._parsed = question.headers, parse(question.body)
        work = preparation.understand(question, self._parsed, self._catalogue[1])
        self._request = asyncio.run(work)
        self._number = order.request

    def _wanted(self, what: str) -> bytes:
        self._line.send(Wanted(what))
        return self._line.recv_bytes()

    def understand(self) -> preparation.Understood:
        return preparation.brief(self._request, self._headers)

    def draw(self, *args: Any) -> preparation.Drawn:
        return preparation.draw(self._request, *args)

    def count(self, named: Named) -> bytes:
        return adapters.counted(self._request.at(named), self._parsed)


def main(descriptor: int, idle_seconds: float) -> None:
    """Work until nothing comes any more, or the gateway has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the gateway says when it is over
    os.nice(_NICENESS)
    with Connection(descriptor) as line:
        work = _Work(line)
        try:
            while line.poll(idle_seconds):
                line.send(work.do(line.recv()))
        except (EOFError, OSError):
            return
