"""/api/billing, /api/subscription and /api/addons through the public door."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.db import transaction
from pytest_django import Settings
from redis.exceptions import ConnectionError
from rest_framework.test import APIClient

from accounts.models import User
from billing.books import ledger
from billing.books.models import AuditEntry, Transfer, Wallet
from billing.plans.models import Plan
from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, rebuilding
from tests.billing.conftest import client
from tests.billing.plans.test_terms import subscribe

AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


def top_up(user: User, key: str = "k", **body: Any) -> Any:
    headers = {"Idempotency-Key": key}
    return client(user).post("/api/billing/topup", body, format="json", headers=headers)


def error(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize(
    "path",
    ["billing/balance", "billing/transactions", "subscription", "addons"],
)
def test_what_is_mine_needs_a_session(path: str) -> None:
    assert APIClient().get(f"/api/{path}").status_code == 401


# -- Balance -------------------------------------------------------------------------------------


def test_the_balance_before_any_request_is_the_ledgers(alice: User) -> None:
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("0.0105"))
    assert client(alice).get("/api/billing/balance").json() == {
        "balance": "9.9895",
        "held": "0.00",
        "available": "9.9895",
        "currency": "USD",
    }


def test_the_balance_counts_what_is_not_settled_yet(alice: User) -> None:
    rebuilding.seed_sync(
        alice.pk,
        credits=nanos("10"),
        credits_version=1,
        terms_version=1,
        charged=nanos("2.5"),
    )
    redis.sync().hset(keys.account(alice.pk), "held", nanos("1"))
    shown = client(alice).get("/api/billing/balance").json()
    assert (shown["balance"], shown["held"], shown["available"]) == ("7.50", "1.00", "6.50")


def test_the_balance_is_there_without_redis(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = client(alice)

    def gone() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(redis, "sync", gone)
    assert mine.get("/api/billing/balance").json()["balance"] == "10.00"


def test_the_first_look_opens_the_wallet(bob: User) -> None:
    assert client(bob).get("/api/billing/balance").json()["balance"] == "0.00"
    assert Wallet.objects.filter(pk=bob.pk).exists()


# -- Transactions --------------------------------------------------------------------------------


def test_transactions_come_newest_first(alice: User) -> None:
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("0.0105"))
    ledger.post(
        key="a", kind="adjustment", user_id=alice.pk, amount=nanos("1"), reason="Sorry", actor="x"
    )
    page = client(alice).get("/api/billing/transactions").json()
    assert (page["next"], page["previous"]) == (None, None)
    assert [(row["kind"], row["amount"], row["balance_after"]) for row in page["results"]] == [
        ("adjustment", "1.00", "10.9895"),
        ("usage", "-0.0105", "9.9895"),
        ("sandbox", "10.00", "10.00"),
    ]
    newest = page["results"][0]
    transfer = Transfer.objects.get(key="a")
    assert (newest["id"], newest["reason"]) == (f"txn_{transfer.pk}", "Sorry")
    assert "actor" not in newest


def test_pages_are_not_shifted_by_what_comes_meanwhile(bob: User) -> None:
    def post(number: int) -> None:
        ledger.post(key=f"p{number}", kind="promo", user_id=bob.pk, amount=number)

    for number in range(1, 6):
        post(number)
    mine = client(bob)
    page = mine.get("/api/billing/transactions?limit=2").json()
    seen = [row["amount"] for row in page["results"]]
    post(6)
    while page["next"]:
        page = mine.get(page["next"]).json()
        seen += [row["amount"] for row in page["results"]]
    assert seen == [f"0.00000000{n}" for n in (5, 4, 3, 2, 1)]


def test_transactions_can_be_filtered_by_kind(alice: User) -> None:
    ledger.post(key="p", kind="promo", user_id=alice.pk, amount=1)
    ledger.post(key="t", kind="topup", user_id=alice.pk, amount=1)
    mine = client(alice)
    page = mine.get("/api/billing/transactions?kind=promo&kind=topup").json()
    assert [row["kind"] for row in page["results"]] == ["topup", "promo"]
    assert mine.get("/api/billing/transactions?kind=theft").status_code == 400


def test_nobody_sees_anothers_transactions(alice: User, bob: User) -> None:
    assert client(bob).get("/api/billing/transactions").json()["results"] == []
    page = client(alice).get("/api/billing/transactions").json()
    assert len(page["results"]) == 1


# -- Topping up in sandbox mode ------------------------------------------------------------------


def test_a_top_up_credits_at_once_in_sandbox_mode(bob: User) -> None:
    response = top_up(bob, amount="25.50")
    assert response.status_code == 201
    assert response.json() == client(bob).get("/api/billing/transactions").json()["results"][0]
    assert (response.json()["amount"], response.json()["kind"]) == ("25.50", "sandbox")
    assert ledger.balance(bob.pk) == nanos("25.50")


def test_the_same_key_again_answers_the_same_transaction(bob: User) -> None:
    first, again = top_up(bob, amount=25), top_up(bob, amount="25.00")
    assert (again.status_code, again.json()) == (201, first.json())
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert ledger.balance(bob.pk) == nanos("25")


def test_the_same_key_with_another_amount_is_a_conflict(bob: User) -> None:
    top_up(bob, amount=25)
    assert error(top_up(bob, amount=26)) == (409, "idempotency_key_reused")
    assert ledger.balance(bob.pk) == nanos("25")


def test_keys_of_two_customers_have_nothing_to_do_with_each_other(alice: User, bob: User) -> None:
    for user in (alice, bob):
        assert top_up(user, amount=5).status_code == 201
    assert (ledger.balance(alice.pk), ledger.balance(bob.pk)) == (nanos("15"), nanos("5"))


def test_many_copies_of_one_top_up_credit_once(bob: User, at_once: AtOnce) -> None:
    mine = client(bob)
    body, headers = {"amount": "5"}, {"Idempotency-Key": "k"}

    def post(_: int) -> Any:
        return mine.post("/api/billing/topup", body, format="json", headers=headers)

    answers = at_once(post, 10)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert ledger.balance(bob.pk) == nanos("5")


@pytest.mark.parametrize("amount", [1, 10_000, "1.00", 1.5, "9999.99"])
def test_a_top_up_is_one_to_ten_thousand_dollars(bob: User, amount: Any) -> None:
    assert top_up(bob, amount=amount).status_code == 201
    assert ledger.balance(bob.pk) == nanos(str(amount))


@pytest.mark.parametrize(
    "amount", [0, 0.99, -5, 10_000.01, "1.001", "ten", "", None, True, [1], "Infinity"]
)
def test_it_takes_no_other_amount(bob: User, amount: Any) -> None:
    response = top_up(bob, amount=amount)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "amount"


def test_a_top_up_needs_an_idempotency_key(bob: User) -> None:
    response = client(bob).post("/api/billing/topup", {"amount": 5}, format="json")
    assert error(response) == (400, "idempotency_key_required")
    assert top_up(bob, "k" * 101, amount=5).status_code == 400
    assert ledger.balance(bob.pk) == 0


def test_without_the_sandbox_cards_pay(bob: User, settings: Settings) -> None:
    settings.SANDBOX = False
    response = top_up(bob, amount=5)
    assert error(response) == (403, "checkout_required")
    assert "/api/billing/topup/checkout" in response.json()["error"]["message"]
    assert ledger.balance(bob.pk) == 0


# -- Staff ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", [True, False])
def test_staff_credit_an_account_with_a_reason(
    bob: User, finance: User, settings: Settings, sandbox: bool
) -> None:
    settings.SANDBOX = sandbox
    totp.TOTP.activate(finance, "JBSWY3DPEHPK3PXP")
    response = top_up(finance, amount="25", email="BOB@example.com", reason="Wire transfer 17")
    assert response.status_code == 201
    assert ledger.balance(bob.pk) == nanos("25")
    transfer = Transfer.objects.get()
    assert (transfer.kind, transfer.actor) == ("adjustment", "finance@example.com")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("finance@example.com", "adjust balance")
    assert entry.subject == f"user:{bob.pk}"
    assert (entry.before, entry.after) == (
        {"balance": "0.00"},
        {"balance": "25.00", "reason": "Wire transfer 17"},
    )
    assert entry.request_id == response["X-Request-Id"]


def test_staff_debit_no_more_than_there_is(alice: User, finance: User) -> None:
    response = top_up(finance, "1", amount="-4", email=alice.email, reason="Mistake")
    assert (response.status_code, response.json()["amount"]) == (201, "-4.00")
    response = top_up(finance, "2", amount="-7", email=alice.email, reason="Mistake")
    assert error(response) == (402, "insufficient_balance")
    assert ledger.balance(alice.pk) == nanos("6")


def test_a_repeated_adjustment_is_audited_once(bob: User, finance: User) -> None:
    for _ in range(2):
        assert top_up(finance, amount=5, email=bob.email, reason="Gift").status_code == 201
    assert AuditEntry.objects.count() == 1
    assert ledger.balance(bob.pk) == nanos("5")


def test_one_key_of_staff_credits_one_account(alice: User, bob: User, finance: User) -> None:
    top_up(finance, amount=5, email=bob.email, reason="Gift")
    response = top_up(finance, amount=5, email=alice.email, reason="Gift")
    assert response.status_code == 409
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": ""}, 400),
        ({"reason": "   "}, 400),
        ({"amount": 0}, 400),
        ({"amount": 100_001}, 400),
        ({"email": "nobody@example.com"}, 404),
        ({"email": "nonsense"}, 400),
    ],
)
def test_an_adjustment_is_complete(
    bob: User, finance: User, body: dict[str, Any], status: int
) -> None:
    asked: dict[str, Any] = {"amount": 5, "email": bob.email, "reason": "Gift"} | body
    assert top_up(finance, **asked).status_code == status
    assert ledger.balance(bob.pk) == 0
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("who", ["alice", "staff", "permitted"])
def test_nobody_else_credits_an_account(
    bob: User, finance: User, request: pytest.FixtureRequest, who: str
) -> None:
    """Neither customers, nor staff without the permission, nor who is no longer staff."""
    match who:
        case "alice":
            user = request.getfixturevalue("alice")
        case "staff":
            user = User.objects.create_user("staff@example.com", is_staff=True)
        case _:
            user = finance
            User.objects.filter(pk=user.pk).update(is_staff=False)
    assert error(top_up(user, amount=5, email=bob.email, reason="x")) == (403, "forbidden")
    assert ledger.balance(bob.pk) == 0


# -- Plans ---------------------------------------------------------------------------------------


def test_everybody_may_see_what_is_sold() -> None:
    Plan.objects.filter(slug="ultimate").update(active=False)
    offer = APIClient().get("/api/subscription/plans").json()
    assert [plan["id"] for plan in offer["plans"]] == [
        "pay-as-you-go",
        "basic",
        "standard",
        "premium",
    ]
    assert offer["plans"][2] == {
        "id": "standard",
        "name": "Standard",
        "price": "13.00",
        "currency": "USD",
        "limits": {
            "rpm": 12,
            "five_hours": 45,
            "daily": 250,
            "weekly": 275,
            "monthly": 1_100,
            "concurrent": 2,
        },
        "limits_apply_to": "key",
        "thinking_budget": 16_000,
        "key_cap": 10,
        "is_default": False,
        "overflow_surcharge_percent": "25",
        "overflow_surcharge_rises": None,
        "reset_price": "0.00",
    }
    assert [(a["id"], a["price"], a["multiplier"]) for a in offer["add_ons"]] == [
        ("rate-limit-2x", "4.99", 2),
        ("rate-limit-5x", "9.99", 5),
        ("rate-limit-10x", "19.99", 10),
    ]


def test_without_a_subscription_mine_is_the_default(alice: User) -> None:
    mine = client(alice).get("/api/subscription").json()
    assert (mine["plan"]["id"], mine["plan"]["is_default"]) == ("pay-as-you-go", True)
    assert (mine["add_on"], mine["period"]) == (None, None)
    assert mine["limits"] == mine["plan"]["limits"]


def test_my_subscription_shows_the_limits_that_hold(alice: User, bob: User) -> None:
    subscribe(bob, "ultimate")
    subscription = subscribe(alice, "standard", "rate-limit-2x")
    subscription.next_plan = Plan.objects.get(slug="basic")
    subscription.save()
    mine = client(alice).get("/api/subscription").json()
    assert (mine["plan"]["id"], mine["add_on"]["id"]) == ("standard", "rate-limit-2x")
    assert (mine["limits"]["rpm"], mine["plan"]["limits"]["rpm"]) == (24, 12)
    assert mine["period"] == {
        "status": "active",
        "payment_method": "balance",
        "next_payment_method": "",
        "period_start": "2026-11-01T00:00:00Z",
        "period_end": "2026-12-01T00:00:00Z",
        "cancel_at_period_end": False,
        "add_on_ends": False,
        "next_plan": "basic",
        "next_add_on": None,
        "trial": False,
        "grace_until": None,
        "renewal": {
            "plan": "basic",
            "add_on": "rate-limit-2x",
            "amount": "10.99",
            "at": "2026-12-01T00:00:00Z",
        },
    }


def test_add_ons_say_which_is_mine(alice: User, bob: User) -> None:
    subscribe(alice, "standard", "rate-limit-5x")
    mine = client(alice).get("/api/addons").json()
    assert (len(mine["add_ons"]), mine["active"]) == (3, "rate-limit-5x")
    assert client(bob).get("/api/addons").json()["active"] is None
