"""A report as all formats tell it, and the reading of its numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from hontoni import money

UNITS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "calls")
PART = "part"


class BadReport(ValueError):
    """It cannot be read. The message is for whoever imports it; nothing was imported.

    A template and the values `about` it, so that staff read it in their language.
    """

    def __init__(self, template: str, **about: object) -> None:
        super().__init__(template % about if about else template)
        self.template = template
        self.about = {name: str(value) for name, value in about.items()}


@dataclass(slots=True)
class Line:
    """What one report says of one key (or scope), model and day. Costs are nano-dollars, by what
    they are for: a bucket of tokens, `calls`, or `other`."""

    day: date
    scope: str = ""
    key: str = ""
    model: str = ""
    tokens: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    requests: int | None = None
    costs: dict[str, int] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str, date]:
        return self.scope, self.key, self.model, self.day


@dataclass(frozen=True, slots=True)
class Report:
    """`usage` and `costs`: which of them it tells. `days` it covers, also those without lines.
    `units` are the columns of usage that it tells; `part` names the kind of usage it is about,
    where that is not the vendor's usual one: of other models it says nothing."""

    vendor: str
    lines: list[Line]
    days: frozenset[date]
    usage: bool = False
    costs: bool = False
    units: tuple[str, ...] = UNITS
    part: str = ""

    @property
    def kind(self) -> str:
        if self.part:
            return PART
        return "both" if self.usage and self.costs else "usage" if self.usage else "costs"


def summed(lines: Iterable[Line]) -> list[Line]:
    """Lines of one identity as one: reports split them by tier, context window and the like."""
    found: dict[Any, Line] = {}
    for line in lines:
        into = found.setdefault(line.identity, Line(line.day, line.scope, line.key, line.model))
        for name, value in line.tokens.items():
            into.tokens[name] = into.tokens.get(name, 0) + value
        for name, value in line.costs.items():
            into.costs[name] = into.costs.get(name, 0) + value
        into.calls += line.calls
        if line.requests is not None:
            into.requests = (into.requests or 0) + line.requests
    return [found[identity] for identity in sorted(found)]


# -- Numbers -------------------------------------------------------------------------------------


_MOST, _MOST_DOLLARS = 10**15, 10**8  # of a line; no bill is near it


def _named(name: str, value: object) -> dict[str, str]:
    return {"name": name, "value": repr(value)}


def count(row: Mapping[str, Any], name: str) -> int:
    """A number of tokens or calls; nothing is 0. Raises BadReport."""
    value = row.get(name)
    if value in (None, ""):
        return 0
    try:
        number = Decimal(str(value).replace(",", ""))
    except InvalidOperation:
        raise BadReport(
            "%(name)s is %(value)s, not a number.", name=name, value=repr(value)
        ) from None
    whole = number.is_finite() and 0 <= number <= _MOST and number == number.to_integral_value()
    if isinstance(value, bool) or not whole:
        raise BadReport("%(name)s is %(value)s, not a count.", **_named(name, value))
    return int(number)


def nanos(value: Any, name: str, *, unit: Decimal = Decimal(1)) -> int:
    """An amount in nano-dollars, half up; `unit` is what one of it is in dollars. Credits are
    below 0. Raises BadReport."""
    try:
        amount = Decimal(str(value)) * unit
        if isinstance(value, bool) or not amount.is_finite() or abs(amount) > _MOST_DOLLARS:
            raise InvalidOperation
    except InvalidOperation:
        raise BadReport(
            "%(name)s is %(value)s, not an amount.", name=name, value=repr(value)
        ) from None
    return money.nearest(amount)


def dollars_only(currency: Any) -> None:
    """Raises BadReport for any other."""
    if str(currency or "usd").lower() != "usd":
        raise BadReport("It is in %(currency)s; only dollars can be compared.", currency=currency)


def day_of(value: Any, name: str) -> date:
    """The UTC day of a moment: ISO 8601, a date, or Unix seconds. Raises BadReport."""
    try:
        if isinstance(value, int) or str(value).isdigit():
            return datetime.fromtimestamp(int(value), UTC).date()
        moment = datetime.fromisoformat(str(value).replace(" UTC", "+00:00"))
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError, OSError):
        raise BadReport(
            "%(name)s is %(value)s, not a moment.", name=name, value=repr(value)
        ) from None


def whole_day(begins: Any, ends: Any) -> date:
    """The day of a bucket, which must be one. Raises BadReport."""
    day, after = day_of(begins, "start"), day_of(ends, "end")
    if after - day != timedelta(days=1):
        raise BadReport(
            "The bucket from %(begins)s to %(ends)s is not a day: ask for bucket_width 1d.",
            begins=begins,
            ends=ends,
        )
    return day
