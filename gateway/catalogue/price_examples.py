"""What things cost before they are bought: typical requests, and a month of them."""

from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.plans.models import Plan
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
        label=_("Requests a day"), min_value=1, max_value=1_000_000, initial=50
    )
    tokens_in = forms.IntegerField(
        label=_("Tokens in"), min_value=0, max_value=2_000_000, initial=4_000
    )
    tokens_out = forms.IntegerField(
        label=_("Tokens out"), min_value=0, max_value=200_000, initial=600
    )

    def __init__(self, *args: object, models: list[Model], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(model.id, model.name) for model in models]


@dataclass(frozen=True, slots=True)
class Month:
    """30 days of requests, in nano-dollars. `plan` is the cheapest that allows them all, if one
    does; `total` is then what tokens and plan cost together."""

    each: int
    tokens: int
    plan: Plan | None

    @property
    def total(self) -> int:
        return self.tokens + (self.plan.price if self.plan else 0)


def month(model: Model, requests: int, tokens_in: int, tokens_out: int) -> Month:
    """What `requests` a day of this size cost in 30 days."""
    each = model.price.cost(Usage(input=tokens_in, output=tokens_out))
    fitting = Plan.objects.filter(
        active=True, daily__gte=requests, weekly__gte=requests * 7, monthly__gte=requests * 30
    )
    return Month(each, each * requests * 30, fitting.order_by("price", "sort_order").first())
