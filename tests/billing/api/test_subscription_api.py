"""/api/subscription and /api/addons through the public door."""

from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone
from redis.exceptions import ConnectionError
from rest_framework.test import APIClient

from accounts.models import User
from billing.books import ledger
from billing.books.models import LedgerAccount, Transfer
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.plans import periods
from billing.plans.models import AddOn, Plan, Subscription
from billing.subscriptions import balance_changes
from hontoni import errors, redis
from hontoni.money import dollars, nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import client, committed
from tests.billing.plans.test_terms import announced


def post(user: User, path: str, key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return client(user).post(f"/api/{path}", body, format="json", headers=headers)


def fund(user: User, amount: str) -> None:
    ledger.post(key=f"fund:{amount}", kind="sandbox", user_id=user.pk, amount=nanos(amount))


def balance(user: User) -> str:
    return dollars(ledger.balance(user.pk))


@pytest.mark.parametrize(
    "path",
    [
        "subscription",
        "addons",
        *(f"subscription/{a}" for a in ("upgrade", "downgrade", "cancel", "resume")),
    ],
)
def test_changes_need_a_session(path: str) -> None:
    assert APIClient().post(f"/api/{path}", {}, format="json").status_code == 401


# -- Subscribe -----------------------------------------------------------------------------------


def test_a_plan_is_paid_from_the_balance_and_holds_at_once(alice: User) -> None:
    response = post(alice, "subscription", plan="basic", payment_method="balance")
    assert response.status_code == 201
    shown = response.json()
    assert (shown["paid"], shown["currency"]) == ("6.00", "USD")
    assert shown["subscription"]["plan"]["id"] == "basic"
    period = shown["subscription"]["period"]
    assert (period["status"], period["payment_method"]) == ("active", "balance")
    assert period["renewal"] == {
        "plan": "basic",
        "add_on": None,
        "amount": "6.00",
        "at": period["period_end"],
    }
    assert shown["invoice"]["number"].startswith("INV-")
    assert balance(alice) == "4.00"
    assert LedgerAccount.objects.get(code="revenue:subscriptions").balance == nanos("6")
    assert client(alice).get("/api/subscription").json() == shown["subscription"]


def test_a_period_is_a_month(alice: User) -> None:
    before = timezone.now()
    period = post(alice, "subscription", plan="basic").json()["subscription"]["period"]
    start, end = (datetime.fromisoformat(period[name]) for name in ("period_start", "period_end"))
    assert before <= start <= timezone.now()
    assert end == periods.first_end(start)


@committed
def test_new_limits_are_announced_to_every_gateway(alice: User) -> None:
    before = announced(alice)
    post(alice, "subscription", plan="basic")
    alice.refresh_from_db()
    assert announced(alice) == alice.terms_version > before


def test_a_plan_brings_its_keys(alice: User) -> None:
    fund(alice, "50")
    post(alice, "subscription", plan="premium")
    alice.refresh_from_db()
    assert alice.key_cap == 20


def test_what_is_not_affordable_is_402_and_changes_nothing(alice: User) -> None:
    response = post(alice, "subscription", plan="standard")
    assert error(response) == (402, "insufficient_balance")
    assert "$13" in response.json()["error"]["message"]
    assert balance(alice) == "10.00"
    assert not Subscription.objects.exists()
    assert not Invoice.objects.exists()
    assert not Notice.objects.exists()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_request")),
        ({"plan": "gold"}, (404, "not_found")),
        ({"plan": "pay-as-you-go"}, (400, "not_for_sale")),
        ({"plan": "basic", "payment_method": "cash"}, (400, "invalid_request")),
        ({"plan": "basic", "payment_method": "stripe"}, (400, "payment_method_unavailable")),
    ],
)
def test_it_refuses_what_it_does_not_sell(
    alice: User, body: dict[str, str], expected: tuple[int, str]
) -> None:
    assert error(post(alice, "subscription", **body)) == expected
    assert balance(alice) == "10.00"


def test_an_inactive_plan_is_not_sold(alice: User) -> None:
    Plan.objects.filter(slug="basic").update(active=False)
    assert error(post(alice, "subscription", plan="basic")) == (400, "not_for_sale")


