"""Prove the usage side of the books, and, with billing's part, all of them.

Usage events, hourly rollups and ledger charges are three views of the same requests; each is
added up on its own and compared. What was corrected is added: events are written once.
"""

from collections.abc import Iterator

from django.db.models import Count, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from billing.books.models import Wallet
from billing.payments import reconcile
from billing.payments.reconcile import counters
from gateway.catalogue.models import BUCKETS
from gateway.usage import ledger_roots
from gateway.usage.corrections import proof
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from gateway.usage.settlement import recorded

_SUMS = (*BUCKETS, "cost")


def problems() -> list[str]:
    """Every difference found, in words. Empty means the books balance."""
    return [
        *reconcile.problems(),
        *counters(recorded=recorded),
        *_rollups(),
        *_charges(),
        *proof.problems(),
        *_dead(),
        *ledger_roots.problems(timezone.now()),
    ]


def _rollups() -> Iterator[str]:
    """Rollups = events, as corrected, by account, hour, key, model and tool."""
    by = ("user_id", "hour", "api_key_id", "model", "tool")
    events = {
        tuple(row[name] for name in by): row
        for row in UsageEvent.objects.order_by()
        .annotate(hour=TruncHour("created_at"))
        .values(*by)
        .annotate(requests=Count("pk"), **{f"sum_{name}": Sum(name) for name in _SUMS})
    }
    corrected = proof.changed()
    hours = {tuple(getattr(row, name) for name in by): row for row in UsageHour.objects.all()}
    for key in events.keys() - hours.keys():
        yield f"usage of {key} has no rollup"
    for key, row in hours.items():
        event = events.get(key)
        if event is None:
            yield f"the rollup of {key} has no events"
            continue
        event["sum_cost"] += corrected.get(key, 0)
        for name in _SUMS:
            rolled_up, added_up = getattr(row, name), event[f"sum_{name}"]
            if rolled_up != added_up:
                yield f"rollup of {key}: {name} is {rolled_up}, not {added_up}"
        if row.requests != event["requests"]:
            yield f"rollup of {key}: {row.requests} requests, not {event['requests']}"


def _charges() -> Iterator[str]:
    """Every account's ledger charges for usage = the cost of its events."""
    settled = dict(Wallet.objects.values_list("user_id", "settled_total"))
    costs = dict(UsageEvent.objects.order_by().values_list("user_id").annotate(Sum("cost")))
    for user_id in settled.keys() | costs.keys():
        charged, cost = settled.get(user_id, 0), costs.get(user_id, 0)
        if charged != cost:
            yield f"account {user_id}: usage charged {charged}, events cost {cost}"


def _dead() -> Iterator[str]:
    if count := DeadEvent.objects.count():
        yield f"{count} usage events could not be recorded and wait for staff"
