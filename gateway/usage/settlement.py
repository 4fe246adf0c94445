"""Usage events on their way from Redis into the books. Exactly once, by construction.

settle.lua appends an event to its account's shard of the stream. A consumer reads a batch, writes
it in one transaction (events not yet recorded, rollups, one ledger transfer an account) and only
then acknowledges and deletes it. A batch delivered again finds its events recorded and adds
nothing: the wallet rows it locks first make two consumers of one event take turns.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import OperationalError, transaction
from django.db.models import F
from redis.exceptions import ResponseError

from accounts.keys import api_keys
from billing.books import ledger
from gateway.catalogue.models import BUCKETS
from gateway.usage import alerts, left_out, live, vendor_days
from gateway.usage.clients import tool_of
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from gateway.usage.quarantine import strange
from hontoni import redis
from ratelimits import rebuilding
from ratelimits.keys import SHARDS
from ratelimits.keys import usage as usage_stream

logger = logging.getLogger(__name__)

GROUP = "books"
BATCH = 500
ABANDONED_MS = 30_000  # a consumer silent for so long has died; its batch is taken over
MOST_DELIVERIES = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a shard's stream."""

    shard: int
    stream_id: bytes
    event: dict[str, Any]

    @property
    def request_id(self) -> uuid.UUID:
        return uuid.UUID(hex=self.event["id"])


def drain(consumer: str) -> int:
    """Record everything that waits in all shards. Returns how many entries were taken."""
    return sum(_record_safely(entries) for entries in _read_all(consumer) if entries)


def _read_all(consumer: str) -> list[list[Entry]]:
    """A batch of every shard of what was never delivered."""
    replies = _read(consumer, range(SHARDS))
    new = [shard for shard, reply in replies.items() if _has_no_group(reply)]
    for shard in new:
        _make_group(shard)
    replies |= _read(consumer, new)
    return [_entries(shard, _messages(reply)) for shard, reply in replies.items()]


def _read(consumer: str, shards: Iterable[int]) -> dict[int, Any]:
    pipeline = redis.sync().pipeline(transaction=False)
    for shard in shards:
        pipeline.xreadgroup(GROUP, consumer, {usage_stream(shard): ">"}, count=BATCH)
    replies = dict(zip(shards, pipeline.execute(raise_on_error=False), strict=True))
    for reply in replies.values():
        if isinstance(reply, Exception) and not _has_no_group(reply):
            raise reply
    return replies


def _has_no_group(reply: Any) -> bool:
    return isinstance(reply, ResponseError) and "NOGROUP" in str(reply)


def _messages(reply: Any) -> Iterable[tuple[bytes, dict[bytes, bytes] | list[bytes]]]:
    """The messages of one stream, in either shape redis-py gives them."""
    streams = reply.values() if isinstance(reply, dict) else [found for _, found in reply or ()]
    for messages in streams:
        yield from messages if not messages or isinstance(messages[0], tuple) else messages[0]


