"""Stories of money. After each of them conftest proves the books."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django import Settings
from redis.exceptions import ConnectionError

from accounts.models import User
from billing.books import ledger
from billing.books.models import LedgerAccount, Transfer, Wallet
from hontoni import money, redis
from hontoni.money import nanos
from ratelimits import limiter, rebuilding
from tests.billing.conftest import committed

pytestmark = committed

AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


def balances() -> dict[str, int]:
    return dict(LedgerAccount.objects.exclude(balance=0).values_list("code", "balance"))


def test_a_top_up_comes_from_an_account_of_ours(bob: User) -> None:
    transfer, created = ledger.post(
        key="topup:1", kind="topup", user_id=bob.pk, amount=nanos("25"), ref={"intent": "pi_1"}
    )
    assert created
    assert (transfer.amount, transfer.ref) == (nanos("25"), {"intent": "pi_1"})
    assert balances() == {f"wallet:{bob.pk}": nanos("25"), "stripe:clearing": -nanos("25")}


def test_a_month_of_alice(alice: User) -> None:
    """$10 given, $13 paid in, a plan bought, the spec's example used, half a top-up refunded."""
    ledger.post(key="t", kind="topup", user_id=alice.pk, amount=nanos("13"))
    ledger.post(key="s", kind="subscription", user_id=alice.pk, amount=-nanos("6"))
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("0.0105"))
    ledger.post(key="r", kind="refund", user_id=alice.pk, amount=-nanos("6.50"))
    assert money.dollars(ledger.balance(alice.pk)) == "10.4895"
    assert balances() == {
        f"wallet:{alice.pk}": nanos("10.4895"),
        "sandbox:funds": -nanos("10"),
        "stripe:clearing": -nanos("6.50"),
        "revenue:subscriptions": nanos("6"),
        "revenue:usage": nanos("0.0105"),
    }
    wallet = ledger.wallet(alice.pk)
    assert wallet.credits_total == nanos("10.50")
    assert (wallet.credits_version, wallet.settled_total) == (4, nanos("0.0105"))


@pytest.mark.parametrize("kind", [kind for kind in Transfer.Kind if kind != "usage"])
def test_every_kind_has_its_counterpart(bob: User, kind: str) -> None:
    ledger.post(key="some", kind="sandbox", user_id=bob.pk, amount=nanos("5"))
    ledger.post(key="out", kind=kind, user_id=bob.pk, amount=-nanos("5"))
    ledger.post(key="in", kind=kind, user_id=bob.pk, amount=nanos("5"))
    assert balances()[f"wallet:{bob.pk}"] == nanos("5")


def test_posting_a_key_again_changes_nothing(bob: User) -> None:
    for _ in range(3):
        first, created = ledger.post(key="k", kind="promo", user_id=bob.pk, amount=7)
    assert not created
    assert first == Transfer.objects.get()
    assert ledger.balance(bob.pk) == 7


@pytest.mark.parametrize(
    "other", [{"amount": 8}, {"amount": -7}, {"kind": "topup"}, {"user": "alice"}]
)
def test_a_key_stands_for_one_thing(alice: User, bob: User, other: dict[str, Any]) -> None:
    ledger.post(key="k", kind="promo", user_id=bob.pk, amount=7)
    asked: dict[str, Any] = {"kind": "promo", "amount": 7, "user_id": bob.pk} | other
    if asked.pop("user", None):
        asked["user_id"] = alice.pk
    with pytest.raises(ledger.KeyReused):
        ledger.post(key="k", **asked)
    assert (ledger.balance(alice.pk), ledger.balance(bob.pk)) == (nanos("10"), 7)


def test_nobody_buys_with_what_he_does_not_have(alice: User) -> None:
    with pytest.raises(ledger.Overdrawn, match=r"\$10\.00"):
        ledger.post(key="s", kind="subscription", user_id=alice.pk, amount=-nanos("10") - 1)
    ledger.post(key="s", kind="subscription", user_id=alice.pk, amount=-nanos("10"))
    assert ledger.balance(alice.pk) == 0


def test_usage_refunds_and_disputes_take_a_wallet_below_zero(alice: User) -> None:
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("11"))
    ledger.post(key="r", kind="refund", user_id=alice.pk, amount=-nanos("5"))
    ledger.post(key="d", kind="dispute", user_id=alice.pk, amount=-nanos("5"))
    assert ledger.balance(alice.pk) == -nanos("11")


