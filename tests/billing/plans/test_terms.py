from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from billing.books import ledger
from billing.plans import terms
from billing.plans.models import AddOn, Plan, Subscription
from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys
from ratelimits.limiter import Limits
from tests.billing.conftest import committed

STANDARD = Limits(rpm=12, five_hours=45, daily=250, weekly=275, monthly=1_100, concurrent=2)


def subscribe(user: User, plan: str, add_on: str = "", status: str = "active") -> Subscription:
    return Subscription.objects.create(
        user=user,
        plan=Plan.objects.get(slug=plan),
        add_on=AddOn.objects.get(slug=add_on) if add_on else None,
        status=status,
        period_start=datetime(2026, 11, 1, tzinfo=UTC),
        period_end=datetime(2026, 12, 1, tzinfo=UTC),
    )


def announced(user: User) -> int:
    """The version of the terms that gateways must have."""
    return int(redis.sync().hget(keys.account(user.pk), "terms") or 0)


def test_without_a_subscription_the_default_plan_holds(alice: User) -> None:
    mine = terms.terms(alice.pk)
    assert (mine.plan, mine.plan_name) == ("pay-as-you-go", "Pay as you go")
    assert mine.limits == Limits(8, 20, 50, 60, 240, 1)
    assert (mine.thinking_budget, mine.subject, mine.key_cap) == (8_000, "key", 5)
    assert (mine.credits_total, mine.credits_version, mine.settled_total) == (nanos("10"), 1, 0)


@pytest.mark.parametrize("status", ["active", "past_due"])
def test_a_live_subscription_holds(alice: User, status: str) -> None:
    subscribe(alice, "standard", status=status)
    mine = terms.terms(alice.pk)
    assert (mine.plan, mine.limits, mine.multiplier) == ("standard", STANDARD, 1)


@pytest.mark.parametrize("status", ["incomplete", "ended"])
def test_a_subscription_that_is_not_live_does_not(alice: User, status: str) -> None:
    subscribe(alice, "ultimate", "rate-limit-10x", status=status)
    mine = terms.terms(alice.pk)
    assert (mine.plan, mine.multiplier) == ("pay-as-you-go", 1)


def test_an_add_on_multiplies_every_limit_and_never_the_thinking_budget(alice: User) -> None:
    subscribe(alice, "standard", "rate-limit-5x")
    mine = terms.terms(alice.pk)
    assert mine.limits == Limits(60, 225, 1_250, 1_375, 5_500, 10)
    assert (mine.thinking_budget, mine.multiplier, mine.key_cap) == (16_000, 5, 10)


def test_the_default_plan_takes_an_add_on_too(alice: User) -> None:
    subscribe(alice, "pay-as-you-go", "rate-limit-2x")
    assert terms.terms(alice.pk).limits == Limits(16, 40, 100, 120, 480, 2)


def test_somebody_elses_subscription_does_not_matter(alice: User, bob: User) -> None:
    subscribe(bob, "ultimate", "rate-limit-10x")
    mine = terms.terms(alice.pk)
    assert (mine.plan, mine.multiplier) == ("pay-as-you-go", 1)


def test_terms_cost_two_queries(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    subscribe(alice, "standard", "rate-limit-5x")
    with django_assert_num_queries(2):
        terms.terms(alice.pk)


def test_terms_open_the_wallet(bob: User) -> None:
    assert terms.terms(bob.pk).credits_total == 0
    assert ledger.wallet(bob.pk)


def test_a_house_without_a_default_plan_says_so(bob: User) -> None:
    Plan.objects.all().delete()
    with pytest.raises(ImproperlyConfigured):
        terms.terms(bob.pk)


def test_one_live_subscription_a_user(alice: User) -> None:
    subscribe(alice, "basic", status="ended")
    subscribe(alice, "basic", status="past_due")
    with pytest.raises(IntegrityError), transaction.atomic():
        subscribe(alice, "standard")


# -- Taking effect -------------------------------------------------------------------------------


@committed
def test_a_new_plan_takes_effect_for_its_subscriber(alice: User, bob: User) -> None:
    with transaction.atomic():
        subscribe(alice, "premium")
        terms.apply(alice.pk)
        assert announced(alice) == 0
    alice.refresh_from_db()
    assert alice.key_cap == 20
    assert announced(alice) == alice.terms_version == 2
    assert announced(bob) == 0


@committed
def test_an_edited_plan_takes_effect_for_everybody_on_it(alice: User, bob: User) -> None:
    subscribe(alice, "standard")
    subscribe(bob, "standard", status="ended")
    standard = Plan.objects.get(slug="standard")
    standard.key_cap = 3
    standard.save()
    terms.apply_plan(standard)
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.key_cap, bob.key_cap) == (3, 5)
    assert (announced(alice), announced(bob)) == (2, 0)


@committed
def test_an_edited_default_takes_effect_for_everybody_without_a_plan(
    alice: User, bob: User
) -> None:
    subscribe(alice, "standard")
    default = Plan.objects.get(is_default=True)
    default.key_cap = 2
    default.save()
    terms.apply_plan(default)
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.key_cap, bob.key_cap) == (5, 2)
    assert (announced(alice), announced(bob)) == (0, 2)


@committed
def test_an_edited_plan_takes_effect_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "_BATCH", 2)
    users = [User.objects.create_user(f"user{n}@example.com") for n in range(5)]
    terms.apply_plan(Plan.objects.get(is_default=True))
    assert [announced(user) for user in users] == [2] * 5


@committed
def test_an_edited_add_on_takes_effect_for_everybody_who_has_it(alice: User, bob: User) -> None:
    subscribe(alice, "standard", "rate-limit-2x")
    subscribe(bob, "standard")
    terms.apply_add_on(AddOn.objects.get(slug="rate-limit-2x"))
    assert (announced(alice), announced(bob)) == (2, 0)
