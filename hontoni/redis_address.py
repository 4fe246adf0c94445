"""What the address of a Redis says: one server, a cluster, or a service that Sentinels watch.

    redis://user:password@host:6379/0       rediss:// with TLS, unix:///path/of/a/socket
    redis+cluster://host:6379,host:6379     rediss+cluster://
    redis+sentinel://host:26379,host:26379/service/0?sentinel_password=…     rediss+sentinel://

User and password are those of the servers. A cluster and its keys, and a Sentinel's service, may
move to other servers than those named here: hontoni/redis_connections.py follows them.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

Kind = Literal["server", "cluster", "sentinel"]
Node = tuple[str, int]

_PORTS = {"cluster": 6379, "sentinel": 26379}
_ONE = ("redis", "rediss", "unix")


class Unfit(ValueError):
    """An address that cannot be gone by; the message says what it should be."""


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is one that redis-py takes: of the server, or of the first host with what all share.
    `sentinel` is what the Sentinels themselves want: a user, a password."""

    kind: Kind
    url: str
    hosts: tuple[Node, ...] = ()
    service: str = ""
    sentinel: tuple[tuple[str, str], ...] = ()

    @property
    def tls(self) -> bool:
        return self.url.startswith("rediss:")

    def options(self) -> dict[str, Any]:
        """User, password, database and the like, as redis-py names them; no host."""
        found = parse_url(self.url)  # type: ignore[no-untyped-call]
        for name in ("host", "port", "connection_class"):
            found.pop(name, None)
        return dict(found)


@cache
def read(url: str, *, cluster: bool = False) -> Address:
    """Take an address apart; `cluster` says that a plain one names a cluster. Raises Unfit."""
    scheme, _, rest = url.partition("://")
    if scheme in _ONE and not cluster:
        return _checked(Address("server", url))
    if scheme in ("redis", "rediss"):
        scheme = f"{scheme}+cluster"
    tls, _, kind = scheme.partition("+")
    if tls in ("redis", "rediss") and kind == "cluster":
        return _checked(_cluster(tls, rest))
    if tls in ("redis", "rediss") and kind == "sentinel":
        return _checked(_sentinel(tls, rest))
    if cluster:
        raise Unfit("REDIS_CLUSTER wants redis://, rediss:// or redis+cluster://")
    raise Unfit(
        "it begins with redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://"
    )


def _checked(address: Address) -> Address:
    try:
        address.options()
    except ValueError as error:
        raise Unfit(str(error)) from error
    return address


def _cluster(tls: str, rest: str) -> Address:
    user, hosts, path, query = _parts(rest, "cluster")
    if path not in ("", "0"):
        raise Unfit("a cluster has database 0 and no other")
    return Address("cluster", _url(tls, user, hosts[0], "0", query), hosts)


def _sentinel(tls: str, rest: str) -> Address:
    user, hosts, path, query = _parts(rest, "sentinel")
    service, _, database = path.partition("/")
    if not service or not (database or "0").isdigit():
        raise Unfit(
            "it ends with the service that the Sentinels watch: …/mymaster or …/mymaster/0"
        )
    own = {
        name: query.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in query
    }
    url = _url(tls, user, hosts[0], database or "0", query)
    return Address("sentinel", url, hosts, service, tuple(own.items()))


def _parts(rest: str, kind: str) -> tuple[str, tuple[Node, ...], str, dict[str, str]]:
    """User and password as they are written, the hosts, the path, the query."""
    split = urlsplit(f"//{rest}")
    user, _, names = split.netloc.rpartition("@")
    hosts = tuple(_node(name.strip(), _PORTS[kind]) for name in names.split(","))
    return user, hosts, split.path.strip("/"), dict(parse_qsl(split.query))


def _node(name: str, port: int) -> Node:
    try:
        split = urlsplit(f"//{name}")
        host, port = split.hostname or "", split.port or port
    except ValueError as error:
        raise Unfit(f"{name}: {error}") from error
    if not host:
        raise Unfit("it names no host")
    return host, port


def _url(tls: str, user: str, node: Node, database: str, query: dict[str, str]) -> str:
    host, port = node
    host = f"[{host}]" if ":" in host else host
    given = f"?{urlencode(query)}" if query else ""
    return f"{tls}://{user}{'@' if user else ''}{host}:{port}/{database}{given}"


def mode(address: Address, seconds: float) -> str:
    """What the first server of this address that answers says it is: standalone, cluster or
    sentinel; empty if none does. Each is given so many seconds."""
    at_once = Retry(NoBackoff(), 0)
    for url in _each(address):
        client = redis.Redis.from_url(
            url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=at_once
        )
        with client, suppress(redis.RedisError):
            found = client.info("server")
            return str(found.get("redis_mode") or found.get("server_mode") or "")
    return ""


def _each(address: Address) -> Iterator[str]:
    if not address.hosts:
        yield address.url
        return
    tls = "rediss" if address.tls else "redis"
    split = urlsplit(address.url)
    user = split.netloc.rpartition("@")[0]
    if address.kind == "sentinel":
        own = dict(address.sentinel)
        name, word = quote(own.get("username", "")), quote(own.get("password", ""))
        user, split = f"{name}:{word}" if own else "", split._replace(query="")
    for node in address.hosts:
        yield _url(tls, user, node, "0", dict(parse_qsl(split.query)))
