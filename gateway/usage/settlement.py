"""Usage events on their way from Valkey into the books. Exactly once, by construction.

settle.lua appends an event to its account's shard of the stream. A consumer reads a batch of its
shards, writes it in one transaction (events not yet recorded, rollups, one ledger transfer an
account) and only then acknowledges and deletes it. A batch delivered again finds its events
recorded and adds nothing: the wallets it locks first make two consumers of one event take turns.

What cannot be written waits. Only what is malformed (events.py), or names an account, a key or a
price that does not exist, is set aside in the end, for staff to look at and to replay; a database
that is away, full or of another schema never makes an event bad.
"""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DataError, Error, IntegrityError, transaction
from redis.exceptions import ResponseError

from accounts.keys import api_keys, places
from accounts.models import ApiKey, User
from billing.books import ledger, marks
from gateway.catalogue.models import Price
from gateway.usage import alerts, books, events, left_out_counts, live, overflow, vendor_days
from gateway.usage.models import DeadEvent, UsageEvent
from gateway.usage.quarantine import strange
from hontoni import redis
from ratelimits import rebuilding
from ratelimits.keys import SHARDS
from ratelimits.keys import usage as usage_stream

logger = logging.getLogger(__name__)

GROUP = "books"
BATCH = 8_000  # what an account costs is shared by its events of a batch
ABANDONED_MS = 2_000  # whoever has not acknowledged for so long has died, or is stuck
MOST_DELIVERIES = 5
CLUSTER_PAUSE_MS = 100
ALL = range(SHARDS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a shard's stream; its event as far as it could be read, and why not."""

    shard: int
    stream_id: bytes
    event: dict[str, Any]
    problem: str = ""

    @property
    def request_id(self) -> uuid.UUID:
        found: uuid.UUID | str = self.event["id"]
        return found if isinstance(found, uuid.UUID) else uuid.UUID(hex=found)


# -- The whole of it -----------------------------------------------------------------------------


def drain(consumer: str) -> int:
    """Record what waits in all shards, at most about BATCH of it. Returns how many were recorded;
    where the database cannot, that is logged, and all of it waits."""
    try:
        return settle(read(consumer, ALL))
    except Error:
        logger.exception("usage.database_away")
        return 0


def settle(entries: Sequence[Entry]) -> int:
    """Record what is sound of these, and acknowledge it. Returns how many.

    Raises django.db.Error where the database is at fault; then all of it waits.
    """
    done = sum(_settle(batch) for batch in _batches([e for e in entries if not e.problem]))
    for entry in entries:
        if entry.problem:
            logger.error("usage.malformed %s: %s", entry.stream_id, entry.problem)
    return done


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for first in range(0, len(entries), BATCH):
        yield entries[first : first + BATCH]


def _settle(entries: Sequence[Entry]) -> int:
    """Record a batch. Where one event of it is at fault, the others are recorded all the same."""
    try:
        record(entries)
    except IntegrityError:
        foreign = _foreign(entries)
        if not foreign:
            raise
        for entry in foreign:
            logger.error("usage.foreign %s", entry.stream_id)
        rest = [entry for entry in entries if entry not in foreign]
        return _settle(rest) if rest else 0
    except Error as error:
        if not isinstance(error, DataError):
            raise
        return _halves(entries, error)
    except Exception as error:  # a fault of ours that one event brings to light
        return _halves(entries, error)
    _acknowledge(entries)
    return len(entries)


def _halves(entries: Sequence[Entry], error: Exception) -> int:
    """Find the one that cannot be recorded; it stays pending, and take_over tries it again."""
    if len(entries) == 1:
        logger.critical("usage.stuck %s: %r", entries[0].stream_id, error, exc_info=error)
        return 0
    middle = len(entries) // 2
    return _settle(entries[:middle]) + _settle(entries[middle:])


def _foreign(entries: Sequence[Entry]) -> list[Entry]:
    """Those that name an account, a key or a price there is not."""
    missing = {
        name: _missing(model, {entry.event[name] for entry in entries})
        for name, model in (("user_id", User), ("api_key_id", ApiKey), ("price_id", Price))
    }
    return [e for e in entries if any(e.event[name] in missing[name] for name in missing)]


def _missing(model: Any, wanted: set[int]) -> set[int]:
    return wanted - set(model.objects.filter(pk__in=wanted).values_list("pk", flat=True))


# -- Reading -------------------------------------------------------------------------------------


def read(consumer: str, shards: Sequence[int], block_ms: int | None = None) -> list[Entry]:
    """What was never delivered of these shards, at most about BATCH entries of it. With `block_ms`
    it waits so long for the first."""
    found: list[Entry] = []
    wanted, room = list(shards), BATCH
    while wanted and room > 0:
        count = max(1, room // len(wanted))
        fresh = _read(consumer, wanted, count, block_ms)
        found += [entry for entries in fresh.values() for entry in entries]
        wanted = [shard for shard, entries in fresh.items() if len(entries) >= count]
        room, block_ms = BATCH - len(found), None
    return found


def _read(
    consumer: str, shards: Sequence[int], count: int, block_ms: int | None
) -> dict[int, list[Entry]]:
    """At most `count` entries of each of these shards, by shard; of groups that are not there yet,
    none, but then they are."""
    by_name = {usage_stream(shard).encode(): shard for shard in shards}
    try:
        reply = _ask(consumer, list(by_name), count, block_ms)
    except ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        make_groups(shards)
        return _read(consumer, shards, count, None)
    return {by_name[name]: _entries(by_name[name], _flat(messages)) for name, messages in reply}


def _ask(
    consumer: str, names: Sequence[bytes], count: int, block_ms: int | None
) -> list[tuple[bytes, Any]]:
    """All of these streams in one command; a cluster, whose nodes have some each, is asked stream
    by stream, and waited for without its help."""
    if not redis.is_cluster():
        streams = dict.fromkeys(names, ">")
        return _pairs(
            redis.sync().xreadgroup(GROUP, consumer, streams, count=count, block=block_ms)
        )
    pipeline = redis.sync().pipeline()
    for name in names:
        pipeline.xreadgroup(GROUP, consumer, {name: ">"}, count=count)
    found = [pair for reply in pipeline.execute() for pair in _pairs(reply)]
    if not found and block_ms:
        time.sleep(min(block_ms, CLUSTER_PAUSE_MS) / 1000)
    return found


def _pairs(reply: Any) -> list[tuple[bytes, Any]]:
    return list(reply.items() if isinstance(reply, dict) else reply or ())


def _flat(messages: Any) -> Iterable[tuple[bytes, dict[bytes, bytes]]]:
    """The messages of one stream, in either shape redis-py gives them."""
    nested = messages and not isinstance(messages[0], tuple)
    yield from messages[0] if nested else messages


def make_groups(shards: Iterable[int]) -> None:
    """Of shards that have no consumer group: new ones, or those of a Valkey that lost all."""
    pipeline = redis.sync().pipeline(transaction=False)
    for shard in shards:
        pipeline.xgroup_create(usage_stream(shard), GROUP, id="0", mkstream=True)
    for reply in pipeline.execute(raise_on_error=False):
        if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
            raise reply


def _entries(shard: int, messages: Iterable[Any]) -> list[Entry]:
    return [
        entry(shard, stream_id, fields.get(b"event", b""))
        for stream_id, fields in messages
        if fields
    ]


def entry(shard: int, stream_id: bytes, text: bytes) -> Entry:
    """What cannot be read cannot be recorded either, and is then set aside as it is."""
    if (sound := events.sound(text)) is not None:
        return Entry(shard, stream_id, sound)
    event: dict[str, Any] = {}
    try:
        event = events.read(text)
        events.check(event)
    except events.Malformed as error:
        kept = event or {"unreadable": text.decode(errors="replace")}
        return Entry(shard, stream_id, kept, repr(error))
    except events.Newer as error:
        return Entry(shard, stream_id, {}, repr(error))
    return Entry(shard, stream_id, event)


# -- What others left behind ---------------------------------------------------------------------


def take_over(consumer: str, shards: Sequence[int] = ALL, idle_ms: int | None = None) -> int:
    """Record what dead consumers left behind in these shards, and what failed; set aside what is
    malformed and was delivered MOST_DELIVERIES times. Returns how many were recorded."""
    done = 0
    for entries in _claims(consumer, shards, ABANDONED_MS if idle_ms is None else idle_ms):
        recorded = settle(entries)
        bad = [entry for entry in entries if entry.problem] + _still_foreign(entries, recorded)
        for entry in _worn_out(consumer, bad):
            _set_aside(entry)
        done += recorded
    return done


def orphaned(shards: Sequence[int], alive: Collection[str]) -> set[tuple[int, str]]:
    """Who of those that are not alive has something of these shards in hand: (shard, consumer)."""
    pipeline = redis.sync().pipeline(transaction=False)
    for shard in shards:
        pipeline.xpending(usage_stream(shard), GROUP)
    found = set()
    for shard, summary in zip(shards, pipeline.execute(raise_on_error=False), strict=True):
        if not isinstance(summary, Exception):  # a group that is not there
            names = {each["name"].decode() for each in summary["consumers"]}
            found |= {(shard, name) for name in names.difference(alive)}
    return found


def _claims(consumer: str, shards: Iterable[int], idle_ms: int) -> Iterator[list[Entry]]:
    """All that is pending for so long, about a batch at a time."""
    cursors: dict[int, bytes] = dict.fromkeys(shards, b"0-0")
    while cursors:
        replies = _claim(consumer, cursors, idle_ms)
        found = [entry for shard in replies for entry in _entries(shard, replies[shard][1])]
        cursors = {shard: reply[0] for shard, reply in replies.items() if reply[0] != b"0-0"}
        if found:
            yield found


def _claim(consumer: str, cursors: Mapping[int, bytes], idle_ms: int) -> dict[int, Any]:
    pipeline = redis.sync().pipeline(transaction=False)
    count = max(1, BATCH // len(cursors))
    for shard, cursor in cursors.items():
        pipeline.xautoclaim(
            usage_stream(shard), GROUP, consumer, idle_ms, start_id=cursor, count=count
        )
    replies = {}
    for shard, reply in zip(cursors, pipeline.execute(raise_on_error=False), strict=True):
        if not isinstance(reply, Exception):
            replies[shard] = reply
        elif "NOGROUP" not in str(reply):  # else nothing was ever delivered here
            raise reply
    return replies


def _still_foreign(entries: Sequence[Entry], done: int) -> list[Entry]:
    sound = [entry for entry in entries if not entry.problem]
    return _foreign(sound) if done < len(sound) else []


def _worn_out(consumer: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those that were delivered too often; but none that a later release will read."""
    by_shard: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.event:
            by_shard[entry.shard].append(entry)
    worn = []
    for shard, members in by_shard.items():
        members.sort(key=_moment)
        first, last = members[0].stream_id, members[-1].stream_id
        pending = redis.sync().xpending_range(
            usage_stream(shard), GROUP, first, last, 2 * BATCH, consumer
        )
        often = {p["message_id"] for p in pending if p["times_delivered"] > MOST_DELIVERIES}
        worn += [entry for entry in members if entry.stream_id in often]
    return worn


def _moment(entry: Entry) -> tuple[int, ...]:
    return tuple(map(int, entry.stream_id.split(b"-")))


def _acknowledge(entries: Sequence[Entry]) -> None:
    """They are in the books: forget them. Deleted first: what is acknowledged and not deleted
    nobody would look at again."""
    by_shard: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_shard[entry.shard].append(entry)
    pipeline = redis.sync().pipeline(transaction=False)
    for shard, members in by_shard.items():
        ids = [entry.stream_id for entry in members]
        pipeline.xdel(usage_stream(shard), *ids)
        pipeline.xack(usage_stream(shard), GROUP, *ids)
    deleted = pipeline.execute()[::2]
    lost = [
        members for members, n in zip(by_shard.values(), deleted, strict=True) if n < len(members)
    ]
    if lost:
        # The stream was lost while we had them in hand, and with it what says they are underway.
        accounts = {entry.event.get("user_id") for members in lost for entry in members}
        rebuilding.forget_sync({each for each in accounts if isinstance(each, int)})


def _set_aside(entry: Entry) -> None:
    problem = entry.problem or _why(entry)
    logger.critical("usage.dead_event %s: %s", entry.stream_id, problem)
    DeadEvent.objects.get_or_create(
        stream_id=f"{entry.shard}:{entry.stream_id.decode()}",
        defaults={"payload": _spelled(entry.event), "problem": problem},
    )
    _acknowledge([entry])


def _spelled(event: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it."""
    found = event.get("id")
    return event | {"id": found.hex} if isinstance(found, uuid.UUID) else event


def _why(entry: Entry) -> str:
    try:
        record([entry])
    except IntegrityError as error:
        return repr(error)
    return "IntegrityError"


# -- Recording -----------------------------------------------------------------------------------


def recorded(request_ids: Sequence[str]) -> set[str]:
    """Which of these request ids, with or without `req_`, are in the books already."""
    wanted = {pk: name for name in request_ids if (pk := _pk(name))}
    found = UsageEvent.objects.filter(pk__in=wanted).values_list("pk", flat=True)
    return {wanted[pk] for pk in found}


def _pk(request_id: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(hex=request_id.removeprefix("req_"))
    except ValueError:
        return None  # of an event that nobody can read


@transaction.atomic
def record(entries: Sequence[Entry]) -> int:
    """Write a batch: events not yet recorded, rollups, one charge an account. Returns how many."""
    events = {entry.request_id: entry.event for entry in entries}
    wallets = ledger.lock_wallets({event["user_id"] for event in events.values()})
    for pk in books.recorded(list(events)):
        del events[pk]
    rows = books.rows_of(events)
    if not rows:
        return 0
    books.insert(rows)
    strange.set_aside(rows)
    books.roll_up(rows)
    books.charge(rows, wallets)
    overflow.add(rows)
    left_out_counts.count(rows)
    vendor_days.add(rows)
    alerts.look(events.values())
    api_keys.touch(books.last_used(events.values()))
    places.note(books.uses(events.values()))
    transaction.on_commit(marks.move, robust=True)
    transaction.on_commit(lambda: live.ring({row.user_id for row in rows}), robust=True)
    return len(rows)