def test_nobody_subscribes_twice(alice: User) -> None:
    fund(alice, "50")
    post(alice, "subscription", plan="basic")
    for plan in ("basic", "standard"):
        assert error(post(alice, "subscription", plan=plan)) == (409, "already_subscribed")
    assert balance(alice) == "54.00"


def test_without_redis_nothing_is_bought(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = client(alice)

    def gone() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(redis, "sync", gone)
    response = mine.post("/api/subscription", {"plan": "basic"}, format="json")
    assert error(response) == (503, "service_unavailable")
    assert balance(alice) == "10.00"


# -- Idempotency ---------------------------------------------------------------------------------


def test_a_repeated_key_buys_once(alice: User) -> None:
    first = post(alice, "subscription", "once", plan="basic")
    again = post(alice, "subscription", "once", plan="basic")
    assert (first.status_code, again.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json() == again.json()
    assert balance(alice) == "4.00"


def test_a_key_stands_for_one_change(alice: User) -> None:
    post(alice, "subscription", "once", plan="basic")
    response = post(alice, "addons", "once", add_on="rate-limit-2x")
    assert error(response) == (409, "idempotency_key_reused")


def test_keys_are_the_customers_own(alice: User, bob: User) -> None:
    fund(bob, "6")
    for user in (alice, bob):
        assert post(user, "subscription", "once", plan="basic").status_code == 201
    assert Transfer.objects.filter(kind="subscription").count() == 2


def test_a_refusal_does_not_use_up_a_key(bob: User) -> None:
    assert post(bob, "subscription", "once", plan="basic").status_code == 402
    fund(bob, "6")
    assert post(bob, "subscription", "once", plan="basic").status_code == 201


def test_a_key_may_be_too_long(alice: User) -> None:
    assert post(alice, "subscription", "x" * 101, plan="basic").status_code == 400


# -- Upgrade, downgrade --------------------------------------------------------------------------


def test_an_upgrade_pays_the_difference_for_the_rest(alice: User) -> None:
    fund(alice, "50")
    post(alice, "subscription", plan="basic")
    response = post(alice, "subscription/upgrade", plan="premium")
    assert response.status_code == 201
    paid = nanos(response.json()["paid"])
    assert nanos("32.99") < paid <= nanos("33")  # a moment of the month has passed
    assert ledger.balance(alice.pk) == nanos("54") - paid
    lines = {line["text"]: nanos(line["amount"]) for line in response.json()["invoice"]["lines"]}
    assert min(lines.values()) < 0 < max(lines.values())
    assert sum(lines.values()) == paid
    assert response.json()["subscription"]["plan"]["id"] == "premium"


def test_a_downgrade_waits_for_the_end_of_the_period(alice: User) -> None:
    fund(alice, "50")
    post(alice, "subscription", plan="premium")
    shown = post(alice, "subscription/downgrade", plan="basic").json()
    assert (shown["plan"]["id"], shown["period"]["next_plan"]) == ("premium", "basic")
    assert shown["period"]["renewal"]["amount"] == "6.00"
    assert balance(alice) == "21.00"


@pytest.mark.parametrize(
    ("change", "plan", "expected"),
    [
        ("upgrade", "basic", (400, "not_an_upgrade")),
        ("upgrade", "standard", (409, "already_subscribed")),
        ("upgrade", "gold", (404, "not_found")),
        ("downgrade", "premium", (400, "not_a_downgrade")),
        ("downgrade", "standard", (409, "already_subscribed")),
        ("downgrade", "pay-as-you-go", (400, "not_for_sale")),
        ("upgrade", "ultimate", (402, "insufficient_balance")),
    ],
)
def test_a_change_goes_the_way_it_says(
    alice: User, change: str, plan: str, expected: tuple[int, str]
) -> None:
    fund(alice, "20")
    post(alice, "subscription", plan="standard")
    assert error(post(alice, f"subscription/{change}", plan=plan)) == expected
    assert balance(alice) == "17.00"


@pytest.mark.parametrize("change", ["upgrade", "downgrade", "cancel", "resume"])
def test_without_a_plan_there_is_nothing_to_change(alice: User, change: str) -> None:
    body = {"plan": "basic"} if change.endswith("grade") else {}
    assert error(post(alice, f"subscription/{change}", **body)) == (409, "not_subscribed")


def test_an_upgrade_replaces_a_downgrade_that_waits(alice: User) -> None:
    fund(alice, "100")
    post(alice, "subscription", plan="standard")
    post(alice, "subscription/downgrade", plan="basic")
    shown = post(alice, "subscription/upgrade", plan="premium").json()
    assert shown["subscription"]["period"]["next_plan"] is None


# -- Cancel, resume ------------------------------------------------------------------------------


def test_a_cancelled_plan_stays_to_the_end_of_the_period(alice: User) -> None:
    post(alice, "subscription", plan="basic")
    shown = post(alice, "subscription/cancel").json()
    assert (shown["plan"]["id"], shown["period"]["cancel_at_period_end"]) == ("basic", True)
    assert shown["period"]["renewal"] is None
    assert post(alice, "subscription/resume").json()["period"]["cancel_at_period_end"] is False
    assert balance(alice) == "4.00"


# -- Add-ons -------------------------------------------------------------------------------------


def test_an_add_on_multiplies_every_limit_but_the_thinking_budget(alice: User) -> None:
    post(alice, "subscription", plan="basic")
    ledger.post(key="x", kind="sandbox", user_id=alice.pk, amount=nanos("10"))
    shown = post(alice, "addons", add_on="rate-limit-5x").json()["subscription"]
    assert shown["add_on"]["id"] == "rate-limit-5x"
    assert shown["limits"] == {
        "rpm": 40,
        "five_hours": 100,
        "daily": 500,
        "weekly": 600,
        "monthly": 2_400,
        "concurrent": 5,
    }
    assert shown["plan"]["thinking_budget"] == 8_000


def test_the_same_add_on_again_is_a_conflict(alice: User) -> None:
    post(alice, "addons", add_on="rate-limit-2x")
    assert error(post(alice, "addons", add_on="rate-limit-2x")) == (409, "add_on_active")
    assert balance(alice) == "5.01"


def test_an_add_on_works_without_a_plan(alice: User) -> None:
    shown = post(alice, "addons", add_on="rate-limit-2x").json()["subscription"]
    assert (shown["plan"]["id"], shown["limits"]["rpm"]) == ("pay-as-you-go", 16)
    assert shown["period"]["renewal"]["amount"] == "4.99"


def test_a_plan_can_be_added_to_an_add_on(alice: User) -> None:
    fund(alice, "20")
    post(alice, "addons", add_on="rate-limit-2x")
    response = post(alice, "subscription", plan="standard")
    assert response.status_code == 201
    shown = response.json()["subscription"]
    assert (shown["plan"]["id"], shown["add_on"]["id"]) == ("standard", "rate-limit-2x")
    assert shown["period"]["renewal"]["amount"] == "17.99"


def test_another_add_on_swaps_with_proration(alice: User) -> None:
    fund(alice, "10")
    post(alice, "addons", add_on="rate-limit-2x")
    paid = nanos(post(alice, "addons", add_on="rate-limit-5x").json()["paid"])
    assert nanos("4.99") < paid <= nanos("5")
    assert AddOn.objects.get(subscriptions__user=alice).slug == "rate-limit-5x"


def test_a_smaller_add_on_begins_with_the_next_period(alice: User) -> None:
    fund(alice, "10")
    post(alice, "addons", add_on="rate-limit-5x")
    quote = client(alice).get("/api/addons/preview?add_on=rate-limit-2x").json()
    answer = post(alice, "addons", add_on="rate-limit-2x").json()
    shown, period = answer["subscription"], answer["subscription"]["period"]
    assert (quote["action"], quote["due_now"], quote["renewal"]) == ("swap_later", "0.00", "4.99")
    assert quote["starts_at"] == period["period_end"]
    assert (answer["paid"], answer["invoice"]) == ("0.00", None)
    assert (shown["add_on"]["id"], shown["limits"]["rpm"]) == ("rate-limit-5x", 40)
    assert (period["next_add_on"], period["renewal"]["amount"]) == ("rate-limit-2x", "4.99")
    assert balance(alice) == "10.01"


def test_a_removed_add_on_stays_to_the_end_of_the_period(alice: User) -> None:
    post(alice, "addons", add_on="rate-limit-2x")
    mine = client(alice)
    response = mine.delete("/api/addons/rate-limit-2x")
    assert response.status_code == 200
    period = response.json()["period"]
    assert (period["add_on_ends"], period["renewal"]) == (True, None)
    assert mine.get("/api/addons").json()["active"] == "rate-limit-2x"
    assert mine.get("/api/addons").json()["ends_at"] == period["period_end"]


def test_a_removed_add_on_taken_again_goes_on_at_no_cost(alice: User) -> None:
    post(alice, "addons", add_on="rate-limit-2x")
    client(alice).delete("/api/addons/rate-limit-2x")
    response = post(alice, "addons", add_on="rate-limit-2x")
    assert (response.status_code, response.json()["paid"]) == (201, "0.00")
    assert response.json()["subscription"]["period"]["add_on_ends"] is False
    assert balance(alice) == "5.01"


@pytest.mark.parametrize(
    ("slug", "expected"),
    [("rate-limit-5x", (404, "not_found")), ("rate-limit-99x", (404, "not_found"))],
)
def test_only_the_active_add_on_is_removed(
    alice: User, slug: str, expected: tuple[int, str]
) -> None:
    post(alice, "addons", add_on="rate-limit-2x")
    assert error(client(alice).delete(f"/api/addons/{slug}")) == expected


def test_an_inactive_add_on_is_not_sold(alice: User) -> None:
    AddOn.objects.filter(slug="rate-limit-2x").update(active=False)
    assert error(post(alice, "addons", add_on="rate-limit-2x")) == (400, "not_for_sale")


# -- Previews ------------------------------------------------------------------------------------


def test_a_preview_says_what_it_costs_and_does_nothing(alice: User) -> None:
    shown = client(alice).get("/api/subscription/preview?plan=standard").json()
    assert (shown["action"], shown["due_now"], shown["renewal"]) == ("subscribe", "13.00", "13.00")
    assert [line["amount"] for line in shown["lines"]] == ["13.00"]
    assert not Subscription.objects.exists()
    assert balance(alice) == "10.00"


def test_previews_tell_upgrades_from_downgrades(alice: User) -> None:
    fund(alice, "50")
    period = post(alice, "subscription", plan="standard").json()["subscription"]["period"]
    mine = client(alice)
    up = mine.get("/api/subscription/preview?plan=premium").json()
    assert up["action"] == "upgrade"
    assert nanos("25.99") < nanos(up["due_now"]) <= nanos("26")
    down = mine.get("/api/subscription/preview?plan=basic").json()
    assert (down["action"], down["due_now"], down["lines"]) == ("downgrade", "0.00", [])
    assert down["starts_at"] == period["period_end"]


def test_an_add_on_is_previewed(alice: User) -> None:
    post(alice, "addons", add_on="rate-limit-2x")
    mine = client(alice)
    shown = mine.get("/api/addons/preview?add_on=rate-limit-5x").json()
    assert (shown["action"], len(shown["lines"])) == ("swap", 2)
    same = mine.get("/api/addons/preview?add_on=rate-limit-2x")
    assert error(same) == (409, "add_on_active")


def test_stripes_subscriptions_are_never_paid_from_the_balance(alice: User) -> None:
    post(alice, "subscription", plan="basic")
    Subscription.objects.update(payment_method="stripe", stripe_id="sub_1")
    mine = client(alice)
    for response in (
        post(alice, "subscription/upgrade", plan="standard"),
        post(alice, "subscription/cancel"),
        mine.get("/api/subscription/preview?plan=standard"),
    ):
        assert error(response) == (503, "payments_not_set_up")
    with pytest.raises(errors.Conflict, match="through Stripe"):
        balance_changes.cancel(alice.pk, now=timezone.now())
