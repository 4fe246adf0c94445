"""What the vendors have announced of their models since the copies were made: new ones with their
prices, and ends. A list that comes with the product, in a shape of our own, each row with who says
so; it is read where the copies are, and nowhere else."""

from collections.abc import Iterator
from typing import Any

from gateway.pricing.sources import listings
from gateway.pricing.sources.listings import Listing

NAME = "announcements"
_TOLD = ("input", "output", "cache_read", "cache_write")


def read(body: Any) -> Iterator[Listing]:
    """Raises Unreadable."""
    for row in listings.listed(listings.table(body, NAME).get("models"), NAME):
        vendor, name = str(row.get("vendor", "")), str(row.get("name", ""))
        long = row.get("long") or {}
        yield Listing(
            source=NAME,
            vendor=vendor,
            name=name,
            title=str(row.get("title") or name),
            rates=_rates(vendor, row.get("cost") or {}),
            long_above=listings.whole(long.get("above")) or None,
            long_rates=_rates(vendor, long),
            context=listings.whole(row.get("context")),
            max_output=listings.whole(row.get("output")),
            capabilities=frozenset(row.get("capabilities") or ()),
            released=listings.day(row.get("released")),
            ends=listings.day(row.get("ends")),
            successor=str(row.get("successor") or ""),
        )


def _rates(vendor: str, cost: dict[str, Any]) -> listings.Rates:
    """Dollars per million tokens."""
    given = {name: listings.dollars(cost.get(name)) for name in _TOLD}
    return listings.rates(vendor, **given)
