"""What a model can be asked for beside text, and what it costs: for lists and pages."""

from typing import Any, NamedTuple

from gateway.catalogue.features.models import WHOLE, Kind, Pricing, times
from gateway.catalogue.features.snapshot import Row, Rules
from gateway.catalogue.snapshot import Catalogue
from hontoni.money import dollars


def shapes(rules: Rules) -> list[dict[str, Any]]:
    """The rows that staff have described, as /v1/models and /api/models show them."""
    return [_shape(row) for row in rules.described]


def _shape(row: Row) -> dict[str, Any]:
    offer: dict[str, Any] = {"name": row.name.rstrip("_*"), "kind": row.kind, "about": row.note}
    offer["pricing"] = row.pricing
    if row.pricing == Pricing.PER_CALL:
        offer["price_per_call"] = dollars(row.amount)
    if row.pricing == Pricing.FACTOR:
        offer["factor"] = times(row.factor)
    if row.most_calls and row.kind == Kind.TOOL:
        offer["most_calls"] = row.most_calls
    return offer


class Offer(NamedTuple):
    """One line of the table: what it is, at which models, and its price in words of the page."""

    name: str
    about: str
    models: tuple[str, ...]
    amount: str
    factor: str
    most_calls: int


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
            dollars(row.amount) if row.pricing == Pricing.PER_CALL and row.amount else "",
            times(row.factor) if row.factor != WHOLE else "",
            row.most_calls if row.kind == Kind.TOOL else 0,
        )
        for row, models in found.items()
    ]
