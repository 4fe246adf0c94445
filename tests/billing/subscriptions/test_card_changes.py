"""Plans and add-ons that Stripe bills, through the public door and Stripe's own."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books.models import AuditEntry
from billing.mails import letters
from billing.mails.models import Notice
from billing.payments import inbox, tasks
from billing.plans import periods, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.rewards.models import Card
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine, StripePrice
from billing.stripe.stripe_api import Unanswered
from billing.subscriptions import arrangements, changes, entitlements, renewals
from billing.subscriptions.models import PlanOrder
from hontoni.money import nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import committed
from tests.billing.plans.test_terms import announced
from tests.billing.rewards.test_promos import promo
from tests.billing.shop import Shop, balance

pytestmark = committed
AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


def post(shop: Shop, user: User, path: str, key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return shop.api(user).post(f"/api/{path}", body, headers=headers)


def pay(shop: Shop, user: User, answer: Any, card: str = "pm_card_visa") -> str:
    """On Stripe's page; where the browser is sent then."""
    assert answer.status_code == 202, answer.content
    page = answer.json()["payment_url"]
    done = shop.stripe.browser.post(page, data={"card": card, "email": user.email})
    return str(done.headers.get("location", ""))


def subscribed(shop: Shop, user: User, plan: str = "basic") -> Subscription:
    """On a plan, paid on Stripe's page, and heard of."""
    pay(shop, user, post(shop, user, "subscription", plan=plan, payment_method="stripe"))
    shop.deliver()
    mine = terms.subscription_of(user.pk)
    assert mine is not None and mine.status == "active"
    return mine


def by_card(shop: Shop, user: User, plan: str = "basic", card: str = "pm_card_visa") -> Any:
    saved = shop.saved_card(user, card)
    return post(shop, user, "subscription", plan=plan, payment_method="stripe", card=saved)


def shown(shop: Shop, user: User) -> Any:
    return shop.api(user).get("/api/subscription").json()


def month(shop: Shop) -> None:
    """The period ends, and the hour in which Stripe drafts the invoice."""
    shop.stripe.advance(days=31)
    shop.stripe.advance(seconds=2 * 3600)


def told(user: User) -> list[str]:
    return list(Notice.objects.filter(user=user).order_by("pk").values_list("kind", flat=True))


def at_stripe(shop: Shop, mine: Subscription) -> Any:
    return shop.stripe.stripe.subscriptions.retrieve(mine.stripe_id)


def cents(shop: Shop, mine: Subscription) -> list[int]:
    """What Stripe bills next, item by item."""
    found = at_stripe(shop, mine)
    return [item["price"]["unit_amount"] for item in found["items"]["data"]]


def paid(shop: Shop) -> list[int]:
    """Every payment, in cents, the newest first."""
    return [intent.amount_received for intent in shop.intents()]


def test_a_renewal_by_card_is_announced_with_its_price(
    shop: Shop, bob: User, settings: Settings
) -> None:
    mine = subscribed(shop, bob)
    post(shop, bob, "addons", add_on="rate-limit-2x")
    shop.deliver()
    settings.STRIPE_TAX = True
    for _ in range(2):
        assert renewals.announce(mine.period_end - timedelta(days=2)) == 1
    assert told(bob)[-1] == "plan_renewal_soon"
    facts = Notice.objects.get(kind="plan_renewal_soon").facts
    assert facts["amount"] == shown(shop, bob)["period"]["renewal"]["amount"] == "10.99"
    for language, said in (
        ("en", "for $10.99 plus tax, from your card."),
        ("vi", "với giá $10,99 cộng thuế, lấy từ thẻ."),
    ):
        letter = letters.compose(
            "plan_renewal_soon", facts, to="b@x.io", name="", language=language, message_id="<m>"
        )
        assert said in letter.body and "Please top up" not in letter.body


