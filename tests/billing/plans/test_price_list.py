from billing.plans.models import AddOn, Plan
from billing.plans.price_list import dominated
from hontoni.money import nanos


def test_the_published_prices_have_dominated_plans() -> None:
    assert (
        "Standard + Rate Limit 5x ($22.99) has every rate limit of Premium ($39.00) or more."
        in (dominated())
    )
    assert not any(
        "Basic + Rate Limit 10x" in found for found in dominated() if "Premium" in found
    )


def test_a_price_that_is_no_lower_dominates_nothing() -> None:
    AddOn.objects.update(price=nanos("100"))
    assert dominated() == []


def test_what_is_not_sold_dominates_nothing() -> None:
    Plan.objects.exclude(slug="premium").filter(is_default=False).update(active=False)
    AddOn.objects.filter(multiplier=10).update(active=False)
    assert dominated() == []
