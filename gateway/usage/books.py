"""Writing a batch of usage into the books: a handful of statements, whatever it holds.

The caller has locked the wallets of all its accounts, and its rows are new.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from accounts.keys import places
from billing.books import ledger
from gateway.catalogue.models import BUCKETS
from gateway.usage import packing
from gateway.usage.clients import tool_of
from gateway.usage.models import UsageEvent
from hontoni import rowsets

_EVENT = (
    *(("id", "uuid"), ("user_id", "bigint"), ("api_key_id", "bigint"), ("model", "text")),
    *(("requested_model", "text"), ("price_id", "bigint"), ("batch", "uuid"), ("dialect", "text")),
    *(("stream", "boolean"), ("created_at", "timestamptz")),
    *((bucket, "integer") for bucket in BUCKETS),
    *(("cost", "bigint"), ("hold", "bigint"), ("estimated", "boolean"), ("aborted", "boolean")),
    *(("status", "integer"), ("error", "text"), ("upstream_status", "integer")),
    *(("upstream_request_id", "text"), ("first_byte_ms", "integer"), ("duration_ms", "integer")),
    *(("client", "text"), ("tool", "text"), ("details", "jsonb")),
    ("brief", "bytea"),
)
_HOUR_KEY = (
    *(("user_id", "bigint"), ("hour", "timestamptz"), ("api_key_id", "bigint")),
    *(("model", "text"), ("tool", "text")),
)
DAY = 86_400  # seconds
_OWN_SUMS = (*BUCKETS, "cost")
_HOUR_SUMS = ("requests", "errors", *_OWN_SUMS)


class Booked(NamedTuple):
    """An event as it goes into the books: UsageEvent's columns, without what a model costs."""

    id: UUID
    user_id: int
    api_key_id: int
    model: str
    requested_model: str
    price_id: int
    batch: UUID | None
    dialect: str
    stream: bool
    created_at: datetime
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    cost: int
    hold: int
    estimated: bool
    aborted: bool
    status: int
    error: str
    upstream_status: int | None
    upstream_request_id: str
    first_byte_ms: int | None
    duration_ms: int
    client: str
    tool: str
    details: dict[str, Any]

    @property
    def pk(self) -> UUID:
        return self.id

    @property
    def request_id(self) -> str:
        return f"req_{self.id.hex}"


Used = UsageEvent | Booked
_FIRST_SUM = Booked._fields.index(BUCKETS[0])
_LAST_SUM = Booked._fields.index("cost") + 1  # the buckets and the cost stand together


def rows_of(events: Mapping[UUID, Mapping[str, Any]]) -> list[Booked]:
    """The rows of events that are sound (events.py), by id, in the order of their ids. Each names
    the charge it is part of: the account's first."""
    first: dict[int, UUID] = {}
    rows = []
    for pk in sorted(events, key=attrgetter("int")):  # as UUIDs sort, without their help
        event = events[pk]
        values = _taken(event)
        began = datetime.fromtimestamp(event["began"], UTC)
        batch = first.setdefault(event["user_id"], pk)
        rest = (*values[7:], tool_of(event["client"]), event["details"])
        rows.append(Booked._make((pk, *values[:5], batch, *values[5:7], began, *rest)))
    return rows


_taken = itemgetter(
    *("user_id", "api_key_id", "model", "requested_model", "price_id", "dialect", "stream"),
    *(*BUCKETS, "cost", "hold", "estimated", "aborted", "status", "error", "upstream_status"),
    *("upstream_request_id", "first_byte_ms", "duration_ms", "client"),
)


def recorded(ids: Sequence[UUID]) -> set[UUID]:
    """Which of these are in the books already."""
    rows = rowsets.select("SELECT id FROM gateway_usageevent WHERE id {among}", ids, "uuid")
    return {_uuid(found) for (found,) in rows}


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(hex=value)


def insert(rows: Sequence[Booked]) -> None:
    """The events themselves."""
    encode = msgspec.json.Encoder().encode
    values = [_narrow(row, encode) for row in rows]
    rowsets.append("gateway_usageevent", _EVENT, values)


def _narrow(row: Booked, encode: Callable[[Any], bytes]) -> tuple[Any, ...]:
    """The columns of a row, with what usual details need not say left out (packing.py)."""
    is_model = row.requested_model == row.model
    rest, brief = packing.packed(row.details, row.dialect, is_model)
    details = encode(rest).decode() if rest else "{}"
    if brief is None:
        return (*row[:-1], details, None)
    requested = "" if is_model else row.requested_model
    return (*row[:4], requested, *row[5:7], "", *row[8:-1], details, brief)


