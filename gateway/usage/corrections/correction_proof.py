"""Corrections, added up again: their requests, their transfers, and the rollups they changed."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db.models import F, Sum
from django.db.models.functions import Coalesce, TruncHour

from billing.books.models import Transfer
from gateway.usage.corrections.models import CorrectedAccount, CorrectedRequest

_BY = ("user_id", "hour", "api_key_id", "model", "tool")  # of a rollup


def changed() -> dict[tuple[Any, ...], int]:
    """What corrections changed of each rollup's cost."""
    rows = (
        CorrectedRequest.objects.order_by()
        .annotate(hour=TruncHour("event__created_at"))
        .values_list("event__user_id", "hour", *(f"event__{name}" for name in _BY[2:]))
        .annotate(more=Sum(F("new_cost") - F("old_cost")))
    )
    return {tuple(row[:-1]): row[-1] for row in rows}


def problems() -> Iterator[str]:
    """Every difference between what corrections say, request by request, and what was booked."""
    yield from _accounts()
    yield from _transfers()
    yield from _chains()


def _accounts() -> Iterator[str]:
    requests = {
        (row[0], row[1]): row[2]
        for row in CorrectedRequest.objects.order_by()
        .values_list("correction_id", "event__user_id")
        .annotate(more=Sum(F("new_cost") - F("old_cost")))
    }
    accounts = {
        (account.correction_id, account.user_id): account.debited - account.credited
        for account in CorrectedAccount.objects.all()
    }
    for key in sorted(requests.keys() | accounts.keys()):
        if requests.get(key) != accounts.get(key):
            yield (
                f"correction {key[0]} of account {key[1]}: {accounts.get(key)} in sum, "
                f"its requests add up to {requests.get(key)}"
            )


def _transfers() -> Iterator[str]:
    booked: defaultdict[str, int] = defaultdict(int)
    for transfer in Transfer.objects.filter(kind=Transfer.Kind.CORRECTION).select_related("debit"):
        taken = transfer.debit.code.startswith("wallet:")
        booked[transfer.key] += transfer.amount if taken else -transfer.amount
    said = {
        f"correction:{account.correction_id}:{account.user_id}": more
        for account in CorrectedAccount.objects.all()
        if (more := account.debited - account.credited)
    }
    for key in sorted(booked.keys() | said.keys()):
        if booked.get(key) != said.get(key):
            yield f"transfer {key} is of {booked.get(key)}, the correction of {said.get(key)}"


def _chains() -> Iterator[str]:
    """Each correction of a request begins where the one before ended, the first at its cost."""
    last: dict[Any, int] = {}
    rows = CorrectedRequest.objects.order_by("pk").annotate(cost=Coalesce("event__cost", 0))
    for row in rows.iterator():
        before = last.get(row.event_id, row.cost)
        if row.old_cost != before:
            yield f"correction of {row.event_id} begins at {row.old_cost}, not at {before}"
        last[row.event_id] = row.new_cost
