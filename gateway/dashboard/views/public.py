"""The pages everybody may see: what it is, the models and their prices, how they are doing."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from billing.plans.models import AddOn, Plan
from gateway.catalogue import clock, snapshot
from gateway.catalogue.price_examples import TYPICAL, MonthForm, month
from gateway.catalogue.sold import Model
from gateway.usage.status import report

VENDORS = {"anthropic": "Anthropic", "openai": "OpenAI", "google": "Google"}
ABILITIES = {
    "reasoning": _("reasoning"),
    "tools": _("tools"),
    "vision": _("vision"),
    "code": _("code"),
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What it is, a first request with the visitor's own base URL, prices, and a calculator."""
    models = list(snapshot.load().listed.values())
    # Opened without a question, the calculator shows its own example.
    form = MonthForm(request.GET if "model" in request.GET else None, models=models)
    fields = form.cleaned_data if form.is_bound and form.is_valid() else None
    if fields is None and not form.is_bound and models:
        fields = {"model": models[0].id} | {
            name: field.initial for name, field in form.fields.items() if field.initial
        }
    chosen = next((model for model in models if fields and model.id == fields["model"]), None)
    context = {
        "rows": [_row(model) for model in models],
        "form": form,
        "month": month(chosen, *_numbers(fields)) if chosen and fields else None,
        "plans": Plan.objects.filter(active=True),
        "add_ons": AddOn.objects.filter(active=True),
        "key": "sk-gw-…",
    }
    return render(request, "gateway/home.html", context)


def _numbers(fields: dict[str, Any]) -> tuple[int, int, int]:
    return fields["requests"], fields["tokens_in"], fields["tokens_out"]


def _row(model: Model) -> dict[str, Any]:
    return {
        "model": model,
        "vendor": VENDORS.get(model.vendor, model.vendor),
        "context": model.context_window // 1000,
        "rates": model.price.rates,
        "coming": [(clock.moment(price.since), price.rates) for price in model.coming],
        "abilities": [ABILITIES.get(name, name) for name in model.capabilities],
        **{name: model.price.cost(usage) for name, usage in TYPICAL.items()},
    }


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Every model: filter by vendor and ability, or compare a few side by side."""
    found = list(snapshot.load().listed.values())
    vendor, ability = request.GET.get("vendor", ""), request.GET.get("ability", "")
    chosen = request.GET.getlist("compare")
    if vendor:
        found = [model for model in found if model.vendor == vendor]
    if ability:
        found = [model for model in found if ability in model.capabilities]
    if chosen:
        found = [model for model in found if model.id in chosen]
    context = {
        "rows": [_row(model) for model in found],
        "vendors": VENDORS,
        "abilities": ABILITIES,
        "vendor": vendor,
        "ability": ability,
        "compared": chosen,
    }
    return render(request, "gateway/models.html", context)


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Per model: the success rate and the time to the first token, over a day and a week."""
    health = report(timezone.now())
    rows = [
        {"model": model, "vendor": VENDORS.get(model.vendor, model.vendor), **health.get(name, {})}
        for name, model in snapshot.load().listed.items()
    ]
    return render(request, "gateway/status.html", {"rows": rows})
