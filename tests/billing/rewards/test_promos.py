"""Promo codes through the public door: what they give, to whom, and what is taken back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer, Wallet
from billing.payments import funding
from billing.plans import periods, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.rewards import promos
from billing.rewards.models import PromoCode, Redemption
from billing.subscriptions import balance_changes, renewals
from hontoni.money import nanos
from tests.billing.api.test_balance_api import error, top_up
from tests.billing.conftest import client
from tests.billing.plans.test_terms import subscribe

AtOnce = Callable[[Callable[[int], Any], int], list[Any]]
URL = "/api/billing/promo-code"


def promo(code: str = "WELCOME", **fields: Any) -> PromoCode:
    """$5 of credit, unless the fields say otherwise."""
    gift = {"kind": "credit", "amount": nanos("5"), "valid_from": timezone.now()}
    return PromoCode.objects.create(**gift | {"code": code} | fields)


def percent(code: str = "MORE", **fields: Any) -> PromoCode:
    return promo(code, **{"kind": "percent", "amount": 0, "percent": 20} | fields)


def trial(code: str = "TRY", **fields: Any) -> PromoCode:
    plan = Plan.objects.get(slug="premium")
    return promo(code, kind="trial", amount=0, plan=plan, trial_days=14, **fields)


def send(user: User, code: str, apply: bool = True) -> Any:
    return client(user).post(URL, {"code": code, "apply": apply}, format="json")


def balance(user: User) -> int:
    return ledger.balance(user.pk)


def test_a_code_is_validated_without_using_it(bob: User) -> None:
    promo()
    shown = send(bob, " welcome ", apply=False)
    assert shown.status_code == 200
    assert shown.json() == {
        "code": "WELCOME",
        "kind": "credit",
        "description": "$5.00 of credit.",
        "status": "valid",
        "granted": "0.00",
        "minimum_top_up": "0.00",
        "currency": "USD",
        "valid_until": None,
    }
    assert balance(bob) == 0
    assert PromoCode.objects.get().uses == 0


def test_credit_is_on_the_balance_at_once_and_in_the_transactions(bob: User) -> None:
    code = promo()
    shown = send(bob, "welcome").json()
    assert (shown["status"], shown["granted"]) == ("applied", "5.00")
    row = client(bob).get("/api/billing/transactions").json()["results"][0]
    assert (row["kind"], row["amount"], row["reason"]) == ("promo", "5.00", "Promo code WELCOME")
    assert Transfer.objects.get().key == f"promo:{code.pk}:{bob.pk}:1"


def test_a_code_needs_a_session_and_a_code(bob: User) -> None:
    assert APIClient().post(URL, {"code": "x"}, format="json").status_code == 401
    assert client(bob).post(URL, {}, format="json").status_code == 400


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"active": False}, (404, "promo_code_unknown")),
        ({"valid_from": timezone.now() + timedelta(days=1)}, (404, "promo_code_unknown")),
        (
            {
                "valid_from": timezone.now() - timedelta(days=2),
                "valid_until": timezone.now() - timedelta(days=1),
            },
            (409, "promo_code_expired"),
        ),
        ({"max_uses": 0}, (409, "promo_code_used_up")),
        ({"first_time_only": True}, (409, "promo_code_first_time_only")),
    ],
)
@pytest.mark.parametrize("apply", [True, False])
def test_it_says_why_a_code_cannot_be_used(
    alice: User, fields: dict[str, Any], answer: tuple[int, str], apply: bool
) -> None:
    promo(**fields)
    assert error(send(alice, "WELCOME", apply)) == answer
    assert balance(alice) == nanos("10")
    assert not Redemption.objects.exists()


def test_an_unknown_code_is_not_found(bob: User) -> None:
    assert error(send(bob, "NOPE")) == (404, "promo_code_unknown")


def test_an_account_uses_a_code_as_often_as_it_may(bob: User, alice: User) -> None:
    promo(max_uses_per_account=2)
    assert [send(bob, "WELCOME").status_code for _ in range(3)] == [200, 200, 409]
    assert balance(bob) == nanos("10")
    assert send(alice, "WELCOME").status_code == 200


def test_guessing_is_throttled(bob: User) -> None:
    answers = [send(bob, f"GUESS{number}").status_code for number in range(21)]
    assert answers == [404] * 20 + [429]


# -- With the next top-up ------------------------------------------------------------------------


def test_a_percent_bonus_comes_with_the_next_top_up_and_no_later_one(bob: User) -> None:
    percent(amount=nanos("15"))
    shown = send(bob, "MORE").json()
    assert (shown["status"], shown["granted"]) == ("waiting", "0.00")
    assert shown["description"] == "20 % of your next top-up, up to $15.00."
    assert top_up(bob, "1", amount="50").status_code == 201
    assert balance(bob) == nanos("60")
    top_up(bob, "2", amount="50")
    top_up(bob, "1", amount="50")
    assert balance(bob) == nanos("110")


def test_a_bonus_is_never_more_than_its_cap(bob: User) -> None:
    percent(amount=nanos("5"))
    send(bob, "MORE")
    top_up(bob, amount="100")
    assert balance(bob) == nanos("105")


def test_credit_with_a_minimum_waits_for_a_top_up_that_reaches_it(bob: User) -> None:
    promo(minimum_top_up=nanos("20"))
    assert send(bob, "WELCOME").json()["status"] == "waiting"
    top_up(bob, "1", amount="19.99")
    assert balance(bob) == nanos("19.99")
    top_up(bob, "2", amount="20")
    assert balance(bob) == nanos("44.99")


def test_a_bonus_whose_time_is_over_is_not_given(bob: User) -> None:
    code = percent()
    send(bob, "MORE")
    PromoCode.objects.filter(pk=code.pk).update(
        valid_from=timezone.now() - timedelta(days=2),
        valid_until=timezone.now() - timedelta(seconds=1),
    )
    top_up(bob, amount="50")
    assert balance(bob) == nanos("50")


def test_what_staff_credit_is_no_top_up(bob: User) -> None:
    percent()
    send(bob, "MORE")
    ledger.post(key="a", kind="adjustment", user_id=bob.pk, amount=nanos("50"))
    assert balance(bob) == nanos("50")


def card(user: User, dollars: str, key: str = "topup:pi_1") -> Transfer:
    """A top-up by card, as Stripe's payments credit it."""
    return funding.credit(key=key, kind="topup", user_id=user.pk, amount=nanos(dollars))[0]


