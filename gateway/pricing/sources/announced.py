"""What the vendors have announced of their models since the copies were made: new ones with their
prices, and ends. A list that comes with the product, in a shape of our own, each row with who says
so; it is read where the copies are, and nowhere else."""

from collections.abc import Iterator
from typing import Any

from gateway.pricing.sources import listings
from gateway.pricing.sources.listings import Listing

NAME = "announcements"


def read(body: Any) -> Iterator[Listing]:
    """Raises Unreadable."""
    for row in listings.listed(listings.table(body, NAME).get("models"), NAME):
        cost = row.get("cost") or {}
        yield Listing(
            source=NAME,
            vendor=str(row.get("vendor", "")),
            name=str(row.get("name", "")),
            title=str(row.get("title") or row.get("name", "")),
            rates=listings.rates(
                str(row.get("vendor", "")),
                input=listings.dollars(cost.get("input")),
                output=listings.dollars(cost.get("output")),
                cache_read=listings.dollars(cost.get("cache_read")),
                cache_write=listings.dollars(cost.get("cache_write")),
            ),
            context=listings.whole(row.get("context")),
            max_output=listings.whole(row.get("output")),
            capabilities=frozenset(row.get("capabilities") or ()),
            released=listings.day(row.get("released")),
            ends=listings.day(row.get("ends")),
            successor=str(row.get("successor") or ""),
        )
