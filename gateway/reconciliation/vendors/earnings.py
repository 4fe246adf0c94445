"""What is earned: our receipts less the vendors' bills, by model, day and customer.

Revenue is what usage was charged, to the nano-dollar. A vendor's bill of a model and day goes to
the customers by the tokens of each bucket, at the bill's own rate; what it has beyond what
customers used (failed attempts, other work of the same key) stays with nobody. Where no bill is
imported yet, the price that staff know is the estimate; without one the cost is unknown, and so
is the margin.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from django.db.models import Sum
from django.db.models.functions import TruncDay

from gateway.catalogue.models import BUCKETS
from gateway.reconciliation.vendors.comparison import CUSTOMERS, Prices, sides
from gateway.reconciliation.vendors.places import Bill, Booked, Place, shares
from gateway.usage.models import UsageHour
from gateway.usage.vendor_day import COUNTED, OWN, Part, UsageVendorDay
from hontoni import money

By = Literal["model", "day", "customer"]
_NOT_REQUESTS = (Part.FAILED, Part.DISPUTED)  # but parts of one that is counted elsewhere
NOBODY = ""  # a part of a vendor's bill that no customer used


@dataclass(slots=True)
class Margin:
    """One model, day or customer. Nano-dollars. `cost` is what is known of it, `estimated` the
    part of it that is not billed yet."""

    name: str
    requests: int = 0
    revenue: int = 0
    cost: int = 0
    estimated: int = 0
    known: bool = True

    @property
    def margin(self) -> int | None:
        """None where some of the cost is not known."""
        return self.revenue - self.cost if self.known else None


@dataclass(slots=True)
class _Used:
    """What one customer used of a model on a day."""

    tokens: dict[str, int]
    requests: int
    cost: int


Sold = tuple[date, str]  # a model's day


def margins(by: By, first: date, last: date) -> list[Margin]:
    """The margins of these days (UTC), the highest revenue first; days in their order."""
    used, costs = _used(first, last), _costs(first, last)
    found: dict[str, Margin] = {}

    def of(name: str) -> Margin:
        return found.setdefault(name, Margin(name))

    for sold in used.keys() | costs.keys():
        customers = used.get(sold, {})
        cost = costs.get(sold) or _Cost(known=not _costs_us(customers))
        for user, each in customers.items():
            margin = of(_name(by, sold, user))
            margin.requests += each.requests
            margin.revenue += each.cost
        if by == "customer":
            _share_out(cost, customers, of)
        else:
            _put(of(_name(by, sold, 0)), cost.total, cost.estimated, cost.known)
    return sorted(found.values(), key=lambda m: (0 if by == "day" else -m.revenue, m.name))


def of_places(first: date, last: date) -> dict[Place, Margin]:
    """The margin of each credential's model and day, from what settlement sums by vendor: without
    customers, and so a few rows a day however many requests there were."""
    bills, books, prices = *sides(first, last), Prices(last)
    found = {}
    for place in bills.keys() | books.keys():
        margin = found[place] = Margin("")
        parts, bill = books.get(place, {}), bills.get(place, Bill())
        margin.requests = sum(parts[p].requests for p in parts if p not in _NOT_REQUESTS)
        margin.revenue = sum(part.cost for part in parts.values())
        cost, ours = _Cost(total=bill.dollars or 0), _together(parts)
        if bill.dollars is None and any(ours.values()):
            _estimate(cost, place, ours, prices)
        _put(margin, cost.total, cost.estimated, cost.known)
    return found


def folded(places: Mapping[Place, Margin], name: Callable[[Place], str]) -> list[Margin]:
    """The margins of what has one name together, the highest revenue first."""
    found: dict[str, Margin] = {}
    for place, each in places.items():
        margin = found.setdefault(name(place), Margin(name(place)))
        margin.requests += each.requests
        margin.revenue += each.revenue
        _put(margin, each.cost, each.estimated, each.known)
    return sorted(found.values(), key=lambda margin: (-margin.revenue, margin.name))


def _name(by: By, sold: Sold, user: int) -> str:
    day, model = sold
    return model if by == "model" else day.isoformat() if by == "day" else str(user)


def _put(margin: Margin, cost: int, estimated: int, known: bool) -> None:
    margin.cost += cost
    margin.estimated += estimated
    margin.known &= known


# -- What was sold -------------------------------------------------------------------------------


def _used(first: date, last: date) -> dict[Sold, dict[int, _Used]]:
    begins = datetime.combine(first, time(), UTC)
    ends = datetime.combine(last, time(), UTC) + timedelta(days=1)
    sums: dict[str, Any] = {f"of_{name}": Sum(name) for name in BUCKETS}
    rows: Any = (  # the columns are made here, so nothing knows their types
        UsageHour.objects.filter(hour__gte=begins, hour__lt=ends)
        .annotate(day=TruncDay("hour", tzinfo=UTC))
        .values("day", "model", "user_id")
        .annotate(count=Sum("requests"), charged=Sum("cost"), **sums)
        .order_by()
    )
    found: defaultdict[Sold, dict[int, _Used]] = defaultdict(dict)
    for row in rows:
        tokens = {name: row[f"of_{name}"] for name in COUNTED}
        tokens["output"] += row["of_reasoning"]
        sold = row["day"].date(), row["model"]
        found[sold][row["user_id"]] = _Used(tokens, row["count"], row["charged"])
    _without_own_keys(found, first, last)
    return dict(found)


def _without_own_keys(found: Mapping[Sold, dict[int, _Used]], first: date, last: date) -> None:
    """What went through customers' own keys costs us nothing: the fee is earned."""
    for row in UsageVendorDay.objects.filter(vendor=OWN, day__gte=first, day__lte=last):
        user = int(row.credential.rpartition("/")[2])
        if (used := found.get((row.day, row.model), {}).get(user)) is not None:
            for name in COUNTED:
                used.tokens[name] = max(0, used.tokens[name] - getattr(row, name))


