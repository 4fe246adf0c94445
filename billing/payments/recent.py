"""The proof of the ledger since the last month that is proven: what is older is not read again.

Every entry says the balance after it, so one that follows the entry before it proves the sum of
all before: only what was booked since then is added up, and each account's last entry is looked
at. What moved money but was no usage is so little that all of it is added up each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Count, F, FilteredRelation, Q, Sum
from django.db.models.functions import Coalesce

from billing.books.models import LedgerAccount, Transfer
from billing.books.monthly import PLAIN, first_number
from hontoni import months, partitions


@dataclass(frozen=True, slots=True)
class Floor:
    """From where on the ledger is read: the first moment of a month, and its first transfer."""

    month: datetime
    transfers: int

    @property
    def entries(self) -> int:
        """No entry of such a transfer has a smaller id; 0 where ids do not tell their month."""
        by_month = partitions.is_partitioned("billing_entry")
        return self.transfers if by_month and self.transfers >= PLAIN else 0


def problems(floor: Floor) -> Iterator[str]:
    """Everything wrong with transfers, entries, accounts and wallets; they read live tables, each
    what it compares in one statement."""
    yield from _transfers(floor)
    yield from _keys(floor)
    yield from _steps(floor)
    yield from _accounts()
    yield from _wallets()


def _transfers(floor: Floor) -> Iterator[str]:
    """Two entries each, minus and plus the amount, on the accounts named."""
    side = FilteredRelation("entries", condition=Q(entries__pk__gte=floor.entries))
    sides = Transfer.objects.filter(pk__gte=floor.transfers).annotate(
        side=side,
        entered=Count("side"),
        debited=Coalesce(Sum("side__amount", filter=Q(side__account=F("debit"))), 0),
        credited=Coalesce(Sum("side__amount", filter=Q(side__account=F("credit"))), 0),
    )
    for each in sides.exclude(entered=2, debited=-F("amount"), credited=F("amount")):
        yield (
            f"transfer {each.key} of {each.amount} has {each.entered} entries: "
            f"{each.debited} and {each.credited}"
        )


def _keys(floor: Floor) -> Iterator[str]:
    """None is posted twice: of usage since a month before, for no batch waits for so long."""
    before = first_number(months.shifted(floor.month, -1))
    since = min(floor.transfers, before) if floor.entries else floor.transfers
    for some in (Q(pk__gte=since), ~Q(kind=Transfer.Kind.USAGE)):
        twice = Transfer.objects.filter(some).values("key").annotate(times=Count("pk"))
        for row in twice.filter(times__gt=1):
            yield f"key {row['key']} is posted {row['times']} times"


# Each entry since then beside the one before it, which may be older, or in the archive.
_STEPS = """
SELECT code, account_version, before, amount, balance_after FROM (
    SELECT a.code, recent.account_version, recent.amount, recent.balance_after,
           CASE WHEN recent.number_before = recent.account_version - 1 THEN recent.before
                WHEN recent.account_version = 1 THEN 0
                ELSE coalesce(
                    (SELECT e.balance_after FROM billing_entry e
                     WHERE e.account_id = recent.account_id
                       AND e.account_version = recent.account_version - 1 LIMIT 1),
                    (SELECT b.balance_after FROM billing_broughtforward b
                     WHERE b.account_id = recent.account_id
                       AND b.last_version = recent.account_version - 1)) END AS before
    FROM (
        SELECT account_id, account_version, amount, balance_after,
               lag(balance_after) OVER numbered AS before,
               lag(account_version) OVER numbered AS number_before
        FROM billing_entry WHERE id >= %s AND transfer_id >= %s
        WINDOW numbered AS (PARTITION BY account_id ORDER BY account_version)
    ) AS recent JOIN billing_ledgeraccount a ON a.id = recent.account_id
) AS steps WHERE before IS NULL OR balance_after <> before + amount
"""


def _steps(floor: Floor) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, [floor.entries, floor.transfers])
        wrong = cursor.fetchall()
    for code, number, before, amount, after in wrong:
        yield f"{code}#{number}: {before} + {amount} is not {after}, or a number is missing"


_LAST = """
SELECT code, balance, version, last FROM (
    SELECT a.code, a.balance, a.version, coalesce(
        (SELECT e.balance_after FROM billing_entry e
         WHERE e.account_id = a.id AND e.account_version = a.version LIMIT 1),
        (SELECT b.balance_after FROM billing_broughtforward b
         WHERE b.account_id = a.id AND b.last_version = a.version),
        CASE WHEN a.version = 0 THEN 0 END) AS last,
        EXISTS (SELECT 1 FROM billing_entry e
                WHERE e.account_id = a.id AND e.account_version > a.version) AS more
    FROM billing_ledgeraccount a
) AS accounts WHERE more OR last IS NULL OR last <> balance
"""


def _accounts() -> Iterator[str]:
    """An account stands where its last entry says."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        wrong = cursor.fetchall()
    for code, balance, version, last in wrong:
        yield f"{code}: balance {balance}, version {version}; its last entry says {last}"
    total = LedgerAccount.objects.aggregate(total=Coalesce(Sum("balance"), 0))["total"]
    if total:
        yield f"all balances add up to {total}, not 0"


_WALLETS = """
SELECT w.user_id, w.credits_total, w.credits_version, w.settled_total, a.balance,
       coalesce(moved.amount, 0), coalesce(moved.number, 0)
FROM billing_wallet w
LEFT JOIN billing_ledgeraccount a ON a.code = 'wallet:' || w.user_id
LEFT JOIN (
    SELECT account_id, sum(amount) AS amount, sum(number) AS number FROM (
        SELECT credit_id AS account_id, sum(amount) AS amount, count(*) AS number
        FROM billing_transfer WHERE kind <> 'usage' GROUP BY credit_id
        UNION ALL
        SELECT debit_id, -sum(amount), count(*)
        FROM billing_transfer WHERE kind <> 'usage' GROUP BY debit_id
    ) AS sides GROUP BY account_id
) AS moved ON moved.account_id = a.id
WHERE w.credits_total <> coalesce(moved.amount, 0)
   OR w.credits_version <> coalesce(moved.number, 0)
   OR w.credits_total - w.settled_total <> coalesce(a.balance, 0)
"""


def _wallets() -> Iterator[str]:
    """What a gateway reads of a wallet is what moved without usage, and usage is the rest."""
    with connection.cursor() as cursor:
        cursor.execute(_WALLETS)
        wrong = cursor.fetchall()
    for user, credits, version, used, balance, moved, number in wrong:
        kept = (credits, version, used)
        yield (
            f"wallet:{user}: credits, version and usage are {kept}, "
            f"{number} transfers moved {moved}, and its balance is {balance}"
        )
