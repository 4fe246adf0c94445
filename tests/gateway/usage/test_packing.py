"""A request's details are the same after they were packed, and few bytes meanwhile."""

import time
import uuid
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from gateway.catalogue import seed
from gateway.usage import packing, settlement
from gateway.usage.models import UsageEvent
from tests.gateway.usage.test_settlement import event
from tests.gateway_server import fund
from tests.world import Person, used

WINDOWS: list[list[Any]] = [
    ["rpm", 60, 1, 59_999],
    ["5h", 500, 17, 17_999_999],
    ["daily", 2000, 17, 86_399_999],
    ["weekly", 10_000, 17, 604_799_999],
    ["monthly", 30_000, 17, 2_591_999_999],
]
USUAL: dict[str, Any] = {
    "price_read_at": 1796026166.891491,
    "admitted_at": 1_796_026_166_960_640,
    "windows": WINDOWS,
    "windows_at": 1_796_026_167_960,
    "attempts": [{"credential": "anthropic/main", "status": 200, "ms": 812}],
}


def windows(**changes: int) -> list[list[Any]]:
    return [[name, changes.get(name, limit), *rest] for name, limit, *rest in WINDOWS]


@pytest.mark.parametrize(
    ("details", "is_packed"),
    [
        (USUAL, True),
        (USUAL | {"clamps": {"max_tokens": [64000, 32000]}, "rule": "left"}, True),
        (USUAL | {"windows": windows(monthly=3_000_000)}, True),
        (USUAL | {"windows": windows(monthly=2**40)}, False),
        (USUAL | {"windows": WINDOWS[:3]}, False),
        (USUAL | {"attempts": []}, False),
        (USUAL | {"attempts": [{"credential": "a", "status": None, "ms": 5}]}, False),
        (USUAL | {"attempts": USUAL["attempts"] * 2}, False),
        (USUAL | {"attempts": [USUAL["attempts"][0] | {"error": "timeout"}]}, False),
        ({"price_read_at": 1.5}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("requested", ["claude-sonnet-4", "claude-sonnet-4:high"])
def test_what_was_told_is_read(
    alice: Person, details: dict[str, Any], is_packed: bool, requested: str
) -> None:
    seed.seed()
    fund(alice, "1")
    text = event(alice, details=details, requested_model=requested, began=time.time())
    settlement.record([settlement.Entry(0, b"1-0", text)])
    row = UsageEvent.objects.get()
    assert (row.details, row.requested_model) == (details, requested)
    assert row.dialect == "anthropic_messages"
    with connection.cursor() as cursor:
        cursor.execute("SELECT brief, requested_model FROM gateway_usageevent")
        brief, kept = cursor.fetchone()
    assert (brief is not None) == is_packed
    assert kept == ("" if is_packed and requested == "claude-sonnet-4" else requested)


@pytest.mark.any_database
def test_a_row_of_before_is_read_as_it_was(alice: Person) -> None:
    row = used(alice, details=USUAL, created_at=timezone.now())
    assert UsageEvent.objects.get(pk=row.pk).details == USUAL


def test_layouts_are_never_changed() -> None:
    """Rows of years are read by them."""
    _, brief = packing.packed(USUAL, "anthropic_messages", True)
    assert brief is not None
    assert brief.hex() == LAYOUT_1
    assert packing.unpacked({}, brief) == USUAL


LAYOUT_1 = (
    "010301300eb9cd4bc3da410062b0ed79610600e80300003c0001005feaf40111007fa81201d00711"
    "00ff5b260510271100ff830c2430751100ffc77e9ac8002c030000616e7468726f7069632f6d6169"
    "6e"
)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_request_takes_450_bytes_with_its_indexes(alice: Person) -> None:
    seed.seed()
    fund(alice, "100")
    now, rows = time.time(), 4_000
    for first in range(0, rows, 2_000):
        entries = []
        for number in range(first, first + 2_000):
            pk = uuid.UUID(int=(int(now * 1000) + number << 80) | 7 << 76 | 1 << 63 | number)
            whole = event(alice, id=pk.hex, details=USUAL, upstream_request_id="r" * 28,
                         client="claude-cli/2.1.8 (external, cli)", began=now)  # fmt: skip
            entries.append(settlement.Entry(0, f"{number}-0".encode(), whole))
        settlement.record(entries)
    with connection.cursor() as cursor:
        # So few rows leave pages half empty, and what ran before has left some of its own.
        cursor.execute("VACUUM FULL gateway_usageevent")
        cursor.execute("VACUUM gateway_usageevent")
        cursor.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
            "JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'gateway_usageevent'::regclass AND relname ~ '_[0-9]{4}_[0-9]{2}$' "
            "AND pg_relation_size(inhrelid) > 0"
        )
        (size,) = cursor.fetchone()
    assert size / rows <= 450
