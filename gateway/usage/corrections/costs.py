"""What a request would have cost at another version of a price. Pure.

The rules, as docs/prices.md tells them:

1. What was free by the fair-bill policy stays free.
2. Nothing costs more than was held for it: that is what the customer was told it may cost.
3. What was not charged by tokens and prices (a bill at the hold, because nobody believes the
   vendor's numbers) is not priced anew. Staff adjust it by hand.
"""

from collections.abc import Mapping
from typing import Any

from gateway.catalogue.sold import Price
from gateway.metering import bill
from gateway.usage.models import UsageEvent

_PAID_ALL_THE_SAME = (402, 499)  # the money ended, or the client left, in mid-answer


def involves(event: UsageEvent, model: str) -> bool:
    """Whether the model did any of the work: it was asked, or it helped another one."""
    lines = event.details.get("lines")
    if lines:
        return any(line.get("model") == model for line in lines)
    return event.model == model


def total(event: UsageEvent, versions: Mapping[int, Price], new: tuple[str, Price] | None) -> int:
    """Tokens x prices, rounded once: at the versions it was made from, but for the model of
    `new`."""
    lines = event.details.get("lines")
    if not lines:
        price = new[1] if new and new[0] == event.model else versions[event.price_id]
        return price.cost(event.usage)
    return bill.total(_weight(line, versions, new) for line in lines)


def _weight(
    line: Mapping[str, Any], versions: Mapping[int, Price], new: tuple[str, Price] | None
) -> int:
    price = None
    if line["kind"] != "calls":
        price = new[1] if new and new[0] == line["model"] else versions[line["price_id"]]
    return bill.line_of(line, price).weight


def named(event: UsageEvent) -> set[int]:
    """The ids of the price versions it was made from."""
    lines = event.details.get("lines") or ()
    return {event.price_id, *(line["price_id"] for line in lines if "price_id" in line)}


def anew(event: UsageEvent, versions: Mapping[int, Price], model: str, price: Price) -> int | None:
    """What it costs at `price`, by the rules above. None: rule 3."""
    if event.details.get("rule") == "quarantined":
        return None
    made = min(total(event, versions, None), event.hold)
    if event.cost != made and event.cost != 0:
        return None
    if event.cost == 0 and not (made == 0 and _billable(event)):
        return 0
    return min(total(event, versions, (model, price)), event.hold)


def _billable(event: UsageEvent) -> bool:
    """Whether it would have cost something, had its prices not been nothing."""
    produced = event.output or event.reasoning
    return bool(produced) and (event.status < 400 or event.status in _PAID_ALL_THE_SAME)
