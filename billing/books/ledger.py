"""The only module that moves money. Amounts are nano-dollars.

Always true, proved by payments/reconcile.py, and checked after every test in tests/billing:

1. A transfer has two entries, minus and plus its amount: all money comes from an account.
2. An account's balance is the sum of its entries, and the `balance_after` of its last one.
3. An account's entries are numbered 1, 2, 3 ... without a gap.
4. Transfers and entries are written once, and never changed or deleted.
5. A key is posted at most once, so posting it again is harmless.
6. A wallet's `credits_total` is the sum of its entries without usage, `credits_version` is their
   number, and `settled_total` is minus the sum of its usage entries.
7. Nobody spends what he does not have: only settled usage and money that is taken back (a refund,
   a dispute, the bonus or the reward that came with it, what was given of a plan that then went
   back to its card) bring a wallet below zero.

Locks are taken in one order, so that nothing waits in a circle: our own account, then the
wallet's account, then the wallet. A transaction that posts several times begins with `lock`, on
every account it will touch, after opening the wallets. Only a batch of usage and a correction of
usage lock their wallets' accounts alone: `revenue:usage`, which comes last then, is locked by
nothing else.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from billing.books import marks
from billing.books.models import Entry, LedgerAccount, Transfer, Wallet
from billing.books.monthly import recent
from hontoni import errors, money, redis, rowsets
from ratelimits import limiter

logger = logging.getLogger(__name__)

Kind = Transfer.Kind

# Where the money comes from, or goes to.
COUNTERPARTS = {
    Kind.SIGNUP: "promo:expense",
    Kind.SANDBOX: "sandbox:funds",
    Kind.TOPUP: "stripe:clearing",
    Kind.REFUND: "stripe:clearing",
    Kind.DISPUTE: "stripe:clearing",
    Kind.BANK_TOPUP: "bank:clearing",
    Kind.BANK_REFUND: "bank:clearing",
    Kind.PROMO: "promo:expense",
    Kind.REFERRAL: "referral:expense",
    Kind.SUBSCRIPTION: "revenue:subscriptions",
    Kind.ADJUSTMENT: "adjustment",
    Kind.BALANCE_REFUND: "refunds:balance",
    Kind.CORRECTION: "revenue:usage",
    Kind.USAGE: "revenue:usage",
}
# What is earned is never below nothing; every other account of ours pays first and is paid later.
NEVER_NEGATIVE = {"revenue:subscriptions", "revenue:usage"}
TAKES_BELOW_ZERO = {
    *(Kind.USAGE, Kind.REFUND, Kind.DISPUTE, Kind.BANK_REFUND, Kind.BALANCE_REFUND),
    *(Kind.PROMO, Kind.REFERRAL),
}
# What counts as topped up, in the sandbox play money; and what of it went back.
PAID = (Kind.TOPUP, Kind.BANK_TOPUP, Kind.SANDBOX)
TAKEN_BACK = (Kind.REFUND, Kind.DISPUTE, Kind.BANK_REFUND)


class KeyReused(errors.Conflict):
    code = "idempotency_key_reused"


class Overdrawn(errors.PaymentRequired):
    """A debit of more than there is."""


class TooMuch(errors.BadRequest):
    code = "amount_too_large"


def wallet_code(user_id: int) -> str:
    """The ledger account of a user."""
    return f"wallet:{user_id}"


def wallet(user_id: int) -> Wallet:
    """The user's wallet. The first call opens it, with nothing in it."""
    return Wallet.objects.filter(pk=user_id).first() or _open(user_id)


def balance(user_id: int) -> int:
    """Nano-dollars, as far as usage has been settled."""
    return wallet(user_id).balance


