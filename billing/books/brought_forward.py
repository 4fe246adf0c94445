"""Usage taken out of the ledger: an account's entries that follow each other become one line.

Invariants 2, 3 and 6 of ledger.py hold over entries and such lines together. Nothing but usage is
taken out: every other transfer is referred to by invoices, refunds and idempotency keys.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db import connection
from django.db.models import F, Max, Min, QuerySet

from billing.books.models import BroughtForward, Entry, Transfer
from billing.books.monthly import PLAIN, first_number
from hontoni import months, partitions

_OF_USAGE = """
SELECT e.account_id, e.account_version, e.amount, t.created_at, {month} AS month
FROM billing_entry e JOIN billing_transfer t ON t.id = e.transfer_id
WHERE t.kind = 'usage' AND t.id < %s AND e.id < %s
"""
_MONTH = {
    "postgresql": "to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM')",
    "sqlite": "strftime('%%Y-%%m', t.created_at)",
}
# What follows without a gap has the same difference between its number and its place.
_CARRY = """
INSERT INTO billing_broughtforward (checkpoint_id, account_id, first_version, last_version, amount,
                                    balance_after, last_at)
SELECT %s, run.account_id, run.first, run.last, run.amount, entry.balance_after, run.last_at
FROM (
    SELECT account_id, min(account_version) AS first, max(account_version) AS last,
           sum(amount) AS amount, max(created_at) AS last_at
    FROM (
        SELECT found.*, account_version - row_number() OVER (
            PARTITION BY account_id, month ORDER BY account_version) AS island
        FROM ({of_usage}) AS found
    ) AS numbered
    GROUP BY account_id, month, island
) AS run
JOIN billing_entry AS entry ON entry.account_id = run.account_id
    AND entry.account_version = run.last
ORDER BY run.account_id, run.first
"""


def until(month: datetime, since: int) -> int:
    """The id below which all transfers are of this month or before: the next month's first. Ids
    that do not tell their month (`since` is the first of them that is here) are told by when they
    were made."""
    end = months.shifted(month, 1)
    plain = Transfer.objects.filter(pk__gte=since, pk__lt=PLAIN)
    later = plain.filter(created_at__gte=end).aggregate(first=Min("pk"))["first"]
    if later is not None:
        return int(later)
    if partitions.is_partitioned(Transfer._meta.db_table):
        return first_number(end)
    return int(plain.aggregate(last=Max("pk"))["last"] or since - 1) + 1


def carry(number: int, until: int, entries_until: int) -> int:
    """Write down what the entries of `usage_below` come to; how many lines that are."""
    of_usage = _OF_USAGE.format(month=_MONTH[connection.vendor])
    with connection.cursor() as cursor:
        cursor.execute(_CARRY.format(of_usage=of_usage), [number, until, entries_until])
        return int(cursor.rowcount)


def lines(number: int) -> Iterator[str]:
    """What a checkpoint brought forward, as it is digested."""
    rows = BroughtForward.objects.filter(checkpoint=number).order_by("account", "first_version")
    columns = ("account_id", "first_version", "last_version", "amount", "balance_after", "last_at")
    for *numbers, at in rows.values_list(*columns).iterator():
        yield " ".join(map(str, numbers)) + f" {at.timestamp():.6f}"


def usage_below(until: int, entries_until: int) -> tuple[QuerySet[Transfer], QuerySet[Entry]]:
    """The charges for usage below an id, and their entries, all of which are below another: that
    they are need not be said, but the database does not know it."""
    charges = Transfer.objects.filter(kind=Transfer.Kind.USAGE, pk__lt=until)
    return charges, Entry.objects.filter(transfer__in=charges, pk__lt=entries_until)


def standing(account: int, version: int) -> tuple[datetime, int]:
    """When the entry with this number was made, and the balance after it; of one that was taken
    out, those of its line, all of which is of one month."""
    entries = Entry.objects.filter(account=account, account_version=version)
    lines = BroughtForward.objects.filter(account=account, first_version__lte=version)
    found = (
        entries.values_list("transfer__created_at", "balance_after").first()
        or lines.order_by("-first_version").values_list("last_at", "balance_after").first()
    )
    if found is None:
        raise Entry.DoesNotExist(f"account {account} has no entry {version}")
    at, balance = found
    return at, balance


def last_before(account: int, moment: datetime, after: int, until: int) -> int | None:
    """The highest number of an entry of before that moment, among those above `after`, up to
    `until`."""
    near = Entry.objects.filter(account=account, account_version__range=(after + 1, until))
    late = near.filter(transfer__created_at__lt=moment).aggregate(n=Max("account_version"))["n"]
    lines = BroughtForward.objects.filter(account=account, first_version__range=(after + 1, until))
    line = lines.filter(last_at__lt=moment).aggregate(n=Max("last_version"))["n"]
    found: int | None = max((n for n in (late, line) if n is not None), default=None)
    return found


def first_at(code: str) -> datetime | None:
    """When an account's first entry was made, as far as that is known."""
    first = Entry.objects.filter(account__code=code, account_version=1)
    found = first.annotate(at=F("transfer__created_at")).values_list("at", flat=True).first()
    carried = BroughtForward.objects.filter(account__code=code, first_version=1)
    return found or carried.values_list("last_at", flat=True).first()
