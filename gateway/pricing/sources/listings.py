"""What one source says of one model, in our units: nano-dollars per million tokens."""

import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.catalogue.models import BUCKETS
from gateway.catalogue.variants import undated
from hontoni import money

Rates = dict[str, int]  # by bucket; all of them, or none is known

_PER_TOKEN = Decimal(1_000_000)
_MOST = 100_000  # dollars per million tokens; more is another unit


class Unreadable(Exception):
    """A source that is not of its shape."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source does not say is empty. `trusted`: its prices are the vendor's own."""

    source: str
    vendor: str
    name: str
    title: str = ""
    rates: Rates = field(default_factory=dict)
    long_above: int | None = None
    long_rates: Rates = field(default_factory=dict)
    context: int = 0
    max_output: int = 0
    capabilities: frozenset[str] = frozenset()
    released: date | None = None
    ends: date | None = None
    successor: str = ""
    trusted: bool = True

    @property
    def canonical(self) -> str:
        return canonical(self.name)


def canonical(name: str) -> str:
    """The same for all spellings of a name: undated, with dashes for dots, without a prefix."""
    return undated(name.rpartition("/")[2].lower()).replace(".", "-")


def dollars(value: Any) -> int | None:
    """Dollars per million tokens, as a source has them, in nano-dollars. Raises Unreadable."""
    return _nanos(value, Decimal(1))


def per_token(value: Any) -> int | None:
    """Dollars per token. Raises Unreadable."""
    return _nanos(value, _PER_TOKEN)


def _nanos(value: Any, times: Decimal) -> int | None:
    if value is None or value == "":
        return None
    try:
        amount = Decimal(str(value)) * times
    except InvalidOperation:
        raise Unreadable(f"{value!r} is no price") from None
    if not amount.is_finite() or not 0 <= amount <= _MOST:
        raise Unreadable(f"{value!r} is no price of tokens")
    return money.nearest(amount)


def rates(
    vendor: str,
    *,
    input: int | None,
    output: int | None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    cache_write_1h: int | None = None,
    reasoning: int | None = None,
) -> Rates:
    """All buckets; what is not said is what the vendors do: Anthropic's hour of cache costs twice
    the input, elsewhere the cache is written for nothing more than the input."""
    if input is None or output is None:
        return {}
    hour = 2 * input if vendor == "anthropic" and cache_write is not None else cache_write or input
    found = {
        "input": input,
        "cache_read": input if cache_read is None else cache_read,
        "cache_write_5m": input if cache_write is None else cache_write,
        "cache_write_1h": hour if cache_write_1h is None else cache_write_1h,
        "output": output,
        "reasoning": output if reasoning is None else reasoning,
    }
    return {bucket: found[bucket] for bucket in BUCKETS}


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def day(value: Any) -> date | None:
    """Of a moment or a day as text; None where it is neither."""
    found = _DAY.match(str(value or ""))
    try:
        return date.fromisoformat(found[0]) if found else None
    except ValueError:
        return None


def whole(value: Any) -> int:
    """A number of tokens; 0 where none is told."""
    return value if isinstance(value, int) and value > 0 else 0


def table(value: Any, what: str) -> dict[str, Any]:
    """An object. Raises Unreadable."""
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is not of its shape")
    return value


def listed(value: Any, what: str) -> list[dict[str, Any]]:
    """A list of objects. Raises Unreadable."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Unreadable(f"{what} is not of its shape")
    return value
