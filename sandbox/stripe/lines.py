"""What an invoice bills: plain values, before they are an invoice's line items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandbox.stripe.errors import Object
from sandbox.stripe.periods import day
from sandbox.stripe.tax import Taxed, taxed


@dataclass(frozen=True)
class Line:
    """`amount` cents (negative: a credit) for `quantity` of a price, from `start` to `end`."""

    price: Object
    quantity: int
    amount: int
    start: int
    end: int
    description: str
    item: str | None = None  # the subscription item it is for
    proration: bool = False
    invoice_item: str | None = None

    def split(self, basis_points: int) -> Taxed:
        """The line before and after tax."""
        return taxed(self.amount, self.price["tax_behavior"], basis_points)


def full(item: Object, name: str, start: int, end: int, trial: bool = False) -> Line:
    """A whole period of a subscription item; a trial costs nothing."""
    price, quantity = item["price"], item["quantity"]
    amount = 0 if trial else price["unit_amount"] * quantity
    cents = f"${price['unit_amount'] / 100:,.2f} / {price['recurring']['interval']}"
    text = f"Trial period for {name}" if trial else f"{quantity} × {name} (at {cents})"
    return Line(price, quantity, amount, start, end, text, item["id"])


def share(amount: int, start: int, end: int, at: int) -> int:
    """The part of `amount` that falls into the time from `at` to `end`, by the second.

    Rounded half up, as https://docs.stripe.com/billing/subscriptions/prorations describes.
    """
    span, left = end - start, end - at
    return (2 * amount * left + span) // (2 * span)


def prorate(
    old: Sequence[Object],
    new: Sequence[Object],
    names: dict[str, str],
    period: tuple[int, int],
    at: int,
) -> list[Line]:
    """Credit what the old items no longer use, bill what the new ones use until the period's end.

    Items are matched by id; one whose price and quantity stay is neither credited nor billed.
    """
    kept = {item["id"]: (item["price"]["id"], item["quantity"]) for item in new}
    had = {item["id"]: (item["price"]["id"], item["quantity"]) for item in old}
    gone = [item for item in old if kept.get(item["id"]) != had[item["id"]]]
    come = [item for item in new if had.get(item["id"]) != kept[item["id"]]]
    credits = [_part(item, names, period, at, "Unused time on") for item in gone]
    debits = [_part(item, names, period, at, "Remaining time on") for item in come]
    return [replace(line, amount=-line.amount) for line in credits] + debits


def _part(
    item: Object, names: dict[str, str], period: tuple[int, int], at: int, words: str
) -> Line:
    price, quantity, end = item["price"], item["quantity"], period[1]
    amount = share(price["unit_amount"] * quantity, *period, at)
    times = f"{quantity} × " if quantity != 1 else ""
    text = f"{words} {times}{names[price['product']]} after {day(at)}"
    return Line(price, quantity, amount, at, end, text, item["id"], proration=True)