def back(user: User, paid: Transfer, dollars: str, key: str, kind: str = "refund") -> None:
    funding.take_back(key=key, kind=kind, user_id=user.pk, top_up=paid, amount=nanos(dollars))


def test_a_refund_takes_its_share_of_the_bonus_even_below_zero(bob: User) -> None:
    percent()
    send(bob, "MORE")
    paid = card(bob, "100")
    back(bob, paid, "25", "refund:1")
    back(bob, paid, "25", "refund:1")
    assert balance(bob) == nanos("90")
    ledger.post(key="s", kind="subscription", user_id=bob.pk, amount=-nanos("79"))
    back(bob, paid, "75", "refund:2")
    assert balance(bob) == -nanos("79")
    assert Redemption.objects.get().granted == 0


def test_a_dispute_that_is_won_gives_the_bonus_back(bob: User) -> None:
    percent()
    send(bob, "MORE")
    paid = card(bob, "100")
    back(bob, paid, "30", "refund:1")
    back(bob, paid, "100", "dispute:1:withdrawn", "dispute")
    assert balance(bob) == -nanos("30")
    back(bob, paid, "-100", "dispute:1:reinstated", "dispute")
    assert balance(bob) == nanos("84")


def test_a_top_up_without_a_bonus_is_taken_back_alone(bob: User) -> None:
    back(bob, card(bob, "100"), "100", "refund:1")
    assert balance(bob) == 0


