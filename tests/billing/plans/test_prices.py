"""A price that rises is announced first; one that falls binds at once."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.people import freezing
from billing import tasks
from billing.mails.models import Notice
from billing.plans import prices, terms
from billing.plans.models import AddOn, Plan, PriceNotice, Subscription
from billing.subscriptions import balance_changes, renewals
from hontoni.money import nanos
from tests.billing.conftest import client
from tests.billing.subscriptions.test_renewals import (
    END,
    START,
    add_on,
    balance,
    fund,
    plan,
    subscribed,
    told,
)

DAY = timedelta(days=1)


def price(slug: str, amount: str) -> None:
    model = AddOn if slug.startswith("rate") else Plan
    model.objects.filter(slug=slug).update(price=nanos(amount))


def renewed(user: User) -> str:
    """Renew at the end of its period; what is left on the balance."""
    mine = terms.subscription_of(user.pk)
    assert mine is not None
    renewals.renew(user.pk, now=mine.period_end)
    return balance(user)


@pytest.mark.parametrize(("told_after", "costs"), [(0, "7"), (1, "6"), (29, "6"), (None, "6")])
def test_a_rise_binds_the_first_renewal_after_its_notice(
    alice: User, told_after: int | None, costs: str
) -> None:
    fund(alice, "40")
    subscribed(alice)
    price("basic", "7")
    if told_after is not None:
        assert prices.announce(START + told_after * DAY) == 1
    before = 44
    assert renewed(alice) == f"{before - int(costs)}.00"
    if told_after is not None:
        assert renewed(alice) == f"{before - int(costs) - 7}.00"
    else:
        assert renewed(alice) == f"{before - 12}.00"


def test_whoever_is_told_hears_of_it_once_and_by_mail(alice: User, settings: Settings) -> None:
    subscribed(alice)
    price("basic", "7")
    settings.PRICE_NOTICE_DAYS = 14
    assert (prices.announce(START + DAY), prices.announce(START + 2 * DAY)) == (1, 0)
    facts = Notice.objects.get(kind="price_rises").facts
    assert facts == {"sold": "Basic", "old": "6.00", "new": "7.00", "from_at": END.isoformat()}
    tasks.send_due_mails()
    for pk in Notice.objects.values_list("pk", flat=True):
        tasks.send_mail(pk)
    (sent,) = [found for found in mail.outbox if "rises" in found.subject]
    assert "$7.00 a month instead of $6.00" in sent.body and "22 December 2026" in sent.body


def test_the_page_and_the_api_show_the_price_that_will_be_charged(alice: User) -> None:
    mine = subscribed(alice)
    price("basic", "7")
    assert prices.next_price(mine, plan("basic")) == nanos("6")
    shown = client(alice).get("/api/subscription").json()["period"]["renewal"]
    assert shown["amount"] == "6.00"
    prices.announce(START)
    shown = client(alice).get("/api/subscription").json()["period"]["renewal"]
    assert shown["amount"] == "7.00"
    renewals.announce(END - DAY)
    assert Notice.objects.get(kind="plan_renewal_soon").facts["amount"] == "7.00"


def test_of_two_rises_each_binds_at_its_own_time(alice: User) -> None:
    fund(alice, "40")
    subscribed(alice)
    price("basic", "7")
    prices.announce(START)
    price("basic", "9")
    prices.announce(START + 10 * DAY)
    assert [renewed(alice), renewed(alice)] == ["37.00", "28.00"]


def test_a_rise_that_is_taken_back_binds_nobody(alice: User) -> None:
    fund(alice, "40")
    subscribed(alice)
    price("basic", "9")
    prices.announce(START)
    price("basic", "5")
    prices.announce(START + DAY)
    price("basic", "8")
    prices.announce(START + 2 * DAY)
    assert [renewed(alice), renewed(alice)] == ["38.00", "30.00"]


def test_an_add_on_is_announced_like_a_plan(alice: User) -> None:
    fund(alice, "40")
    subscribed(alice)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    price("rate-limit-2x", "6.99")
    prices.announce(START + 5 * DAY)
    assert renewed(alice) == "28.02"
    assert renewed(alice) == "15.03"


def test_what_waits_for_its_period_costs_what_was_shown(alice: User) -> None:
    fund(alice, "60")
    subscribed(alice, "premium")
    balance_changes.add(alice.pk, add_on("rate-limit-10x"), now=START)
    balance_changes.downgrade(alice.pk, plan("standard"), now=START)
    balance_changes.add(alice.pk, add_on("rate-limit-2x"), now=START)
    for slug, amount in (("standard", "20"), ("rate-limit-2x", "8")):
        price(slug, amount)
    assert prices.announce(START + DAY) == 2
    fund(alice, "30")
    assert renewed(alice) == "23.02"  # 13 and 4.99
    assert told(alice).count("price_rises") == 2


def test_who_buys_now_pays_the_new_price_and_is_told_nothing(alice: User) -> None:
    fund(alice, "10")
    price("basic", "7")
    subscribed(alice)
    assert (prices.announce(START), balance(alice)) == (0, "13.00")
    assert renewed(alice) == "6.00"


def test_a_frozen_account_is_told_when_it_is_thawed(alice: User) -> None:
    subscribed(alice)
    price("basic", "7")
    freezing.freeze(alice.pk, "Abuse.")
    assert prices.announce(START) == 0
    freezing.unfreeze(alice.pk)
    assert prices.announce(START + 9 * DAY) == 1
    assert PriceNotice.objects.get().binds_at == START + 39 * DAY


def test_what_ends_is_told_nothing(alice: User) -> None:
    subscribed(alice)
    balance_changes.cancel(alice.pk, now=START)
    price("basic", "7")
    assert prices.announce(START) == 0


def test_staff_see_whom_a_price_binds(alice: User) -> None:
    subscribed(alice)
    price("basic", "7")
    shown = prices.binding(plan("basic"))
    assert "1 who paid less" in shown and "0 are: soon" in shown
    now = timezone.now()
    Subscription.objects.update(period_start=now, period_end=now + 30 * DAY)
    tasks.announce_prices()
    assert f"1 are: between {now + 30 * DAY:%Y-%m-%d}" in prices.binding(plan("basic"))
