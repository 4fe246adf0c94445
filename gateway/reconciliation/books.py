"""Prove the usage side of the books, and, with billing's part, all of them.

Usage events, hourly rollups and ledger charges are three views of the same requests; each is
added up on its own and compared. What was corrected is added: events are written once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from billing.books import checkpoints
from billing.books.models import Wallet
from billing.payments import reconcile
from billing.payments.reconcile import counters
from gateway.archive import proof as archived
from gateway.archive import sums
from gateway.reconciliation import proven_months
from gateway.reconciliation.proven_months import Proven, by_account, plus
from gateway.usage import ledger_roots
from gateway.usage.corrections import proof as corrections
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from gateway.usage.monthly import first_of
from gateway.usage.settlement import recorded
from hontoni.db_snapshot import snapshot

_SLACK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found, in words; nothing means that the books balance. `whole`: of all rows."""

    found: list[str]
    whole: bool


def problems() -> list[str]:
    """Every difference found, in words, whatever was proven before."""
    return _proof(None)


def prove(*, whole: bool = False) -> Proof:
    """The same, of what came since the last month that is proven; of all of it where that does
    not suffice: nothing is proven, or sums differ that are older."""
    faults = list(proven_months.problems())
    known = None if whole else proven_months.known()
    if known is not None:
        with snapshot():
            known = known if _adds_up(known) else None
    return Proof(faults + _proof(known), whole=known is None)


def _proof(known: Proven | None) -> list[str]:
    """The database's books as they stood at one moment; and Valkey's counters, which are looked
    at account by account."""
    with snapshot():
        found = [
            *reconcile.problems(known and known.floor),
            *_rollups(known),
            *_charges(known),
            *corrections.problems(),
            *_dead(),
            *ledger_roots.problems(timezone.now()),
        ]
    return [*found, *counters(recorded=recorded)]


def _adds_up(known: Proven) -> bool:
    """Whether rollups say of each account what its events come to, here, proven and archived."""
    hours = UsageHour.objects.order_by().values_list("user_id")
    rolled_up = {
        user: (count, cost)
        for user, count, cost in hours.annotate(Sum("requests"), Sum("cost")).iterator()
    }
    changed: dict[int, tuple[int, int]] = {}
    for (user, *_), more in corrections.changed().items():
        changed = plus(changed, {user: (0, more)})
    events = plus(known.usage, by_account(_younger(known)), by_account(_stayed()))
    return rolled_up == plus(events, archived.by_account(), changed)


def _younger(known: Proven) -> QuerySet[UsageEvent]:
    return UsageEvent.objects.filter(pk__gte=known.since)


def _stayed() -> QuerySet[UsageEvent]:
    """What is here of months that are in the archive."""
    return UsageEvent.objects.filter(pk__lt=checkpoints.usage_floor())


def _events(known: Proven | None) -> dict[sums.Key, sums.Sums]:
    """Of the hours that are looked at one by one."""
    if known is None:
        return sums.of_events(UsageEvent.objects.all())
    month = known.floor.month  # an id is a moment older than the request's hour
    younger = UsageEvent.objects.filter(pk__gte=first_of(month - _SLACK), created_at__gte=month)
    found = sums.of_events(_stayed())
    for key, added_up in sums.of_events(younger).items():
        found[key] = sums.plus(found.get(key, sums.NOTHING), added_up)
    return found


def _rollups(known: Proven | None) -> Iterator[str]:
    """Rollups = events, as corrected, by account, hour, key, model and tool; and those that
    checkpoints say are in the archive."""
    events = _events(known)
    corrected, archive = corrections.changed(), archived.Rollups()
    for key, rolled_up in _hours(known):
        if key not in events and not archive.knows(key):
            yield f"the rollup of {key} has no events"
            continue
        here = events.pop(key, sums.NOTHING)
        added_up = (*here[:-1], here[-1] + corrected.get(key, 0))
        difference = sums.minus(rolled_up, added_up)
        if not archive.is_explained(key, difference):
            yield from _named(key, rolled_up, difference)
    for key, added_up in events.items():
        if not archive.is_explained(key, sums.minus(sums.NOTHING, added_up)):
            yield f"usage of {key} has no rollup"
    yield from archive.problems()


def _named(key: sums.Key, rolled_up: sums.Sums, difference: sums.Sums) -> Iterator[str]:
    for name, value, more in zip(sums.SUMS, rolled_up, difference, strict=True):
        if more:
            stands = f"{value} requests" if name == "requests" else f"{name} is {value}"
            yield f"rollup of {key}: {stands}, not {value - more}"


def _hours(known: Proven | None) -> Iterator[tuple[sums.Key, sums.Sums]]:
    columns, rows = (*sums.BY, *sums.SUMS), UsageHour.objects.order_by()
    if known is not None:
        wanted = Q(hour__gte=known.floor.month)
        if until := checkpoints.archived_until():
            wanted |= Q(hour__lt=until)
        rows = rows.filter(wanted)
    for row in rows.values_list(*columns).iterator():
        yield row[: len(sums.BY)], row[len(sums.BY) :]


def _charges(known: Proven | None) -> Iterator[str]:
    """Every account's ledger charges for usage = the cost of its events, here and archived."""
    settled = dict(Wallet.objects.values_list("user_id", "settled_total"))
    if known is None:
        here = by_account(UsageEvent.objects.all())
    else:
        here = plus(known.usage, by_account(_younger(known)), by_account(_stayed()))
    used = plus(here, archived.by_account())
    for user_id in settled.keys() | used.keys():
        charged, (_, cost) = settled.get(user_id, 0), used.get(user_id, (0, 0))
        if charged != cost:
            yield f"account {user_id}: usage charged {charged}, events cost {cost}"


def _dead() -> Iterator[str]:
    if count := DeadEvent.objects.count():
        yield f"{count} usage events could not be recorded and wait for staff"
