"""Celery's way to Redis, as kombu has it, but for two things.

Where BROKER_URL names a cluster, or a service that Sentinels watch, its connections go to
whichever server has Celery's keys at the moment (hontoni/redis_connections.py).

And one fault ended the worker with its broker. A channel that is closed has no address any more.
If a task that was under way acknowledges itself then, or is given back, kombu fails with an
AttributeError; what the worker survives is a lost connection. So that is what it is told.
"""

from typing import Any

from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError

from hontoni import redis_connections, redis_settings


class _Closed:
    """Before a channel of kombu's: says that its connection was lost where it is closed."""

    connection: Any

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection to the broker is closed")
        return super()._connparams(asynchronous)  # type: ignore[misc]


def _led(usual: type[Any] | None, *, tls: bool) -> type[Any] | None:
    """The class of connections to BROKER_URL: `usual` where it names one server."""
    if settings.BROKER is None:
        return usual
    guide = redis_connections.guide(
        settings.BROKER, redis_settings.BROKER_KEY, redis_settings.SECONDS
    )
    assert guide is not None
    return redis_connections.connection_class(guide, tls=tls)


class Channel(_Closed, kombu_redis.Channel):
    @property
    def connection_class(self) -> Any:  # type: ignore[override]
        return _led(kombu_redis.Channel.connection_class, tls=False)

    @property
    def connection_class_ssl(self) -> Any:  # type: ignore[override]
        return _led(kombu_redis.Channel.connection_class_ssl, tls=True)


class Transport(kombu_redis.Transport):
    Channel = Channel


class SentinelChannel(_Closed, kombu_redis.SentinelChannel):
    pass


class SentinelTransport(kombu_redis.SentinelTransport):
    Channel = SentinelChannel


def install() -> None:
    """Use these for every broker on Redis."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
