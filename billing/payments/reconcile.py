"""The proof of the books: every invariant of books/ledger.py, added up again from the entries, and
from what checkpoints brought forward of those that are in the archive.

`problems` proves the database's books, `counters` that Redis agrees with them. Both answer one
sentence a difference; none means proved. They only read, and may run beside live traffic: what
is compared with each other is read in one statement, or under the wallet's lock.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Abs, Cast, Coalesce, Concat, Greatest

from billing.books import checkpoints
from billing.books.models import BroughtForward, Entry, LedgerAccount, Transfer, Wallet
from billing.books.seeding import Recorded, unsettled, unsettled_by_account
from billing.invoices.models import Invoice, InvoiceSeries
from billing.payments import closing, documents, recent
from billing.payments.recent import Floor
from billing.payments.vietqr import proof
from ratelimits import keys, limiter

_LOOKS = 20  # at an account that is too busy to be seen at rest


def problems(floor: Floor | None = None) -> list[str]:
    """Everything wrong in the database's books; with a floor, what is older is taken as proven."""
    return [
        *(_all() if floor is None else recent.problems(floor)),
        *_strays(),
        *checkpoints.problems(),
        *_invoices(),
        *documents.problems(),
        *proof.problems(),
        *closing.problems(floor.month if floor else None),
    ]


def _all() -> Iterator[str]:
    yield from _transfers()
    yield from _accounts()
    yield from _steps()
    yield from _wallets()


def _transfers() -> Iterator[str]:
    """Two entries each, minus and plus the amount, on the accounts named."""
    sides = Transfer.objects.annotate(
        entered=Count("entries"),
        debited=Coalesce(Sum("entries__amount", filter=Q(entries__account=F("debit"))), 0),
        credited=Coalesce(Sum("entries__amount", filter=Q(entries__account=F("credit"))), 0),
    )
    for transfer in sides.exclude(entered=2, debited=-F("amount"), credited=F("amount")):
        yield (
            f"transfer {transfer.key} of {transfer.amount} has {transfer.entered} entries: "
            f"{transfer.debited} and {transfer.credited}"
        )
    for row in Transfer.objects.values("key").annotate(times=Count("pk")).filter(times__gt=1):
        yield f"key {row['key']} is posted {row['times']} times"


def _accounts() -> Iterator[str]:
    """Balance = sum of the entries; version = their number = the highest of theirs."""
    lines = BroughtForward.objects.filter(account=OuterRef("pk")).order_by().values("account")
    numbers = Sum(F("last_version") - F("first_version") + 1)
    entries = Entry.objects.filter(account=OuterRef("pk")).order_by().values("account")
    summed = LedgerAccount.objects.annotate(
        total=_total(entries, Sum("amount")) + _total(lines, Sum("amount")),
        entered=_total(entries, Count("pk")) + _total(lines, numbers),
        last=Greatest(_total(entries, Max("account_version")), _total(lines, Max("last_version"))),
    )
    for account in summed.exclude(balance=F("total")):
        yield f"{account.code}: balance {account.balance}, entries add up to {account.total}"
    for account in summed.exclude(version=F("entered"), last=F("entered")):
        yield (
            f"{account.code}: version {account.version}, "
            f"{account.entered} entries up to {account.last}"
        )
    if total := LedgerAccount.objects.aggregate(total=Coalesce(Sum("balance"), 0))["total"]:
        yield f"all balances add up to {total}, not 0"


def _total(rows: QuerySet[Any], total: Aggregate) -> Coalesce:
    """A total of an account's rows, in the one statement that also reads the account."""
    return Coalesce(Subquery(rows.annotate(found=total).values("found")), 0)


# An account's entries and what was brought forward, in the order of their numbers: each begins
# where the one before it ended.
_STEPS = """
SELECT code, first_version, before, amount, balance_after FROM (
    SELECT code, first_version, amount, balance_after,
           coalesce(lag(balance_after) OVER numbered, 0) AS before,
           coalesce(lag(last_version) OVER numbered, 0) AS last_before
    FROM (
        SELECT account_id, account_version AS first_version, account_version AS last_version,
               amount, balance_after FROM billing_entry
        UNION ALL
        SELECT account_id, first_version, last_version, amount, balance_after
        FROM billing_broughtforward
    ) AS lines JOIN billing_ledgeraccount AS account ON account.id = lines.account_id
    WINDOW numbered AS (PARTITION BY account_id ORDER BY first_version)
) AS steps WHERE balance_after <> before + amount OR first_version <> last_before + 1
"""


def _steps() -> Iterator[str]:
    """Every entry's `balance_after` follows from the one before it, and so does its number."""
    with connection.cursor() as cursor:
        cursor.execute(_STEPS)
        wrong = cursor.fetchall()
    for code, number, before, amount, after in wrong:
        yield f"{code}#{number}: {before} + {amount} is not {after}, or a number is missing"


