"""Prove the usage side of the books, and, with billing's part, all of them.

Usage events, hourly rollups and ledger charges are three views of the same requests; each is
added up on its own and compared. What was corrected is added: events are written once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet, Sum
from django.utils import timezone

from billing.books import checkpoints
from billing.books.models import Wallet
from billing.payments import reconcile
from billing.payments.reconcile import counters
from gateway.archive import archive_proof as archived
from gateway.reconciliation import proven_months, rollup_invariants
from gateway.reconciliation.proven_months import Proven, by_account, plus
from gateway.usage import ledger_roots
from gateway.usage.corrections import correction_proof as corrections
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from gateway.usage.settlement import recorded
from hontoni.db_snapshot import snapshot


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
    floor = known.floor if known else None
    with snapshot():
        found = [
            *reconcile.problems(floor),
            *rollup_invariants.problems(floor.month if floor else None),
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