def _costs_us(customers: Mapping[int, _Used]) -> bool:
    return any(any(each.tokens.values()) for each in customers.values()) or not customers


# -- What it costs us ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Cost:
    """A model's day: the bills, and the estimate of what no bill covers. `customers` is the part
    of both that customers used, by bucket."""

    total: int = 0
    estimated: int = 0
    known: bool = True
    customers: dict[str, int] | None = None
    guessed: dict[str, int] | None = None


def _costs(first: date, last: date) -> dict[Sold, _Cost]:
    bills, books, prices = *sides(first, last), Prices(last)
    found: defaultdict[Sold, _Cost] = defaultdict(_Cost)
    for place in bills.keys() | books.keys():
        bill, ours = bills.get(place, Bill()), _together(books.get(place, {}))
        cost = found[place.day, place.model]
        if bill.dollars is not None:
            cost.total += bill.dollars
            listed = prices.any(place.model, place.day)[0]
            _add(cost, "customers", _used_of(bill, ours, listed))
        elif any(ours.values()):
            _estimate(cost, place, ours, prices)
        if bill.dollars is None and (probes := books.get(place, {}).get(Part.PROBED)):
            _add_probes(cost, place, probes.tokens, prices)
    return dict(found)


def _add_probes(cost: _Cost, place: Place, tokens: Mapping[str, int], prices: Prices) -> None:
    """What we asked ourselves costs us, and nobody used it."""
    price = prices.vendors(place.model, place.day) or prices.any(place.model, place.day)[0]
    guessed = sum(money.per_million(tokens[name] * price[name]) for name in COUNTED)
    cost.total += guessed
    cost.estimated += guessed


def _together(books: Mapping[str, Booked]) -> dict[str, int]:
    """What customers used, however it ended."""
    ended = [each for part, each in books.items() if part in CUSTOMERS]
    return {name: sum(each.tokens[name] for each in ended) for name in COUNTED}


def _used_of(bill: Bill, ours: Mapping[str, int], listed: Mapping[str, int]) -> dict[str, int]:
    """Of each bucket's costs, what customers used: all of it where we booked as much as was
    billed."""
    costs, found = bill.by_bucket(listed), {}
    for name in COUNTED:
        cost, counted = costs[name], bill.tokens[name]
        of = min(ours[name], counted)
        found[name] = shares(cost, [of, counted - of])[0] if counted else 0
    return found


def _estimate(cost: _Cost, place: Place, ours: Mapping[str, int], prices: Prices) -> None:
    price = prices.vendors(place.model, place.day)
    if price is None:
        cost.known = False
        return
    guessed = {name: money.per_million(ours[name] * price[name]) for name in COUNTED}
    cost.total += sum(guessed.values())
    cost.estimated += sum(guessed.values())
    _add(cost, "guessed", guessed)


def _add(cost: _Cost, where: str, amounts: Mapping[str, int]) -> None:
    before = getattr(cost, where) or dict.fromkeys(COUNTED, 0)
    setattr(cost, where, {name: before[name] + amounts[name] for name in COUNTED})


def _share_out(cost: _Cost, customers: Mapping[int, _Used], of: Callable[[str], Margin]) -> None:
    """A model's day to its customers, and what nobody used to nobody."""
    users, shared = sorted(customers), 0
    for amounts, guessed in ((cost.customers or {}, False), (cost.guessed or {}, True)):
        for name, amount in amounts.items():
            weights = [customers[user].tokens[name] for user in users]
            if not any(weights):
                continue
            for user, part in zip(users, shares(amount, weights), strict=True):
                _put(of(str(user)), part, part if guessed else 0, True)
            shared += amount
    for user in users:
        of(str(user)).known &= cost.known
    if left := cost.total - shared:
        _put(of(NOBODY), left, 0, True)


def total(found: Iterable[Margin]) -> Margin:
    """All of them together."""
    whole = Margin("total")
    for each in found:
        whole.requests += each.requests
        whole.revenue += each.revenue
        _put(whole, each.cost, each.estimated, each.known)
    return whole
