"""Buying while requests run, and many purchases at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from accounts.models import User
from billing.books import ledger
from billing.books.balances import live
from billing.books.models import Transfer
from billing.books.seeding import seed_account
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.plans.models import AddOn, Plan, Subscription
from billing.subscriptions import balance_changes, purchases, renewals
from gateway.usage import reaper
from hontoni import errors, redis
from hontoni.money import nanos
from ratelimits import keys, limiter, rebuilding
from ratelimits.limiter import Ask, Limits
from tests.billing.conftest import committed
from tests.ratelimits.world import expired

pytestmark = committed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def seeded(user: User) -> User:
    wallet = ledger.wallet(user.pk)
    rebuilding.confirmed_sync()  # what the test before believed is nobody's epoch now
    rebuilding.seed_sync(
        user.pk,
        credits=wallet.credits_total,
        credits_version=wallet.credits_version,
        terms_version=1,
        charged=wallet.settled_total,
    )
    return user


def ask(user: User, amount: str, name: str = "req_1") -> Ask:
    return Ask(
        name, user.pk, f"a{user.pk}", Limits(),
        terms_version=10, credits=0, credits_version=0,
        full=nanos(amount), floor=nanos(amount), lease_ms=45_000, draft='{"id": "x"}',
    )  # fmt: skip


def admit(user: User, amount: str, name: str = "req_1") -> limiter.State:
    async def once() -> limiter.State:
        try:
            return await limiter.admit(ask(user, amount, name))
        finally:
            await redis.close()

    return asyncio.run(once())


def test_a_purchase_does_not_spend_what_a_request_holds(alice: User) -> None:
    seeded(alice)
    assert admit(alice, "5").status == "ok"
    with pytest.raises(errors.PaymentRequired) as refused:
        balance_changes.subscribe(alice.pk, plan("basic"), now=NOW)
    assert (refused.value.code, refused.value.headers["Retry-After"]) == ("balance_on_hold", "2")
    assert ledger.balance(alice.pk) == nanos("10")
    assert live(alice.pk).held == nanos("5")


def test_a_purchase_does_not_spend_what_is_charged_and_not_settled(alice: User) -> None:
    seeded(alice)
    redis.sync().hincrby(keys.account(alice.pk), "charged", nanos("5"))
    with pytest.raises(errors.PaymentRequired) as refused:
        balance_changes.subscribe(alice.pk, plan("basic"), now=NOW)
    assert refused.value.code == "insufficient_balance"


def test_a_request_does_not_spend_what_a_purchase_is_about_to(alice: User) -> None:
    """Between the reservation and the commit, and right after it."""
    seeded(alice)
    seen: list[str] = []
    with purchases.opened(alice.pk) as purchase:
        purchase.pay(key="k", amount=nanos("6"), reason="", ref={})
        with ThreadPoolExecutor() as other:
            seen.append(other.submit(admit, alice, "5").result().binding)
    seen.append(admit(alice, "5").binding)
    assert seen == ["hold", "balance"]
    assert (live(alice.pk).balance, live(alice.pk).held) == (nanos("4"), 0)
    assert admit(alice, "4").status == "ok"


def test_a_purchase_that_fails_gives_back_what_it_held(alice: User) -> None:
    seeded(alice)
    with pytest.raises(ZeroDivisionError), purchases.opened(alice.pk) as purchase:
        purchase.pay(key="k", amount=nanos("6"), reason="", ref={})
        raise ZeroDivisionError
    assert (live(alice.pk).balance, live(alice.pk).held) == (nanos("10"), 0)
    assert not Transfer.objects.filter(key="k").exists()


def test_a_purchase_that_dies_is_reaped(alice: User) -> None:
    seeded(alice)
    wallet = ledger.wallet(alice.pk)
    limiter.reserve_sync(
        alice.pk,
        "purchase_1",
        amount=nanos("6"),
        credits=wallet.credits_total,
        credits_version=wallet.credits_version,
        lease_ms=0,
    )
    assert live(alice.pk).held == nanos("6")
    assert reaper.reap(expired()) == 1
    assert live(alice.pk).held == 0
    assert redis.sync().xlen(keys.usage(keys.shard(alice.pk))) == 0


def tally(at_once: AtOnce, buy: Callable[[int], Any], times: int) -> dict[str, int]:
    def once(number: int) -> str:
        try:
            buy(number)
            return "bought"
        except errors.ApiError as refused:
            return refused.code

    outcomes = at_once(once, times)
    return {outcome: outcomes.count(outcome) for outcome in set(outcomes)}


def test_fifty_purchases_at_once_are_one(alice: User, at_once: AtOnce) -> None:
    seeded(alice)
    basic = plan("basic")
    got = tally(at_once, lambda _: balance_changes.subscribe(alice.pk, basic, now=NOW), 50)
    assert got == {"bought": 1, "already_subscribed": 49}
    assert ledger.balance(alice.pk) == nanos("4")
    assert Subscription.objects.count() == Invoice.objects.count() == Notice.objects.count() == 1


def test_fifty_purchases_with_one_key_are_one(alice: User, at_once: AtOnce) -> None:
    basic = plan("basic")

    def buy(_: int) -> bool:
        return balance_changes.subscribe(alice.pk, basic, now=NOW, key="once").replayed

    assert sorted(at_once(buy, 50)) == [False] + [True] * 49
    assert ledger.balance(alice.pk) == nanos("4")


def test_two_upgrades_at_once(alice: User, at_once: AtOnce) -> None:
    """Whoever is first: never more is paid than the dearest plan costs."""
    ledger.post(key="f", kind="sandbox", user_id=alice.pk, amount=nanos("200"))
    balance_changes.subscribe(alice.pk, plan("basic"), now=NOW)
    wanted = [plan("premium"), plan("ultimate")]
    got = tally(at_once, lambda n: balance_changes.upgrade(alice.pk, wanted[n % 2], now=NOW), 8)
    mine = Subscription.objects.get()
    assert mine.plan.slug == "ultimate"
    assert ledger.balance(alice.pk) == nanos("210") - nanos("79")
    assert got["bought"] in (1, 2)


def test_renewals_at_once_pay_once(alice: User, at_once: AtOnce) -> None:
    ledger.post(key="f", kind="sandbox", user_id=alice.pk, amount=nanos("50"))
    mine = balance_changes.subscribe(alice.pk, plan("basic"), now=NOW).subscription
    later = mine.period_end + timedelta(seconds=1)
    at_once(lambda _: renewals.renew(alice.pk, now=later), 16)
    assert ledger.balance(alice.pk) == nanos("60") - nanos("12")


def test_a_renewal_and_a_cancellation_at_once(alice: User, at_once: AtOnce) -> None:
    """Either it ends, unpaid, or one month is paid and the next is not."""
    ledger.post(key="f", kind="sandbox", user_id=alice.pk, amount=nanos("50"))
    mine = balance_changes.subscribe(alice.pk, plan("basic"), now=NOW).subscription
    later = mine.period_end + timedelta(seconds=1)

    def either(number: int) -> None:
        if number % 2:
            renewals.renew(alice.pk, now=later)
        else:
            balance_changes.cancel(alice.pk, now=later)

    tally(at_once, either, 2)
    mine.refresh_from_db()
    paid = nanos("60") - ledger.balance(alice.pk)
    assert (mine.status, paid) in [("ended", nanos("6")), ("active", nanos("12"))]
    renewals.renew(alice.pk, now=mine.period_end + timedelta(seconds=1))
    mine.refresh_from_db()
    assert mine.status == "ended"
    assert nanos("60") - ledger.balance(alice.pk) == paid


def test_add_ons_swapped_at_once(alice: User, at_once: AtOnce) -> None:
    ledger.post(key="f", kind="sandbox", user_id=alice.pk, amount=nanos("90"))
    sold = list(AddOn.objects.all())
    tally(at_once, lambda n: balance_changes.add(alice.pk, sold[n % 3], now=NOW), 12)
    mine = Subscription.objects.select_related("add_on").get()
    assert mine.add_on is not None
    assert ledger.balance(alice.pk) == nanos("100") - mine.add_on.price


def test_seeding_meanwhile_never_brings_back_what_was_spent(alice: User, at_once: AtOnce) -> None:
    """Redis forgets the account again and again while half of it is being spent."""
    ledger.post(key="f", kind="sandbox", user_id=alice.pk, amount=nanos("90"))
    sold = list(AddOn.objects.all())

    def either(number: int) -> None:
        if number % 3 == 0:
            redis.sync().delete(keys.account(alice.pk))
        elif number % 3 == 1:
            seed_account(alice.pk, recorded=lambda _: set())
        else:
            balance_changes.add(alice.pk, sold[number // 3 % 3], now=NOW)

    tally(at_once, either, 24)
    seed_account(alice.pk, recorded=lambda _: set())
    assert live(alice.pk).balance == ledger.balance(alice.pk) < nanos("100")
    assert live(alice.pk).held == 0


@pytest.fixture(autouse=True)
def _connections() -> Any:
    yield
    connections.close_all()
