"""What we booked, by the credential that served: written in the transaction that records usage.

One statement a batch adds all its groups up. Its rows are shared by all accounts, so it comes
last in the transaction, in one order, and holds them shortly.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDay

from billing.books import checkpoints
from gateway.catalogue.models import BUCKETS, Model
from gateway.dialects.ir import Usage
from gateway.usage.books import Used
from gateway.usage.corrections.models import CorrectedRequest
from gateway.usage.models import UsageEvent
from gateway.usage.request_ids import first_id
from gateway.usage.vendor_day import AMONG_TOKENS, COUNTED, OWN, UNITS, Part, UsageVendorDay
from gateway.vendors.models import Provider, Vendor
from gateway.vendors.own_keys import access
from hontoni import errors

_KEY = ("day", "vendor", "credential", "model", "part")
SUMS = ("requests", *UNITS, "calls_cost", "cost", "at_most")


class Group(NamedTuple):
    """What is summed together, in the order of the table's key."""

    day: date
    vendor: str
    credential: str
    model: str
    part: str


Sums = dict[str, int]


def add(events: Iterable[Used]) -> None:
    """Add these events to their days."""
    _add(summed(events))


def correct(changes: Iterable[tuple[UsageEvent, int]]) -> None:
    """Add what corrections changed of these events' charges, in nano-dollars: what customers paid
    for is not what it was, what was used is. As `add`, the last of its transaction."""
    changes = list(changes)
    vendors = _vendors(event for event, _ in changes)
    found: dict[Group, Sums] = {}
    for event, more in changes:
        group = _group(event, vendors, event.model, _credential(event), _part(event))
        found.setdefault(group, dict.fromkeys(SUMS, 0))["cost"] += more
    _add(found)


def probed(at: datetime, credential: str, model: str, used: Usage) -> None:
    """Add what we asked ourselves: it is on the vendor's bill, and on no customer's."""
    row = Model.objects.filter(pk=model).values_list("vendor", flat=True).first()
    names = {v: v for v in Vendor} | dict(Provider.objects.values_list("name", "vendor"))
    vendor = names.get(credential.partition("/")[0]) or row or ""
    group = Group(at.astimezone(UTC).date(), vendor, credential, model, Part.PROBED)
    tokens = dict(zip(COUNTED, used[:5], strict=True))
    tokens["output"] += used.reasoning
    _add({group: dict.fromkeys(SUMS, 0) | tokens | {"requests": 1}})


def _add(found: Mapping[Group, Sums]) -> None:
    if not found:
        return
    table = UsageVendorDay._meta.db_table
    columns = (*_KEY, *SUMS)
    one = f"({', '.join(['%s'] * len(columns))})"
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    values: list[Any] = [
        v for group in sorted(found) for v in (*group, *(found[group][n] for n in SUMS))
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([one] * len(found))}"
            f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {added}",
            values,
        )


def summed(events: Iterable[Used]) -> dict[Group, Sums]:
    """What these events add up to, by group."""
    events = list(events)
    vendors = _vendors(events)
    found: dict[Group, Sums] = {}
    plain: dict[_Plain, list[int]] = {}
    for event in events:
        if _is_plain(event):
            _add_plain(plain, event)
            continue
        for credential, model, part, sums in _parts(event):
            _add_to(found, _group(event, vendors, model, credential, part), sums)
    for (day, credential, model, estimated), total in plain.items():
        part = Part.ESTIMATED if estimated else Part.CHARGED
        group = Group(day, _vendor(vendors, credential, model), credential, model, part)
        _add_to(found, group, dict(zip(_PLAIN_SUMS, total, strict=True)))
    return found


def _add_to(found: dict[Group, Sums], group: Group, sums: Mapping[str, int]) -> None:
    total = found.setdefault(group, dict.fromkeys(SUMS, 0))
    for name, value in sums.items():
        total[name] += value


_UNUSUAL = frozenset(("lines", "quarantine", "full", "capped", "clamps"))
_PLAIN_SUMS = (
    *("requests", "cost", "input", "cache_read", "cache_write_5m", "cache_write_1h", "output"),
)
_Plain = tuple[date, str, str, bool]  # day, credential, model, estimated


def _is_plain(event: Used) -> bool:
    """Nearly all are: charged, by one attempt, with one line."""
    details = event.details
    return bool(
        event.cost and _UNUSUAL.isdisjoint(details) and len(details.get("attempts", ())) < 2
    )


