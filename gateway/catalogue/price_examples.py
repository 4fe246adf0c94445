"""What things cost before they are bought: typical requests, and a month of them."""

from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.plans.models import AddOn, Plan
from billing.plans.price_list import Binding, Offer, binding, offers
from billing.plans.terms import limits
from gateway.catalogue.sold import Model
from gateway.dialects.ir import Usage

# What people compare models by: a turn of a chat, and a step of a coding agent, whose prompt is
# mostly the conversation so far, read from the vendor's cache.
TYPICAL = {
    "chat": Usage(input=1_000, output=500),
    "agent": Usage(input=2_000, cache_read=30_000, output=800),
}


class MonthForm(forms.Form):
    """A month of requests, for the calculator."""

    model = forms.ChoiceField(label=_("Model"))
    requests = forms.IntegerField(
        label=_("Requests per day"), min_value=1, max_value=1_000_000, initial=50
    )
    tokens_in = forms.IntegerField(
        label=_("Input tokens per request"), min_value=0, max_value=2_000_000, initial=4_000
    )
    tokens_out = forms.IntegerField(
        label=_("Output tokens per request"), min_value=0, max_value=200_000, initial=600
    )

    def __init__(self, *args: object, models: list[Model], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(model.id, f"{model.name}{model.life.ending}") for model in models]


@dataclass(frozen=True, slots=True)
class Month:
    """30 days of requests with one key, in nano-dollars. `offer` is the cheapest that allows them
    all, if one does; `total` is then what tokens and plan cost together. `short` are the cheaper
    plans, each with the window that is too small."""

    each: int
    tokens: int
    offer: Offer | None
    short: list[tuple[Plan, Binding]]

    @property
    def total(self) -> int:
        return self.tokens + (self.offer.price if self.offer else 0)


def month(model: Model, requests: int, tokens_in: int, tokens_out: int) -> Month:
    """What `requests` a day of this size cost in 30 days."""
    each = model.price.cost(Usage(input=tokens_in, output=tokens_out))
    plans = list(Plan.objects.filter(active=True))
    found = offers(plans, AddOn.objects.filter(active=True))
    fitting = next((one for one in found if binding(one.limits, requests) is None), None)
    short = [
        (plan, bound)
        for plan in sorted(plans, key=lambda plan: plan.price)
        if (bound := binding(limits(plan), requests))
        if fitting is None or plan.price <= fitting.price
    ]
    return Month(each, each * requests * 30, fitting, short)