def test_a_batch_is_charged_once(alice: User) -> None:
    for expected in (True, False):
        with transaction.atomic():
            transfer, created = ledger.charge_usage(
                key="usage:1", user_id=alice.pk, amount=nanos("1"), ref={"events": 12}
            )
        assert created is expected
    assert transfer.ref == {"events": 12}
    wallet = ledger.wallet(alice.pk)
    assert (wallet.settled_total, wallet.credits_version) == (nanos("1"), 1)


def test_a_batch_rolled_back_charges_nothing(alice: User) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=1)
        raise ZeroDivisionError
    assert ledger.balance(alice.pk) == nanos("10")


def test_usage_is_charged_with_its_events_or_not_at_all(alice: User) -> None:
    with pytest.raises(RuntimeError):
        ledger.charge_usage(key="u", user_id=alice.pk, amount=1)
    with pytest.raises(ValueError, match="charge_usage"):
        ledger.post(key="u", kind="usage", user_id=alice.pk, amount=-1)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_charge_is_positive(alice: User, amount: int) -> None:
    with pytest.raises(ValueError, match="not a charge"), transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=amount)


def test_nothing_is_not_posted(bob: User) -> None:
    with pytest.raises(ValueError, match="nothing"):
        ledger.post(key="k", kind="promo", user_id=bob.pk, amount=0)


def test_an_account_turns_over_no_more_than_redis_can_compare(bob: User) -> None:
    ledger.post(key="1", kind="promo", user_id=bob.pk, amount=money.MAX)
    with pytest.raises(ledger.TooMuch):
        ledger.post(key="2", kind="promo", user_id=bob.pk, amount=1)
    with transaction.atomic():
        ledger.charge_usage(key="3", user_id=bob.pk, amount=money.MAX)
    with pytest.raises(ledger.TooMuch), transaction.atomic():
        ledger.charge_usage(key="4", user_id=bob.pk, amount=1)
    assert ledger.balance(bob.pk) == 0


def test_what_is_earned_is_never_paid_out_twice(alice: User) -> None:
    with pytest.raises(IntegrityError):
        ledger.post(key="s", kind="subscription", user_id=alice.pk, amount=1)


# -- Opening a wallet ----------------------------------------------------------------------------


def test_a_wallet_opens_with_nothing_in_it(bob: User, settings: Settings) -> None:
    settings.SIGNUP_CREDIT = "5"
    assert (ledger.balance(bob.pk), ledger.balance(bob.pk)) == (0, 0)
    assert not Transfer.objects.exists()


def test_usage_of_an_account_without_a_wallet_is_a_mistake(bob: User) -> None:
    with pytest.raises(Wallet.DoesNotExist), transaction.atomic():
        ledger.charge_usage(key="u", user_id=bob.pk, amount=1)
    assert not LedgerAccount.objects.exists()


def test_a_wallet_needs_a_user() -> None:
    with pytest.raises(IntegrityError):
        ledger.wallet(12345)
    assert not Wallet.objects.exists()


# -- Races ---------------------------------------------------------------------------------------


