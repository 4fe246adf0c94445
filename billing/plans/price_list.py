"""What is sold, seen as a whole: whether the price list makes sense, and what suits whom."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from django.utils.translation import gettext

from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan
from hontoni.money import dollars
from ratelimits.limiter import Limits

_DAYS = {"daily": 1, "weekly": 7, "monthly": 30}


@dataclass(frozen=True)
class Offer:
    """A plan on sale, alone or with an add-on."""

    plan: Plan
    add_on: AddOn | None = None

    def __str__(self) -> str:
        return f"{self.plan} + {self.add_on}" if self.add_on else str(self.plan)

    @cached_property
    def price(self) -> int:
        """Nano-dollars a month."""
        return quotes.price(self.plan, self.add_on)

    @cached_property
    def limits(self) -> Limits:
        return terms.limits(self.plan, self.add_on.multiplier if self.add_on else 1)

    def covers(self, wanted: Limits) -> bool:
        """Whether no rate limit is lower."""
        return all(getattr(self.limits, name) >= getattr(wanted, name) for name in Plan.LIMITS)


class Binding(NamedTuple):
    """The window that is too small for so many requests every day, and how many it allows."""

    window: str
    wanted: int
    allowed: int


def offers(plans: Iterable[Plan], add_ons: Iterable[AddOn]) -> list[Offer]:
    """Everything that can be had, the cheapest first."""
    plans = list(plans)
    found = [*map(Offer, plans), *(Offer(*each) for each in product(plans, add_ons))]
    return sorted(found, key=lambda offer: (offer.price, offer.plan.sort_order))


def binding(limits: Limits, a_day: int) -> Binding | None:
    """The window that so many requests every day use up first; None if there is room for them."""
    short = [
        Binding(name, a_day * days, allowed)
        for name, days in _DAYS.items()
        if (allowed := getattr(limits, name)) < a_day * days
    ]
    return min(short, key=lambda each: each.allowed / each.wanted, default=None)


def every_day(limits: Limits) -> tuple[int, str]:
    """How many requests a day a key may send on and on, and the window that says so."""
    room = {name: getattr(limits, name) // days for name, days in _DAYS.items()}
    window = min(room, key=lambda name: room[name])
    return room[window], window


def rival(plan: Plan, found: Iterable[Offer]) -> Offer | None:
    """The cheapest other way to every rate limit of a plan: another plan with an add-on."""
    wanted = terms.limits(plan)
    return next(
        (
            each
            for each in found
            if each.add_on and each.plan.pk != plan.pk and each.plan.subject == plan.subject
            if each.covers(wanted)
        ),
        None,
    )


def dominated() -> list[str]:
    """Every plan that a plan and an add-on beat: for less money, no rate limit is lower.

    Add-ons multiply neither the thinking budget nor the keys, so a plan may still be worth its
    price: this is for staff to know, and blocks nothing.
    """
    plans = list(Plan.objects.filter(active=True))
    found = [offer for offer in offers(plans, AddOn.objects.filter(active=True)) if offer.add_on]
    return [
        gettext("%(offer)s has every rate limit of %(dearer)s or more.")
        % {
            "offer": f"{offer} (${dollars(offer.price)})",
            "dearer": f"{dearer} (${dollars(dearer.price)})",
        }
        for dearer in plans
        for offer in found
        if offer.plan.pk != dearer.pk and offer.price < dearer.price
        if offer.covers(terms.limits(dearer))
    ]