def _make_group(shard: int) -> None:
    try:
        redis.sync().xgroup_create(usage_stream(shard), GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def take_over(consumer: str) -> int:
    """Record what dead consumers left behind; set aside what failed MOST_DELIVERIES times."""
    taken = 0
    for shard in range(SHARDS):
        name = usage_stream(shard)
        try:
            reply = redis.sync().xautoclaim(
                name, GROUP, consumer, ABANDONED_MS, start_id="0-0", count=BATCH
            )
        except ResponseError:  # no group yet: nothing was ever delivered here
            continue
        entries = _entries(shard, reply[1])
        worn = _worn_out(name, consumer, entries)
        if fresh := [entry for entry in entries if entry not in worn]:
            taken += _record_safely(fresh)
        taken += sum(_last_try(entry) for entry in worn)
    return taken


def _worn_out(name: str, consumer: str, entries: Sequence[Entry]) -> list[Entry]:
    if not entries:
        return []
    first, last = entries[0].stream_id, entries[-1].stream_id
    pending = redis.sync().xpending_range(name, GROUP, first, last, 2 * BATCH, consumer)
    often = {p["message_id"] for p in pending if p["times_delivered"] > MOST_DELIVERIES}
    return [entry for entry in entries if entry.stream_id in often]


def _last_try(entry: Entry) -> int:
    """It was delivered too often, but the fault may have been the database's, not its own."""
    try:
        record([entry])
    except OperationalError:
        raise
    except Exception as error:
        _set_aside(entry, repr(error))
        return 0
    _acknowledge([entry])
    return 1


def _entries(shard: int, messages: Iterable[Any]) -> list[Entry]:
    return [
        Entry(shard, stream_id, _event(fields[b"event"]))
        for stream_id, fields in messages
        if fields
    ]


def _event(text: bytes) -> dict[str, Any]:
    """What cannot be read cannot be recorded either, and is then set aside as it is."""
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError:
        event = None
    return event if isinstance(event, dict) else {"unreadable": text.decode(errors="replace")}


def _record_safely(entries: Sequence[Entry]) -> int:
    """Record a batch; if it cannot be, record its entries one by one and leave the bad one."""
    try:
        record(entries)
        _acknowledge(entries)
    except OperationalError:
        logger.exception("usage.database_away, %d wait", len(entries))
        return 0  # no entry's fault: take_over tries again
    except Exception:
        logger.exception("usage.batch_failed of %d", len(entries))
        if len(entries) > 1:
            return sum(_record_safely([entry]) for entry in entries)
        return 0  # stays pending; take_over tries it again and in the end sets it aside
    return len(entries)


def _acknowledge(entries: Sequence[Entry]) -> None:
    """One shard's entries are in the books: forget them."""
    name = usage_stream(entries[0].shard)
    ids = [entry.stream_id for entry in entries]
    pipeline = redis.sync().pipeline(transaction=True)
    pipeline.xack(name, GROUP, *ids)
    pipeline.xdel(name, *ids)
    _, deleted = pipeline.execute()
    if deleted < len(ids):
        # The stream was lost while we had them in hand, and with it what says they are underway.
        accounts = {entry.event.get("user_id") for entry in entries}
        rebuilding.forget_sync({each for each in accounts if isinstance(each, int)})


def _set_aside(entry: Entry, problem: str) -> None:
    logger.critical("usage.dead_event %s: %s", entry.stream_id, problem)
    DeadEvent.objects.get_or_create(
        stream_id=f"{entry.shard}:{entry.stream_id.decode()}",
        defaults={"payload": entry.event, "problem": problem},
    )
    _acknowledge([entry])


def recorded(request_ids: Sequence[str]) -> set[str]:
    """Which of these request ids, with or without `req_`, are in the books already."""
    asked = {pk: name for name in request_ids if (pk := _pk(name))}
    found = UsageEvent.objects.filter(pk__in=asked).values_list("pk", flat=True)
    return {asked[pk] for pk in found}


def _pk(request_id: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(hex=request_id.removeprefix("req_"))
    except ValueError:
        return None  # of an event that nobody can read


@transaction.atomic
def record(entries: Sequence[Entry]) -> int:
    """Write a batch: events not yet recorded, rollups, one charge an account. Returns how many."""
    ledger.lock(ledger.wallet_code(user) for user in {e.event["user_id"] for e in entries})
    ids = {entry.request_id for entry in entries}
    known = set(UsageEvent.objects.filter(pk__in=ids).values_list("pk", flat=True))
    new = {e.request_id: _row(e) for e in entries if e.request_id not in known}
    rows = sorted(new.values(), key=lambda row: row.pk)
    first: dict[int, uuid.UUID] = {}
    for row in rows:
        row.batch = first.setdefault(row.user_id, row.pk)
    UsageEvent.objects.bulk_create(rows)
    strange.set_aside(rows)
    _roll_up(rows)
    _charge(rows)
    left_out.count(rows)
    vendor_days.add(rows)
    events = {entry.request_id: entry.event for entry in entries}
    alerts.look(events[row.pk] for row in rows)
    api_keys.touch({row.api_key_id: (row.created_at, events[row.pk]["ip"]) for row in rows})
    transaction.on_commit(ledger.mark, robust=True)
    transaction.on_commit(lambda: live.ring({row.user_id for row in rows}), robust=True)
    return len(rows)


def _row(entry: Entry) -> UsageEvent:
    event = dict(entry.event)
    event.pop("ip")
    began = datetime.fromtimestamp(event.pop("began"), UTC)
    event["tool"] = tool_of(event.get("client", ""))
    return UsageEvent(**event | {"id": entry.request_id, "created_at": began})


def _roll_up(rows: Sequence[UsageEvent]) -> None:
    groups: defaultdict[tuple[Any, ...], list[UsageEvent]] = defaultdict(list)
    for row in rows:
        hour = row.created_at.replace(minute=0, second=0, microsecond=0)
        groups[row.user_id, hour, row.api_key_id, row.model, row.tool].append(row)
    for (user_id, hour, api_key_id, model, tool), members in sorted(groups.items()):
        total, _ = UsageHour.objects.get_or_create(
            user_id=user_id, hour=hour, api_key_id=api_key_id, model=model, tool=tool
        )
        sums = {name: sum(getattr(m, name) for m in members) for name in (*BUCKETS, "cost")}
        sums["requests"] = len(members)
        sums["errors"] = sum(m.status >= 400 for m in members)
        UsageHour.objects.filter(pk=total.pk).update(**{n: F(n) + v for n, v in sums.items()})


def _charge(rows: Sequence[UsageEvent]) -> None:
    """One ledger transfer an account; its key is the first event it pays for, which no other
    transfer can name."""
    by_user: defaultdict[int, list[UsageEvent]] = defaultdict(list)
    for row in rows:
        by_user[row.user_id].append(row)
    for user_id, members in sorted(by_user.items()):
        amount = sum(row.cost for row in members)
        if amount:
            first, last = members[0].request_id, members[-1].request_id
            ledger.charge_usage(
                key=f"usage:{first}",
                user_id=user_id,
                amount=amount,
                ref={"first": first, "last": last, "requests": len(members)},
            )
