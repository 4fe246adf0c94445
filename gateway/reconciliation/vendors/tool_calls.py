"""The calls of hosted tools, given to the models that made them."""

from collections.abc import Mapping

from gateway.reconciliation.vendors.places import Bill, Booked, Place, a_million_calls, shares
from gateway.usage.vendor_day import COUNTED
from hontoni import money


def attribute(bills: dict[Place, Bill], books: Mapping[Place, Mapping[str, Booked]]) -> None:
    """Vendors bill the calls of hosted tools by no model, and count some by none. They go to the
    models that made them: as the vendor's usage has it, else as we booked it."""
    for place in [place for place in bills if not place.model]:
        bill = bills[place]
        of = [p for p in bills.keys() | books.keys() if p.model and p[:3] == place[:3]]
        of = sorted(p for p in of if _has_tokens(bills.get(p), books.get(p, {})))
        ours = [sum(b.tokens["calls"] for b in books.get(p, {}).values()) for p in of]
        theirs = [bills[p].tokens["calls"] if p in bills else 0 for p in of]
        more = [max(0, n - counted) for n, counted in zip(ours, theirs, strict=True)]
        weights = more if any(more) else ours if any(ours) else theirs
        if any(weights):
            for p, n in zip(of, shares(bill.tokens["calls"], weights), strict=True):
                bills.setdefault(p, Bill()).tokens["calls"] += n
            bill.tokens["calls"] = 0
        _share_calls(bill, bills, books, of)
        if not any(bill.costs.values()) and not any(bill.tokens.values()):
            del bills[place]


def _has_tokens(bill: Bill | None, books: Mapping[str, Booked]) -> bool:
    """Only a model that reads calls tools; of one that draws or speaks `calls` are its pieces."""
    sides = [bill.tokens] if bill else []
    sides += [each.tokens for each in books.values()]
    return any(tokens[name] for tokens in sides for name in COUNTED)


def _share_calls(
    bill: Bill,
    bills: dict[Place, Bill],
    books: Mapping[Place, Mapping[str, Booked]],
    of: list[Place],
) -> None:
    """The costs of calls to these places, by their calls at what we ask for them."""
    weights = []
    for p in of:
        ours = books.get(p, {})
        calls = bills[p].tokens["calls"] if p in bills else 0
        calls = calls or sum(each.tokens["calls"] for each in ours.values())
        weights.append(calls * (a_million_calls(ours) or money.MILLION))
    cost = bill.costs.get("calls", 0)
    if not cost or not any(weights):
        return
    for p, part in zip(of, shares(cost, weights), strict=True):
        if part:
            bills.setdefault(p, Bill()).add_costs({"calls": part})
    bill.add_costs({"calls": -cost})
