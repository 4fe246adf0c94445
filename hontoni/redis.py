"""The one way to Redis.

* The data plane (async) sends everything asked for in one turn of the event loop in one write:
  under load a command costs a fraction of a round trip, idle it costs exactly one.
* The control plane (sync) uses redis-py as it is.
* A `Script` is a Lua file, sent by its hash; a server that forgot it (restart, failover) is
  given it again. All our scripts are idempotent, so sending one twice is harmless.

Any failure to reach Redis is raised as redis.exceptions.RedisError.
"""

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from hiredis import PushNotification, Reader, pack_command
from redis.exceptions import (
    ConnectionError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)

from hontoni import redis_address, redis_connections
from hontoni.redis_address import Address, Node
from hontoni.redis_cluster import Cluster

TIMEOUT_SECONDS = 2.0
_NO_MORE = object()
_PART = re.compile(r"^ *--@ (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)

Argument = str | bytes | int
Command = tuple[Argument, ...]


class Pipe(asyncio.Protocol):
    """One connection of redis-py's. What is asked for in one turn of the loop leaves in one write,
    for uvloop keeps what is written until the turn ends; replies come back in order.

    redis-py's own pipeline costs a task, a lock and a pool visit a batch: 60 µs a request more,
    measured. What it knows (URLs, TLS, authentication, parsing) is still its own: it connects,
    and then this takes its place at the transport.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, node: Node | None = None) -> None:
        self.loop = loop
        self.connection = _connection(node)
        self.waiting: list[tuple[bytes, asyncio.Future[Any]]] = []
        self.sent: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self.transport: asyncio.Transport | None = None
        self.lost: asyncio.Future[None] = loop.create_future()
        self.reader = Reader()
        self.running: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """The reply to one command, in time. Raises RedisError when awaited."""
        reply: asyncio.Future[Any] = self.loop.create_future()
        packed = pack_command(command)  # type: ignore[arg-type]
        if self.transport is not None:
            self._send(packed, reply)
            return reply
        self.waiting.append((packed, reply))
        if self.running is None or self.running.done():
            self.running = self.loop.create_task(self._run())
        return reply

    async def _run(self) -> None:
        """Until the connection breaks; then what was asked for fails, and the next one retries."""
        try:
            await self.connection.connect()
            # Its own way to send and to read are coroutines that wait for the socket. Redis reads
            # what we send at once or, if it does not, misses its replies' deadline.
            named = self.connection._parser.parse_error
            self.reader = Reader(replyError=named, notEnoughData=_NO_MORE)
            self.lost = self.loop.create_future()
            self.transport = self.connection._writer.transport
            self.transport.set_protocol(self)
            batch, self.waiting = self.waiting, []
            for packed, reply in batch:
                self._send(packed, reply)
            await self.lost
        except (RedisError, OSError) as error:
            self._fail(error)
        finally:
            self.transport = None
            await self.connection.disconnect(nowait=True)
            self._fail(ConnectionError("the connection was closed"))

    def _send(self, packed: bytes, reply: asyncio.Future[Any]) -> None:
        assert self.transport is not None
        self.sent.append((self.loop.time(), reply))
        if self.timer is None:
            self.timer = self.loop.call_later(TIMEOUT_SECONDS, self._look_for_overdue)
        self.transport.write(packed)

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (reply := self.reader.gets()) is not _NO_MORE:
            if isinstance(reply, PushNotification):
                continue
            _, future = self.sent.popleft()
            if future.done():  # its caller was cancelled meanwhile
                continue
            if isinstance(reply, Exception):
                future.set_exception(reply)
                if isinstance(reply, ReadOnlyError):  # a replica now: whoever connects asks anew
                    self._leave()
            else:
                future.set_result(reply)

    def _leave(self) -> None:
        # A closed one may be written to by nobody.
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None  # what is asked for from here on fails with the rest
        if not self.lost.done():
            self.lost.set_result(None)

    def _look_for_overdue(self) -> None:
        """One timer for all replies: that costs nothing while they come."""
        self.timer = None
        if not self.sent:
            return
        left = self.sent[0][0] + TIMEOUT_SECONDS - self.loop.time()
        if left > 0:
            self.timer = self.loop.call_later(left, self._look_for_overdue)
            return
        self._fail(TimeoutError("Redis did not answer in time"))
        if self.running is not None:
            self.running.cancel()

    def _fail(self, error: Exception) -> None:
        failed = [reply for _, reply in self.sent] + [reply for _, reply in self.waiting]
        self.sent.clear()
        self.waiting.clear()
        known = error if isinstance(error, RedisError) else ConnectionError(repr(error))
        for reply in failed:
            if not reply.done():
                reply.set_exception(known)

    async def close(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait([self.running])
        if self.timer is not None:
            self.timer.cancel()


def address() -> Address:
    """Where REDIS_URL leads."""
    return redis_address.read(settings.REDIS_URL, cluster=settings.REDIS_CLUSTER)


def _connection(node: Node | None) -> Any:
    """One connection of redis-py's: to this node of a cluster, or to the server there is."""
    there = address()
    timeouts = {"socket_connect_timeout": TIMEOUT_SECONDS, "socket_timeout": None}
    if guide := redis_connections.guide(there, "", TIMEOUT_SECONDS) if node is None else None:
        kind = redis_connections.async_connection_class(guide, tls=there.tls)
        pool = redis.asyncio.ConnectionPool(kind, **there.options() | timeouts)
    else:
        pool = redis.asyncio.ConnectionPool.from_url(there.url, **timeouts)
    if node is not None:
        pool.connection_kwargs.update(host=node[0], port=node[1])
    return pool.make_connection()  # type: ignore[no-untyped-call]


def _client(loop: asyncio.AbstractEventLoop) -> Pipe | Cluster:
    there = address()
    if there.kind != "cluster":
        return Pipe(loop)
    nodes = redis_connections.nodes(there, TIMEOUT_SECONDS)
    return Cluster(loop, nodes, lambda node: Pipe(loop, node))


_pipes: WeakKeyDictionary[asyncio.AbstractEventLoop, Pipe | Cluster] = WeakKeyDictionary()


_last: Pipe | Cluster | None = None  # which is nearly always the one that is asked for


def pipe() -> Pipe | Cluster:
    """This event loop's client."""
    global _last
    loop = asyncio.get_running_loop()
    if _last is not None and _last.loop is loop:
        return _last
    found = _pipes.get(loop)
    if found is None:
        found = _pipes[loop] = _client(loop)
    _last = found
    return found


async def close() -> None:
    """Close this event loop's client, if it ever had one."""
    global _last
    found = _pipes.pop(asyncio.get_running_loop(), None)
    _last = None
    if found is not None:
        await found.close()


@cache
def sync() -> Any:
    """The control plane's client (thread-safe, pooled)."""
    there = address()
    if there.kind == "cluster":
        return redis_connections.cluster_client(there, TIMEOUT_SECONDS)
    options: dict[str, Any] = {"socket_timeout": TIMEOUT_SECONDS}
    if guide := redis_connections.guide(there, "", TIMEOUT_SECONDS):
        options["connection_class"] = redis_connections.connection_class(guide, tls=there.tls)
        options["socket_connect_timeout"] = TIMEOUT_SECONDS
    pool = redis.ConnectionPool.from_url(there.url, **options)
    return redis.Redis.from_pool(pool)


class Script:
    """One Lua file. Its header states keys, arguments, answer, and what a refusal changes.

    Lua has no imports on a server: a line `--@ name` is where the file of that name in `parts`,
    which several scripts share, is taken in as it stands.
    """

    def __init__(self, file: Path, head: str = "") -> None:
        self.file = file
        self.text = head + _whole(file)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def _command(self, verb: str, keys: Sequence[str], args: Sequence[Argument]) -> Command:
        body = self.sha if verb == "EVALSHA" else self.text
        return (verb, body, len(keys), *keys, *args)

    async def run(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run it from the data plane. Raises RedisError."""
        try:
            return await self.known(keys, args)
        except NoScriptError:
            return await pipe().execute(*self._command("EVAL", keys, args))

    def run_sync(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run it from the control plane. Raises RedisError."""
        try:
            return self.known_sync(keys, args)
        except NoScriptError:
            return self.introduced_sync(keys, args)

    def under(self, head: str) -> "Script":
        """The same with a line in front: to a server it is another script."""
        return Script(self.file, head=f"{head}\n")

    def known(self, keys: Sequence[str], args: Sequence[Argument]) -> asyncio.Future[Any]:
        """Run it where it has been run before. Raises NoScriptError where it has not."""
        return pipe().execute("EVALSHA", self.sha, len(keys), *keys, *args)

    def introduced(self, keys: Sequence[str], args: Sequence[Argument]) -> asyncio.Future[Any]:
        """Run it on the server that was looked at, which may not know it, and on no other. Raises
        MovedError where a cluster has moved the keys since."""
        client, command = pipe(), self._command("EVAL", keys, args)
        return (
            client.execute(*command)
            if isinstance(client, Pipe)
            else client.execute_there(*command)
        )

    def known_sync(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """`known`, from the control plane."""
        return _executed(self._command("EVALSHA", keys, args))

    def introduced_sync(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """`introduced`, from the control plane."""
        return _executed(self._command("EVAL", keys, args))


def _whole(file: Path) -> str:
    """A Lua file with its parts, and without whole lines of comment: a server keeps them all."""
    parts = file.parent if file.parent.name == "parts" else file.parent / "parts"
    text = _PART.sub(lambda part: _whole(parts / f"{part[1]}.lua"), file.read_text())
    return _COMMENT.sub("", text)


def _executed(command: Command) -> Any:
    return sync().execute_command(*command)


def line() -> object:
    """The connection of this event loop's client, or those it has: another one may lead to another
    server."""
    found = pipe()
    return found.transport if isinstance(found, Pipe) else found.transports()


def is_cluster() -> bool:
    """Whether keys are spread over several servers."""
    return address().kind == "cluster"


def clock() -> tuple[int, int]:
    """The time by Redis: seconds, and microseconds besides. Of a cluster's nodes, the latest: none
    of them has counted anything after it. Raises RedisError."""
    if not is_cluster():
        seconds, micros = sync().time()
        return int(seconds), int(micros)
    found: dict[str, Any] = sync().time(target_nodes="primaries")
    return max((int(seconds), int(micros)) for seconds, micros in found.values())


def incarnation() -> str:
    """Which life of which server this is: another one after each restart and each promotion of a
    replica. Raises RedisError."""
    if not is_cluster():
        return _life(sync().info("replication"), sync)
    found = sync().info("replication", target_nodes="primaries")
    lives = found.values() if all(isinstance(v, dict) for v in found.values()) else [found]
    every = ",".join(sorted(str(life["master_replid"]) for life in lives))
    return hashlib.sha1(every.encode(), usedforsecurity=False).hexdigest()


def _life(info: dict[str, Any], client: Any) -> str:
    return str(info.get("master_replid") or client().info("server")["run_id"])


__all__ = [
    "ConnectionError",
    "MovedError",
    "NoScriptError",
    "RedisError",
    "Script",
    "TimeoutError",
    "address",
    "clock",
    "close",
    "incarnation",
    "is_cluster",
    "line",
    "pipe",
    "sync",
]