def post(
    *,
    key: str,
    kind: str,
    user_id: int,
    amount: int,
    reason: str = "",
    actor: str = "",
    ref: Mapping[str, Any] | None = None,
) -> tuple[Transfer, bool]:
    """Credit a wallet, or debit it if the amount is negative.

    Answers the transfer, and whether it is new: the same key again answers the first one.
    Raises KeyReused if the key stood for something else, Overdrawn (invariant 7), TooMuch if the
    credits ever given would pass money.MAX, ValueError for 0 or for usage (`charge_usage`).
    """
    if kind == Kind.USAGE:
        raise ValueError("usage is posted by charge_usage")
    wallet(user_id)
    try:
        with transaction.atomic():
            transfer, created = _move(
                key=key,
                kind=Kind(kind),
                user_id=user_id,
                amount=amount,
                note={"reason": reason, "actor": actor, "ref": dict(ref or {})},
            )
            if created:
                transaction.on_commit(partial(_publish, user_id))
    except IntegrityError:
        # Under other locks, so for another wallet or kind, this very key was posted meanwhile.
        earlier = Transfer.objects.filter(key=key).first()
        if earlier is None:
            raise
        return _same(earlier, Kind(kind), user_id, amount), False
    return transfer, created


def charge_usage(
    *, key: str, user_id: int, amount: int, ref: Mapping[str, Any] | None = None
) -> tuple[Transfer, bool]:
    """Settle a batch of one account's usage, which may take its wallet below zero.

    Runs inside the transaction that records the events, so both happen or neither does; of a
    batch of several accounts, `lock` them first. Answers and raises as `post` does, but needs a
    positive amount, and a wallet: `billing.plans.terms` opened it before the first request.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("usage is charged in the transaction that records its events")
    if amount <= 0:
        raise ValueError(f"not a charge: {amount}")
    return _move(
        key=key, kind=Kind.USAGE, user_id=user_id, amount=-amount, note={"ref": dict(ref or {})}
    )


@dataclass(frozen=True, slots=True)
class Charge:
    """What one account owes for one batch of its usage, in nano-dollars."""

    key: str
    user_id: int
    amount: int
    ref: Mapping[str, Any]


@dataclass(slots=True)
class Column:
    """A ledger account that is locked: its row, as it stands."""

    pk: int
    balance: int
    version: int

    def enter(self, transfer: int, amount: int) -> tuple[int, int, int, int, int]:
        """The entry that adds `amount`, as a row of _ENTRIES."""
        self.balance += amount
        self.version += 1
        return transfer, self.pk, amount, self.balance, self.version


def lock_wallets(user_ids: Iterable[int]) -> dict[int, Column]:
    """Lock the accounts of these users' wallets, of which there may be thousands."""
    users = {wallet_code(user_id): user_id for user_id in user_ids}
    _open_columns(users)
    return {users[code]: column for code, column in _lock_columns(users).items()}


