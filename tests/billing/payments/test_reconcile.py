"""The proof finds what is wrong. Each falsification is rolled back, for the proof after it."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from accounts.models import User
from billing.books import ledger
from billing.books.models import Entry, LedgerAccount, Transfer, Wallet
from billing.books.seeding import seed_account
from billing.invoices.models import Invoice, InvoiceSeries
from billing.payments import reconcile
from billing.plans.models import Plan
from billing.subscriptions import balance_changes
from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter


def transfer(*amounts: int, key: str = "x", drift: int = 0) -> None:
    """A transfer of 5 whose entries are these, and say that they lead `drift` too far."""
    house = LedgerAccount.objects.get(code="sandbox:funds")
    wallet = LedgerAccount.objects.get(code__startswith="wallet:")
    made = Transfer.objects.create(key=key, kind="promo", amount=5, debit=house, credit=wallet)
    for account, amount in zip((house, wallet), amounts, strict=False):
        account.balance += amount
        account.version += 1
        account.save()
        Entry.objects.create(
            transfer=made,
            account=account,
            amount=amount,
            balance_after=account.balance + drift,
            account_version=account.version,
        )


def skip_a_version() -> None:
    LedgerAccount.objects.update(version=F("version") + 1)
    transfer(-5, 5)


def stray() -> None:
    """The last balance is right, the way there is not."""
    transfer(-5, 5, drift=1)
    transfer(-5, 5, key="y")


FALSIFICATIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "credits": (lambda: Wallet.objects.update(credits_total=1), "its entries say"),
    "version": (lambda: Wallet.objects.update(credits_version=2), "its entries say"),
    "usage": (lambda: Wallet.objects.update(settled_total=1), "its entries say"),
    "no wallet": (lambda: Wallet.objects.all().delete(), "has entries and no wallet"),
    "balance": (
        lambda: LedgerAccount.objects.update(balance=F("balance") + 1),
        "entries add up to",
    ),
    "books": (
        lambda: LedgerAccount.objects.update(balance=F("balance") + 1),
        "all balances add up to 3, not 0",
    ),
    "numbers": (lambda: LedgerAccount.objects.update(version=7), "version 7, 1 entries up to 1"),
    "gap": (skip_a_version, "2 entries up to 3"),
    "no entries": (transfer, "has 0 entries"),
    "one-sided": (lambda: transfer(-5), "has 1 entries"),
    "wrong amount": (lambda: transfer(-6, 6), "transfer x of 5 has 2 entries: -6 and 6"),
    "wrong way": (lambda: transfer(5, -5), "transfer x of 5 has 2 entries: 5 and -5"),
    "unbalanced": (lambda: transfer(-5, 6), "transfer x of 5 has 2 entries: -5 and 6"),
    "wrong step": (stray, f"{nanos('10')} + 5 is not {nanos('10') + 6}"),
}


@pytest.mark.parametrize("name", FALSIFICATIONS)
def test_it_finds_what_was_falsified(alice: User, name: str) -> None:
    falsify, sentence = FALSIFICATIONS[name]
    with transaction.atomic():
        falsify()
        found = reconcile.problems()
        transaction.set_rollback(True)
    assert any(sentence in problem for problem in found), found


def reissue(**wrong: Any) -> None:
    """A copy of the one invoice, of another transfer, with this about it wrong."""
    invoice = Invoice.objects.get()
    transfer(-5, 5)
    right = {"pk": None, "transfer": Transfer.objects.get(key="x"), "total": 5, "sequence": 2}
    for name, value in (right | wrong).items():
        setattr(invoice, name, value)
    invoice._state.adding = True
    invoice.number += "-copy"
    invoice.save()
    InvoiceSeries.objects.update(last=2)


@pytest.mark.parametrize(
    ("falsify", "sentence"),
    [
        (lambda: reissue(total=6), "is of 6, its transfer of 5"),
        (lambda: reissue(sequence=3), "INV-2026: 2: 2 are issued, up to 3"),
        (lambda: InvoiceSeries.objects.update(last=2), "INV-2026: 2: 1 are issued, up to 1"),
    ],
)
def test_it_finds_what_is_wrong_with_invoices(
    alice: User, falsify: Callable[[], Any], sentence: str
) -> None:
    basic = Plan.objects.get(slug="basic")
    balance_changes.subscribe(alice.pk, basic, now=datetime(2026, 11, 22, tzinfo=UTC))
    with transaction.atomic():
        falsify()
        assert any(sentence in problem for problem in reconcile.problems())
        transaction.set_rollback(True)


# -- Redis ---------------------------------------------------------------------------------------


def nothing(events: Sequence[str]) -> set[str]:
    return set()


def test_an_account_that_redis_does_not_have_is_not_wrong(alice: User) -> None:
    assert reconcile.counters(recorded=nothing) == []


def test_redis_agrees_while_events_are_on_their_way(alice: User) -> None:
    seed_account(alice.pk, recorded=nothing)
    account, stream = keys.account(alice.pk), keys.usage(keys.shard(alice.pk))
    event = {"account": alice.pk, "cost": 5, "event": json.dumps({"id": "e"})}
    redis.sync().hincrby(account, "charged", 5)
    redis.sync().xadd(stream, event)
    assert reconcile.counters(recorded=nothing) == []
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=5)
    assert reconcile.counters(recorded=lambda events: {"e"} & set(events)) == []


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("credits", "version and credits are (1, 10000000000), Redis has (1, 10000000005)"),
        ("credits_version", "Redis has (6, 10000000000)"),
        ("charged", "Redis charged 5, 0 is settled, but 0 is on the way"),
    ],
)
def test_it_finds_what_redis_has_wrong(alice: User, field: str, sentence: str) -> None:
    seed_account(alice.pk, recorded=nothing)
    redis.sync().hincrby(keys.account(alice.pk), field, 5)
    (problem,) = reconcile.counters(recorded=nothing)
    assert problem.startswith(f"wallet:{alice.pk}: ")
    assert sentence in problem


def test_credits_that_redis_has_not_heard_of_are_no_problem(alice: User) -> None:
    """As after `manage.py credit` while nothing runs: the next request brings them."""
    seed_account(alice.pk, recorded=nothing)
    redis.sync().hset(keys.account(alice.pk), mapping={"credits": 0, "credits_version": 0})
    assert reconcile.counters(recorded=nothing) == []


@pytest.mark.parametrize("ending", [1, 2, 3])
def test_a_request_that_ends_while_we_look_is_no_problem(
    alice: User, monkeypatch: pytest.MonkeyPatch, ending: int
) -> None:
    """The stream was read before its event came, and what Redis charged after."""
    seed_account(alice.pk, recorded=nothing)
    read, reads = limiter.read_account_sync, count(1)

    def read_after_a_request(user_id: int) -> limiter.Account | None:
        if (number := next(reads)) <= ending:
            event = {"account": user_id, "cost": 5, "event": json.dumps({"id": number})}
            redis.sync().hincrby(keys.account(user_id), "charged", 5)
            redis.sync().xadd(keys.usage(keys.shard(user_id)), event)
        return read(user_id)

    monkeypatch.setattr(limiter, "read_account_sync", read_after_a_request)
    assert reconcile.counters(recorded=nothing) == []
    assert next(reads) > ending


def test_every_shard_is_looked_at() -> None:
    users = [User.objects.create_user(f"u{n}@example.com", id=1000 + n) for n in range(64)]
    for user in users:
        ledger.post(key=f"p{user.pk}", kind="promo", user_id=user.pk, amount=nanos("1"))
        seed_account(user.pk, recorded=nothing)
        redis.sync().hincrby(keys.account(user.pk), "charged", 1)
    assert len(reconcile.counters(recorded=nothing)) == 64
