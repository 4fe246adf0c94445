"""What a cost, or a price of the list, newly makes sold below cost: on the list, and to customers
with prices of their own. Staff decide each with a reason, whichever of the three changes."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from typing import NamedTuple

from django.db.models import Q
from django.utils.translation import gettext

from gateway.catalogue.costs import margins
from gateway.catalogue.costs.margins import LONG, Margin
from gateway.catalogue.costs.models import FeatureCost, VendorPrice
from gateway.catalogue.features.models import FeaturePrice
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.own_prices import terms
from gateway.catalogue.own_prices.models import CustomerPrice


class Loss(NamedTuple):
    """One bucket that is sold below cost: on the list, or to whom."""

    whose: str
    margin: Margin

    def __str__(self) -> str:
        return f"{self.whose}: {self.margin.label} {self.margin}"


def words(found: Iterable[Loss]) -> str:
    """For people, the first few of them."""
    found = list(found)
    shown = [str(each) for each in found[:_SHOWN]]
    if len(found) > _SHOWN:
        shown.append(gettext("and %(count)d more") % {"count": len(found) - _SHOWN})
    return "; ".join(shown)


_SHOWN = 8


def by_cost(cost: VendorPrice, price: Price | None = None) -> list[Loss]:
    """What another cost makes a loss that was none: of what is paid from its day on. `price`: the
    list's that is announced with it, in place of those that are known."""
    begins = max(datetime.combine(cost.since, time(), UTC), datetime.now(UTC))
    before = margins.known([cost.model_id]).on(cost.model_id, begins.date())
    found: dict[tuple[str, str], Loss] = {}
    for each in [price] if price else _paid(cost, begins):
        rows = _agreements(each, begins)
        listed = [(gettext("the list"), each)] if price is None else []
        for whose, sold in [*listed, *((str(row), _own(row, each)) for row in rows)]:
            lost = _below(whose, sold, cost)
            known = {} if before is None else _below(whose, sold, before)
            found |= {key: loss for key, loss in lost.items() if key not in known}
    return list(found.values())


def by_price(before: Price | None, after: Price) -> Iterator[Loss]:
    """Whom with a multiple of the list's price it newly puts below cost."""
    cost = margins.known([after.model_id]).on(after.model_id, _day(after))
    if cost is None:
        return
    for row in _agreements(after, after.effective_at):
        if row.multiplier is None:
            continue
        lost = _below(str(row), _own(row, after), cost)
        known = _below(str(row), _own(row, before), cost) if before else {}
        yield from (loss for key, loss in lost.items() if key not in known)


def by_feature_cost(cost: FeatureCost) -> list[Loss]:
    """Of what is paid for a feature from that day on."""
    begins = max(datetime.combine(cost.since, time(), UTC), datetime.now(UTC))
    before = margins.feature_costs(begins.date(), [cost.feature_id]).get(cost.feature_id)
    present = FeaturePrice(feature=cost.feature, effective_at=begins).current(begins)
    coming = cost.feature.prices.filter(effective_at__gt=begins)
    found: dict[str, Loss] = {}
    for each in [present, *coming]:
        if each is None:
            continue
        known = (
            {m.bucket for m in margins.of_feature(each, before) if m.earned < 0} if before else ()
        )
        for margin in margins.below(margins.of_feature(each, cost)):
            if margin.bucket not in known:
                found[margin.bucket] = Loss(gettext("the list"), margin)
    return list(found.values())


def _paid(cost: VendorPrice, begins: datetime) -> Iterator[Price]:
    """The list's versions that are paid from a moment on."""
    rows = Price.objects.filter(model=cost.model_id).select_related("model")
    present = rows.filter(effective_at__lte=begins).order_by("-effective_at", "-id").first()
    if present is not None:
        yield present
    yield from rows.filter(effective_at__gt=begins).order_by("effective_at", "id")


def _agreements(price: Price, begins: datetime) -> list[CustomerPrice]:
    """With single customers, for this model: rates that hold at that moment or later, and
    multiples of this price."""
    mine = Q(model=price.model_id) | Q(model=None)
    running = Q(until_at=None) | Q(until_at__gt=begins)
    later = Q(until_at=None) | Q(until_at__gt=max(begins, price.effective_at))
    rows = CustomerPrice.objects.filter(mine, running, later | Q(multiplier=None))
    return list(rows.select_related("user"))


def _own(row: CustomerPrice, price: Price) -> Price:
    """What its customer pays where the list has this."""
    own, names = terms.of(row), (*BUCKETS, *LONG)
    short = own.on(_rates(price, BUCKETS))
    long = own.on(_rates(price, LONG))
    above = None if row.rates else price.long_context_above
    return Price(
        model=price.model,
        effective_at=max(row.from_at, price.effective_at),
        long_context_above=above,
        **dict(zip(names, (*short, *long), strict=True)),
    )


def _rates(price: Price, names: Iterable[str]) -> terms.Rates:
    """A bucket that has no long price of its own has the short one."""
    found = (getattr(price, n) for n in names)
    short = (getattr(price, n.removeprefix("long_")) for n in names)
    a, b, c, d, e, f = (s if r is None else r for r, s in zip(found, short, strict=True))
    return a, b, c, d, e, f


def _below(whose: str, price: Price, cost: VendorPrice) -> dict[tuple[str, str], Loss]:
    lost = margins.below(margins.margins(price, cost))
    return {(whose, each.bucket): Loss(whose, each) for each in lost}


def _day(price: Price) -> date:
    return max(price.effective_at, datetime.now(UTC)).astimezone(UTC).date()