def roll_up(rows: Sequence[Booked]) -> None:
    """Their sums by hour, account, key, model and tool, added to what is there."""
    sums: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(_HOUR_SUMS))
    for row in rows:
        hour = row.created_at.replace(minute=0, second=0, microsecond=0)
        total = sums[row.user_id, hour, row.api_key_id, row.model, row.tool]
        total[0] += 1
        total[1] += row.status >= 400
        more: tuple[Any, ...] = row[_FIRST_SUM:_LAST_SUM]
        for place, value in enumerate(more, 2):
            if value:
                total[place] += value
    _add_up("gateway_usagehour", _HOUR_SUMS, sums)
    _note_features(rows)
    if own := [row for row in rows if is_by_own_key(row)]:
        _roll_up_own(own)


def _note_features(rows: Sequence[Booked]) -> None:
    """Who has paid for which feature. The wallets are locked, so nobody else writes of these."""
    last: dict[tuple[int, int], datetime] = {}
    for row in rows:
        for line in row.details.get("lines", ()):
            priced = [line.get("feature_id", 0), *(each for each, _ in line.get("factors", ()))]
            for feature in filter(None, priced):
                key = (row.user_id, feature)
                last[key] = max(row.created_at, last.get(key, row.created_at))
    rowsets.insert(
        "gateway_featureuse",
        (("user_id", "bigint"), ("feature_id", "bigint"), ("last_at", "timestamptz")),
        [(*key, at) for key, at in sorted(last.items())],
        "ON CONFLICT (user_id, feature_id) DO UPDATE SET last_at = excluded.last_at "
        "WHERE excluded.last_at > gateway_featureuse.last_at",
    )


def is_by_own_key(row: Used) -> bool:
    """Whether a customer's own key answered it."""
    own = row.details.get("own_key")
    return own is not None and "fell_back" not in own


def _roll_up_own(rows: Sequence[Booked]) -> None:
    """The part of the sums that went through customers' own keys."""
    sums: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(_OWN_SUMS))
    for row in rows:
        hour = row.created_at.replace(minute=0, second=0, microsecond=0)
        total = sums[row.user_id, hour, row.api_key_id, row.model, row.tool]
        more: tuple[Any, ...] = row[_FIRST_SUM:_LAST_SUM]
        for place, value in enumerate(more):
            total[place] += value
    _add_up("gateway_ownkeyhour", _OWN_SUMS, sums)


def _add_up(table: str, names: Sequence[str], sums: Mapping[tuple[Any, ...], list[int]]) -> None:
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)
    keys = ", ".join(name for name, _ in _HOUR_KEY)
    rowsets.insert(
        table,
        (*_HOUR_KEY, *((name, "bigint") for name in names)),
        [(*key, *total) for key, total in sorted(sums.items())],
        f"ON CONFLICT ({keys}) DO UPDATE SET {added}",
    )


def last_used(used: Iterable[Mapping[str, Any]]) -> dict[int, tuple[datetime, str]]:
    """When and from where each key was last used."""
    last: dict[int, Mapping[str, Any]] = {}
    for event in used:
        other = last.get(event["api_key_id"])
        if other is None or other["began"] < event["began"]:
            last[event["api_key_id"]] = event
    return {
        key: (datetime.fromtimestamp(event["began"], UTC), event["ip"])
        for key, event in last.items()
    }


def uses(events: Iterable[Mapping[str, Any]]) -> set[places.Use]:
    """From where each key was used, and by whose."""
    return {
        places.Use(event["api_key_id"], event["user_id"], event["began"] // DAY * DAY, event["ip"])
        for event in events
    }


def charge(rows: Sequence[Booked], wallets: Mapping[int, ledger.Column]) -> None:
    """One ledger transfer an account; its key is the first event it pays for, which no other
    transfer can name."""
    by_user: defaultdict[int, list[Booked]] = defaultdict(list)
    for row in rows:
        by_user[row.user_id].append(row)
    charges = [
        ledger.Charge(
            key=f"usage:{members[0].request_id}",
            user_id=user_id,
            amount=amount,
            ref={
                "first": members[0].request_id,
                "last": members[-1].request_id,
                "requests": len(members),
            },
        )
        for user_id, members in by_user.items()
        if (amount := sum(row.cost for row in members))
    ]
    if charges:
        ledger.charge_all(charges, wallets)
