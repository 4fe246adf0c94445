"""A model's life: from when until when it is sold, and what its answers tell of its end.

    Sunset: Thu, 14 Jan 2027 00:00:00 GMT       RFC 8594: when it ends
    Deprecation: @1793491200                    RFC 9745: since when that is announced
    Link: <https://.../models>; rel="sunset"    where to read about it
    X-Hontoni-Successor: gpt-5.4                what to ask instead

After its end a name means the successor, if staff say so, and else nothing: 404 model_retired.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from gateway.catalogue import clock
from gateway.catalogue.models import Model
from gateway.catalogue.own_prices.terms import Rates
from hontoni.errors import NotFound

Headers = tuple[tuple[bytes, bytes], ...]


class Life(NamedTuple):
    """Moments are microseconds since 1970; 0: always, or as far as anybody knows."""

    begins: int = 0
    ends: int = 0
    successor: str = ""
    redirects: bool = False
    headers: Headers = ()

    def holds(self, micros: int) -> bool:
        """Whether the model is sold at that moment."""
        return self.begins <= micros and not self.is_over(micros)

    def is_over(self, micros: int) -> bool:
        return bool(self.ends) and micros >= self.ends

    @property
    def ends_at(self) -> datetime | None:
        return clock.moment(self.ends) if self.ends else None

    @property
    def ending(self) -> str:
        """Behind a name where there is no room for more."""
        if not self.ends_at:
            return ""
        date = formats.date_format(timezone.localtime(self.ends_at), "DATE_FORMAT")
        return " (%s)" % (_("ends %(date)s") % {"date": date})

    @property
    def available_from(self) -> datetime | None:
        return clock.moment(self.begins) if self.begins else None


UNKNOWN = Life()


class Retired(NamedTuple):
    """A model that is no longer sold. `rates` are what it cost, in the order of BUCKETS, and
    `long_rates` in long contexts, if that was more or less."""

    id: str
    life: Life
    rates: Rates
    long_rates: Rates | None = None


class Stand(NamedTuple):
    """Who answers for a retired model, and whether that costs more: "same", "lower", "higher" (in
    some bucket, of a prompt of whatever length)."""

    retired: Retired
    price: str

    @property
    def header(self) -> tuple[bytes, bytes]:
        gone = self.retired
        given = f"{gone.id}; ended={_day(gone.life)}; price={self.price}"
        return b"x-hontoni-instead-of", given.encode()

    def as_dict(self) -> dict[str, Any]:
        """For the receipt."""
        return {"model": self.retired.id, "ended": _day(self.retired.life), "price": self.price}


def of(row: Model) -> Life:
    if row.ends_at is None:
        return Life(begins=_micros(row.available_from)) if row.available_from else UNKNOWN
    return Life(
        begins=_micros(row.available_from),
        ends=_micros(row.ends_at),
        successor=row.successor_id or "",
        redirects=row.redirects,
        headers=_headers(row, row.ends_at),
    )


def _micros(moment: datetime | None) -> int:
    return clock.of(moment) if moment else 0


def _headers(row: Model, ends_at: datetime) -> Headers:
    announced = min(row.deprecated_at or ends_at, ends_at)
    given = {
        b"sunset": format_datetime(ends_at.replace(microsecond=0), usegmt=True),
        b"deprecation": f"@{int(announced.timestamp())}",
        b"link": f'<{settings.PUBLIC_URL}/models>; rel="sunset"',
    }
    if row.successor_id:
        given[b"x-hontoni-successor"] = row.successor_id
    return tuple((name, value.encode()) for name, value in given.items())


def compared(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """What somebody pays now who paid `before`: "higher" where any bucket is."""
    if any(new > old for old, new in zip(before, after, strict=True)):
        return "higher"
    return "lower" if after != before else "same"


def retired(gone: Retired, names: Mapping[str, Any]) -> NotFound:
    """The refusal of a model that has ended; `names` are the models that are sold."""
    successor = gone.life.successor if gone.life.successor in names else ""
    instead = f"Use {successor}." if successor else "GET /v1/models lists what there is."
    return NotFound(
        f"The model {gone.id} was retired on {_day(gone.life)}. {instead}",
        code="model_retired",
        param="model",
        details={"successor": successor or None, "ended_at": _moment(gone.life)},
        headers={name.decode(): value.decode() for name, value in gone.life.headers},
    )


def _day(life: Life) -> str:
    return f"{clock.moment(life.ends):%Y-%m-%d}"


def _moment(life: Life) -> str:
    return clock.moment(life.ends).isoformat()
