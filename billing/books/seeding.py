"""An account's money in Redis, from the database and from the stream of usage on its way there.

    charged (Redis) = settled_total (database) + the events of the stream not in the database

Seeding sets `charged` by this formula, reconciliation checks it; nothing is ever added to repair.
Billing does not know the table of usage events: `recorded` answers which of some ids are in it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import orjson
from django.db import transaction

from accounts.models import User
from billing.books import ledger
from billing.books.models import Wallet
from hontoni import errors, redis
from ratelimits import keys, limiter, rebuilding
from ratelimits.rebuilding import Counted, Open

Recorded = Callable[[Sequence[str]], set[str]]
# What the windows of an account's subjects have counted, told from its open requests and the
# events of the stream.
Windows = Callable[[int, Sequence[Open], Sequence[bytes]], dict[str, Counted]]

_PAGE = 1_000
_START = "0-0"


def seed_account(
    user_id: int, *, recorded: Recorded, windows: Windows | None = None, epoch: str | None = None
) -> bool:
    """Make an account in Redis anew in `epoch` (None: that of now); False if it was in it already,
    or something is in no sum yet: another epoch began meanwhile, or a request was announced.

    While we hold the wallet's lock no batch of its usage can commit, so `settled_total`, the
    events recorded and our answer to Redis belong together. What is settled meanwhile is behind
    the last event seen, and seed.lua adds it; if it was settled before, the account is to be made
    anew again. Without `windows` those of Redis are left as they are. Raises errors.Unavailable.
    """
    ledger.wallet(user_id)
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(pk=user_id)
        announced = rebuilding.announced(user_id)
        opened = rebuilding.open_requests(user_id)
        events, last_event_id = underway(user_id)
        known = _known(list(events), recorded)
        names = [each.request_id for each in opened]
        ended = {f"req_{event_id}" for event_id in events} | _known(names, recorded)
        live = [each for each in opened if each.request_id not in ended]
        event = [text for _, text in events.values()]
        made = rebuilding.seed_sync(
            user_id,
            epoch=epoch,
            credits=wallet.credits_total,
            credits_version=wallet.credits_version,
            terms_version=_terms(user_id),
            charged=wallet.settled_total + _cost(events, known),
            last_event_id=last_event_id,
            subjects=windows(user_id, live, event) if windows else None,
            announced=announced,
            opened=[each.request_id for each in live],
            ended=[each.request_id for each in opened if each.request_id in ended],
        )
        if made and _repeated(user_id, last_event_id, set(events), recorded):
            rebuilding.forget_sync([user_id])
    # Terms that changed while we read them may have been told before we told older ones.
    limiter.publish_terms(user_id, _terms(user_id))
    return made


def _repeated(user_id: int, after: str, seen: set[str], recorded: Recorded) -> bool:
    """Whether an event behind that one is no new one: its gateway heard no answer, and repeated
    it."""
    ids = [
        _event_id(stream_id, fields)
        for stream_id, fields in _entries(keys.shard(user_id), after)
        if int(fields[b"account"]) == user_id
    ]
    return len(set(ids) - seen) < len(ids) or bool(_known(ids, recorded))


def _terms(user_id: int) -> int:
    return User.objects.values_list("terms_version", flat=True).get(pk=user_id)


def _known(ids: Sequence[str], recorded: Recorded) -> set[str]:
    return recorded(ids) if ids else set()


def _cost(events: Mapping[str, tuple[int, bytes]], known: set[str]) -> int:
    return sum(cost for event_id, (cost, _) in events.items() if event_id not in known)


def unsettled(user_id: int, recorded: Recorded) -> tuple[int, str]:
    """What the account's events that are not in the database cost, and the stream's last id."""
    events, last = waiting(user_id, recorded)
    return sum(cost for cost, _ in events), last


def waiting(user_id: int, recorded: Recorded) -> tuple[list[tuple[int, bytes]], str]:
    """Cost and JSON of the account's events that are not in the database, and the stream's last
    id."""
    events, last = underway(user_id)
    known = _known(list(events), recorded)
    return [event for event_id, event in events.items() if event_id not in known], last


def underway(user_id: int) -> tuple[dict[str, tuple[int, bytes]], str]:
    """Cost and JSON of the account's events in the stream, by id, and the stream's last id."""
    events, last = {}, _START
    for stream_id, fields in _entries(keys.shard(user_id)):
        last = stream_id
        if int(fields[b"account"]) == user_id:
            events[_event_id(stream_id, fields)] = int(fields[b"cost"]), fields[b"event"]
    return events, last


def event_ids(shard: int) -> set[str]:
    """The ids of all events in a shard's stream. Raises errors.Unavailable."""
    return {_event_id(stream_id, fields) for stream_id, fields in _entries(shard)}


def unsettled_by_account(shard: int, recorded: Recorded) -> dict[int, int]:
    """The same for every account of a shard that has an event in its stream."""
    events = {
        _event_id(stream_id, fields): (int(fields[b"account"]), int(fields[b"cost"]))
        for stream_id, fields in _entries(shard)
    }
    known = recorded(list(events)) if events else set()
    sums: dict[int, int] = {account: 0 for account, _ in events.values()}
    for event_id, (account, cost) in events.items():
        sums[account] += 0 if event_id in known else cost
    return sums


def _event_id(stream_id: str, fields: dict[bytes, bytes]) -> str:
    """The event's own id: the first thing an event tells behind its version, or by that name. One
    that cannot be read is in no database, by whichever name."""
    try:
        event = orjson.loads(fields[b"event"])
        return str(event[1] if isinstance(event, list) else event["id"])
    except (ValueError, TypeError, KeyError, IndexError):
        return stream_id


def _entries(shard: int, after: str = _START) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    try:
        while page := redis.sync().xrange(keys.usage(shard), f"({after}", "+", _PAGE):
            for stream_id, fields in page:
                after = stream_id.decode()
                yield after, fields
    except redis.RedisError as error:
        raise errors.Unavailable("The stream of usage cannot be read.") from error
