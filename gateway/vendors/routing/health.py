"""How every credential and model is, as all gateways have told it: one hash in Valkey.

    vendors:health   field   node, credential and model, as a JSON array
                     value   Told, as a JSON array

Whoever has asked a vendor lately writes its own fields and reads all of them every few seconds,
beside the requests; a gateway that is idle does neither. What is older than GONE_SECONDS counts
for nothing and is deleted by whoever sees it.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from gateway.vendors.routing.tally import Sums

KEY = "vendors:health"
GONE_SECONDS = 30.0
Way = tuple[str, str]  # credential, model


class Told(NamedTuple):
    """One gateway's word. Moments in seconds since 1970; `state` is `Breaker.state`'s."""

    at: float
    sums: Sums
    state: int = 0
    open_until: float = 0.0
    limited_until: float = 0.0
    refused: bool = False
    error: str = ""


class Health(NamedTuple):
    """Everybody's together: of the last minutes, and the worst that anybody says of now."""

    credential: str
    model: str
    sums: Sums
    state: int
    open_until: float
    limited_until: float
    refused: bool
    error: str
    nodes: int

    @property
    def success(self) -> float | None:
        """The share of what was answered; None if nothing was asked."""
        whole = self.sums.ok + self.sums.failed
        return self.sums.ok / whole if whole else None

    @property
    def first_ms(self) -> int | None:
        """Until the first byte of a stream, on the average."""
        return self.sums.first_ms // self.sums.firsts if self.sums.firsts else None

    def is_ill(self, now: float) -> bool:
        """Whether it is better asked last."""
        return max(self.open_until, self.limited_until) > now


def field(node: str, way: Way) -> bytes:
    return orjson.dumps((node, *way))


def value(told: Told) -> bytes:
    return orjson.dumps((told.at, tuple(told.sums), *told[2:]))


def read(raw: Mapping[bytes, bytes]) -> tuple[dict[Way, Health], list[bytes]]:
    """What is told of each way, and the fields that nobody stands by any more."""
    found: defaultdict[Way, list[Told]] = defaultdict(list)
    gone, now = [], time.time()
    for name, text in raw.items():
        told = _told(text)
        if told is None or told.at < now - GONE_SECONDS:
            gone.append(name)
            continue
        _, credential, model = orjson.loads(name)
        found[credential, model].append(told)
    return {way: together(way, each) for way, each in found.items()}, gone


def together(way: Way, told: Iterable[Told]) -> Health:
    """Several gateways' words as one."""
    each = sorted(told, key=lambda one: one.at)
    return Health(
        *way,
        sums=Sums(*(sum(column) for column in zip(*(one.sums for one in each), strict=True))),
        state=max(one.state for one in each),
        open_until=max(one.open_until for one in each),
        limited_until=max(one.limited_until for one in each),
        refused=any(one.refused for one in each),
        error=next((one.error for one in reversed(each) if one.error), ""),
        nodes=len(each),
    )


def _told(text: bytes) -> Told | None:
    """None of what another release wrote."""
    try:
        at, sums, *rest = orjson.loads(text)
        return Told(at, Sums(*sums), *rest)
    except (ValueError, TypeError):
        return None


def shown() -> list[dict[str, Any]]:
    """For people, by credential and model. Raises RedisError."""
    from hontoni import redis

    now = time.time()
    ways, _ = read(redis.sync().hgetall(KEY))
    return [_shown(ways[way], now) for way in sorted(ways)]


_STATES = ("closed", "half-open", "open")


def _shown(each: Health, now: float) -> dict[str, Any]:
    success = each.success
    return {
        "credential": each.credential,
        "model": each.model,
        "breaker": _STATES[min(each.state, 2)],
        "opens_in_seconds": max(0, round(each.open_until - now)),
        "refused": each.refused,
        "rate_limited_seconds": max(0, round(each.limited_until - now)),
        "requests": each.sums.ok + each.sums.failed,
        "failed": each.sums.failed,
        "rate_limited": each.sums.limited,
        "success_percent": None if success is None else round(100 * success, 1),
        "first_byte_ms": each.first_ms,
        "last_error": each.error,
        "gateways": each.nodes,
    }
