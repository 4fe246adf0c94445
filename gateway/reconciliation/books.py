"""Prove the usage side of the books, and, with billing's part, all of them.

Usage events, hourly rollups and ledger charges are three views of the same requests; each is
added up on its own and compared. What was corrected is added: events are written once.
"""

from collections.abc import Iterator

from django.db.models import Sum
from django.utils import timezone

from billing.books.models import Wallet
from billing.payments import reconcile
from billing.payments.reconcile import counters
from gateway.archive import proof as archived
from gateway.archive import sums
from gateway.usage import ledger_roots
from gateway.usage.corrections import proof as corrections
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from gateway.usage.settlement import recorded


def problems() -> list[str]:
    """Every difference found, in words. Empty means the books balance."""
    return [
        *reconcile.problems(),
        *counters(recorded=recorded),
        *_rollups(),
        *_charges(),
        *corrections.problems(),
        *_dead(),
        *ledger_roots.problems(timezone.now()),
    ]


def _rollups() -> Iterator[str]:
    """Rollups = events, as corrected, by account, hour, key, model and tool; and those that
    checkpoints say are in the archive."""
    events = sums.of_events(UsageEvent.objects.all())
    corrected, archive = corrections.changed(), archived.Rollups()
    for key, rolled_up in _hours():
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


def _hours() -> Iterator[tuple[sums.Key, sums.Sums]]:
    columns = (*sums.BY, *sums.SUMS)
    for row in UsageHour.objects.order_by().values_list(*columns).iterator():
        yield row[: len(sums.BY)], row[len(sums.BY) :]


def _charges() -> Iterator[str]:
    """Every account's ledger charges for usage = the cost of its events, here and archived."""
    settled = dict(Wallet.objects.values_list("user_id", "settled_total"))
    here = dict(UsageEvent.objects.order_by().values_list("user_id").annotate(Sum("cost")))
    gone = archived.costs()
    for user_id in settled.keys() | here.keys() | gone.keys():
        charged = settled.get(user_id, 0)
        cost = here.get(user_id, 0) + gone.get(user_id, 0)
        if charged != cost:
            yield f"account {user_id}: usage charged {charged}, events cost {cost}"


def _dead() -> Iterator[str]:
    if count := DeadEvent.objects.count():
        yield f"{count} usage events could not be recorded and wait for staff"
