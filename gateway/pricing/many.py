"""Many prices changed at once, from a list in dollars per million tokens: all of it, or nothing.

    model,input,cache_read,output,effective_at,reason
    gpt-4o,2.60,1.30,10.40,2027-01-01 00:00,

The first line names the columns; a column that is not there, and an empty cell, is as it was.
Commas, semicolons or tabs.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext

from billing.staff.dollars import RateField
from billing.staff.price_changes import Change, seal
from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.prices import changes, schedule
from gateway.catalogue.prices.changes import LONG, Step
from gateway.pricing import announcements
from hontoni.errors import BadRequest
from hontoni.money import dollars

COLUMNS = ("model", *BUCKETS, "long_context_above", *LONG, "effective_at", "reason")
_RATES = (*BUCKETS, *LONG)
MOST = 500  # lines


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: the version it makes, beside the one in force, or why it makes none.
    `notified` is how many customers hear of a rise."""

    number: int
    model: str
    before: Price | None = None
    price: Price | None = None
    problem: str = ""
    notified: int = 0

    @property
    def steps(self) -> list[Step]:
        """What changes."""
        if self.price is None:
            return []
        return [s for s in changes.steps(self.before, self.price) if s.before != s.after]

    @property
    def amounts(self) -> list[Change]:
        return [
            Change(f"{self.model} {step.label}", step.before, step.after)
            for step in self.steps
            if step.before is not None
        ]


def read(text: str, begins: datetime | None = None, reason: str = "") -> list[Line]:
    """What a list would change. `begins` and `reason` are of the lines that say nothing else.
    Raises BadRequest for what is no list."""
    lines = list(_lines(text))
    now = clock.now()
    models = Model.objects.in_bulk([row.get("model", "") for _, row in lines])
    seen: set[str] = set()
    found = []
    for number, row in lines:
        name = row.get("model", "")
        try:
            if name in seen:
                raise BadRequest(gettext("The same model twice."))
            seen.add(name)
            if name not in models:
                raise BadRequest(gettext("There is no such model."))
            found.append(_read(number, models[name], row, begins, reason, now))
        except (BadRequest, ValidationError) as error:
            words = error.message if isinstance(error, BadRequest) else " ".join(error.messages)
            found.append(Line(number, name, problem=words))
    return found


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    text = text.strip().lstrip("\ufeff")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = [[cell.strip() for cell in row] for row in reader]
    columns = [name.lower().replace(" ", "_") for name in rows[0]] if rows else []
    if "model" not in columns or set(columns) - set(COLUMNS):
        names = {"names": ", ".join(COLUMNS), "odd": ", ".join(sorted(set(columns) - {*COLUMNS}))}
        said = gettext("The first line names the columns, of %(names)s. Unknown: %(odd)s.")
        raise BadRequest(said % {**names, "odd": names["odd"] or "–"})
    if len(rows) > MOST:
        raise BadRequest(gettext("More than %(count)d lines.") % {"count": MOST})
    for number, row in enumerate(rows[1:], 2):
        if any(row):
            yield number, dict(zip(columns, row, strict=False))


def _read(
    number: int,
    model: Model,
    row: Mapping[str, str],
    begins: datetime | None,
    reason: str,
    now: datetime,
) -> Line:
    wanted = _moment(row.get("effective_at", "")) or begins
    before = schedule.in_force(model.pk, wanted or now)
    price = Price(model=model, reason=row.get("reason") or reason, **_columns(row, before))
    price.effective_at = schedule.beginning(model.pk, wanted, price)
    later = schedule.in_force(model.pk, price.effective_at)
    if later != before:  # what is not in the list is as it is then
        before = later
        price = Price(
            model=model,
            reason=price.reason,
            effective_at=price.effective_at,
            **_columns(row, before),
        )
    schedule.check(price, now)
    line = Line(number, model.pk, before, price, notified=announcements.told_of(price, now))
    return (
        line if line.steps else Line(number, model.pk, before, problem=gettext("Nothing changes."))
    )


def _columns(row: Mapping[str, str], before: Price | None) -> dict[str, Any]:
    field = RateField(required=False)
    found: dict[str, Any] = {}
    for name in (*_RATES, "long_context_above"):
        cell = row.get(name, "").removeprefix("$")
        if not cell:
            found[name] = getattr(before, name) if before else None
        elif name == "long_context_above":
            found[name] = _whole(cell)
        else:
            found[name] = field.clean(cell)
    missing = [name for name in BUCKETS if found[name] is None]
    if missing:
        raise BadRequest(
            gettext("The model has no price yet: %(missing)s is missing.")
            % {"missing": ", ".join(missing)}
        )
    return found


def _whole(cell: str) -> int:
    if not cell.isdecimal():
        raise BadRequest(gettext("long_context_above is a number of tokens."))
    return int(cell)


def _moment(cell: str) -> datetime | None:
    """Of a cell: UTC where it does not say."""
    if not cell:
        return None
    try:
        moment, day = parse_datetime(cell), parse_date(cell)
    except ValueError:
        moment = day = None
    if moment is None and day is not None:
        moment = datetime(day.year, day.month, day.day)  # noqa: DTZ001  made aware below
    if moment is None:
        raise BadRequest(gettext("effective_at is a moment, such as 2027-01-01 00:00."))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def confirmation(lines: Iterable[Line]) -> str:
    """What somebody confirms who has seen these: every amount, and when it begins."""
    amounts = [amount for line in lines for amount in line.amounts]
    begins = [f"{line.model} {line.price.reason}" for line in lines if line.price]
    return seal([*amounts, *(Change(each, 0, 0) for each in begins)])


def is_large(lines: Iterable[Line]) -> bool:
    """Whether any amount changes by more than half."""
    return any(amount.is_large for line in lines for amount in line.amounts)


@transaction.atomic
def apply(lines: Iterable[Line], *, actor: str, request_id: str = "") -> int:
    """All of them; how many customers were told. Raises BadRequest, and nothing is changed, if
    one line has a problem."""
    notified = 0
    for line in lines:
        if line.price is None:
            raise BadRequest(
                gettext("Line %(number)d: %(problem)s")
                % {"number": line.number, "problem": line.problem}
            )
        notified += announcements.announce(line.price, actor, request_id)
    return notified


def written(prices: Iterable[Price]) -> str:
    """The list of these, as `read` takes it, with their costs and what they earn."""
    out = io.StringIO()
    names = [name for name in COLUMNS if name not in ("effective_at", "reason")]
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    for price in prices:
        cells = {name: getattr(price, name) for name in names if name != "model"}
        writer.writerow({"model": price.model_id, **{n: _cell(n, v) for n, v in cells.items()}})
    return out.getvalue()


def _cell(name: str, value: int | None) -> str:
    if value is None:
        return ""
    return str(value) if name == "long_context_above" else dollars(value)


def listed() -> list[Price]:
    """What is in force now, of every active model."""
    now = clock.now()
    found = (
        schedule.in_force(pk, now)
        for pk in Model.objects.filter(active=True).values_list("pk", flat=True)
    )
    return [price for price in found if price is not None]


def earned(lines: Iterable[Line]) -> dict[str, dict[str, margins.Margin]]:
    """By model and bucket, what the new versions earn."""
    costs = margins.known()
    return {
        line.model: {each.bucket: each for each in costs.of(line.price)}
        for line in lines
        if line.price is not None
    }
