"""What is sold, seen as a whole: whether the price list makes sense."""

from itertools import product

from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan
from hontoni.money import dollars


def dominated() -> list[str]:
    """Every plan that a plan and an add-on beat: for less money, no rate limit is lower.

    Add-ons multiply neither the thinking budget nor the keys, so a plan may still be worth its
    price: this is for staff to know, and blocks nothing.
    """
    plans = Plan.objects.filter(active=True)
    offers = list(product(plans, AddOn.objects.filter(active=True)))
    return [
        f"{plan} + {add_on} (${dollars(quotes.price(plan, add_on))}) has every rate limit of "
        f"{dearer} (${dollars(dearer.price)}) or more."
        for dearer in plans
        for plan, add_on in offers
        if _beats(plan, add_on, dearer)
    ]


def _beats(plan: Plan, add_on: AddOn, dearer: Plan) -> bool:
    if plan == dearer or quotes.price(plan, add_on) >= dearer.price:
        return False
    offered, wanted = terms.limits(plan, add_on.multiplier), terms.limits(dearer)
    return all(getattr(offered, name) >= getattr(wanted, name) for name in Plan.LIMITS)
