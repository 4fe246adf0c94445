"""What features cost at a moment, and what an edit of the list itself makes dearer.

A price is announced as a version. But a row also stands before another one (its name is longer,
or it is for one model), and whoever adds, moves or switches off a row may change what is paid.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from gateway.catalogue.features.models import Feature, FeaturePrice
from gateway.catalogue.features.snapshot import Names, has, row_of
from gateway.catalogue.models import Model


class Displaced(NamedTuple):
    """What is paid in place of what, from within seconds on."""

    before: FeaturePrice
    after: FeaturePrice


def in_force(rows: Iterable[Feature], moment: datetime) -> dict[int, FeaturePrice]:
    """Of each its price at a moment."""
    rows = list(rows)
    begun = FeaturePrice.objects.filter(feature__in=rows, effective_at__lte=moment)
    latest = {each.feature_id: each for each in begun.order_by("effective_at", "id")}
    return {
        row.pk: latest.get(row.pk) or FeaturePrice(feature=row, effective_at=moment).first()
        for row in rows
    }


def dearer(after: Feature, now: datetime) -> list[Displaced]:
    """What costs somebody more once the row is as it is here (not saved), each once."""
    there = list(Feature.objects.filter(active=True))
    kept = next((row for row in there if row.pk == after.pk), None)
    present = in_force(there, now)
    coming = dict(present)
    coming[after.pk] = _price(after, present)
    rows = [row for row in there if row.pk != after.pk] + [after] * after.active
    found: dict[tuple[int, int], Displaced] = {}
    for one, other in _pairs(there, rows, {(r.dialect, r.kind) for r in (after, kept) if r}):
        before, now_paid = present[one.pk], coming[other.pk]
        counted = one.pk == other.pk and one.meter != other.meter and now_paid.per_call > 0
        if counted or now_paid.is_dearer_than(before):
            found[one.pk, other.pk or 0] = Displaced(before, now_paid)
    return list(found.values())


def _price(row: Feature, present: dict[int, FeaturePrice]) -> FeaturePrice:
    """Of a row that may be new."""
    known = present.get(row.pk) if row.pk else None
    return known or FeaturePrice(feature=row).first()


def _pairs(
    before: list[Feature], after: list[Feature], touched: set[tuple[str, str]]
) -> Iterator[tuple[Feature, Feature]]:
    """Whatever may be asked of any model: the row that it is paid by, and the one that it will
    be."""
    for dialect, kind in touched:
        sides = [
            [row for row in rows if (row.dialect, row.kind) == (dialect, kind)]
            for rows in (before, after)
        ]
        names = {row.name.rstrip("*") for side in sides for row in side}
        for model in ("", *Model.objects.filter(active=True).values_list("pk", flat=True)):
            was, will = (_Side(side, model) for side in sides)
            for name in names:
                one, other = was.find(name), will.find(name)
                if one is not None and other is not None:
                    yield one, other


class _Side:
    """The rows of one kind that a model has, by what they are asked as."""

    def __init__(self, rows: list[Feature], model: str) -> None:
        mine = sorted((row for row in rows if has(row, model)), key=lambda r: bool(r.only_models))
        self._rows = {row.name: row for row in mine}
        self._names = Names({name: row_of(row) for name, row in self._rows.items()})

    def find(self, name: str) -> Feature | None:
        found = self._names.find(name)
        return self._rows[found.name] if found else None
