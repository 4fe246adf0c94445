"""Connections to whichever server it is now: the master of a Sentinel's service, or the node of a
cluster that has a slot.

A connection of redis-py's that asks its `Guide` where to connect each time it does, and that ends
itself when the server says it is the right one no more. So whatever makes connections of a class
that it is given (pools, Django's cache, Celery's broker, the websockets' layer) follows a
failover, and need know nothing of it.
"""

import asyncio
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import redis
import redis.asyncio
from redis.asyncio import connection as async_connection
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ConnectionError,
    MovedError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from hontoni.redis_address import Address, Node

SLOTS = 16_384
ELSEWHERE = (ReadOnlyError, MovedError, AskError)  # a server says it is not the right one


class Guide(Protocol):
    def find(self) -> Node:
        """Where to connect now; blocking, and bounded. Raises RedisError."""
        ...


class Sentinels:
    """The master of a service, as the first Sentinel tells that knows one."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._service = address.service
        self._lock = threading.Lock()
        options = {**dict(address.sentinel), "ssl": address.tls, **_at_once(seconds)}
        self._sentinel: Any = Sentinel(list(address.hosts), sentinel_kwargs=options)  # type: ignore[no-untyped-call]

    def find(self) -> Node:
        with self._lock:  # it sorts its list by who answered last
            host, port = self._sentinel.discover_master(self._service)
        return str(host), int(port)


class Nodes:
    """Which node of a cluster has which slot, as the first node tells that answers."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._seeds = address.hosts
        self._options = {**address.options(), "ssl": address.tls, **_at_once(seconds)}
        self._seen: tuple[Node, ...] = ()

    def slots(self) -> Sequence[Node]:
        """The node of each slot, by its number. Raises RedisError."""
        failure: RedisError = ConnectionError("no node of the cluster answers")
        for node in dict.fromkeys((*self._seen, *self._seeds)):
            try:
                found = _slots(node, self._options)
            except RedisError as error:
                failure = error
            else:
                self._seen = tuple(dict.fromkeys(found))
                return found
        raise failure

    def of(self, key: str) -> Guide:
        """A guide to the node that has this key."""
        return _Slot(self, key_slot(key.encode()))


class _Slot:
    def __init__(self, nodes: Nodes, slot: int) -> None:
        self._nodes, self._slot = nodes, slot

    def find(self) -> Node:
        return self._nodes.slots()[self._slot]


def _slots(node: Node, options: dict[str, Any]) -> list[Node]:
    with redis.Redis(host=node[0], port=node[1], **options) as client:
        ranges: Any = client.execute_command("CLUSTER SLOTS")
    found: list[Node | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_ in ranges:
        owner = ((host or b"").decode() or node[0], int(port))  # it may not know its own name
        found[first : last + 1] = [owner] * (last - first + 1)
    if not all(found):
        raise ConnectionError("the cluster has slots that no node serves")
    return [each for each in found if each]


def _at_once(seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
    }


class _Guided:
    """Before a connection of redis-py's."""

    guide: Guide
    host: str
    port: int

    def _connect(self) -> Any:
        self.host, self.port = self.guide.find()
        return super()._connect()  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except ELSEWHERE as error:
            self.disconnect()  # type: ignore[attr-defined]
            raise ConnectionError(f"the server is another one now: {error}") from error


class _GuidedAsync:
    """The same for asyncio."""

    guide: Guide
    host: str
    port: int

    async def _connect(self) -> None:
        self.host, self.port = await asyncio.to_thread(self.guide.find)
        await super()._connect()  # type: ignore[misc]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except ELSEWHERE as error:
            await self.disconnect()  # type: ignore[attr-defined]
            raise ConnectionError(f"the server is another one now: {error}") from error


def connection_class(guide: Guide, *, tls: bool) -> type[Any]:
    """A class of connections that follow this guide."""
    base = redis.SSLConnection if tls else redis.Connection
    return type("GuidedConnection", (_Guided, base), {"guide": guide})


def async_connection_class(guide: Guide, *, tls: bool) -> type[Any]:
    """The same for asyncio."""
    base = async_connection.SSLConnection if tls else async_connection.Connection
    return type("GuidedConnection", (_GuidedAsync, base), {"guide": guide})


@cache
def nodes(address: Address, seconds: float) -> Nodes:
    """A cluster's; one for all who ask."""
    return Nodes(address, seconds)


@cache
def guide(address: Address, key: str, seconds: float) -> Guide | None:
    """Who knows the server for this key; None where there is but one server."""
    if address.kind == "sentinel":
        return Sentinels(address, seconds)
    return nodes(address, seconds).of(key) if address.kind == "cluster" else None


class ClusterClient(redis.RedisCluster):
    """redis-py's client of a cluster, whose troubles are all RedisErrors, and come in time."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except RedisClusterException as error:
            raise ConnectionError(str(error)) from error

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        batch: Any = super().pipeline(transaction, shard_hint)  # type: ignore[no-untyped-call]
        send = batch.execute

        def execute(raise_on_error: bool = True) -> Any:
            try:
                return send(raise_on_error)
            except RedisClusterException as error:
                raise ConnectionError(str(error)) from error

        batch.execute = execute
        return batch


def cluster_client(address: Address, seconds: float) -> ClusterClient:
    """The control plane's client of a cluster. Raises ConnectionError."""
    options: dict[str, Any] = {**address.options(), "ssl": address.tls}
    options.pop("db", None)
    startup = [ClusterNode(host, port) for host, port in address.hosts]  # type: ignore[no-untyped-call]
    options |= {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    try:
        # Every redirection has the whole cluster looked at: who asks all primaries misses none.
        return ClusterClient(startup_nodes=startup, reinitialize_steps=1, **options)
    except RedisClusterException as error:
        raise ConnectionError(str(error)) from error
