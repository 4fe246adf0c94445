"""The vendors' bills beside what we booked, by vendor, credential, model and day (UTC).

Everything is in the vendor's dollars: booked tokens count at the rate the vendor's own bill has
for that bucket, model and day. A bill is the sum of

* what was booked, by how it ended: charged, estimated, capped, quarantined, given away
* what nobody could book, as far as it is bounded: `disputed` (told by the vendor and not
  believed), `failed` (attempts before another credential answered, and failures without any
  numbers), `estimates_off` (the vendor counted otherwise than our estimate of answers cut short)
* `rest`: what nothing explains. Above 0 the vendor bills work we know nothing of; below 0 we
  booked, and perhaps charged, what the vendor did not count.

Counting tokens is free at all three vendors, and in none of their reports.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.features.models import Feature, Kind
from gateway.catalogue.models import Price
from gateway.reconciliation.vendors import tool_calls
from gateway.reconciliation.vendors.formats.report import PART
from gateway.reconciliation.vendors.models import VendorBill, VendorImport
from gateway.reconciliation.vendors.places import Bill, Booked, Place, a_million_calls, shares
from gateway.reconciliation.vendors.vendor_names import Names
from gateway.usage.vendor_day import AMONG_TOKENS, COUNTED, OWN, UNITS, Part, UsageVendorDay
from hontoni import money

CUSTOMERS = (Part.CHARGED, Part.ESTIMATED, Part.CAPPED, Part.QUARANTINED, Part.GIVEN_AWAY)
BOOKED = (*CUSTOMERS, Part.PROBED)
# Where our number may be an estimate.
_GUESSED = (Part.ESTIMATED, Part.QUARANTINED, Part.GIVEN_AWAY)
# Of an answer that was cut our estimate may be a quarter below the vendor's count
# (docs/70-fair-billing.md), so the vendor's may be a third above ours; or anything below.
_ESTIMATE_BELOW = 3


@dataclass(slots=True)
class Difference:
    """One place. Money is nano-dollars; `parts` and `rest` add up to `billed`.

    `rates` says whose prices the tokens are valued at: the vendor's bill (`bill`), or where no
    costs are imported the price that staff know (`vendor_price`) or our own (`our_price`).
    Without `usage_told` only costs are imported, and nobody can say what they are for.
    """

    place: Place
    billed: int
    rates: str
    vendor_tokens: dict[str, int]
    booked_tokens: dict[str, int]
    requests: int
    failed_attempts: int
    revenue: int
    parts: dict[str, int]
    rest: int
    usage_told: bool = True

    @property
    def alarming(self) -> bool:
        """Whether staff should look: the rest is above both of their thresholds."""
        least = money.nanos(settings.VENDOR_ALERT_DOLLARS)
        size = abs(self.rest)
        return (
            self.usage_told
            and size > least
            and size * 100 > settings.VENDOR_ALERT_PERCENT * abs(self.billed)
        )


def differences(first: date, last: date) -> list[Difference]:
    """Every place of these days for which usage or costs were imported, newest day first."""
    bills, books, prices = *sides(first, last), Prices(last)
    covered = _covered(first, last)
    places = bills.keys() | {p for p in books if (p.vendor, p.day) in covered}
    order = sorted(places, key=lambda p: (-p.day.toordinal(), *p[1:]))
    found = [_difference(p, bills.get(p, Bill()), books.get(p, {}), prices) for p in order]
    for each in found:
        counted = each.place in bills and bills[each.place].is_counted
        each.usage_told = counted or (each.place.vendor, each.place.day) in covered
    return found


def sides(first: date, last: date) -> tuple[dict[Place, Bill], dict[Place, dict[str, Booked]]]:
    """What is billed and what was booked, by place."""
    bills, books = billed(first, last), booked(first, last)
    tool_calls.attribute(bills, books)
    return bills, books


def _covered(first: date, last: date) -> set[tuple[str, date]]:
    """The vendors' days that a report of usage covers, whether or not it names any. One of some
    kinds of usage only covers what it names."""
    imports = VendorImport.objects.exclude(kind__in=("costs", PART)).filter(
        first_day__lte=last, last_day__gte=first
    )
    return {
        (found.vendor, date.fromordinal(day))
        for found in imports
        for day in range(
            max(first, found.first_day).toordinal(), min(last, found.last_day).toordinal() + 1
        )
    }


# -- The vendors' side ---------------------------------------------------------------------------


def billed(first: date, last: date) -> dict[Place, Bill]:
    """What the vendors bill, by place. Costs of a workspace are shared out to its keys."""
    names = Names(first, last)
    found: dict[Place, Bill] = {}
    keys_of: defaultdict[_Scope, dict[Place, None]] = defaultdict(dict)
    shared: list[VendorBill] = []
    for row in VendorBill.objects.filter(day__gte=first, day__lte=last).order_by("pk"):
        place, whole = _place(row, names), _is_of_scope(row, names)
        if whole:
            shared.append(row)
        if row.usage_import_id is not None or not whole:
            bill = found.setdefault(place, Bill())
            _add_usage(bill, row)
            bill.is_counted |= row.usage_import_id is not None
            if row.dollars is not None and not whole:
                bill.add_costs(row.costs)
        if row.usage_import_id is not None:
            keys_of[_scope(row, place)][place] = None
    for row in shared:
        place = _place(row, names)
        places = keys_of[_scope(row, place)] or [place]
        _share(row.costs, [found.setdefault(p, Bill()) for p in places])
    return found


_Scope = tuple[str, str, Place]


def _place(row: VendorBill, names: Names) -> Place:
    credential = names.credential(row.vendor, row.key, row.scope)
    return Place(
        row.day, row.vendor, credential, names.model(row.vendor_model) or row.vendor_model
    )


def _scope(row: VendorBill, place: Place) -> _Scope:
    """A workspace's model and day, whoever's key it was."""
    return row.account, row.scope, place._replace(credential="")


def _is_of_scope(row: VendorBill, names: Names) -> bool:
    """Whether its costs are a whole workspace's, which is not all one credential's."""
    return row.dollars is not None and not row.key and not names.mapped(row.vendor, row.scope)


def _add_usage(bill: Bill, row: VendorBill) -> None:
    for name in UNITS:
        bill.tokens[name] += getattr(row, name)


def _share(costs: Mapping[str, int], bills: list[Bill]) -> None:
    """A workspace's costs, to its keys by the tokens they are for."""
    for name, cost in costs.items():
        weights = [bill.tokens.get(name, 0) for bill in bills]
        if not any(weights):
            weights = [sum(bill.tokens.values()) for bill in bills]
        for bill, part in zip(bills, shares(cost, weights), strict=True):
            bill.add_costs({name: part})