# Of each account, in one reading of all entries.
_WALLETS = """
SELECT w.user_id, w.credits_total, w.credits_version, w.settled_total,
       coalesce(entered.credited, 0), coalesce(entered.number, 0),
       -(coalesce(entered.used, 0) + coalesce(gone.used, 0)) AS used
FROM billing_wallet w
LEFT JOIN billing_ledgeraccount a ON a.code = 'wallet:' || w.user_id
LEFT JOIN (
    SELECT e.account_id, sum(e.amount) FILTER (WHERE t.kind <> 'usage') AS credited,
           count(*) FILTER (WHERE t.kind <> 'usage') AS number,
           sum(e.amount) FILTER (WHERE t.kind = 'usage') AS used
    FROM billing_entry e JOIN billing_transfer t ON t.id = e.transfer_id GROUP BY e.account_id
) AS entered ON entered.account_id = a.id
LEFT JOIN (
    SELECT account_id, sum(amount) AS used FROM billing_broughtforward GROUP BY account_id
) AS gone ON gone.account_id = a.id
"""


def _wallets() -> Iterator[str]:
    """What a gateway reads of a wallet = its entries, with and without usage."""
    with connection.cursor() as cursor:
        cursor.execute(_WALLETS)
        rows = cursor.fetchall()
    for user_id, *numbers in rows:
        kept, booked = tuple(numbers[:3]), tuple(map(int, numbers[3:]))
        if kept != booked:
            yield (
                f"wallet:{user_id}: credits, version and usage are {kept}, "
                f"its entries say {booked}"
            )


def _strays() -> Iterator[str]:
    named = Wallet.objects.annotate(code=Concat(Value("wallet:"), Cast("pk", CharField())))
    strays = LedgerAccount.objects.filter(code__startswith="wallet:", version__gt=0)
    for account in strays.exclude(code__in=named.values("code")):
        yield f"{account.code} has entries and no wallet"


def _invoices() -> Iterator[str]:
    """An invoice says its transfer's amount, and the numbers of a series have no gap."""
    on_top = Case(When(tax_on_top=True, then=F("tax")), default=0)
    amounts = Invoice.objects.exclude(transfer=None).annotate(billed=Abs(F("total") - on_top))
    for number, billed, paid in amounts.exclude(billed=F("transfer__amount")).values_list(
        "number", "billed", "transfer__amount"
    ):
        yield f"invoice {number} is of {billed}, its transfer of {paid}"
    counted = InvoiceSeries.objects.annotate(
        issued=Count("invoices"), highest=Coalesce(Max("invoices__sequence"), 0)
    )
    for series in counted.exclude(last=F("issued"), highest=F("issued")):
        yield f"invoices {series}: {series.issued} are issued, up to {series.highest}"


def counters(*, recorded: Recorded) -> list[str]:
    """Where an account's money in Redis is not what the database and the stream make of it.

    `recorded` as in books/seeding.py. Accounts that Redis does not have are not wrong: they are
    seeded by their next request. Raises errors.Unavailable.
    """
    return [sentence for each in differing(recorded=recorded).values() for sentence in each]


def differing(*, recorded: Recorded) -> dict[int, list[str]]:
    """The same by account."""
    found: dict[int, list[str]] = {}
    wallets = Wallet.objects.annotate(shard=F("user_id") % keys.SHARDS)
    for shard in wallets.order_by("shard").values_list("shard", flat=True).distinct():
        waiting = unsettled_by_account(shard, recorded)
        for wallet in wallets.filter(shard=shard).iterator():
            account = limiter.read_account_sync(wallet.pk)
            if _differences(wallet, account, waiting.get(wallet.pk, 0)) and (
                sentences := _look_again(wallet.pk, recorded)
            ):
                found[wallet.pk] = sentences
    return found


def _look_again(user_id: int, recorded: Recorded) -> list[str]:
    """Under the wallet's lock nothing settles, and a request that ends meanwhile charges Redis."""
    found: list[str] = []
    for _ in range(_LOOKS):
        with transaction.atomic():
            wallet = Wallet.objects.select_for_update().get(pk=user_id)
            before = limiter.read_account_sync(user_id)
            waiting, _ = unsettled(user_id, recorded)
            after = limiter.read_account_sync(user_id)
        found = _differences(wallet, after, waiting)
        if not found or (before and after and before.charged == after.charged):
            break
    return found


def _differences(wallet: Wallet, account: limiter.Account | None, waiting: int) -> list[str]:
    if account is None:
        return []
    found = []
    credits = (wallet.credits_version, wallet.credits_total)
    known = (account.credits_version, account.credits)
    # An older version is no difference: admission brings the newer one with the next request.
    if known != credits and known[0] >= credits[0]:
        found.append(f"{wallet}: version and credits are {credits}, Redis has {known}")
    if account.charged - wallet.settled_total != waiting:
        found.append(
            f"{wallet}: Redis charged {account.charged}, {wallet.settled_total} is settled, "
            f"but {waiting} is on the way"
        )
    return found