def _add_plain(found: dict[_Plain, list[int]], event: Used) -> None:
    """What `_parts` says of it, without the detours."""
    key = (_day(event), _served(event), event.model, event.estimated)
    total = found.get(key)
    if total is None:
        total = found[key] = [0] * len(_PLAIN_SUMS)
    total[0] += 1
    total[1] += event.cost
    total[2] += event.input
    total[3] += event.cache_read
    total[4] += event.cache_write_5m
    total[5] += event.cache_write_1h
    total[6] += event.output + event.reasoning


def _day(event: Used) -> date:
    at = event.created_at
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).date()


def _group(
    event: Used, vendors: Mapping[str, str], model: str, credential: str, part: str
) -> Group:
    return Group(_day(event), _vendor(vendors, credential, event.model), credential, model, part)


def _vendor(vendors: Mapping[str, str], credential: str, model: str) -> str:
    if access.is_own(credential):
        return OWN
    return vendors.get(credential.partition("/")[0]) or vendors["model:" + model]


def _served(event: Used) -> str:
    """The credential that answered, or was the last to be asked."""
    attempts = event.details.get("attempts") or [{}]
    return str(attempts[-1].get("credential", ""))


def _credential(event: Used) -> str:
    """The same, and of an own key whose it is."""
    served = _served(event)
    return f"{served}/{event.user_id}" if access.is_own(served) else served


def _vendors(events: Iterable[Used]) -> dict[str, str]:
    """Whose bill it is on: by the provider's name, or where the receipt names none, by the model.
    The environment's keys are called after their vendor."""
    names = {event.model for event in events}
    models = Model.objects.filter(pk__in=names).values_list("pk", "vendor")
    providers = dict(Provider.objects.values_list("name", "vendor"))
    found = {v: v for v in Vendor} | providers
    of_models = dict.fromkeys(names, "") | dict(models)
    return found | {f"model:{name}": vendor for name, vendor in of_models.items()}


def _parts(event: Used) -> Iterator[tuple[str, str, str, Sums]]:
    """(credential, model, part, what to add) of every attempt."""
    if access.is_own(_served(event)):  # nothing of it is on a bill of ours
        ended = {"requests": 1, "cost": event.cost}
        yield _credential(event), event.model, _part(event), _tokens(event) | ended
        return
    attempts = event.details.get("attempts") or [{}]
    last, part = _served(event), _part(event)
    used = _used(event)
    nothing = not event.cost and not any(any(sums.values()) for sums in used.values())
    ended = {"requests": 1, "cost": event.cost}
    if nothing and _may_have_cost(attempts[-1]):
        ended["at_most"] = event.hold
    for model, sums in used.items():
        yield last, model, part, (sums | ended if model == event.model else sums)
    if reported := event.details.get("quarantine"):
        yield last, event.model, Part.DISPUTED, _beyond(reported, used[event.model])
    elif full := event.details.get("full"):  # of it the fair-bill policy took something off
        yield last, event.model, Part.GIVEN_AWAY, _beyond(full, used[event.model])
    for attempt in attempts[:-1]:
        if access.is_own(str(attempt.get("credential", ""))):
            continue
        # It had the same prompt as the one that answered, so it cost about that at most.
        bound: Sums = {}
        if _may_have_cost(attempt):
            bound = {"at_most": event.hold} if nothing else used[event.model]
        credential = str(attempt.get("credential", ""))
        yield credential, event.model, Part.FAILED, bound | {"requests": 1}


def _part(event: Used) -> Part:
    if "quarantine" in event.details:
        return Part.QUARANTINED
    if not event.cost:
        return Part.GIVEN_AWAY
    clamps = event.details.get("clamps", {})
    if "capped" in event.details or clamps.get("charge", {}).get("by") == "hold":
        return Part.CAPPED
    return Part.ESTIMATED if event.estimated else Part.CHARGED


def _used(event: Used) -> dict[str, Sums]:
    """What was used, by the model that was: a receipt of several lines has other models, too, and
    the calls of hosted tools (gateway/metering/bill.py)."""
    lines = event.details.get("lines")
    if not lines:  # nearly always
        return {event.model: _tokens(event)}
    found = {event.model: dict.fromkeys((*UNITS, "calls_cost"), 0)}
    for line in lines:
        sums = found.setdefault(line.get("model", event.model), dict.fromkeys(UNITS, 0))
        for name, tokens in zip(BUCKETS, line.get("usage", ()), strict=False):
            sums["output" if name == "reasoning" else name] += tokens
        if (calls := line.get("calls")) and line["name"] not in AMONG_TOKENS:
            sums["calls"] += calls
            sums["calls_cost"] += calls * line["amount"]
    return found


