"""What a model can be asked for beside text, and what it costs: for lists and pages."""

from datetime import datetime
from typing import Any, NamedTuple

from gateway.catalogue import clock
from gateway.catalogue.features.models import WHOLE, Kind, Pricing, times
from gateway.catalogue.features.snapshot import Row, Rules, Version
from gateway.catalogue.snapshot import Catalogue
from hontoni.money import dollars


def shapes(rules: Rules) -> list[dict[str, Any]]:
    """The rows that staff have described, as /v1/models and /api/models show them."""
    return [_shape(row) for row in rules.described]


def _shape(row: Row) -> dict[str, Any]:
    offer: dict[str, Any] = {"name": row.name.rstrip("_*"), "kind": row.kind, "about": row.note}
    offer |= _price(row)
    if row.coming:
        offer["coming_prices"] = [
            {"effective_at": clock.moment(each.since).isoformat(), **_price(each)}
            for each in row.coming
        ]
    if row.most_calls and row.kind == Kind.TOOL:
        offer["most_calls"] = row.most_calls
    return offer


def _price(priced: Row | Version) -> dict[str, Any]:
    found: dict[str, Any] = {"pricing": priced.pricing}
    if priced.pricing == Pricing.PER_CALL:
        found["price_per_call"] = dollars(priced.amount)
    if priced.pricing == Pricing.FACTOR:
        found["factor"] = times(priced.factor)
    return found


class Coming(NamedTuple):
    """What an offer will cost from a moment on, as it costs now: dollars a call, or a factor."""

    since: datetime
    amount: str
    factor: str


class Offer(NamedTuple):
    """One line of the table: what it is, at which models, and its price in words of the page."""

    name: str
    about: str
    models: tuple[str, ...]
    amount: str
    factor: str
    most_calls: int
    coming: tuple[Coming, ...] = ()


def table(known: Catalogue) -> list[Offer]:
    """Everything with a description, and the models that have it."""
    found: dict[Row, list[str]] = {}
    for model in known.models.values():
        for row in model.rules().described:
            found.setdefault(row, []).append(model.id)
    return [
        Offer(
            row.name.rstrip("_*"),
            row.note,
            tuple(models),
            *_words(row),
            row.most_calls if row.kind == Kind.TOOL else 0,
            tuple(Coming(clock.moment(each.since), *_words(each)) for each in row.coming),
        )
        for row, models in found.items()
    ]


def _words(priced: Row | Version) -> tuple[str, str]:
    per_call = priced.pricing == Pricing.PER_CALL and priced.amount
    is_times = priced.pricing == Pricing.FACTOR and priced.factor != WHOLE
    return dollars(priced.amount) if per_call else "", times(priced.factor) if is_times else ""