def charge_all(charges: Sequence[Charge], wallets: Mapping[int, Column]) -> int:
    """Settle a batch of the usage of many accounts, at most one charge each, in a number of
    statements that does not grow with them. Returns how many were new.

    `wallets` are locked by this transaction (`lock_wallets`), which records the events, too. As
    `charge_usage` otherwise: twice is once, and a wallet may end below zero.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("usage is charged in the transaction that records its events")
    if len({charge.user_id for charge in charges}) < len(charges):
        raise ValueError("an account is charged once in a batch")
    if any(charge.amount <= 0 for charge in charges):
        raise ValueError("not a charge: it must be positive")
    new = _unposted(charges)
    if new:
        _post_all(sorted(new, key=lambda charge: charge.user_id), wallets)
    return len(new)


def lock(codes: Iterable[str]) -> dict[str, LedgerAccount]:
    """Lock these accounts until the transaction ends, by name; open those that are new."""
    names = set(codes)
    _open_columns(names)
    wanted = LedgerAccount.objects.filter(code__in=names).select_for_update().order_by("code")
    return {account.code: account for account in wanted}


def _open_columns(codes: Iterable[str]) -> None:
    """Before any lock is taken: a lock held while another is opened would be out of order."""
    wanted = sorted(codes)
    found = rowsets.select(
        "SELECT code FROM billing_ledgeraccount WHERE code {among}", wanted, "text"
    )
    if len(found) < len(wanted):
        missing = set(wanted) - {code for (code,) in found}
        LedgerAccount.objects.bulk_create(
            [
                LedgerAccount(code=c, may_go_negative=c not in NEVER_NEGATIVE)
                for c in sorted(missing)
            ],
            ignore_conflicts=True,
        )


def _lock_columns(codes: Iterable[str]) -> dict[str, Column]:
    locked = " FOR UPDATE" if connection.features.has_select_for_update else ""
    rows = rowsets.select(
        "SELECT code, id, balance, version FROM billing_ledgeraccount"
        f" WHERE code {{among}} ORDER BY code{locked}",
        sorted(codes),
        "text",
    )
    return {code: Column(pk, balance, version) for code, pk, balance, version in rows}


def _unposted(charges: Sequence[Charge]) -> list[Charge]:
    """Those whose key is new. Raises KeyReused if one stood for something else."""
    found = rowsets.select(
        f"SELECT key FROM billing_transfer WHERE key {{among}} AND {recent(timezone.now())}",
        [charge.key for charge in charges],
        "text",
    )
    posted = {key for (key,) in found}
    for charge in charges:
        if charge.key in posted:
            earlier = Transfer.objects.select_related("debit", "credit").get(key=charge.key)
            _same(earlier, Kind.USAGE, charge.user_id, -charge.amount)
    return [charge for charge in charges if charge.key not in posted]


_TRANSFERS = (
    *(("key", "text"), ("kind", "text"), ("amount", "bigint"), ("debit_id", "bigint")),
    *(("credit_id", "bigint"), ("ref", "jsonb"), ("actor", "text"), ("reason", "text")),
    ("created_at", "timestamptz"),
)
_ENTRIES = (
    *(("transfer_id", "bigint"), ("account_id", "bigint"), ("amount", "bigint")),
    *(("balance_after", "bigint"), ("account_version", "bigint")),
)


def _post_all(charges: Sequence[Charge], wallets: Mapping[int, Column]) -> None:
    """From each wallet to our revenue, whose account is locked last and shortly."""
    code = COUNTERPARTS[Kind.USAGE]
    _open_columns([code])
    (revenue,) = _lock_columns([code]).values()
    now = timezone.now()
    rows = [
        (c.key, "usage", c.amount, wallets[c.user_id].pk, revenue.pk, json.dumps(dict(c.ref)),
         "", "", now)
        for c in charges
    ]  # fmt: skip
    rowsets.insert("billing_transfer", _TRANSFERS, rows)
    made: dict[str, int] = dict(
        rowsets.select(
            f"SELECT key, id FROM billing_transfer WHERE key {{among}} AND {recent(now)}",
            [charge.key for charge in charges],
            "text",
        )
    )
    entries = []
    for charge in charges:
        entries.append(wallets[charge.user_id].enter(made[charge.key], -charge.amount))
        entries.append(revenue.enter(made[charge.key], charge.amount))
    rowsets.insert("billing_entry", _ENTRIES, entries)
    changed = [*(wallets[charge.user_id] for charge in charges), revenue]
    rowsets.update(
        "billing_ledgeraccount",
        ("id", "bigint"),
        (("balance", "bigint"), ("version", "bigint")),
        "balance = given.balance, version = given.version",
        sorted((column.pk, column.balance, column.version) for column in changed),
    )
    _settle_all(charges)


def _settle_all(charges: Sequence[Charge]) -> None:
    """Keep the wallets' totals. Raises DoesNotExist and TooMuch as `_sum_up`."""
    settled = rowsets.update(
        "billing_wallet",
        ("user_id", "bigint"),
        (("amount", "bigint"),),
        "settled_total = settled_total + given.amount",
        [(charge.user_id, charge.amount) for charge in charges],
        where=f"settled_total <= {money.MAX} - given.amount",
    )
    if settled != len(charges):
        wallets = Wallet.objects.filter(pk__in=[charge.user_id for charge in charges])
        if wallets.count() != len(charges):
            raise Wallet.DoesNotExist("a wallet is missing")
        raise TooMuch("No account can turn over that much.")


