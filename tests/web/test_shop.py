"""The billing pages as they are served: what they show, what their forms do, and what they refuse.

Cards are the simulator's; nothing here runs JavaScript.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.people import freezing
from accounts.sign_in import deletion
from billing.books import ledger
from billing.invoices.models import BillingDetails, Invoice
from billing.mails.models import Preferences
from billing.payments.models import AutoTopUp, TopUp
from billing.payments.reconcile import problems
from billing.plans import terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.plans.seed import seed
from billing.rewards import referrals
from billing.rewards.models import PromoCode, Redemption, Referral
from billing.stripe import customers
from billing.subscriptions import balance_changes
from billing.tasks import forget_deleted
from hontoni.money import nanos
from tests.confirmed import confirm
from tests.sandbox.stripe.conftest import World
from tests.web.test_pages import text
from tests.world import Person

PAGES = [
    *("/billing", "/billing/topup", "/billing/cards", "/billing/plans", "/billing/invoices"),
    *("/billing/promo", "/billing/referrals", "/billing/mails", "/billing/statements"),
    *("/billing/plans/change?plan=basic", "/billing/plans/change?add_on=rate-limit-2x"),
]

pytestmark = [
    pytest.mark.django_db(transaction=True),  # what is bought is committed
    pytest.mark.any_database,
]


@pytest.fixture(autouse=True)
def _books(transactional_db: None, settings: Settings) -> Iterator[None]:
    """Plans are seeded, nobody is given money for signing up; in the end the books balance."""
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "0"
    seed()
    yield
    assert problems() == []


def give(person: Person, dollars: str) -> None:
    ledger.post(
        key=f"given:{dollars}", kind="sandbox", user_id=person.user.pk, amount=nanos(dollars)
    )


def hidden(client: Client, url: str, form: int = 0) -> dict[str, str]:
    """The hidden fields of a form of a page, as a browser would send them."""
    page = text(client.get(url))
    main = page[page.index("<main") :]
    forms = re.findall(r'<form[^>]*method="post".*?</form>', main)
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', forms[form])
    return dict(fields)


def balance(person: Person) -> int:
    return ledger.balance(person.user.pk)


@pytest.mark.parametrize("path", PAGES)
def test_billing_is_its_owners(path: str, client: Client) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/login/?next=/billing")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_without_a_payment_provider(path: str, as_alice: Client) -> None:
    answer = as_alice.get(path)
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text(answer))


# -- Money in ------------------------------------------------------------------------------------


def test_a_top_up_leads_to_the_payment_page_and_back(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    form = hidden(as_alice, "/billing/topup") | {"amount": "25", "method": "checkout"}
    answer = as_alice.post("/billing/topup", form | {"save_card": "on"})
    assert answer["Location"].startswith(stripe.url)
    again = as_alice.post("/billing/topup", form | {"save_card": "on"})
    assert again["Location"] == answer["Location"]  # sent twice, ordered once
    assert TopUp.objects.count() == 1

    paid = stripe.browser.post(
        answer["Location"], data={"card": "pm_card_visa", "email": "alice@example.com"}
    )
    back = paid.headers["location"]
    assert "$25.00 is on your balance" in text(as_alice.get(back[back.index("/billing") :]))
    assert balance(alice) == nanos("25")
    assert "Visa •••• 4242" in text(as_alice.get("/billing/cards"))


def test_an_amount_is_chosen_with_a_click(
    as_alice: Client, stripe: World, settings: Settings
) -> None:
    settings.TOPUP_MAX = "60"
    page = text(as_alice.get("/billing/topup?back=/billing/plans/change?plan=basic"))
    chips = re.findall(r'href="\?([^"]+)"[^>]*data-amount="(\d+)"', page)
    assert [amount for _, amount in chips] == ["10", "25", "50"]
    chosen = text(as_alice.get("/billing/topup?" + chips[2][0].replace("&amp;", "&")))
    assert 'value="50"' in chosen and 'value="/billing/plans/change?plan=basic"' in chosen
    assert 'aria-current="true" data-amount="50"' in chosen


def test_who_leaves_the_payment_page_is_told_that_nothing_was_charged(client: Client) -> None:
    assert "Nothing was charged" in text(client.get("/billing/topup/done"))


@pytest.mark.parametrize(
    ("amount", "problem"), [("1", "greater than or"), ("x", "Enter a number")]
)
def test_an_amount_out_of_range_is_an_error_beside_it(
    as_alice: Client, stripe: World, amount: str, problem: str
) -> None:
    form = hidden(as_alice, "/billing/topup") | {"amount": amount, "method": "checkout"}
    page = text(as_alice.post("/billing/topup", form))
    assert f'value="{amount}"' in page
    assert problem in page[page.index('id="id_amount_error"') :]
    assert TopUp.objects.count() == 0


def saved(stripe: World, person: Person, card: str = "pm_card_visa") -> str:
    asked = {"customer": customers.of(person.user)}
    return str(stripe.stripe.payment_methods.attach(card, asked).id)


def test_a_saved_card_pays_at_once_and_once(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    card = saved(stripe, alice)
    form = hidden(as_alice, "/billing/topup") | {"amount": "10", "method": card}
    for _ in range(2):
        assert as_alice.post("/billing/topup", form)["Location"] == "/billing"
    assert balance(alice) == nanos("10")
    assert "$10.00 is on your balance." in text(as_alice.get("/billing"))


def test_a_declined_card_is_an_error_beside_it_and_another_try_is_another_order(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    bad = saved(stripe, alice, "pm_card_chargeCustomerFail")
    form = hidden(as_alice, "/billing/topup") | {"amount": "10", "method": bad}
    page = text(as_alice.post("/billing/topup", form))
    assert "The card was declined." in page[page.index('id="id_method_error"') :]
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once is not None and once[1] != form["once"]
    good = saved(stripe, alice)
    as_alice.post("/billing/topup", form | {"method": good, "once": once[1]})
    assert balance(alice) == nanos("10")


def test_a_bank_that_asks_sends_to_the_payment_page(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    card = saved(stripe, alice, "pm_card_authenticationRequired")
    form = hidden(as_alice, "/billing/topup") | {"amount": "10", "method": card}
    assert "Use the payment page" in text(as_alice.post("/billing/topup", form))
    assert balance(alice) == 0


def test_nobody_pays_with_anothers_card(
    as_alice: Client, alice: Person, bob: Person, stripe: World
) -> None:
    card = saved(stripe, bob)
    form = hidden(as_alice, "/billing/topup") | {"amount": "10", "method": card}
    assert "errorlist" in text(as_alice.post("/billing/topup", form))
    assert TopUp.objects.count() == 0
    as_alice.post(f"/billing/cards/{card}/remove")
    assert [each["id"] for each in customers.cards(bob.user.pk)] == [card]


def test_testing_stolen_cards_is_throttled(
    as_alice: Client, alice: Person, stripe: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.payments.card_throttles.OrdersByAccount.limit", 1)
    asked = {"amount": "10", "method": "checkout"}
    assert as_alice.post("/billing/topup", hidden(as_alice, "/billing/topup") | asked)["Location"]
    refused = as_alice.post("/billing/topup", hidden(as_alice, "/billing/topup") | asked)
    assert "Too many attempts" in text(refused)
    assert TopUp.objects.count() == 1


def test_the_payment_provider_failing_loses_nothing(
    as_alice: Client, alice: Person, stripe: World, settings: Settings
) -> None:
    saved(stripe, alice)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    assert as_alice.get("/billing").status_code == 200
    assert "does not answer" in text(as_alice.get("/billing/topup"))
    assert "does not answer" in text(as_alice.get("/billing/invoices"))
    assert "does not answer" in text(as_alice.get("/billing/invoices/in_123.pdf"))
    as_alice.post("/billing/portal")
    assert "does not answer" in text(as_alice.get("/billing/cards"))


# -- Cards, and automatic top-ups ----------------------------------------------------------------


def test_cards_are_chosen_and_removed(as_alice: Client, alice: Person, stripe: World) -> None:
    first, second = saved(stripe, alice), saved(stripe, alice, "pm_card_mastercard")
    as_alice.post(f"/billing/cards/{first}/default")
    assert customers.chosen_card(alice.user.pk) == first
    for _ in range(2):  # twice is once
        assert as_alice.post(f"/billing/cards/{first}/remove").status_code == 302
    assert [card["id"] for card in customers.cards(alice.user.pk)] == [second]


def test_the_portal_leads_away_and_back(as_alice: Client, alice: Person, stripe: World) -> None:
    answer = as_alice.post("/billing/portal")
    assert answer["Location"].startswith(stripe.url)
    assert "/billing/cards" in stripe.browser.get(answer["Location"]).text


AUTOMATIC = {"enabled": "on", "threshold": "2", "amount": "20", "monthly_cap": "60"}


def test_automatic_top_ups_are_switched_on_and_off(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    refused = text(as_alice.post("/billing/cards", AUTOMATIC))
    assert "Save a card first." in refused and 'value="60"' in refused
    saved(stripe, alice)
    assert as_alice.post("/billing/cards", AUTOMATIC).status_code == 302
    mine = AutoTopUp.objects.get()
    assert (mine.enabled, mine.threshold, mine.monthly_cap) == (True, nanos("2"), nanos("60"))
    assert "$20.00 below $2.00" in text(as_alice.get("/billing"))
    as_alice.post("/billing/cards", {**AUTOMATIC, "enabled": ""})
    assert not AutoTopUp.objects.get().enabled


def test_a_cap_below_one_top_up_is_an_error_beside_it(as_alice: Client, stripe: World) -> None:
    page = text(as_alice.post("/billing/cards", AUTOMATIC | {"monthly_cap": "19"}))
    assert "At least one top-up" in page[page.index('id="id_monthly_cap_error"') :]


def test_giving_up_after_three_failures_is_said(as_alice: Client, alice: Person) -> None:
    amounts = {"threshold": nanos("2"), "amount": nanos("20"), "monthly_cap": nanos("60")}
    AutoTopUp.objects.create(user=alice.user, failures=3, last_failure="card_declined", **amounts)
    assert "Switched off after 3 failures" in text(as_alice.get("/billing/cards"))
    assert "after 3 failures" in text(as_alice.get("/billing"))


# -- Plans and add-ons ---------------------------------------------------------------------------


def buy(client: Client, what: str, **changed: str) -> Any:
    """Look at the quote, then confirm it."""
    url = f"/billing/plans/change?{what}"
    return client.post(url, hidden(client, url) | {"pay_with": "balance"} | changed)


def test_a_plan_is_quoted_then_bought_once(as_alice: Client, alice: Person) -> None:
    give(alice, "20")
    url = "/billing/plans/change?plan=standard"
    page = text(as_alice.get(url))
    assert "Due now" in page and "Pay $13.00" in page
    form = hidden(as_alice, url) | {"pay_with": "balance"}
    for _ in range(2):
        assert as_alice.post(url, form)["Location"] == "/billing/plans"
    assert balance(alice) == nanos("7")
    assert terms.plan_of(alice.user.pk)[0].slug == "standard"
    assert Invoice.objects.count() == 1


def test_a_plan_beyond_the_balance_is_an_error_with_a_way_out(
    as_alice: Client, alice: Person
) -> None:
    page = text(as_alice.get("/billing/plans/change?plan=standard"))
    assert "That is not enough." in page and ">Pay $13.00<" not in page
    assert 'href="/billing/topup?amount=13.00&amp;back=' in page and "Add $13.00 first" in page
    refused = text(buy(as_alice, "plan=standard"))
    assert "Your balance is too low" in refused[refused.index('id="id_pay_with_error"') :]
    assert terms.subscription_of(alice.user.pk) is None


def test_an_upgrade_is_paid_with_a_saved_card_where_the_balance_is_short(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    give(alice, "4.50")
    card = saved(stripe, alice)
    url = "/billing/plans/change?plan=standard"
    found = re.search(r'href="(/billing/topup\?amount=8.50[^"]+)"', text(as_alice.get(url)))
    assert found is not None
    way = found[1].replace("&amp;", "&")
    assert 'value="8.50"' in text(as_alice.get(way))
    form = hidden(as_alice, way) | {"amount": "8.50", "method": card}
    assert as_alice.post("/billing/topup", form)["Location"] == url
    assert buy(as_alice, "plan=standard")["Location"] == "/billing/plans"
    assert balance(alice) == 0
    assert terms.plan_of(alice.user.pk)[0].slug == "standard"


def test_an_upgrade_is_one_click_with_a_saved_card(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    """Standard is paid from the balance, which is empty then: the card fills it up."""
    give(alice, "13")
    standard = Plan.objects.get(slug="standard")
    balance_changes.subscribe(alice.user.pk, standard, now=timezone.now())
    url, card = "/billing/plans/change?plan=premium", saved(stripe, alice)
    page = text(as_alice.get(url))
    assert "$26.00 is charged, and put on your balance first" in page
    form = hidden(as_alice, url) | {"pay_with": card}
    dearer = as_alice.post(url, form | {"first": "20.00"})
    assert "The price has changed" in text(dearer) and TopUp.objects.count() == 0
    for _ in range(2):  # sent twice, it charges once
        as_alice.post(url, form)
    (top_up,) = TopUp.objects.all()
    assert top_up.amount == nanos("26") and balance(alice) == 0
    assert terms.plan_of(alice.user.pk)[0].slug == "premium"


def test_a_card_that_fills_up_and_is_declined_buys_nothing(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    give(alice, "13")
    standard = Plan.objects.get(slug="standard")
    balance_changes.subscribe(alice.user.pk, standard, now=timezone.now())
    card = saved(stripe, alice, "pm_card_chargeCustomerFail")
    url = "/billing/plans/change?add_on=rate-limit-2x"
    page = text(as_alice.post(url, hidden(as_alice, url) | {"pay_with": card}))
    assert "declined" in page[page.index('id="id_pay_with_error"') :]
    assert balance(alice) == 0
    mine = terms.subscription_of(alice.user.pk)
    assert mine is not None and mine.add_on is None


def test_a_first_plan_is_one_click_with_a_saved_card(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    card = saved(stripe, alice)
    page = text(as_alice.get("/billing/plans/change?plan=basic"))
    chosen = re.search(r'<input[^>]*value="' + card + r'"[^>]*checked', page)
    assert chosen is not None and ">Pay $6.00<" in page


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/billing/plans", "/admin"]
)
def test_a_top_up_leads_back_to_our_own_plans_only(
    as_alice: Client, alice: Person, stripe: World, back: str
) -> None:
    form = hidden(as_alice, f"/billing/topup?amount=10&back={back}")
    form |= {"amount": "10", "method": saved(stripe, alice), "back": back}
    assert as_alice.post("/billing/topup", form)["Location"] == "/billing"


def subscribed(person: Person, slug: str = "standard", add_on: str = "") -> Subscription:
    give(person, "150")
    balance_changes.subscribe(person.user.pk, Plan.objects.get(slug=slug), now=timezone.now())
    if add_on:
        balance_changes.add(person.user.pk, AddOn.objects.get(slug=add_on), now=timezone.now())
    mine = terms.subscription_of(person.user.pk)
    assert mine is not None
    return mine


def test_an_upgrade_credits_what_is_unused(as_alice: Client, alice: Person) -> None:
    subscribed(alice)
    page = text(as_alice.get("/billing/plans/change?plan=premium"))
    assert "Unused time on Standard" in page and "Pay $26.00" in page
    assert buy(as_alice, "plan=premium").status_code == 302
    assert terms.plan_of(alice.user.pk)[0].slug == "premium"


def test_a_downgrade_waits_and_can_be_undone(as_alice: Client, alice: Person) -> None:
    subscribed(alice)
    assert "Nothing is due now." in text(as_alice.get("/billing/plans/change?plan=basic"))
    buy(as_alice, "plan=basic")
    page = text(as_alice.get("/billing/plans"))
    assert "Then it is Basic." in page and "from the next period on" in page
    as_alice.post("/billing/plans/resume")
    assert "Then it is Basic." not in text(as_alice.get("/billing/plans"))


def test_cancelling_says_until_when_and_can_be_undone(as_alice: Client, alice: Person) -> None:
    subscribed(alice)
    as_alice.post("/billing/plans/cancel")
    assert "nothing is charged any more" in text(as_alice.get("/billing/plans"))
    as_alice.post("/billing/plans/resume")
    mine = terms.subscription_of(alice.user.pk)
    assert mine is not None and not mine.cancel_at_period_end


def test_a_smaller_add_on_is_shown_to_begin_with_the_next_period(
    as_alice: Client, alice: Person
) -> None:
    subscribed(alice, add_on="rate-limit-10x")
    before, url = balance(alice), "/billing/plans/change?add_on=rate-limit-2x"
    page = text(as_alice.get(url))
    assert "Nothing is due now" in page and "then Rate Limit 2x begins" in page
    form = hidden(as_alice, url)
    assert form["action"] == "swap_later"
    assert as_alice.post(url, form).status_code == 302
    assert (terms.plan_of(alice.user.pk)[1], balance(alice)) == (10, before)
    page = text(as_alice.get("/billing/plans"))
    assert "Then it is Rate Limit 2x." in page and "from the next period on" in page
    assert "Keep it" in page


def test_a_trial_is_bought_on_the_page_in_one_click(as_alice: Client, alice: Person) -> None:
    confirm(alice.user)
    a_code(kind="trial", amount=0, plan=Plan.objects.get(slug="standard"), trial_days=14)
    as_alice.post("/billing/promo", {"code": "welcome", "redeem": "yes"})
    give(alice, "20")
    assert "Buy it" in text(as_alice.get("/billing/plans"))
    url = "/billing/plans/change?plan=standard"
    assert "Your trial ends now" in text(as_alice.get(url))
    assert as_alice.post(url, hidden(as_alice, url)).status_code == 302
    mine = terms.subscription_of(alice.user.pk)
    assert mine is not None
    assert (mine.cancel_at_period_end, mine.on_trial, balance(alice)) == (False, False, nanos("7"))


def test_another_plan_than_the_one_on_trial_is_paid_by_card(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    confirm(alice.user)
    a_code(kind="trial", amount=0, plan=Plan.objects.get(slug="standard"), trial_days=14)
    as_alice.post("/billing/promo", {"code": "welcome", "redeem": "yes"})
    card = saved(stripe, alice)
    assert "Or pay by card" in text(as_alice.get("/billing/plans/change?plan=premium"))
    url = "/billing/plans/change?plan=premium&by=card"
    page = text(as_alice.get(url))
    assert "Pay $39.00" in page and "Your trial ends now" in page and "Your balance" not in page
    form = hidden(as_alice, url)
    assert as_alice.post(url, form).status_code == 200  # with what, is not said
    assert as_alice.post(url, form | {"pay_with": card}).status_code == 302
    mine = terms.subscription_of(alice.user.pk)
    assert mine is not None and mine.plan.slug == "premium"
    assert (mine.payment_method, mine.on_trial, balance(alice)) == ("stripe", False, 0)
    assert [i.amount_received for i in stripe.stripe.payment_intents.list()] == [3900]


def test_a_frozen_account_is_told_why_it_can_pay_in_nothing(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    subscribed(alice)
    before = balance(alice)
    freezing.freeze(alice.user.pk, "Abuse.")
    assert "Your account is frozen: Abuse." in text(as_alice.get("/billing/plans"))
    refusal = "until that is settled nothing can be bought"
    form = hidden(as_alice, "/billing/topup") | {"amount": "25", "method": "checkout"}
    assert refusal in text(as_alice.post("/billing/topup", form))
    sandbox = {"amount": "25", "once": form["once"]}
    assert refusal in text(as_alice.post("/billing/sandbox", sandbox))
    assert refusal in text(as_alice.get("/billing/plans/change?plan=premium"))
    assert (TopUp.objects.count(), balance(alice)) == (0, before)


def test_an_add_on_is_taken_swapped_and_let_go(as_alice: Client, alice: Person) -> None:
    give(alice, "40")
    page = text(as_alice.get("/billing/plans/change?add_on=rate-limit-2x"))
    assert "Pay $4.99" in page
    buy(as_alice, "add_on=rate-limit-2x")
    assert terms.plan_of(alice.user.pk)[1] == 2
    assert "Unused time on Rate Limit 2x" in text(
        as_alice.get("/billing/plans/change?add_on=rate-limit-10x")
    )
    buy(as_alice, "add_on=rate-limit-10x")
    assert terms.plan_of(alice.user.pk)[1] == 10
    as_alice.post("/billing/add-ons/rate-limit-10x/end")
    assert "Keep it" in text(as_alice.get("/billing/plans"))
    buy(as_alice, "add_on=rate-limit-10x")
    mine = terms.subscription_of(alice.user.pk)
    assert mine is not None and not mine.add_on_ends


def test_what_became_dearer_is_shown_again_before_it_is_paid(
    as_alice: Client, alice: Person
) -> None:
    give(alice, "100")
    url = "/billing/plans/change?plan=standard"
    form = hidden(as_alice, url) | {"pay_with": "balance"}
    Plan.objects.filter(slug="standard").update(price=nanos("14"))
    page = text(as_alice.post(url, form))
    assert "The price has changed" in page and "Pay $14.00" in page
    assert balance(alice) == nanos("100")


def test_a_renewal_that_is_not_paid_says_until_when(as_alice: Client, alice: Person) -> None:
    mine = subscribed(alice)
    Subscription.objects.filter(pk=mine.pk).update(status=Subscription.Status.PAST_DUE)
    assert "is not paid. Add funds until" in text(as_alice.get("/billing/plans"))


def test_a_form_of_one_thing_buys_no_other(as_alice: Client, alice: Person) -> None:
    give(alice, "100")
    assert "does not fit" in text(buy(as_alice, "plan=standard", action="add"))
    assert balance(alice) == nanos("100")
    assert as_alice.get("/billing/plans/change?plan=nonsense").status_code == 404
    assert as_alice.get("/billing/plans/change?add_on=nonsense").status_code == 404


# -- Plans paid by card ---------------------------------------------------------------------------


def test_a_plan_is_paid_on_the_payment_page(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    answer = buy(as_alice, "plan=standard", pay_with="stripe")
    assert answer["Location"].startswith(stripe.url)
    assert terms.subscription_of(alice.user.pk) is None
    paid = stripe.browser.post(
        answer["Location"], data={"card": "pm_card_visa", "email": "alice@example.com"}
    )
    back = paid.headers["location"]
    assert "Standard is yours" in text(as_alice.get(back[back.index("/billing") :]))
    assert "Paid by card." in text(as_alice.get("/billing/plans"))
    assert balance(alice) == 0
    assert "Nothing was charged" in text(as_alice.get("/billing/plan/done"))


def test_a_plan_is_paid_with_a_saved_card_and_changed_by_the_same(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    card = saved(stripe, alice)
    assert card in text(as_alice.get("/billing/plans/change?plan=standard"))
    assert buy(as_alice, "plan=standard", pay_with=card)["Location"] == "/billing/plans"
    page = text(as_alice.get("/billing/plans/change?plan=premium"))
    assert "Charged to the card your plan is paid with." in page and "Pay $26.00" in page
    buy(as_alice, "plan=premium")
    assert terms.plan_of(alice.user.pk)[0].slug == "premium"
    as_alice.post("/billing/plans/cancel")
    assert "nothing is charged any more" in text(as_alice.get("/billing/plans"))
    as_alice.post("/billing/plans/resume")
    assert "Renews on" in text(as_alice.get("/billing/plans"))


def test_a_card_that_is_declined_buys_no_plan_and_another_may(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    bad = saved(stripe, alice, "pm_card_chargeCustomerFail")
    refused = text(buy(as_alice, "plan=standard", pay_with=bad))
    assert "The card was declined." in refused[refused.index('id="id_pay_with_error"') :]
    assert terms.subscription_of(alice.user.pk) is None
    buy(as_alice, "plan=standard", pay_with=saved(stripe, alice))
    assert terms.plan_of(alice.user.pk)[0].slug == "standard"


def test_the_next_period_is_paid_another_way(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    subscribed(alice)
    as_alice.post("/billing/plans/pay-by", {"method": "stripe"})
    assert "Save a card first." in text(as_alice.get("/billing/plans"))
    saved(stripe, alice)
    as_alice.post("/billing/plans/pay-by", {"method": "stripe"})
    assert "From the next period on it is paid by card." in text(as_alice.get("/billing/plans"))
    as_alice.post("/billing/plans/pay-by", {"method": "balance"})
    assert "From the next period" not in text(as_alice.get("/billing/plans"))
    assert as_alice.post("/billing/plans/pay-by", {"method": "cash"}).status_code == 404


# -- Invoices ------------------------------------------------------------------------------------


def test_invoices_are_listed_and_downloaded_by_their_owner(
    as_alice: Client, alice: Person, bob: Person, stripe: World
) -> None:
    subscribed(alice)
    invoice = Invoice.objects.get()
    assert invoice.number in text(as_alice.get("/billing/invoices"))
    link = as_alice.get(f"/billing/invoices/inv_{invoice.pk}.pdf")["Location"]
    assert as_alice.get(link).content.startswith(b"%PDF")
    somebody = Client()
    somebody.force_login(bob.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert somebody.get(f"/billing/invoices/inv_{invoice.pk}.pdf").status_code == 404
    assert invoice.number not in text(somebody.get("/billing/invoices"))


def test_an_invoice_is_shown_as_it_was_issued(
    as_alice: Client, alice: Person, settings: Settings, stripe: World
) -> None:
    settings.SELLER_TAX_RATE, settings.SELLER_TAX_ID = "10", "0312345678"
    details = {"name": "Alice Ltd", "address": "1 High St", "tax_id": "GB1", "country": "gb"}
    assert as_alice.post("/billing/invoices", details).status_code == 302
    by_saved_card(alice, stripe, "25")
    found = re.search(
        r'href="(/billing/invoices/inv_\d+)"', text(as_alice.get("/billing/invoices"))
    )
    assert found is not None
    page = text(as_alice.get(found[1]))
    for said in (
        "Alice Ltd",
        "GB1",
        "0312345678",
        "VAT 10 %",
        "$2.27",
        "$22.73",
        "$25.00",
        "4242",
    ):
        assert said in page
    assert as_alice.get("/billing/invoices/inv_0").status_code == 404


def by_saved_card(person: Person, stripe: World, amount: str) -> None:
    method = stripe.stripe.payment_methods.attach(
        "pm_card_visa", {"customer": customers.of(person.user)}
    )
    asked = {"amount": amount, "payment_method": method.id}
    answer = person.client().post("/api/billing/topup/intent", asked, format="json")
    assert answer.json()["state"] == "paid", answer.content


def test_a_top_up_by_card_has_its_invoice_here(
    as_alice: Client, alice: Person, stripe: World
) -> None:
    form = hidden(as_alice, "/billing/topup") | {"amount": "25", "method": "checkout"}
    page = as_alice.post("/billing/topup", form)["Location"]
    stripe.browser.post(page, data={"card": "pm_card_visa", "email": "alice@example.com"})
    found = re.search(
        r'href="(/billing/invoices/in_\w+\.pdf)"', text(as_alice.get("/billing/invoices"))
    )
    assert found is not None
    assert stripe.browser.get(as_alice.get(found[1])["Location"]).content.startswith(b"%PDF")


def test_the_next_invoice_is_made_out_as_wished(as_alice: Client, alice: Person) -> None:
    form = {"name": "Công ty Alice", "address": "1 Lê Lợi\n\nHuế; Việt Nam ", "tax_id": "0312"}
    assert as_alice.post("/billing/invoices", form).status_code == 302
    assert "1 Lê Lợi Huế" in text(as_alice.get("/billing/invoices"))  # lines, as they were typed
    subscribed(alice)
    buyer = Invoice.objects.get().buyer
    assert buyer["name"] == "Công ty Alice" and buyer["tax_id"] == "0312"
    assert buyer["address"] == "1 Lê Lợi; Huế; Việt Nam"
    refused = text(as_alice.post("/billing/invoices", form | {"tax_id": "1" * 51}))
    assert 'id="id_tax_id_error"' in refused and "Công ty Alice" in refused


def test_a_month_is_read_and_downloaded_by_following_links(
    as_alice: Client, alice: Person, bob: Person
) -> None:
    subscribed(alice)
    month = timezone.now().strftime("%Y-%m")
    assert 'href="/billing/statements"' in text(as_alice.get("/billing"))
    months = text(as_alice.get("/billing/statements"))
    found = re.findall(r'href="(/billing/statements/[^"]+)"', months)
    assert found == [f"/billing/statements/{month}{ending}" for ending in ("", ".pdf", ".csv")]
    page = text(as_alice.get(found[0]))
    for said in ("Opening balance", "$0.00", "$150.00", "−$13.00", "$137.00", "not over yet"):
        assert said in page
    assert Invoice.objects.get().number in page
    assert as_alice.get(found[1]).content.startswith(b"%PDF")
    rows = as_alice.get(found[2]).content.decode().splitlines()
    assert rows[-1] == "closing,,,,,,,137.00,137.00"
    somebody = Client()
    somebody.force_login(bob.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert [somebody.get(path).status_code for path in found] == [404, 404, 404]


def test_a_deleted_account_keeps_its_invoices_and_no_details(alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        BillingDetails.objects.create(user=person.user, name=person.user.name)
    subscribed(alice)
    deletion.delete(alice.user)
    assert forget_deleted() == 1
    assert BillingDetails.objects.get().user == bob.user
    assert Invoice.objects.get().buyer["name"] == "Alice"


# -- Codes ---------------------------------------------------------------------------------------


def a_code(**changed: Any) -> PromoCode:
    began = timezone.now() - timedelta(days=1)
    fields: dict[str, Any] = {"code": "WELCOME", "kind": "credit", "amount": nanos("5")}
    return PromoCode.objects.create(**fields | {"valid_from": began} | changed)


def test_a_promo_code_is_looked_at_then_redeemed(as_alice: Client, alice: Person) -> None:
    a_code()
    refused = text(as_alice.post("/billing/promo", {"code": " welcome "}))
    assert "Confirm your e-mail address first" in refused
    confirm(alice.user)
    page = text(as_alice.post("/billing/promo", {"code": " welcome "}))
    assert "$5.00 of credit." in page and "Redeem" in page
    assert balance(alice) == 0
    as_alice.post("/billing/promo", {"code": "welcome", "redeem": "yes"})
    assert balance(alice) == nanos("5")
    refused = text(as_alice.post("/billing/promo", {"code": "welcome", "redeem": "yes"}))
    assert "You have used this promo code." in refused
    assert balance(alice) == nanos("5")


def test_a_bonus_waits_for_the_top_up_and_says_so(as_alice: Client, alice: Person) -> None:
    a_code(kind="percent", amount=0, percent=20)
    confirm(alice.user)
    answer = as_alice.post("/billing/promo", {"code": "WELCOME", "redeem": "yes"})
    assert answer["Location"] == "/billing/topup"
    assert "The promo code WELCOME waits" in text(as_alice.get("/billing/topup"))
    form = hidden(as_alice, "/billing/topup") | {"amount": "10"}
    as_alice.post("/billing/sandbox", form)
    assert balance(alice) == nanos("12")
    assert Redemption.objects.get().granted == nanos("2")


def test_guessing_codes_is_throttled(as_alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.rewards.code_throttles.GuessesByAccount.limit", 2)
    pages = [text(as_alice.post("/billing/promo", {"code": f"GUESS{n}"})) for n in range(3)]
    assert "There is no such promo code." in pages[0]
    assert "Too many attempts" in pages[2]
    assert "Too many attempts" in text(as_alice.post("/billing/referrals", {"code": "GUESS"}))


def test_who_invited_is_accepted_once(as_alice: Client, alice: Person, bob: Person) -> None:
    code = referrals.code_of(bob.user.pk)
    assert referrals.code_of(alice.user.pk) in text(as_alice.get("/billing/referrals"))
    assert "There is no such code." in text(as_alice.post("/billing/referrals", {"code": "NO"}))
    refused = text(as_alice.post("/billing/referrals", {"code": code}))
    assert "Confirm your e-mail address first" in refused
    confirm(alice.user)
    assert as_alice.post("/billing/referrals", {"code": code}).status_code == 302
    assert Referral.objects.get().invitee == alice.user
    assert "Were you invited?" not in text(as_alice.get("/billing/referrals"))


def test_the_question_who_invited_ends_after_a_month(as_alice: Client, alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert "Were you invited?" not in text(as_alice.get("/billing/referrals"))


# -- Mails ---------------------------------------------------------------------------------------


def test_mails_are_switched_off_and_the_threshold_set(as_alice: Client, alice: Person) -> None:
    form = {"threshold": "7.50", "low_balance": "on", "window_100": "on"}
    assert as_alice.post("/billing/mails", form).status_code == 302
    mine = Preferences.objects.get(user=alice.user)
    assert mine.low_balance == nanos("7.50")
    assert "window_80" in mine.unwanted and "low_balance" not in mine.unwanted
    assert 'value="7.50"' in text(as_alice.get("/billing/mails"))
    assert "errorlist" in text(as_alice.post("/billing/mails", form | {"threshold": "-1"}))