def test_what_leaves_the_card_for_the_balance_is_announced_as_that(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    post(shop, bob, "subscription/payment-method", payment_method="balance")
    renewals.announce(mine.period_end - timedelta(days=2))
    facts = Notice.objects.get(kind="plan_renewal_soon").facts
    assert (facts["amount"], facts["balance"], facts["enough"]) == ("6.00", "0.00", False)


def on_trial(user: User, plan: str) -> None:
    sold = Plan.objects.get(slug=plan)
    code = promo("TRY", kind="trial", amount=0, plan=sold, trial_days=14)
    changes.redeem(user.pk, code.code, now=timezone.now())


@pytest.mark.parametrize("plan", ["premium", "basic"])
def test_a_trial_gives_way_to_any_plan_paid_by_card(shop: Shop, bob: User, plan: str) -> None:
    on_trial(bob, "standard")
    assert by_card(shop, bob, plan).json()["paid"] == {"premium": "39.00", "basic": "6.00"}[plan]
    shop.deliver()
    period = shown(shop, bob)["period"]
    assert (shown(shop, bob)["plan"]["id"], period["payment_method"]) == (plan, "stripe")
    assert period["renewal"]["amount"] == {"premium": "39.00", "basic": "6.00"}[plan]
    states = Subscription.objects.order_by("pk").values_list("status", flat=True)
    assert (list(states), len(paid(shop))) == (["ended", "active"], 1)


def test_a_trial_stays_where_its_page_is_not_paid_or_an_add_on_was_bought(
    shop: Shop, alice: User
) -> None:
    on_trial(alice, "standard")
    answer = post(shop, alice, "subscription", plan="premium", payment_method="stripe")
    assert answer.status_code == 202
    assert shown(shop, alice)["plan"]["id"] == "standard"
    assert post(shop, alice, "addons", add_on="rate-limit-2x").status_code == 201
    refused = by_card(shop, alice, "premium")
    assert error(refused) == (409, "paid_from_balance")
    pay(shop, alice, answer)
    shop.deliver()
    assert (shown(shop, alice)["plan"]["id"], paid(shop)) == ("standard", [])


# -- Subscribe -----------------------------------------------------------------------------------


def test_a_plan_is_paid_on_stripes_page_and_holds_when_stripe_says_so(
    shop: Shop, bob: User
) -> None:
    answer = post(shop, bob, "subscription", plan="premium", payment_method="stripe")
    assert answer.json()["subscription"]["plan"]["id"] == "pay-as-you-go"
    back = pay(shop, bob, answer)
    assert back.startswith("http://testserver/billing/plan/done?session_id=cs_")
    assert shown(shop, bob)["period"] is None
    before = announced(bob)
    shop.deliver()
    now = shown(shop, bob)
    assert (now["plan"]["id"], now["period"]["payment_method"]) == ("premium", "stripe")
    assert now["period"]["renewal"]["amount"] == "39.00"
    bob.refresh_from_db()
    assert bob.key_cap == 20
    assert announced(bob) == bob.terms_version > before
    assert (paid(shop), balance(bob)) == ([3900], 0)
    assert told(bob) == ["plan_started"]
    assert PlanOrder.objects.get().state == "done"


def test_the_page_it_returns_to_settles_before_any_webhook(shop: Shop, bob: User) -> None:
    back = pay(shop, bob, post(shop, bob, "subscription", plan="basic", payment_method="stripe"))
    shown_page = shop.api(bob).get(back)
    assert b"Basic is yours" in shown_page.content
    assert shown(shop, bob)["plan"]["id"] == "basic"
    shop.deliver()
    assert told(bob) == ["plan_started"]


def test_who_leaves_the_page_is_told_that_nothing_was_charged(shop: Shop, bob: User) -> None:
    assert b"Nothing was charged" in shop.api(bob).get("/billing/plan/done").content
    assert shop.api(bob).get("/billing/plan/done?session_id=cs_x").status_code == 404


def test_the_poll_finds_what_no_webhook_told(shop: Shop, bob: User) -> None:
    shop.knobs(drop=True)
    pay(shop, bob, post(shop, bob, "subscription", plan="basic", payment_method="stripe"))
    shop.deliver()
    assert shown(shop, bob)["period"] is None
    inbox.poll(now=timezone.now())
    assert shown(shop, bob)["plan"]["id"] == "basic"


def test_a_saved_card_is_charged_at_once(shop: Shop, bob: User) -> None:
    answer = by_card(shop, bob, "standard")
    assert answer.status_code == 201, answer.content
    assert answer.json()["paid"] == "13.00"
    assert answer.json()["payment_url"] is None
    assert answer.json()["subscription"]["plan"]["id"] == "standard"
    assert Card.objects.filter(user=bob).exists()


def test_a_card_that_is_refused_buys_nothing_and_leaves_nothing(shop: Shop, bob: User) -> None:
    answer = by_card(shop, bob, card="pm_card_chargeCustomerFail")
    assert error(answer) == (402, "generic_decline")
    shop.deliver()
    assert shown(shop, bob)["period"] is None
    assert PlanOrder.objects.get().state == "failed"
    assert by_card(shop, bob).status_code == 201


def test_nobody_pays_with_somebody_elses_card(shop: Shop, alice: User, bob: User) -> None:
    card = shop.saved_card(alice)
    answer = post(shop, bob, "subscription", plan="basic", payment_method="stripe", card=card)
    assert error(answer) == (404, "not_found")


def test_the_same_key_again_is_the_same_order(shop: Shop, bob: User) -> None:
    asked = {"plan": "basic", "payment_method": "stripe", "card": shop.saved_card(bob)}
    first = post(shop, bob, "subscription", "k", **asked)
    again = post(shop, bob, "subscription", "k", **asked)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert paid(shop) == [600]
    other = post(shop, bob, "subscription", "k", **asked | {"plan": "premium"})
    assert error(other) == (409, "idempotency_key_reused")


def test_an_answer_that_was_lost_charges_once(shop: Shop, bob: User) -> None:
    asked = {"plan": "basic", "payment_method": "stripe", "card": shop.saved_card(bob)}
    shop.stripe.control("faults", kind="lost", path="/v1/subscriptions", times=2)
    lost = post(shop, bob, "subscription", "k", **asked)
    assert lost.status_code == 503
    again = post(shop, bob, "subscription", "k", **asked)
    assert (again.status_code, paid(shop)) == (201, [600])
    shop.deliver()
    assert Subscription.objects.filter(status="active").count() == 1
    assert error(post(shop, bob, "subscription", "other", **asked)) == (409, "already_subscribed")


def test_a_second_page_closes_the_first(shop: Shop, bob: User) -> None:
    first = post(shop, bob, "subscription", plan="basic", payment_method="stripe")
    second = post(shop, bob, "subscription", plan="premium", payment_method="stripe")
    shop.stripe.browser.post(first.json()["payment_url"], data={"card": "pm_card_visa"})
    pay(shop, bob, second)
    shop.deliver()
    assert (shown(shop, bob)["plan"]["id"], paid(shop)) == ("premium", [3900])


def test_ten_orders_at_once_subscribe_once(shop: Shop, bob: User, at_once: AtOnce) -> None:
    card = shop.saved_card(bob)
    body = {"plan": "basic", "payment_method": "stripe", "card": card}
    answers = at_once(lambda _: post(shop, bob, "subscription", **body).status_code, 10)
    assert answers.count(201) == 1
    assert set(answers) <= {201, 409}
    assert paid(shop) == [600]


def test_a_page_that_is_paid_unheard_is_heard_of_by_the_next_change(
    shop: Shop, alice: User
) -> None:
    pay(shop, alice, post(shop, alice, "subscription", plan="basic", payment_method="stripe"))
    again = post(shop, alice, "subscription", plan="premium", payment_method="balance")
    assert error(again) == (409, "paid_through_stripe")
    assert post(shop, alice, "subscription/upgrade", plan="premium").status_code == 201
    assert (len(paid(shop)), balance(alice)) == (2, nanos("10"))


def test_paying_from_the_balance_closes_an_open_page(shop: Shop, alice: User) -> None:
    page = post(shop, alice, "subscription", plan="basic", payment_method="stripe")
    assert post(shop, alice, "subscription", plan="basic").status_code == 201
    shop.stripe.browser.post(page.json()["payment_url"], data={"card": "pm_card_visa"})
    shop.deliver()
    assert (paid(shop), balance(alice)) == ([], nanos("4"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"plan": "gold"}, (404, "not_found")),
        ({"plan": "pay-as-you-go"}, (400, "not_for_sale")),
        ({"plan": "half-cent"}, (400, "not_for_card")),
    ],
)
def test_it_refuses_what_cannot_be_paid_by_card(
    shop: Shop, bob: User, body: dict[str, str], expected: tuple[int, str]
) -> None:
    basic = Plan.objects.get(slug="basic")
    basic.pk, basic.slug, basic.price = None, "half-cent", nanos("6.005")
    basic.save()
    assert error(post(shop, bob, "subscription", payment_method="stripe", **body)) == expected
    assert not PlanOrder.objects.exists()


