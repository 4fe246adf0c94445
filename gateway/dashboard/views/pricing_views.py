"""What it costs: the plans side by side, the add-ons, and a month computed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_safe

from billing.plans import price_list
from billing.plans.models import AddOn, Plan
from billing.plans.terms import limits
from gateway.catalogue import snapshot
from gateway.catalogue.price_examples import MonthForm, month

WINDOWS = {
    "daily": pgettext_lazy("limit", "daily"),
    "weekly": pgettext_lazy("limit", "weekly"),
    "monthly": pgettext_lazy("limit", "30-day"),
}


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """Plans, add-ons, and the calculator."""
    return render(request, "gateway/pricing.html", {**on_sale(), **_calculator(request)})


def on_sale() -> dict[str, Any]:
    """Every plan with what it is for, and the add-ons."""
    plans, add_ons = (
        list(Plan.objects.filter(active=True)),
        list(AddOn.objects.filter(active=True)),
    )
    found = price_list.offers(plans, add_ons)
    return {"offers": [_offer(plan, plans, found) for plan in plans], "add_ons": add_ons}


def _offer(plan: Plan, plans: list[Plan], found: list[price_list.Offer]) -> dict[str, Any]:
    a_day, window = price_list.every_day(limits(plan))
    below = [other for other in plans if other.price < plan.price]
    return {
        "plan": plan,
        "a_day": a_day,
        "window": WINDOWS[window],
        "compared": price_list.compared(plan, found) if plan.price else None,
        "together": plan.key_cap * a_day if plan.subject == Plan.Subject.KEY else a_day,
        # What no add-on multiplies, where the plan has more of it than any cheaper one.
        "thinks_more": plan.thinking_budget > max((p.thinking_budget for p in below), default=0),
        "more_keys": plan.key_cap > max((p.key_cap for p in below), default=0),
        "per_key": plan.subject == Plan.Subject.KEY,
    }


def _calculator(request: HttpRequest) -> dict[str, Any]:
    """A month of the visitor's own numbers; opened without any, of the form's example."""
    models = [model for model in snapshot.load().listed.values() if model.chats]
    form = MonthForm(request.GET if "model" in request.GET else None, models=models)
    fields = form.cleaned_data if form.is_bound and form.is_valid() else None
    if fields is None and not form.is_bound and models:
        fields = {"model": models[0].id} | {
            name: field.initial for name, field in form.fields.items() if field.initial
        }
    chosen = next((model for model in models if fields and model.id == fields["model"]), None)
    if not (chosen and fields):
        return {"form": form, "month": None}
    found = month(chosen, fields["requests"], fields["tokens_in"], fields["tokens_out"])
    short = [(plan, WINDOWS[bound.window], bound) for plan, bound in found.short]
    return {"form": form, "month": found, "short": short}
