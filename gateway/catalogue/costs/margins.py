"""What a price earns: bucket by bucket, beside what the vendor charges on that day. Pure but for
`known`, which asks for the versions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple

from django.utils.translation import gettext

from gateway.catalogue import bucket_labels
from gateway.catalogue.costs.models import FeatureCost, VendorPrice
from gateway.catalogue.features.models import WHOLE, FeaturePrice, Pricing
from gateway.catalogue.models import BUCKETS, Price
from hontoni.money import DOLLAR, change, dollars

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
        return bucket_labels.label(self.bucket)

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
    rows = VendorPrice.objects.order_by("-since", "-id")
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


def earned(price: Price | FeaturePrice) -> list[Margin]:
    """What a version earns from when it binds, or now if it is in force."""
    if isinstance(price, Price):
        return known([price.model_id]).of(price)
    moment = max(price.effective_at, datetime.now(UTC)).astimezone(UTC)
    cost = feature_costs(moment.date(), [price.feature_id]).get(price.feature_id)
    return of_feature(price, cost) if cost else []


def feature_costs(day: date, features: Iterable[int] | None = None) -> dict[int, FeatureCost]:
    """Of these features or of all, by their ids: the version of that day."""
    rows = FeatureCost.objects.filter(since__lte=day).order_by("since", "id")
    if features is not None:
        rows = rows.filter(feature__in=list(features))
    return {row.feature_id: row for row in rows}


def of_feature(price: FeaturePrice, cost: FeatureCost) -> list[Margin]:
    """A call's; of a factor what a dollar of tokens comes to, as customers and we pay it. What
    costs us a call or a factor is sold below cost where it is included."""
    found = []
    if price.pricing != Pricing.TOKENS and (price.per_call or cost.amount):
        found.append(Margin("per_call", price.per_call, cost.amount))
    if price.times != WHOLE or cost.factor != WHOLE:
        paid, costs = (DOLLAR * times // WHOLE for times in (price.times, cost.factor))
        found.append(Margin("times", paid, costs))
    return found


def spoken(price: FeaturePrice, cost: FeatureCost | None) -> str:
    """Of a feature, for a list: the cost, and what is earned."""
    found = of_feature(price, cost) if cost else []
    words = []
    for each in found:
        if each.bucket == "times":
            words.append(f"{each.cost / DOLLAR:g} × ({each.percent})")
        else:
            words.append(f"${dollars(each.cost)}: {each}")
    return "; ".join(words) or "–"