def _tokens(event: Used) -> Sums:
    return {
        "input": event.input,
        "cache_read": event.cache_read,
        "cache_write_5m": event.cache_write_5m,
        "cache_write_1h": event.cache_write_1h,
        "output": event.output + event.reasoning,
    }


def _may_have_cost(attempt: Mapping[str, Any]) -> bool:
    """No vendor bills what it refused with an error's status."""
    status = attempt.get("status")
    return bool(attempt) and (status is None or status < 400)


def _beyond(reported: Mapping[str, int], believed: Sums) -> Sums:
    """What a vendor told, over what was booked in its place."""
    counted = {name: reported.get(name, 0) for name in COUNTED}
    counted["output"] += reported.get("reasoning", 0)
    return {name: max(0, counted[name] - believed[name]) for name in COUNTED}


def rebuild(first: date, last: date) -> int:
    """Make these days anew from their events. Returns how many events they have.

    What is settled meanwhile waits for the rows that are deleted here, or is counted here. Raises
    BadRequest for days whose events are in the archive.
    """
    if first < (here := _first_day()):
        raise errors.BadRequest(
            "The requests of before %(here)s are in the archive.", about={"here": here}
        )
    done, day = 0, first
    while day <= last:
        done += _rebuild(day)
        day += timedelta(days=1)
    return done


@transaction.atomic
def _rebuild(day: date) -> int:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # against settlement, for the moment this takes
            cursor.execute(f"LOCK TABLE {UsageVendorDay._meta.db_table} IN EXCLUSIVE MODE")
    UsageVendorDay.objects.filter(day=day).exclude(part=Part.PROBED).delete()
    batch: list[UsageEvent] = []
    count = 0
    for event in _events(day, day).iterator(chunk_size=500):
        batch.append(event)
        count += 1
        if len(batch) == 500:
            add(batch)
            batch = []
    add(batch)
    correct((row.event, row.new_cost - row.old_cost) for row in _corrections(day, day))
    return count


def _first_day() -> date:
    """The first whose events are all in the database."""
    until = checkpoints.archived_until()
    return until.date() if until else date.min


def _corrections(first: date, last: date) -> QuerySet[CorrectedRequest]:
    events = _events(first, last).values("pk")
    return CorrectedRequest.objects.filter(event__in=events).select_related("event").order_by()


def _events(first: date, last: date) -> QuerySet[UsageEvent]:
    """The events of these days. Their ids are in the order of admission: an hour around the days
    is wide enough for any clock, and is served by the index."""
    begins = datetime.combine(first, time(), UTC)
    ends = datetime.combine(last, time(), UTC) + timedelta(days=1)
    return UsageEvent.objects.filter(
        id__gte=first_id(begins.timestamp() - 3600),
        id__lt=first_id(ends.timestamp() + 3600),
        created_at__gte=begins,
        created_at__lt=ends,
    ).order_by()


def problems(first: date, last: date) -> Iterator[str]:
    """Those of these days whose sums are not those of their events, in words. Of days whose
    events are in the archive there is nothing to be said."""
    first = max(first, _first_day())
    ended = [part for part in Part if part not in (Part.DISPUTED, Part.FAILED, Part.PROBED)]
    kept = {
        row["day"]: (row["count"], row["charged"])
        for row in UsageVendorDay.objects.filter(part__in=ended, day__range=(first, last))
        .order_by()
        .values("day")
        .annotate(count=Sum("requests"), charged=Sum("cost"))
    }
    events = _events(first, last).annotate(day=TruncDay("created_at", tzinfo=UTC))
    rows: Any = events.values("day").annotate(count=Count("pk"), paid=Sum("cost"))
    corrected = _corrected(first, last)
    counted = {
        (day := row["day"].date()): (row["count"], row["paid"] + corrected.get(day, 0))
        for row in rows
    }
    for day in sorted(kept.keys() | counted.keys()):
        if kept.get(day) != counted.get(day):
            yield (
                f"usage of {day} by credential: requests and cost are {kept.get(day)}, "
                f"those of the events {counted.get(day)}: vendorbills rebuild makes it anew"
            )


def _corrected(first: date, last: date) -> dict[date, int]:
    """What corrections changed of the charges of each of these days' requests."""
    days = _corrections(first, last).annotate(day=TruncDay("event__created_at", tzinfo=UTC))
    rows: Any = days.values("day").annotate(more=Sum(F("new_cost") - F("old_cost")))
    return {row["day"].date(): row["more"] for row in rows}