# -- Ours ----------------------------------------------------------------------------------------


def booked(first: date, last: date) -> dict[Place, dict[str, Booked]]:
    """What we booked, by place and part."""
    found: defaultdict[Place, dict[str, Booked]] = defaultdict(dict)
    for row in UsageVendorDay.objects.filter(day__gte=first, day__lte=last).exclude(vendor=OWN):
        place = Place(row.day, row.vendor, row.credential, row.model)
        tokens = {name: getattr(row, name) for name in UNITS}
        sums = (row.cost, row.at_most, row.calls_cost)
        found[place][row.part] = Booked(row.requests, tokens, *sums)
    return dict(found)


class Prices:
    """What a million tokens cost us as far as anybody knows, for what no bill tells."""

    def __init__(self, last: date) -> None:
        self._known: defaultdict[str, list[VendorPrice]] = defaultdict(list)
        for price in VendorPrice.objects.filter(since__lte=last).order_by("-since", "-id"):
            self._known[price.model_id].append(price)
        self._ours: dict[str, Price] = {}
        for ours in Price.objects.filter(effective_at__date__lte=last).order_by("effective_at"):
            self._ours[ours.model_id] = ours
        pieces = Feature.objects.filter(kind=Kind.COUNTER).exclude(name__in=AMONG_TOKENS)
        self._pieces: dict[str, int] = {}
        for model, amount in pieces.exclude(only_models="").values_list("only_models", "amount"):
            self._pieces[model] = max(amount, self._pieces.get(model, 0))

    def a_million_pieces(self, model: str) -> int:
        """Of a model that is billed by the piece, at the dearest of ours."""
        return self._pieces.get(model, 0) * money.MILLION

    def vendors(self, model: str, day: date) -> dict[str, int] | None:
        """By bucket, as staff wrote it down; None if nobody did."""
        for price in self._known[model]:
            if price.since <= day:
                return {name: getattr(price, name) for name in COUNTED}
        return None

    def any(self, model: str, day: date) -> tuple[dict[str, int], str]:
        """The vendor's, else ours, which are not below it; and whose they are."""
        if (known := self.vendors(model, day)) is not None:
            return known, "vendor_price"
        ours = self._ours.get(model)
        return {n: getattr(ours, n) if ours else 0 for n in COUNTED}, "our_price"


