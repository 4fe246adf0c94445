"""The pages everybody may see: what it is, the models and their prices, how they are doing."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from gateway.catalogue import capabilities, clock, snapshot
from gateway.catalogue.features.models import Kind
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.price_examples import TYPICAL
from gateway.catalogue.sold import Model
from gateway.dashboard.logged import VENDORS
from gateway.dashboard.views.documentation_views import example_key
from gateway.dashboard.views.pricing_views import on_sale
from gateway.usage.status import overall, report
from hontoni.money import per_million

_CHAT = "chat"
# Where models are asked: those that answer prompts, and what each of the others is for.
_ADDRESSES = {
    _CHAT: "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
    "moderation": "/v1/moderations",
    "images": "/v1/images/generations",
    "transcription": "/v1/audio/transcriptions",
    "speech": "/v1/audio/speech",
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What it is in one screen, whom it is for, what it costs, and why a bill can be proved."""
    models = [model for model in snapshot.load().listed.values() if model.chats]
    context = {
        **on_sale(),
        "models": models,
        "sample": _sample(models[0]) if models else None,
        "health": overall(timezone.now()),
        "credit": settings.SIGNUP_CREDIT,
        "seller": settings.SELLER_NAME,
        "key": example_key(request),
    }
    return render(request, "gateway/home.html", context)


def _sample(model: Model) -> dict[str, Any]:
    """The receipt of a step of a coding agent, at the prices of this minute."""
    usage = TYPICAL["agent"]
    rates = model.price.rates_for(usage)
    lines = [
        {"bucket": bucket, "tokens": tokens, "rate": rate, "cost": per_million(tokens * rate)}
        for bucket, tokens, rate in zip(BUCKETS, usage, rates, strict=True)
        if tokens
    ]
    return {"model": model, "lines": lines, "total": model.price.cost(usage)}


def _row(model: Model) -> dict[str, Any]:
    return {
        "model": model,
        "vendor": VENDORS.get(model.vendor, model.vendor),
        "context": model.context_window // 1000,
        "rates": model.price.rates,
        "coming": [(clock.moment(price.since), price.rates) for price in model.coming],
        "abilities": [capabilities.name(each) for each in model.capabilities],
        **{name: model.price.cost(usage) for name, usage in TYPICAL.items()},
    }


def _purpose(model: Model) -> str:
    """What it is for: one of `_ADDRESSES`, or "" where none of them is known to serve it."""
    if model.chats:
        return _CHAT
    return next((name for name in model.capabilities if name in _ADDRESSES), "")


def _other(model: Model) -> dict[str, Any]:
    """A model that answers no prompts: what for, where, and its prices by what is counted."""
    input_rate, output_rate = model.price.rates[0], model.price.rates[4]
    prices: list[tuple[Any, int]] = []
    if input_rate:
        prices.append((_("a million tokens read"), input_rate))
    if output_rate:
        prices.append((_("a million tokens made"), output_rate))
    counted = [row for row in model.rules().described if row.kind == Kind.COUNTER]
    return {
        "model": model,
        "vendor": VENDORS.get(model.vendor, model.vendor),
        "abilities": [capabilities.name(each) for each in model.capabilities],
        "address": _ADDRESSES.get(_purpose(model), ""),
        # The notes as they are shipped are translated; what staff write is shown as it is.
        "prices": prices
        + [(_(row.note) if row.note else row.name, row.amount) for row in counted],
    }


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Every model: filter by vendor and ability, or compare a few side by side."""
    found = list(snapshot.load().listed.values())
    vendor, ability = request.GET.get("vendor", ""), request.GET.get("ability", "")
    chosen = request.GET.getlist("compare")
    makers = {name: label for name, label in VENDORS.items() if name in {m.vendor for m in found}}
    if vendor:
        found = [model for model in found if model.vendor == vendor]
    if ability:
        found = [model for model in found if ability in model.capabilities]
    if chosen:
        found = [model for model in found if model.id in chosen]
    context = {
        "rows": [_row(model) for model in found if model.chats],
        "others": [_other(model) for model in found if not model.chats],
        "vendors": makers,
        "abilities": {n: v for n, v in capabilities.NAMES.items() if n != "chat"},
        "vendor": vendor,
        "ability": ability,
        "compared": chosen,
    }
    return render(request, "gateway/models.html", context)


@require_safe
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model: what it can do, what it costs, how it is doing."""
    found = snapshot.load().listed.get(name)
    if found is None:
        raise Http404
    price, kind = found.price, _purpose(found)
    context = {
        "model": found,
        "kind": kind,
        "address": _ADDRESSES.get(kind, ""),
        "by_picture": not any(price.rates),
        "row": _row(found),
        "other": None if found.chats else _other(found),
        "prices": list(zip(BUCKETS, price.rates, price.long_rates or price.rates, strict=True)),
        "key": example_key(request),
        "day": report(timezone.now()).get(name, {}).get("day"),
    }
    return render(request, "gateway/model.html", context)


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Per model: the success rate and the time to the first token, over a day and a week."""
    now = timezone.now()
    health = report(now)
    rows = [
        {"model": model, "vendor": VENDORS.get(model.vendor, model.vendor), **health.get(name, {})}
        for name, model in snapshot.load().listed.items()
    ]
    return render(request, "gateway/status.html", {"rows": rows, "health": overall(now)})
