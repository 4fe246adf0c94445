"""The list of what features cost, to be changed at once: see many.py.

    dialect,kind,name,only_models,pricing,per_call,factor,effective_at,reason
    anthropic_messages,tool,web_search_*,,per_call,0.012,,2027-01-01,

`per_call` is dollars, `factor` what the price of tokens is multiplied by, such as 1.1.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t

from billing.staff.dollars import RateField
from gateway.catalogue import clock
from gateway.catalogue.features import prices
from gateway.catalogue.features.models import WHOLE, Feature, FeaturePrice, Pricing, times
from gateway.pricing.many import Row, Sheet
from hontoni.errors import BadRequest
from hontoni.money import dollars

_MOST = 100 * WHOLE


class FeatureSheet(Sheet):
    keys = ("name", "dialect", "kind", "only_models")
    amounts = ("pricing", "per_call", "factor")
    unit = _t("dollars a call, and factors such as 1.1")
    twice = _t("The same feature twice.")
    name = "featureprice"

    def __init__(self) -> None:
        self._rows: list[Feature] = []

    def prepare(self, rows: list[Row]) -> None:
        names = {row.get("name", "") for row in rows}
        self._rows = list(Feature.objects.filter(name__in=names))

    def sold(self, row: Row) -> str:
        return str(self._feature(row))

    def _feature(self, row: Row) -> Feature:
        """The one that has all that the line says of it; of several, the one that is every
        model's."""
        given = {key: row[key] for key in self.keys if row.get(key)}
        found = [r for r in self._rows if all(getattr(r, k) == v for k, v in given.items())]
        if not found:
            raise BadRequest(gettext("There is no such feature."))
        exact = [each for each in found if len(found) == 1 or not each.only_models]
        if len(exact) != 1:
            raise BadRequest(gettext("More than one feature is meant."))
        return exact[0]

    def version(self, row: Row, reason: str, moment: datetime) -> FeaturePrice:
        feature = self._feature(row)
        now = prices.in_force([feature], moment)[feature.pk]
        price = FeaturePrice(
            feature=feature,
            reason=reason,
            effective_at=moment,
            pricing=_pricing(row.get("pricing", "") or now.pricing),
            amount=now.amount,
            factor=now.factor,
        )
        if cell := row.get("per_call", "").removeprefix("$"):
            price.amount = RateField().clean(cell) or 0
        if cell := row.get("factor", ""):
            price.factor = _factor(cell)
        price.clean()
        return price

    def rows(self) -> Iterator[dict[str, str]]:
        """Of every active feature that costs something of its own, or did."""
        now = clock.now()
        listed = Feature.objects.filter(active=True)
        for price in prices.in_force(listed, now).values():
            if price.pricing in (Pricing.PER_CALL, Pricing.FACTOR):
                yield {
                    **{key: getattr(price.feature, key) for key in self.keys},
                    "pricing": price.pricing,
                    "per_call": dollars(price.amount),
                    "factor": times(price.factor),
                }


def _pricing(cell: str) -> str:
    if cell not in Pricing.values:
        raise BadRequest(
            "pricing is one of %(names)s.", about={"names": ", ".join(Pricing.values)}
        )
    return cell


def _factor(cell: str) -> int:
    """Basis points of a number such as 1.1. Raises BadRequest."""
    try:
        points = Decimal(cell) * WHOLE
    except InvalidOperation:
        points = Decimal(0)
    if not points.is_finite() or points != points.to_integral_value() or not 0 < points <= _MOST:
        raise BadRequest(gettext("factor is a number such as 1.1, with four decimals at most."))
    return int(points)