def test_fifty_posts_of_one_key_are_one(bob: User, at_once: AtOnce) -> None:
    answers = at_once(
        lambda _: ledger.post(key="k", kind="topup", user_id=bob.pk, amount=nanos("1")), 50
    )
    assert len({transfer.pk for transfer, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1
    assert ledger.balance(bob.pk) == nanos("1")


def test_one_key_raced_by_two_accounts_goes_to_one_of_them(
    alice: User, bob: User, at_once: AtOnce
) -> None:
    """Different kinds and wallets share no lock: the unique key decides."""

    def grab(number: int) -> str:
        user, kind = ((alice, "promo"), (bob, "topup"))[number % 2]
        try:
            ledger.post(key="k", kind=kind, user_id=user.pk, amount=1)
        except ledger.KeyReused:
            return "refused"
        return kind

    answers = at_once(grab, 20)
    assert answers.count("refused") == 10
    assert len(set(answers)) == 2
    assert Transfer.objects.filter(key="k").count() == 1


@pytest.mark.postgres_only
def test_one_key_raced_by_two_accounts_on_postgres(
    alice: User, bob: User, at_once: AtOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob's post has looked for the key when alice's commits. SQLite lets only one write."""
    create = Transfer.objects.create

    def create_after_alice(**fields: Any) -> Transfer:
        monkeypatch.setattr(Transfer.objects, "create", create)
        at_once(lambda _: ledger.post(key="k", kind="topup", user_id=alice.pk, amount=1), 1)
        return create(**fields)

    monkeypatch.setattr(Transfer.objects, "create", create_after_alice)
    with pytest.raises(ledger.KeyReused):
        ledger.post(key="k", kind="promo", user_id=bob.pk, amount=1)
    assert (ledger.balance(alice.pk), ledger.balance(bob.pk)) == (nanos("10") + 1, 0)


def test_wallets_opened_in_any_order_no_deadlock(at_once: AtOnce) -> None:
    users = [User.objects.create_user(f"user{n}@example.com").pk for n in range(8)]

    def open_all(number: int) -> None:
        with transaction.atomic():
            for user_id in users[number % 8 :] + users[: number % 8]:
                ledger.wallet(user_id)

    at_once(open_all, 16)
    assert [w.balance for w in Wallet.objects.all()] == [0] * 8


def test_many_users_many_kinds_no_deadlock(at_once: AtOnce) -> None:
    users = [User.objects.create_user(f"user{n}@example.com").pk for n in range(12)]
    for user_id in users[:6]:
        ledger.wallet(user_id)
    kinds = ["topup", "promo", "referral", "adjustment"]

    def busy(number: int) -> None:
        if number % 3:
            kind, user_id = kinds[number % 4], users[number % 12]
            ledger.post(key=f"p{number}", kind=kind, user_id=user_id, amount=1)
            return
        with transaction.atomic():  # a consumer's batch, in any order
            ledger.lock({ledger.wallet_code(user_id) for user_id in users[:6]})
            for user_id in users[number % 6 : 6] + users[: number % 6]:
                ledger.charge_usage(key=f"u{number}:{user_id}", user_id=user_id, amount=1)

    at_once(busy, 72)
    settled = sum(Wallet.objects.values_list("settled_total", flat=True))
    credited = sum(Wallet.objects.values_list("credits_total", flat=True))
    assert (settled, credited) == (24 * 6, 48)


def test_the_last_dollar_is_spent_once(alice: User, at_once: AtOnce) -> None:
    def buy(number: int) -> bool:
        try:
            ledger.post(
                key=f"s{number}", kind="subscription", user_id=alice.pk, amount=-nanos("3")
            )
        except ledger.Overdrawn:
            return False
        return True

    assert at_once(buy, 20).count(True) == 3
    assert ledger.balance(alice.pk) == nanos("1")


def test_a_wallet_opened_by_many_is_opened_once(bob: User, at_once: AtOnce) -> None:
    assert set(at_once(lambda _: ledger.balance(bob.pk), 20)) == {0}
    assert Wallet.objects.count() == 1


# -- Redis hears of it ---------------------------------------------------------------------------


def seeded(user: User) -> limiter.Account:
    account = limiter.read_account_sync(user.pk)
    assert account is not None
    return account


def test_redis_is_told_of_new_credits_after_the_commit(alice: User) -> None:
    rebuilding.seed_sync(
        alice.pk, credits=nanos("10"), credits_version=1, terms_version=1, charged=0
    )
    with transaction.atomic():
        ledger.post(key="t", kind="topup", user_id=alice.pk, amount=nanos("5"))
        assert seeded(alice).credits == nanos("10")
    assert (seeded(alice).credits, seeded(alice).credits_version) == (nanos("15"), 2)


def test_usage_is_not_news_to_redis(alice: User) -> None:
    rebuilding.seed_sync(
        alice.pk, credits=nanos("10"), credits_version=1, terms_version=1, charged=nanos("1")
    )
    before = seeded(alice)
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("1"))
    assert seeded(alice) == before


def test_money_moves_without_redis(bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(redis, "sync", gone)
    ledger.post(key="t", kind="topup", user_id=bob.pk, amount=nanos("5"))
    assert ledger.balance(bob.pk) == nanos("5")