def test_what_is_paid_from_the_balance_is_not_mixed_with_stripe(shop: Shop, alice: User) -> None:
    post(shop, alice, "addons", add_on="rate-limit-2x")
    answer = post(shop, alice, "subscription", plan="basic", payment_method="stripe")
    assert error(answer) == (409, "paid_from_balance")


def test_where_tax_is_added_only_the_page_sells(shop: Shop, bob: User, settings: Settings) -> None:
    settings.STRIPE_TAX = True
    shop.stripe.control("tax", basis_points=1000)
    assert error(by_card(shop, bob)) == (403, "checkout_required")
    subscribed(shop, bob)
    assert paid(shop) == [660]


# -- Change --------------------------------------------------------------------------------------


def test_an_upgrade_is_prorated_charged_and_holds_now(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    shop.stripe.advance(days=10)
    asked = {"plan": "ultimate"}
    quote = shop.api(bob).get("/api/subscription/preview", asked).json()
    answer = post(shop, bob, "subscription/upgrade", **asked)
    assert answer.status_code == 201, answer.content
    assert answer.json()["subscription"]["plan"]["id"] == "ultimate"
    due = paid(shop)[0]
    assert 4000 < due < 5500
    assert answer.json()["paid"] == f"{due / 100:.2f}"
    assert abs(float(quote["due_now"]) - due / 100) < 0.02
    shop.deliver()
    assert cents(shop, mine) == [7900]
    assert told(bob) == ["plan_started", "plan_upgraded"]


def test_an_upgrade_whose_card_is_refused_waits_for_its_payment(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    bad = shop.saved_card(bob, "pm_card_chargeCustomerFail")
    shop.stripe.stripe.subscriptions.update(mine.stripe_id, {"default_payment_method": bad})
    answer = post(shop, bob, "subscription/upgrade", plan="premium")
    assert answer.status_code == 202
    assert answer.json()["subscription"]["plan"]["id"] == "basic"
    shop.deliver()
    assert shown(shop, bob)["plan"]["id"] == "basic"
    invoice = at_stripe(shop, mine).latest_invoice
    good = shop.saved_card(bob)
    shop.stripe.stripe.invoices.pay(invoice, {"payment_method": good})
    shop.deliver()
    assert shown(shop, bob)["plan"]["id"] == "premium"
    assert PlanOrder.objects.filter(state="open").count() == 0
    assert told(bob) == ["plan_started", "plan_upgraded"]


def test_an_upgrade_that_waits_gives_way_to_another(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    bad = shop.saved_card(bob, "pm_card_chargeCustomerFail")
    good = at_stripe(shop, mine).default_payment_method
    shop.stripe.stripe.subscriptions.update(mine.stripe_id, {"default_payment_method": bad})
    assert post(shop, bob, "subscription/upgrade", plan="ultimate").status_code == 202
    shop.stripe.stripe.subscriptions.update(mine.stripe_id, {"default_payment_method": good})
    assert post(shop, bob, "subscription/upgrade", plan="standard").status_code == 201
    shop.deliver()
    assert (shown(shop, bob)["plan"]["id"], cents(shop, mine)) == ("standard", [1300])


def test_a_downgrade_waits_for_the_end_of_the_period(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob, "premium")
    answer = post(shop, bob, "subscription/downgrade", plan="basic")
    assert answer.status_code == 200, answer.content
    period = answer.json()["period"]
    assert (answer.json()["plan"]["id"], period["next_plan"]) == ("premium", "basic")
    assert period["renewal"]["amount"] == "6.00"
    assert cents(shop, mine) == [600]
    month(shop)
    shop.deliver()
    assert shown(shop, bob)["plan"]["id"] == "basic"
    assert paid(shop) == [600, 3900]
    assert told(bob) == ["plan_started", "plan_renewed"]


def test_an_upgrade_after_a_downgrade_credits_what_was_paid(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob, "premium")
    post(shop, bob, "subscription/downgrade", plan="basic")
    assert post(shop, bob, "subscription/upgrade", plan="ultimate").status_code == 201
    assert 3900 <= paid(shop)[0] <= 4000  # 79 less 39, and not 79 less 6
    now = shown(shop, bob)
    assert (now["plan"]["id"], now["period"]["next_plan"]) == ("ultimate", None)
    assert cents(shop, mine) == [7900]


def test_a_cancelled_plan_lasts_its_period_and_can_be_resumed(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    assert post(shop, bob, "subscription/cancel").json()["period"]["cancel_at_period_end"]
    assert at_stripe(shop, mine).cancel_at_period_end
    resumed = post(shop, bob, "subscription/resume").json()["period"]
    assert not resumed["cancel_at_period_end"]
    post(shop, bob, "subscription/cancel")
    shop.deliver()
    assert shown(shop, bob)["plan"]["id"] == "basic"
    month(shop)
    shop.deliver()
    assert shown(shop, bob)["period"] is None
    assert (told(bob), paid(shop)) == (["plan_started", "plan_ended"], [600])
    bob.refresh_from_db()
    assert bob.key_cap == 5


def test_resume_undoes_all_that_was_arranged(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob, "premium")
    post(shop, bob, "addons", add_on="rate-limit-2x")
    post(shop, bob, "subscription/downgrade", plan="basic")
    shop.api(bob).delete("/api/addons/rate-limit-2x")
    assert cents(shop, mine) == [600]
    period = post(shop, bob, "subscription/resume").json()["period"]
    assert (period["next_plan"], period["add_on_ends"]) == (None, False)
    assert sorted(cents(shop, mine)) == [499, 3900]
    assert len(paid(shop)) == 2


# -- Add-ons -------------------------------------------------------------------------------------


def test_an_add_on_is_an_item_of_the_same_subscription(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    answer = post(shop, bob, "addons", add_on="rate-limit-2x")
    assert answer.status_code == 201, answer.content
    assert answer.json()["subscription"]["limits"]["rpm"] == 16
    assert cents(shop, mine) == [600, 499]
    assert error(post(shop, bob, "addons", add_on="rate-limit-2x")) == (409, "add_on_active")
    shop.deliver()
    assert told(bob) == ["plan_started", "add_on_started"]
    month(shop)
    shop.deliver()
    assert paid(shop)[0] == 1099


def test_a_smaller_add_on_is_billed_from_the_next_period_on(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    post(shop, bob, "addons", add_on="rate-limit-10x")
    for slug in ("rate-limit-5x", "rate-limit-2x"):
        answer = post(shop, bob, "addons", add_on=slug)
        assert (answer.status_code, answer.json()["paid"]) == (201, "0.00")
        assert answer.json()["subscription"]["limits"]["rpm"] == 80
        assert answer.json()["subscription"]["period"]["next_add_on"] == slug
    assert (cents(shop, mine), len(paid(shop))) == ([600, 499], 2)
    kept = post(shop, bob, "addons", add_on="rate-limit-10x").json()
    assert kept["subscription"]["period"]["next_add_on"] is None
    assert sorted(cents(shop, mine)) == [600, 1999]
    post(shop, bob, "addons", add_on="rate-limit-2x")
    month(shop)
    shop.deliver()
    assert (shown(shop, bob)["limits"]["rpm"], paid(shop)[0]) == (16, 1099)
    assert not Quarantine.objects.exists()


def test_an_add_on_that_is_removed_lasts_its_period_and_can_be_kept(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    post(shop, bob, "addons", add_on="rate-limit-2x")
    removed = shop.api(bob).delete("/api/addons/rate-limit-2x").json()
    assert (removed["limits"]["rpm"], removed["period"]["add_on_ends"]) == (16, True)
    assert cents(shop, mine) == [600]
    kept = post(shop, bob, "addons", add_on="rate-limit-2x").json()
    assert (kept["paid"], kept["subscription"]["period"]["add_on_ends"]) == ("0.00", False)
    assert sorted(cents(shop, mine)) == [499, 600]
    shop.api(bob).delete("/api/addons/rate-limit-2x")
    month(shop)
    shop.deliver()
    now = shown(shop, bob)
    assert (now["plan"]["id"], now["add_on"], now["limits"]["rpm"]) == ("basic", None, 8)


def test_an_add_on_alone_multiplies_the_default_plan(shop: Shop, bob: User) -> None:
    answer = post(shop, bob, "addons", add_on="rate-limit-5x", payment_method="stripe")
    pay(shop, bob, answer)
    shop.deliver()
    now = shown(shop, bob)
    assert (now["plan"]["id"], now["limits"]["rpm"]) == ("pay-as-you-go", 40)
    assert told(bob) == ["add_on_started"]
    answer = post(shop, bob, "subscription", plan="basic", payment_method="stripe")
    assert answer.status_code == 201, answer.content
    mine = terms.subscription_of(bob.pk)
    assert mine is not None and sorted(cents(shop, mine)) == [600, 999]
    removed = shop.api(bob).delete("/api/addons/rate-limit-5x").json()
    assert removed["period"]["add_on_ends"]


def test_removing_the_last_item_is_a_cancellation(shop: Shop, bob: User) -> None:
    pay(shop, bob, post(shop, bob, "addons", add_on="rate-limit-5x", payment_method="stripe"))
    shop.deliver()
    removed = shop.api(bob).delete("/api/addons/rate-limit-5x").json()
    assert removed["period"]["cancel_at_period_end"]
    assert error(shop.api(bob).delete("/api/addons/rate-limit-2x")) == (404, "not_found")


# -- Renewals ------------------------------------------------------------------------------------


def test_it_renews_every_month(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    for months in (1, 2):
        month(shop)
        shop.deliver()
        fresh = terms.subscription_of(bob.pk)
        assert fresh is not None and fresh.period_start > mine.period_start
        assert len(paid(shop)) == 1 + months
        mine = fresh
    assert told(bob) == ["plan_started", "plan_renewed", "plan_renewed"]


def refuse_renewal(shop: Shop, user: User, mine: Subscription) -> None:
    bad = shop.saved_card(user, "pm_card_chargeCustomerFail")
    shop.stripe.stripe.subscriptions.update(mine.stripe_id, {"default_payment_method": bad})
    month(shop)
    shop.deliver()


def test_a_renewal_that_fails_has_grace_and_then_ends(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob, "premium")
    refuse_renewal(shop, bob, mine)
    now = shown(shop, bob)
    assert (now["plan"]["id"], now["period"]["status"]) == ("premium", "past_due")
    mine.refresh_from_db()
    over = mine.period_end + periods.GRACE
    assert now["period"]["grace_until"] == over.isoformat().replace("+00:00", "Z")
    arrangements.catch_up(mine, now=over - timedelta(seconds=1))
    assert shown(shop, bob)["plan"]["id"] == "premium"
    assert error(post(shop, bob, "subscription/upgrade", plan="ultimate"))[1] == "renewal_unpaid"
    arrangements.catch_up(mine, now=over)
    assert shown(shop, bob)["period"] is None
    invoice = shop.stripe.stripe.invoices.list({"subscription": mine.stripe_id}).data[0]
    assert (at_stripe(shop, mine).status, invoice.status) == ("canceled", "void")
    shop.deliver()
    assert told(bob) == ["plan_started", "plan_renewal_failed", "plan_ended"]
    assert Notice.objects.get(kind="plan_ended").facts["reason"] == "unpaid"


def test_a_renewal_that_is_paid_in_grace_goes_on(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    refuse_renewal(shop, bob, mine)
    invoice = at_stripe(shop, mine).latest_invoice
    shop.stripe.stripe.invoices.pay(invoice, {"payment_method": shop.saved_card(bob)})
    shop.deliver()
    assert shown(shop, bob)["period"]["status"] == "active"
    assert told(bob) == ["plan_started", "plan_renewal_failed", "plan_renewed"]


def test_a_plan_that_is_cancelled_in_grace_ends_now(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    refuse_renewal(shop, bob, mine)
    assert post(shop, bob, "subscription/cancel").json()["period"] is None
    assert at_stripe(shop, mine).status == "canceled"


def test_beat_asks_about_periods_nobody_told_the_end_of(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    shop.knobs(drop=True)
    month(shop)
    shop.deliver()
    later = mine.period_end + timedelta(hours=3)
    assert [found.pk for found in arrangements.overdue(later)] == [mine.pk]
    arrangements.catch_up(mine, now=later)
    assert told(bob) == ["plan_started", "plan_renewed"]
    assert arrangements.overdue(later) == []


def test_the_plan_of_a_deleted_account_ends(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    tasks.renew_by_card()
    assert at_stripe(shop, mine).status == "canceled"


# -- Another way to pay --------------------------------------------------------------------------


def test_from_the_balance_to_a_card_with_the_next_period(shop: Shop, alice: User) -> None:
    post(shop, alice, "subscription", plan="basic")
    answer = post(shop, alice, "subscription/payment-method", payment_method="stripe")
    assert error(answer) == (400, "no_payment_method")
    shop.saved_card(alice)
    answer = post(shop, alice, "subscription/payment-method", payment_method="stripe")
    assert answer.json()["period"]["next_payment_method"] == "stripe"
    mine = terms.subscription_of(alice.pk)
    assert mine is not None
    ended = datetime.now(mine.period_end.tzinfo) - timedelta(minutes=1)
    Subscription.objects.filter(pk=mine.pk).update(
        period_start=ended - timedelta(days=30), period_end=ended
    )
    tasks.renew_by_card()
    period = shown(shop, alice)["period"]
    assert (period["payment_method"], period["next_payment_method"]) == ("stripe", "")
    assert (paid(shop), balance(alice)) == ([600], nanos("4"))
    shop.deliver()
    assert told(alice) == ["plan_started", "plan_renewed"]
    assert not Quarantine.objects.exists()


def test_a_card_that_refuses_the_handover_leaves_it_to_the_balance(
    shop: Shop, alice: User
) -> None:
    post(shop, alice, "subscription", plan="basic")
    shop.saved_card(alice, "pm_card_chargeCustomerFail")
    post(shop, alice, "subscription/payment-method", payment_method="stripe")
    ended = timezone.now() - timedelta(minutes=1)
    Subscription.objects.update(period_start=ended - timedelta(days=30), period_end=ended)
    tasks.renew_by_card()
    period = shown(shop, alice)["period"]
    assert (period["payment_method"], period["status"]) == ("balance", "past_due")
    assert told(alice) == ["plan_started", "plan_renewal_failed"]


def test_from_a_card_to_the_balance_with_the_next_period(shop: Shop, alice: User) -> None:
    mine = subscribed(shop, alice)
    answer = post(shop, alice, "subscription/payment-method", payment_method="balance")
    period = answer.json()["period"]
    assert (period["payment_method"], period["next_payment_method"]) == ("stripe", "balance")
    assert not period["cancel_at_period_end"]
    assert at_stripe(shop, mine).cancel_at_period_end
    month(shop)
    shop.deliver()
    assert shown(shop, alice)["period"]["payment_method"] == "balance"
    assert shown(shop, alice)["plan"]["id"] == "basic"
    assert told(alice) == ["plan_started"]


def test_the_way_to_pay_can_be_kept(shop: Shop, alice: User) -> None:
    mine = subscribed(shop, alice)
    same = post(shop, alice, "subscription/payment-method", payment_method="stripe")
    assert error(same) == (409, "same_payment_method")
    post(shop, alice, "subscription/payment-method", payment_method="balance")
    kept = post(shop, alice, "subscription/payment-method", payment_method="stripe")
    assert kept.json()["period"]["next_payment_method"] == ""
    assert not at_stripe(shop, mine).cancel_at_period_end


def test_an_unpaid_renewal_can_be_paid_from_the_balance_at_once(shop: Shop, alice: User) -> None:
    mine = subscribed(shop, alice)
    refuse_renewal(shop, alice, mine)
    ended = timezone.now() - timedelta(minutes=1)
    Subscription.objects.update(period_start=ended - timedelta(days=30), period_end=ended)
    answer = post(shop, alice, "subscription/payment-method", payment_method="balance")
    period = answer.json()["period"]
    assert (period["payment_method"], period["status"]) == ("balance", "active")
    assert balance(alice) == nanos("4")
    assert at_stripe(shop, mine).status == "canceled"


# -- Staff, and what does not fit ----------------------------------------------------------------


def test_staff_end_it_and_the_unused_time_is_credited_at_stripe(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    arrangements.end_now(bob.pk, now=timezone.now(), actor="staff@example.com")
    assert shown(shop, bob)["period"] is None
    customer = shop.stripe.stripe.customers.retrieve(at_stripe(shop, mine).customer)
    assert -600 <= customer.balance <= -590
    assert AuditEntry.objects.get().action == "end subscription"


def test_a_subscription_of_somebody_elses_customer_waits_for_staff(
    shop: Shop, alice: User, bob: User
) -> None:
    post(shop, bob, "subscription", plan="basic", payment_method="stripe")
    mine = Subscription.objects.get()
    price = StripePrice.objects.get().stripe_id
    from billing.stripe import customers

    shop.stripe.stripe.subscriptions.create(
        {
            "customer": customers.of(alice),
            "items": [{"price": price}],
            "default_payment_method": shop.saved_card(alice),
            "metadata": {"subscription": str(mine.pk)},
        }
    )
    shop.deliver()
    assert shown(shop, bob)["period"] is None
    assert shown(shop, alice)["period"] is None
    assert {found.problem for found in Quarantine.objects.all()} == {"account"}


def test_a_price_we_never_sold_waits_for_staff(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    item = at_stripe(shop, mine)["items"]["data"][0]
    cheap = shop.stripe.stripe.prices.create(
        {
            "currency": "usd",
            "unit_amount": 100,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Ultimate"},
        }
    )
    shop.stripe.stripe.subscriptions.update(
        mine.stripe_id, {"items": [{"id": item["id"], "price": cheap.id}]}
    )
    shop.deliver()
    assert shown(shop, bob)["plan"]["id"] == "basic"
    assert {found.problem for found in Quarantine.objects.all()} == {"price"}


def test_a_second_subscription_is_stopped_and_told_to_staff(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    again = shop.stripe.stripe.subscriptions.create(
        {
            "customer": at_stripe(shop, mine).customer,
            "items": [{"price": StripePrice.objects.get().stripe_id}],
            "default_payment_method": shop.saved_card(bob),
            "metadata": {"subscription": str(mine.pk)},
        }
    )
    shop.deliver()
    assert shop.stripe.stripe.subscriptions.retrieve(again.id).status == "canceled"
    assert {found.problem for found in Quarantine.objects.all()} == {"second_subscription"}
    assert shown(shop, bob)["plan"]["id"] == "basic"


def test_a_disputed_payment_of_a_plan_freezes_the_keys_until_it_is_won(
    shop: Shop, bob: User
) -> None:
    subscribed(shop, bob)
    (intent,) = shop.intents()
    dispute = shop.stripe.control("disputes", payment_intent=intent.id)["id"]
    shop.knobs(duplicate=3)
    shop.deliver()
    bob.refresh_from_db()
    assert (bob.frozen_reason, balance(bob)) == ("A payment on this account is disputed.", 0)
    shop.close_dispute(dispute, "won")
    shop.deliver()
    bob.refresh_from_db()
    assert bob.frozen_at is None
    assert told(bob) == ["plan_started", "dispute", "dispute_won"]


# -- However it is delivered ---------------------------------------------------------------------


@pytest.mark.parametrize("knobs", [{"duplicate": 5}, {"reorder": True}, {"delay": 3600}])
def test_however_webhooks_come_the_end_is_the_same(
    shop: Shop, bob: User, knobs: dict[str, Any]
) -> None:
    shop.knobs(**knobs)
    pay(shop, bob, post(shop, bob, "subscription", plan="basic", payment_method="stripe"))
    post_month = shop.stripe.advance
    post_month(seconds=7200)
    shop.deliver()
    post(shop, bob, "subscription/upgrade", plan="premium")
    post(shop, bob, "addons", add_on="rate-limit-2x")
    month(shop)
    shop.deliver()
    shop.knobs()
    post_month(seconds=7200)
    shop.deliver()
    now = shown(shop, bob)
    assert (now["plan"]["id"], now["limits"]["rpm"]) == ("premium", 40)
    assert told(bob) == ["plan_started", "plan_upgraded", "add_on_started", "plan_renewed"]
    assert len(paid(shop)) == 4


def test_what_was_read_before_something_newer_is_read_again(shop: Shop, bob: User) -> None:
    """A handler is overtaken between reading and writing."""
    mine = subscribed(shop, bob)
    real = stripe_api.subscription
    overtaken: list[Any] = []

    def overtake(id: str) -> Any:
        found = real(id)
        if not overtaken:
            overtaken.append(found)
            post(shop, bob, "subscription/cancel")
        return found

    with mock.patch("billing.stripe.stripe_api.subscription", overtake):
        entitlements.settle(mine.stripe_id)
    mine.refresh_from_db()
    assert mine.cancel_at_period_end


def test_all_who_hear_of_a_new_plan_at_once_agree(shop: Shop, bob: User, at_once: AtOnce) -> None:
    shop.knobs(drop=True)
    pay(shop, bob, post(shop, bob, "subscription", plan="basic", payment_method="stripe"))
    (found,) = shop.stripe.stripe.subscriptions.list().data
    at_once(lambda _: entitlements.settle(found.id), 16)
    assert shop.stripe.stripe.subscriptions.retrieve(found.id).status == "active"
    assert shown(shop, bob)["plan"]["id"] == "basic"
    assert told(bob) == ["plan_started"]
    assert not Quarantine.objects.exists()


def test_stripe_away_changes_nothing(shop: Shop, bob: User) -> None:
    subscribed(shop, bob)
    with mock.patch("billing.stripe.stripe_api._call", side_effect=Unanswered):
        assert post(shop, bob, "subscription/upgrade", plan="premium").status_code == 503
        assert post(shop, bob, "subscription/cancel").status_code == 503
    assert shown(shop, bob)["plan"]["id"] == "basic"
    assert not mail.outbox
    assert AddOn.objects.count() == 3
