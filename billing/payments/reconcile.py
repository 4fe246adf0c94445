"""The proof of the books: every invariant of books/ledger.py, added up again from the entries.

`problems` proves the database's books, `counters` that Redis agrees with them. Both answer one
sentence a difference; none means proved. They only read, and may run beside live traffic: what
is compared with each other is read in one statement, or under the wallet's lock.
"""

from collections.abc import Iterator

from django.db import transaction
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    F,
    Max,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Abs, Cast, Coalesce, Concat, Lag

from billing.books.ledger import Kind
from billing.books.models import Entry, LedgerAccount, Transfer, Wallet
from billing.books.seeding import Recorded, unsettled, unsettled_by_account
from billing.invoices.models import Invoice, InvoiceSeries
from billing.payments import documents
from ratelimits import keys, limiter

_LOOKS = 20  # at an account that is too busy to be seen at rest


def problems() -> list[str]:
    """Everything wrong in the database's books."""
    return [
        *_transfers(),
        *_accounts(),
        *_steps(),
        *_wallets(),
        *_invoices(),
        *documents.problems(),
    ]


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
    summed = LedgerAccount.objects.annotate(
        total=Coalesce(Sum("entries__amount"), 0),
        entered=Count("entries"),
        last=Coalesce(Max("entries__account_version"), 0),
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


def _steps() -> Iterator[str]:
    """Every entry's `balance_after` follows from the one before it."""
    previous = Window(Lag("balance_after"), partition_by="account", order_by="account_version")
    stepped = Entry.objects.annotate(before=Coalesce(previous, 0))
    wrong = stepped.exclude(balance_after=F("before") + F("amount"))
    for entry in wrong.select_related("account"):
        yield (
            f"{entry.account.code}#{entry.account_version}: "
            f"{entry.before} + {entry.amount} is not {entry.balance_after}"
        )


def _wallets() -> Iterator[str]:
    """What a gateway reads of a wallet = its entries, with and without usage."""
    named = Wallet.objects.annotate(code=Concat(Value("wallet:"), Cast("pk", CharField())))
    usage, other = Q(transfer__kind=Kind.USAGE), ~Q(transfer__kind=Kind.USAGE)
    entered = named.annotate(
        credited=_of_entries(Sum("amount", filter=other)),
        number=_of_entries(Count("pk", filter=other)),
        used=_of_entries(Sum("amount", filter=usage)),
    )
    for wallet in entered.iterator():
        kept = (wallet.credits_total, wallet.credits_version, wallet.settled_total)
        booked = (wallet.credited, wallet.number, -wallet.used)
        if kept != booked:
            yield f"{wallet}: credits, version and usage are {kept}, its entries say {booked}"
    strays = LedgerAccount.objects.filter(code__startswith="wallet:", version__gt=0)
    for account in strays.exclude(code__in=named.values("code")):
        yield f"{account.code} has entries and no wallet"


def _of_entries(total: Aggregate) -> Coalesce:
    """A total of the wallet's entries, in the one statement that also reads the wallet."""
    mine = Entry.objects.filter(account__code=OuterRef("code")).order_by()
    return Coalesce(Subquery(mine.values("account").annotate(total=total).values("total")), 0)


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
