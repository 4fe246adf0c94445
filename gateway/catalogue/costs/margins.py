"""What a price earns: bucket by bucket, beside what the vendor charges on that day. Pure but for
`known`, which asks for the versions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple

from django.utils.translation import gettext

from gateway.catalogue.costs.models import FeatureCost, VendorPrice
from gateway.catalogue.features.models import WHOLE, Feature, Pricing
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices.labels import LABELS
from hontoni.money import change, dollars

LONG = tuple(f"long_{bucket}" for bucket in BUCKETS)


class Margin(NamedTuple):
    """One bucket's. Nano-dollars per million tokens."""

    bucket: str
    price: int
    cost: int

    @property
    def earned(self) -> int:
        return self.price - self.cost

    @property
    def percent(self) -> str:
        """Of the cost: +20 % is a fifth more than it costs us."""
        return change(self.cost, self.price) if self.cost else "+∞ %" if self.price else "±0 %"

    @property
    def label(self) -> str:
        bucket = self.bucket.removeprefix("long_")
        label = gettext(LABELS[bucket])
        return label if bucket == self.bucket else gettext("%s, long") % label

    def __str__(self) -> str:
        sign = "−" if self.earned < 0 else "+"
        return f"{sign}${dollars(abs(self.earned))} ({self.percent})"


@dataclass(frozen=True, slots=True)
class Known:
    """The costs of models by day, newest first."""

    versions: Mapping[str, list[VendorPrice]]

    def on(self, model_id: str, day: date) -> VendorPrice | None:
        found = self.versions.get(model_id, ())
        return next((each for each in found if each.since <= day), None)

    def latest(self, model_id: str) -> VendorPrice | None:
        """The last one that is known, though it may be to come."""
        return next(iter(self.versions.get(model_id, ())), None)

    def of(self, price: Price) -> list[Margin]:
        """What a version earns from when it binds, or now if it is in force; nothing where nobody
        knows the cost."""
        moment = max(price.effective_at, datetime.now(UTC)).astimezone(UTC)
        cost = self.on(price.model_id, moment.date())
        return margins(price, cost) if cost else []


def known(models: Iterable[str] | None = None) -> Known:
    """Of these models, or of all."""
    rows = VendorPrice.objects.order_by("-since")
    found: defaultdict[str, list[VendorPrice]] = defaultdict(list)
    for row in rows if models is None else rows.filter(model__in=list(models)):
        found[row.model_id].append(row)
    return Known(found)


def margins(price: Price, cost: VendorPrice) -> list[Margin]:
    """Of each bucket; those of long contexts, too, where one side has a price for them and such a
    prompt can be sent."""
    found = [Margin(bucket, getattr(price, bucket), cost.rate(bucket)) for bucket in BUCKETS]
    most = max(price.model.context_window, price.model.long_context_window or 0)
    if cost.long_context_above is None:
        has_long = price.long_context_above is not None
    else:
        has_long = cost.long_context_above < most
    if has_long:
        found += [Margin(name, _long(price, cost, name), cost.rate(name)) for name in LONG]
    return found


def _long(price: Price, cost: VendorPrice, name: str) -> int:
    """The least that is paid where the vendor's long rate is charged."""
    short: int = getattr(price, name.removeprefix("long_"))
    long: int | None = getattr(price, name)
    if long is None:
        return short
    above = price.long_context_above or 0
    return long if cost.long_context_above is None or above <= cost.long_context_above else short


def below(found: Iterable[Margin]) -> list[Margin]:
    """Those that lose money."""
    return [each for each in found if each.earned < 0]


def least(found: Iterable[Margin]) -> Margin | None:
    """The bucket that earns least of what it costs."""
    costly = [each for each in found if each.cost]
    return min(costly, key=lambda each: each.earned / each.cost, default=None)


def words(found: Iterable[Margin]) -> str:
    """Every bucket's, for a list."""
    return "; ".join(f"{each.label}: {each}" for each in found) or gettext("cost unknown")


def of_feature(feature: Feature, cost: FeatureCost) -> Margin:
    """A call's, or of a factor a whole one's, in the unit of the feature."""
    if feature.pricing == Pricing.FACTOR:
        return Margin(feature.name, feature.factor, cost.factor)
    return Margin(feature.name, feature.amount, cost.amount)


def spoken(feature: Feature, cost: FeatureCost | None) -> str:
    """Of a feature, for a list: the cost, and what is earned."""
    if cost is None or feature.pricing not in (Pricing.FACTOR, Pricing.PER_CALL):
        return "–"
    margin = of_feature(feature, cost)
    if feature.pricing == Pricing.FACTOR:
        return f"{cost.factor / WHOLE:g} × ({margin.percent})"
    return f"${dollars(cost.amount)}: {margin}"
