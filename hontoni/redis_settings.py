"""What Django's cache, Celery and the websockets' layer are told of a Redis address.

They know one server each. In a cluster each keeps all its keys under one hash tag, and its
connections follow the slot of it; behind Sentinels they follow the master.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from hontoni import redis_address, redis_connections
from hontoni.redis_address import Address

SECONDS = 2.0
BROKER_KEY, CACHE_KEY, LAYER_KEY = "{celery}", "{cache}", "{live}"


def address(name: str, url: str, *, cluster: bool = False) -> Address:
    """Of the setting with this name. Raises ImproperlyConfigured with a sentence."""
    try:
        return redis_address.read(url, cluster=cluster)
    except redis_address.Unfit as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error


def broker(url: str, *, cluster: bool = False) -> Address | None:
    """Of Celery's broker, where hontoni/broker.py is to lead it; None: Celery knows the way."""
    known = url.startswith(
        ("redis+cluster:", "rediss+cluster:", "redis+sentinel:", "rediss+sentinel:")
    )
    return address("BROKER_URL", url, cluster=cluster) if known or cluster else None


def cache(there: Address) -> dict[str, Any]:
    """Django's cache."""
    found: dict[str, Any] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": there.url,
        "KEY_PREFIX": CACHE_KEY if there.kind == "cluster" else "cache",
    }
    if guide := redis_connections.guide(there, CACHE_KEY, SECONDS):
        kind = redis_connections.connection_class(guide, tls=there.tls)
        found["OPTIONS"] = {"CONNECTION_POOL_KWARGS": {"connection_class": kind}}
    return found


def layer(there: Address) -> dict[str, Any]:
    """The channel layer of the websockets."""
    host: Any = there.url
    if guide := redis_connections.guide(there, LAYER_KEY, SECONDS):
        kind = redis_connections.async_connection_class(guide, tls=there.tls)
        host = {**there.options(), "connection_class": kind}
    return {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [host], "prefix": "live"},
    }
