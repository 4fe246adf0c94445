"""What the stores know, the same whichever gateway is asked: settlement, workers, the books."""

import time
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from gateway.batches import records
from gateway.stores.models import StoreEpoch
from gateway.usage.models import DeadEvent
from hontoni import health, redis
from hontoni.freshness import is_away
from hontoni.redis import RedisError
from ratelimits.keys import SHARDS
from ratelimits.keys import usage as usage_stream


@dataclass(slots=True)
class Stores:
    """`values`: by name, with what it means. What cannot be asked is left out."""

    up: dict[str, bool] = field(default_factory=dict)
    values: dict[str, tuple[str, float]] = field(default_factory=dict)


def ask() -> Stores:
    """Blocking, and bounded by the patience of the two clients. Raises nothing."""
    found = Stores()
    try:
        _ask_valkey(found)
        found.up["valkey"] = True
    except RedisError:
        found.up["valkey"] = False
    found.up["database"] = _ask_database(found)
    return found


def _ask_valkey(found: Stores) -> None:
    now = time.time()
    length, oldest = queue()
    lag = 0.0 if oldest is None else max(0.0, now - oldest)
    found.values["settlement_queue"] = "Usage events that are not in the books yet.", length
    found.values["settlement_lag_seconds"] = "Age of the oldest of them.", lag
    client = redis.sync()
    for part, key in (("settlement", health.HEARTBEAT), ("worker", health.WORKER)):
        name, help_text = f"{part}_silent_seconds", f"Since {part} was heard of; -1: not lately."
        said = client.get(key)
        found.values[name] = help_text, -1 if said is None else max(0.0, now - float(said))
    if result := health.reconciled():
        found.values["reconcile_differences"] = "Found by the last reconcile.", result.differences
        found.values["reconcile_age_seconds"] = "Since then.", max(0.0, now - result.at)


def queue() -> tuple[int, float | None]:
    """How many usage events wait, and since when the oldest does. Raises RedisError."""
    client = redis.sync()
    streams = [usage_stream(shard) for shard in range(SHARDS)]
    lengths = _each(client, "XLEN", streams)
    waiting = [name for name, length in zip(streams, lengths, strict=True) if length]
    firsts = _each(client, "XRANGE", waiting, "-", "+", "COUNT", 1)
    times = [int(bytes(first[0][0]).split(b"-")[0]) / 1000 for first in firsts if first]
    return sum(lengths), min(times, default=None)


def _each(client: Any, verb: str, names: list[str], *args: str | int) -> list[Any]:
    """The same asked of many keys, in one round trip a node."""
    with client.pipeline(transaction=False) as batch:
        for name in names:
            batch.execute_command(verb, name, *args)
        answers: list[Any] = batch.execute() if names else []
    return answers


def _ask_database(found: Stores) -> bool:
    if is_away():
        return False
    try:
        connection.ensure_connection()
        count = DeadEvent.objects.count()
    except (DatabaseError, InterfaceError):
        return False
    if epoch := StoreEpoch.objects.filter(pk=StoreEpoch.THE).first():
        began = epoch.began_at.timestamp()
        found.values["epoch_began_seconds"] = "When the two stores last began anew.", began
    batches, waiting = records.underway()
    found.values["batches"] = "Batches that have not ended.", batches
    found.values["batch_requests_waiting"] = "Requests of them that have not ended.", waiting
    found.values["dead_events"] = "Usage events that were set aside.", count
    return True
