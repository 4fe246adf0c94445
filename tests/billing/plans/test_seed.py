from django.db import IntegrityError, transaction
from pytest import raises

from billing.plans import terms
from billing.plans.models import AddOn, Plan
from billing.plans.seed import seed
from hontoni.money import dollars


def test_the_plans_are_the_ones_of_the_documentation() -> None:
    rows = {
        plan.name: (
            dollars(plan.price),
            [getattr(plan, limit) for limit in Plan.LIMITS],
            plan.thinking_budget,
        )
        for plan in Plan.objects.exclude(is_default=True)
    }
    assert rows == {
        "Basic": ("6.00", [8, 20, 100, 120, 480, 1], 8_000),
        "Standard": ("13.00", [12, 45, 250, 275, 1_100, 2], 16_000),
        "Premium": ("39.00", [20, 200, 1_000, 1_250, 5_000, 2], 32_000),
        "Ultimate": ("79.00", [40, 800, 3_000, 5_000, 20_000, 4], 64_000),
    }
    assert {plan.subject for plan in Plan.objects.all()} == {"key"}


def test_without_a_plan_one_pays_as_one_goes_within_half_of_basics_days() -> None:
    default, basic = Plan.objects.get(is_default=True), Plan.objects.get(slug="basic")
    assert default.price == 0
    for limit in ("rpm", "five_hours", "concurrent", "thinking_budget", "key_cap"):
        assert getattr(default, limit) == getattr(basic, limit)
    for limit in ("daily", "weekly", "monthly"):
        assert getattr(default, limit) * 2 == getattr(basic, limit)


def test_the_add_ons_are_the_ones_of_the_documentation() -> None:
    rows = [(a.name, dollars(a.price), a.multiplier) for a in AddOn.objects.all()]
    assert rows == [
        ("Rate Limit 2x", "4.99", 2),
        ("Rate Limit 5x", "9.99", 5),
        ("Rate Limit 10x", "19.99", 10),
    ]


def test_seeding_again_restores_what_is_missing_and_leaves_what_staff_edited() -> None:
    Plan.objects.filter(slug="basic").update(rpm=9, price=7)
    Plan.objects.filter(slug="premium").delete()
    AddOn.objects.filter(slug="rate-limit-2x").update(active=False)
    AddOn.objects.filter(slug="rate-limit-5x").delete()
    seed()
    basic = Plan.objects.get(slug="basic")
    assert (basic.rpm, basic.price) == (9, 7)
    assert Plan.objects.count() == 5
    assert not AddOn.objects.get(slug="rate-limit-2x").active
    assert AddOn.objects.count() == 3


def test_seeding_again_keeps_the_default_staff_chose() -> None:
    terms.make_default(Plan.objects.get(slug="basic"))
    Plan.objects.filter(slug="pay-as-you-go").delete()
    seed()
    assert Plan.objects.get(is_default=True).slug == "basic"
    assert not Plan.objects.get(slug="pay-as-you-go").is_default


def test_there_are_never_two_defaults() -> None:
    with raises(IntegrityError), transaction.atomic():
        Plan.objects.filter(slug="basic").update(is_default=True)
    terms.make_default(Plan.objects.get(slug="basic"))
    assert [plan.slug for plan in Plan.objects.filter(is_default=True)] == ["basic"]


def test_the_default_is_always_on_sale() -> None:
    with raises(IntegrityError), transaction.atomic():
        Plan.objects.filter(is_default=True).update(active=False)
