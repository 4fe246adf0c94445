"""The one way to Redis.

* The data plane (async) sends everything asked for in one turn of the event loop as one pipeline:
  under load a command costs a fraction of a round trip, idle it costs exactly one.
* The control plane (sync) uses redis-py as it is.
* A `Script` is a Lua file, sent by its hash; a server that forgot it (restart, failover) is
  given it again. All our scripts are idempotent, so sending one twice is harmless.

Any failure to reach Redis is raised as redis.exceptions.RedisError.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    TimeoutError,
)

TIMEOUT_SECONDS = 2.0

Argument = str | bytes | int
Command = tuple[Argument, ...]


class _Client(Protocol):
    def pipeline(self, transaction: bool = ...) -> Any: ...
    async def aclose(self) -> None: ...


class Batch:
    """Collects the commands of one loop turn and sends them as one pipeline."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        kind = redis.asyncio.RedisCluster if settings.REDIS_CLUSTER else redis.asyncio.Redis
        self.client: Any = kind.from_url(settings.REDIS_URL)
        self.waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self.sending: set[asyncio.Task[None]] = set()

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """The reply to one command, in time. Raises RedisError when awaited."""
        if not self.waiting:
            self.loop.call_soon(self._flush)
        reply: asyncio.Future[Any] = self.loop.create_future()
        self.waiting.append((command, reply))
        return reply

    def _flush(self) -> None:
        batch, self.waiting = self.waiting, []
        task = self.loop.create_task(self._send(batch))
        self.sending.add(task)
        task.add_done_callback(self.sending.discard)

    async def _send(self, batch: list[tuple[Command, asyncio.Future[Any]]]) -> None:
        replies: Sequence[Any]
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                replies = await self._round_trip([command for command, _ in batch])
        except RedisError as error:
            replies = [error] * len(batch)
        except OSError as error:  # includes the timeout above
            replies = [ConnectionError(f"Redis is unreachable: {error!r}")] * len(batch)
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.done():  # its caller was cancelled meanwhile
                continue
            if isinstance(reply, RedisClusterException):  # which is not a RedisError
                future.set_exception(ConnectionError(str(reply)))
            elif isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    async def _round_trip(self, commands: list[Command]) -> Sequence[Any]:
        if settings.REDIS_CLUSTER:  # its pipelines refuse EVALSHA
            return await asyncio.gather(
                *(self.client.execute_command(*command) for command in commands),
                return_exceptions=True,
            )
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def close(self) -> None:
        if self.sending:
            await asyncio.wait(self.sending)
        await self.client.aclose()


_batches: WeakKeyDictionary[asyncio.AbstractEventLoop, Batch] = WeakKeyDictionary()


def batch() -> Batch:
    """This event loop's batching client."""
    loop = asyncio.get_running_loop()
    found = _batches.get(loop)
    if found is None:
        found = _batches[loop] = Batch(loop)
    return found


async def close() -> None:
    """Close this event loop's client, if it ever had one."""
    found = _batches.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()


@cache
def sync() -> Any:
    """The control plane's client (thread-safe, pooled)."""
    kind = redis.RedisCluster if settings.REDIS_CLUSTER else redis.Redis
    return kind.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_SECONDS)


class Script:
    """One Lua file. Its header states keys, arguments, answer, and what a refusal changes.

    Lua has no imports on a server: what several scripts share is a file sent in front of each.
    """

    def __init__(self, *files: Path) -> None:
        self.text = "\n".join(file.read_text() for file in files)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def _command(self, verb: str, keys: Sequence[str], args: Sequence[Argument]) -> Command:
        body = self.sha if verb == "EVALSHA" else self.text
        return (verb, body, len(keys), *keys, *args)

    async def run(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run it on this loop's batch. Raises RedisError."""
        try:
            return await batch().execute(*self._command("EVALSHA", keys, args))
        except NoScriptError:
            return await batch().execute(*self._command("EVAL", keys, args))

    def run_sync(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run it from the control plane. Raises RedisError."""
        try:
            return sync().execute_command(*self._command("EVALSHA", keys, args))
        except NoScriptError:
            return sync().execute_command(*self._command("EVAL", keys, args))
        except RedisClusterException as error:  # which is not a RedisError
            raise ConnectionError(str(error)) from error


__all__ = ["Batch", "RedisError", "Script", "TimeoutError", "batch", "close", "sync"]