# -- Trials --------------------------------------------------------------------------------------


def test_a_trial_is_a_plan_that_ends_by_itself(bob: User) -> None:
    trial()
    shown = send(bob, "TRY").json()
    assert (shown["status"], shown["description"]) == ("applied", "Premium for 14 days.")
    assert terms.terms(bob.pk).plan == "premium"
    period = Subscription.objects.get()
    assert period.cancel_at_period_end
    assert period.period_end - period.period_start == timedelta(days=14)
    assert balance(bob) == 0


def test_what_is_bought_in_a_trial_costs_its_share_of_a_month(bob: User) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)  # a month of thirty days
    trial(valid_from=now)
    promos.redeem(bob.pk, "TRY", now)
    card(bob, "100")
    add_on = AddOn.objects.get(slug="rate-limit-5x")
    bought = balance_changes.add(bob.pk, add_on, now=now + timedelta(days=8))
    assert bought.paid == nanos("2.00")  # 1.998
    plan = Plan.objects.get(slug="ultimate")
    bought = balance_changes.upgrade(bob.pk, plan, now=now + timedelta(days=8))
    assert bought.paid == nanos("79") * 6 // 30


def test_who_has_a_plan_gets_no_trial(bob: User) -> None:
    trial()
    subscribe(bob, "basic")
    assert error(send(bob, "TRY")) == (409, "promo_code_has_plan")
    assert (PromoCode.objects.get().uses, terms.terms(bob.pk).plan) == (0, "basic")


def tried(user: User, now: datetime, funds: str = "100") -> Subscription:
    """On a trial of Premium for 14 days, and with money."""
    trial(valid_from=now - timedelta(days=1))
    promos.redeem(user.pk, "TRY", now)
    card(user, funds)
    return Subscription.objects.get()


def test_a_trial_turns_into_the_plan_in_one_click(bob: User) -> None:
    tried(bob, timezone.now() - timedelta(days=3))
    shown = client(bob).get("/api/subscription/preview?plan=premium").json()
    assert (shown["action"], shown["due_now"], shown["renewal"]) == ("subscribe", "39.00", "39.00")
    answer = client(bob).post("/api/subscription", {"plan": "premium"}, format="json")
    assert (answer.status_code, answer.json()["paid"]) == (201, "39.00")
    period = answer.json()["subscription"]["period"]
    assert (period["trial"], period["cancel_at_period_end"]) == (False, False)
    mine = Subscription.objects.get()
    assert mine.period_end == periods.first_end(mine.period_start) > timezone.now()
    assert balance(bob) == nanos("61")
    again = client(bob).post("/api/subscription", {"plan": "premium"}, format="json")
    assert error(again) == (409, "already_subscribed")
    renewals.renew(bob.pk, now=mine.period_end)
    assert balance(bob) == nanos("22")


def test_an_add_on_of_a_trial_goes_on_with_the_plan(bob: User) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    tried(bob, now)
    add_on = AddOn.objects.get(slug="rate-limit-10x")
    balance_changes.add(bob.pk, add_on, now=now)  # 14 days of 30
    balance_changes.remove(bob.pk, add_on, now=now)
    balance_changes.subscribe(
        bob.pk, Plan.objects.get(slug="premium"), now=now + timedelta(days=7)
    )
    assert terms.plan_of(bob.pk) == (Plan.objects.get(slug="premium"), 10)
    assert balance(bob) == nanos("100") - nanos("9.33") - nanos("39") - nanos("19.99") + nanos(
        "4.66"
    )


def test_without_the_money_a_trial_stays_a_trial(bob: User) -> None:
    mine = tried(bob, timezone.now(), "20")
    refused = client(bob).post("/api/subscription", {"plan": "premium"}, format="json")
    assert error(refused) == (402, "insufficient_balance")
    mine.refresh_from_db()
    assert mine.on_trial and mine.cancel_at_period_end


