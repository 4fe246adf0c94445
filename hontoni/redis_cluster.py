"""The data plane's client of a Redis Cluster: one connection a node, each asked in batches.

A command goes to the node that has its first key. Where that node has it no longer, the cluster
is looked at anew and the next one asked; where a node is away, that command fails, and the next
one finds who took its place.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    TimeoutError,
    TryAgainError,
)

from hontoni.redis_address import Node
from hontoni.redis_connections import Nodes

Argument = str | bytes | int
Command = tuple[Argument, ...]

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.1  # while slots are on their way from node to node


class Line(Protocol):
    """One node's connection."""

    transport: asyncio.Transport | None

    def execute(self, *command: Argument) -> asyncio.Future[Any]: ...

    async def close(self) -> None: ...


class Cluster:
    """`connect` makes the connection to a node."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, nodes: Nodes, connect: Callable[[Node], Line]
    ) -> None:
        self.loop, self._nodes, self._connect = loop, nodes, connect
        self._lines: dict[Node, Line] = {}
        self._slots: Sequence[Node] = ()  # empty: to be looked at before the next command
        self._looking: asyncio.Task[Sequence[Node]] | None = None

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """The reply to one command, in time. Raises RedisError when awaited."""
        return self.loop.create_task(self._execute(command))

    def execute_there(self, *command: Argument) -> asyncio.Future[Any]:
        """The same, but nobody else is asked where the node says it is not the right one."""
        return self.loop.create_task(self._execute(command, attempts=1))

    def transports(self) -> dict[Node, asyncio.Transport | None]:
        """The connections there are now, by node."""
        return {node: line.transport for node, line in self._lines.items()}

    async def _execute(self, command: Command, attempts: int = _ATTEMPTS) -> Any:
        slot = key_slot(_key(command))
        moved: Node | None = None
        for left in reversed(range(attempts)):
            node = moved or (await self._look())[slot]
            try:
                return await self._line(node).execute(*command)
            except AskError as error:  # which a MovedError is, too
                if not isinstance(error, MovedError):
                    return await self._asking((error.host, error.port), command)
                self._slots = ()
                if not left:
                    raise
                moved = (error.host, error.port) if error.host else None
            except (TryAgainError, ClusterDownError):
                self._slots, moved = (), None
                if not left:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            except (ConnectionError, TimeoutError):
                self._slots = ()
                raise
        raise ConnectionError("the cluster's slots are on the move")

    async def _asking(self, node: Node, command: Command) -> Any:
        """Of the node a slot is on its way to; ASKING holds for the one command behind it."""
        line = self._line(node)
        _, reply = await asyncio.gather(line.execute("ASKING"), line.execute(*command))
        return reply

    def _line(self, node: Node) -> Line:
        found = self._lines.get(node)
        if found is None:
            found = self._lines[node] = self._connect(node)
        return found

    async def _look(self) -> Sequence[Node]:
        """Who has which slot; whoever wants to know at the same time shares one look."""
        if self._slots:
            return self._slots
        if self._looking is None or self._looking.done():
            self._looking = self.loop.create_task(asyncio.to_thread(self._nodes.slots))
        self._slots = await asyncio.shield(self._looking)
        return self._slots

    async def close(self) -> None:
        for line in self._lines.values():
            await line.close()


def _key(command: Command) -> bytes:
    """The first key; all that we send have one, and all keys of a script are in one slot."""
    name = command[3] if command[0] in ("EVAL", "EVALSHA", "FCALL") else command[1]
    return name if isinstance(name, bytes) else str(name).encode()