# -- The difference ------------------------------------------------------------------------------


class _Rates:
    """The value of tokens in one place: each bucket at what the bill has for it."""

    def __init__(self, bill: Bill, listed: Mapping[str, int]) -> None:
        self.bill, self.listed = bill, listed
        self.costs = bill.by_bucket(listed)
        self.seen = dict.fromkeys(UNITS, 0)

    def value(self, tokens: Mapping[str, int]) -> int:
        """Rounded along the running sum, so that all that was counted is worth all that it costs,
        to the nano-dollar."""
        worth = 0
        for name in UNITS:
            before, after = self.seen[name], self.seen[name] + tokens[name]
            worth += self._upto(name, after) - self._upto(name, before)
            self.seen[name] = after
        return worth

    def _upto(self, name: str, tokens: int) -> int:
        counted = self.bill.tokens[name]
        if not counted or (not self.costs[name] and self.bill.dollars is None):
            return money.per_million(tokens * self.listed[name])
        return (self.costs[name] * tokens * 2 + counted) // (2 * counted)


def _difference(
    place: Place, bill: Bill, books: Mapping[str, Booked], prices: Prices
) -> Difference:
    listed, whose = prices.any(place.model, place.day)
    calls = a_million_calls(books) or prices.a_million_pieces(place.model)
    rates = _Rates(bill, listed | {"calls": calls})
    total = bill.dollars if bill.dollars is not None else sum(rates.costs.values())
    parts: dict[str, int] = {}
    for part in BOOKED:
        if part in books:
            parts[part] = rates.value(books[part].tokens)
    rest = total - sum(parts.values())
    for name, least, most in _allowances(parts, books, rates):
        parts[name] = min(max(rest, least), most)
        rest -= parts[name]
    return Difference(
        place=place,
        billed=total,
        rates="bill" if bill.dollars is not None else whose,
        vendor_tokens=dict(bill.tokens),
        booked_tokens={n: sum(books[p].tokens[n] for p in BOOKED if p in books) for n in UNITS},
        requests=sum(books[p].requests for p in BOOKED if p in books),
        failed_attempts=books[Part.FAILED].requests if Part.FAILED in books else 0,
        revenue=sum(each.cost for each in books.values()),
        parts={name: value for name, value in parts.items() if value},
        rest=rest,
    )


def _allowances(
    parts: Mapping[str, int], books: Mapping[str, Booked], rates: _Rates
) -> Iterator[tuple[str, int, int]]:
    """(name, least, most) of what may explain the rest, the surest first."""
    if Part.DISPUTED in books:
        yield Part.DISPUTED, 0, rates.value(books[Part.DISPUTED].tokens)
    unknown = sum(each.at_most for each in books.values())
    if Part.FAILED in books or unknown:
        lost = rates.value(books[Part.FAILED].tokens) if Part.FAILED in books else 0
        yield Part.FAILED, 0, lost + unknown
    if estimated := sum(parts.get(part, 0) for part in _GUESSED):
        yield "estimates_off", -estimated, estimated // _ESTIMATE_BELOW