def test_an_upgrade_out_of_a_trial_renews(bob: User) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    mine = tried(bob, now, "200")
    balance_changes.upgrade(bob.pk, Plan.objects.get(slug="ultimate"), now=now)
    mine.refresh_from_db()
    renewals.renew(bob.pk, now=mine.period_end)
    mine.refresh_from_db()
    assert (mine.status, mine.plan.slug, mine.on_trial) == ("active", "ultimate", False)
    assert balance(bob) == nanos("200") - nanos("36.87") - nanos("79")


def test_a_downgrade_in_a_trial_begins_when_it_ends(bob: User) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    mine = tried(bob, now)
    balance_changes.downgrade(bob.pk, Plan.objects.get(slug="basic"), now=now)
    assert terms.terms(bob.pk).plan == "premium"
    mine.refresh_from_db()
    renewals.renew(bob.pk, now=mine.period_end)
    assert (terms.terms(bob.pk).plan, balance(bob)) == ("basic", nanos("94"))


def test_a_trial_that_goes_on_is_paid_when_it_ends_and_one_that_is_cancelled_is_not(
    bob: User,
) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    mine = tried(bob, now)
    balance_changes.resume(bob.pk, now=now)
    balance_changes.cancel(bob.pk, now=now)
    balance_changes.resume(bob.pk, now=now)
    renewals.renew(bob.pk, now=now + timedelta(days=14))
    mine.refresh_from_db()
    assert (mine.status, mine.plan_price, balance(bob)) == ("active", nanos("39"), nanos("61"))


# -- Races ---------------------------------------------------------------------------------------


def test_500_at_once_redeem_a_code_with_3_uses_3_times(at_once: AtOnce) -> None:
    promo(max_uses=3)
    users = User.objects.bulk_create(
        [User(email=f"u{number}@example.com") for number in range(500)]
    )
    EmailAddress.objects.bulk_create(
        [EmailAddress(user=user, email=user.email, verified=True) for user in users]
    )

    def redeem(number: int) -> bool:
        try:
            promos.redeem(users[number].pk, "WELCOME", timezone.now())
        except promos.NotForYou as refused:
            assert refused.code == "promo_code_used_up"
            return False
        return True

    assert sum(at_once(redeem, 500)) == 3
    assert PromoCode.objects.get().uses == Redemption.objects.count() == 3
    assert sum(Wallet.objects.values_list("credits_total", flat=True)) == nanos("15")


def test_one_account_at_once_uses_a_code_once(bob: User, at_once: AtOnce) -> None:
    promo()
    mine = [client(bob) for _ in range(2)]
    body = {"code": "WELCOME", "apply": True}
    answers = at_once(lambda n: mine[n % 2].post(URL, body, format="json").status_code, 16)
    assert sorted(answers) == [200] + [409] * 15
    assert balance(bob) == nanos("5")


def test_top_ups_at_once_share_one_bonus(bob: User, at_once: AtOnce) -> None:
    percent()
    send(bob, "MORE")
    at_once(lambda n: card(bob, "10", f"topup:{n}"), 12)
    assert balance(bob) == nanos("122")


def test_redeeming_and_topping_up_at_once_wait_in_no_circle(bob: User, at_once: AtOnce) -> None:
    promo(max_uses_per_account=10)
    percent(max_uses_per_account=10)

    def either(number: int) -> None:
        if number % 3:
            promos.redeem(bob.pk, ("WELCOME", "MORE")[number % 2], timezone.now())
        else:
            card(bob, "10", f"topup:{number}")

    at_once(either, 24)
    assert Redemption.objects.count() == 16
    given = Redemption.objects.exclude(granted_at=None)
    assert balance(bob) == nanos("80") + sum(one.granted for one in given)