def _open(user_id: int) -> Wallet:
    """Under one lock of ours, so that those who open several wallets do not wait in a circle."""
    with transaction.atomic():
        lock([COUNTERPARTS[Kind.SIGNUP], wallet_code(user_id)])
        return Wallet.objects.get_or_create(pk=user_id)[0]


def _move(
    *, key: str, kind: Transfer.Kind, user_id: int, amount: int, note: dict[str, Any]
) -> tuple[Transfer, bool]:
    """Post one transfer between a wallet and its counterpart, under the locks of both."""
    if amount == 0:
        raise ValueError("nothing to post")
    accounts = lock([COUNTERPARTS[kind], wallet_code(user_id)])
    ours, theirs = accounts[COUNTERPARTS[kind]], accounts[wallet_code(user_id)]
    earlier = Transfer.objects.filter(key=key).first()
    if earlier is not None:
        return _same(earlier, kind, user_id, amount), False
    if amount < 0 and theirs.balance + amount < 0 and kind not in TAKES_BELOW_ZERO:
        raise Overdrawn(
            "The balance is only %(left)s.", about={"left": f"${money.dollars(theirs.balance)}"}
        )
    debit, credit = (ours, theirs) if amount > 0 else (theirs, ours)
    transfer = Transfer.objects.create(
        key=key, kind=kind, amount=abs(amount), debit=debit, credit=credit, **note
    )
    Entry.objects.bulk_create(
        [_enter(transfer, debit, -transfer.amount), _enter(transfer, credit, transfer.amount)]
    )
    LedgerAccount.objects.bulk_update([debit, credit], ["balance", "version"])
    _sum_up(user_id, kind, amount)
    return transfer, True


def _enter(transfer: Transfer, account: LedgerAccount, amount: int) -> Entry:
    account.balance += amount
    account.version += 1
    return Entry(
        transfer=transfer,
        account=account,
        amount=amount,
        balance_after=account.balance,
        account_version=account.version,
    )


def _sum_up(user_id: int, kind: Transfer.Kind, amount: int) -> None:
    """Keep the wallet's totals, which Redis must be able to compare exactly."""
    wallet = Wallet.objects.filter(pk=user_id)
    if kind == Kind.USAGE:
        room = wallet.filter(settled_total__lte=money.MAX + amount)
        summed = room.update(settled_total=F("settled_total") - amount)
    else:
        room = wallet.filter(credits_total__range=(-money.MAX - amount, money.MAX - amount))
        summed = room.update(
            credits_total=F("credits_total") + amount, credits_version=F("credits_version") + 1
        )
    if summed != 1:
        wallet.get()  # raises DoesNotExist
        raise TooMuch("No account can turn over that much.")


def _same(earlier: Transfer, kind: Transfer.Kind, user_id: int, amount: int) -> Transfer:
    """The earlier transfer, if it is what is asked for again."""
    account = earlier.credit if amount > 0 else earlier.debit
    if (earlier.kind, earlier.amount, account.code) == (kind, abs(amount), wallet_code(user_id)):
        return earlier
    raise KeyReused("This idempotency key was used for something else.")


def _publish(user_id: int) -> None:
    """Tell Redis what the wallet is worth now. If this is lost, the next snapshot tells it."""
    now = Wallet.objects.get(pk=user_id)
    try:
        limiter.publish_credits(user_id, now.credits_total, now.credits_version)
        marks.move()
    except (errors.Unavailable, redis.RedisError):
        logger.warning("The credits of account %s are not published.", user_id)
