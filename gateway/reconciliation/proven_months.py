"""Months that are over are added up once, and what they came to is kept, signed: so each night's
proof reads what came since, however much there is before it.

What is kept of a month is what each account's events came to; the ledger needs nothing but the
number up to which it was proven (billing/payments/recent.py). `reconcile --all`, and the proof of
every Sunday, read all rows again; so does whichever finds that sums and rollups differ, for a
request may be written long after its month.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet, Sum

from billing.books import brought_forward, checkpoints
from billing.books.checkpoints import digest_of
from billing.payments.recent import Floor
from gateway.archive import expiry
from gateway.reconciliation.models import ProvenMonth, ProvenUsage
from gateway.usage.models import UsageEvent
from gateway.usage.monthly import first_of
from hontoni import months
from hontoni.vault import Seal, is_signed

SEAL = Seal("proven month")
GRACE = timedelta(days=3)  # whatever was on its way has arrived, or will be noticed
Sums = dict[int, tuple[int, int]]  # by account: requests, nano-dollars


@dataclass(frozen=True, slots=True)
class Proven:
    """What is known of the months before `floor`."""

    floor: Floor
    usage: Sums

    @property
    def since(self) -> UUID:
        """The first id of a request that is read."""
        return first_of(self.floor.month)


def known() -> Proven | None:
    """The months that follow on what is in the archive; None: there is none, or one of them is
    not what was signed."""
    found = list(_here())
    if not found or any(fault for each in found for fault in _faults(each)):
        return None
    last = found[-1]
    end = months.shifted(months.of_day(last.month), 1)
    rows = ProvenUsage.objects.filter(month__in=found).order_by().values_list("user_id")
    summed = rows.annotate(Sum("requests"), Sum("cost"))
    usage = {user: (count, cost) for user, count, cost in summed}
    return Proven(Floor(end, last.transfers_until), usage)


def problems() -> Iterator[str]:
    """Proofs that are not what was signed."""
    for each in _here():
        yield from _faults(each)


def _here() -> Iterator[ProvenMonth]:
    """The months whose rows are here, one after another."""
    found = ProvenMonth.objects.order_by("month")
    until = checkpoints.archived_until()
    wanted = until
    for each in found.filter(month__gte=until) if until else found:
        if wanted is not None and months.of_day(each.month) != wanted:
            return
        yield each
        wanted = months.shifted(months.of_day(each.month), 1)


def _faults(proven: ProvenMonth) -> Iterator[str]:
    text = proven.statement.encode()
    if not is_signed(text, proven.public_key, proven.signature):
        yield f"{proven} is not what was signed"
    elif json.loads(text) != _stated(proven.month.isoformat(), proven.transfers_until, proven):
        yield f"{proven} stands for something else than was signed"
    elif not SEAL.is_ours(proven.public_key):
        yield f"{proven} is signed by a key that is not among CREDENTIAL_KEYS"


def _stated(month: str, until: int, proven: ProvenMonth) -> dict[str, object]:
    rows = ProvenUsage.objects.filter(month=proven).order_by("user_id")
    lines = (f"{u} {n} {cost}" for u, n, cost in rows.values_list("user_id", "requests", "cost"))
    return {"month": month, "transfers_until": until, "usage": digest_of(lines)}


# -- Keeping -------------------------------------------------------------------------------------


def keep(now: datetime, *, renewed: bool = False) -> list[ProvenMonth]:
    """After a proof that found nothing: write down the months that are over and were not proven
    yet, or all of them anew."""
    if renewed:
        ProvenMonth.objects.all().delete()
    return [_keep(month) for month in _due(now)]


def _due(now: datetime) -> Iterator[datetime]:
    proven = list(_here())
    last = proven[-1] if proven else None
    month = months.shifted(months.of_day(last.month), 1) if last else expiry.oldest()
    while month is not None and months.shifted(month, 1) + GRACE <= now:
        yield month
        month = months.shifted(month, 1)


@transaction.atomic
def _keep(month: datetime) -> ProvenMonth:
    ProvenMonth.objects.filter(month=month.date()).delete()
    before = ProvenMonth.objects.filter(month__lt=month.date()).order_by("-month").first()
    since = max(before.transfers_until if before else 0, checkpoints.transfers_floor())
    until = brought_forward.until(month, since)
    made = ProvenMonth.objects.create(month=month.date(), transfers_until=until)
    ProvenUsage.objects.bulk_create(
        [
            ProvenUsage(month=made, user_id=user, requests=requests, cost=cost)
            for user, (requests, cost) in _sums(month).items()
        ]
    )
    made.statement = json.dumps(_stated(month.date().isoformat(), until, made), sort_keys=True)
    made.public_key, made.signature = SEAL.sign(made.statement.encode())
    made.save()
    return made


def _sums(month: datetime) -> Sums:
    """By the ids of its events."""
    first = not ProvenMonth.objects.filter(month__lt=month.date()).exists()
    since = checkpoints.usage_floor() if first else first_of(month)
    until = first_of(months.shifted(month, 1))
    return by_account(UsageEvent.objects.filter(pk__gte=since, pk__lt=until))


def by_account(events: QuerySet[UsageEvent]) -> Sums:
    """What each account's come to, added up by the database."""
    rows = events.order_by().values_list("user_id").annotate(Count("pk"), Sum("cost"))
    return {user: (count, cost) for user, count, cost in rows}


def plus(*parts: Mapping[int, tuple[int, int]]) -> Sums:
    """By account."""
    found: Sums = {}
    for part in parts:
        for user, (count, cost) in part.items():
            more = found.get(user, (0, 0))
            found[user] = more[0] + count, more[1] + cost
    return found
