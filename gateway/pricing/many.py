"""Many prices changed at once, from a list in dollars: all of it, or nothing.

    model,input,cache_read,output,effective_at,reason
    gpt-4o,2.60,1.30,10.40,2027-01-01 00:00,

The first line names the columns; a column that is not there, and an empty cell, is as it was.
Commas, semicolons or tabs. A `Sheet` is the list of one kind of price: this is that of models,
many_features.py that of features.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t

from billing.staff.dollars import RateField
from billing.staff.price_changes import Change, seal
from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.prices import changes, schedule
from gateway.catalogue.prices.changes import LONG, Priced, Step
from gateway.pricing import announcements
from hontoni.errors import BadRequest
from hontoni.money import dollars
from hontoni.translated_errors import to_staff

_RATES = (*BUCKETS, *LONG)
MOST = 500  # lines
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: the version it makes, beside the one in force, or why it makes none.
    `notified` is how many customers hear of a rise."""

    number: int
    sold: str
    before: Priced | None = None
    price: Priced | None = None
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
            Change(f"{self.sold} {step.label}", step.before, step.after)
            for step in self.steps
            if step.before is not None
        ]


class Sheet:
    """A list of one kind of price. `keys` are the columns that say what a line is about."""

    keys: Sequence[str]
    amounts: Sequence[str]
    unit: str | Promise
    twice: str | Promise
    name: str  # of the file, and of the admin's page

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keys, *self.amounts, "effective_at", "reason")

    def prepare(self, rows: list[Row]) -> None:
        """Look up what the lines are about."""

    def sold(self, row: Row) -> str:
        """What a line is about, in words. Raises BadRequest if there is no such thing."""
        raise NotImplementedError

    def version(self, row: Row, reason: str, moment: datetime) -> Priced:
        """What a line says; what it does not say as it is at that moment. Raises BadRequest."""
        raise NotImplementedError

    def rows(self) -> Iterator[dict[str, str]]:
        """What is in force now, as `version` reads it."""
        raise NotImplementedError


def read(sheet: Sheet, text: str, begins: datetime | None = None, reason: str = "") -> list[Line]:
    """What a list would change. `begins` and `reason` are of the lines that say nothing else.
    Raises BadRequest for what is no list."""
    lines = list(_lines(sheet, text))
    now = clock.now()
    sheet.prepare([row for _, row in lines])
    seen: set[str] = set()
    found = []
    for number, row in lines:
        sold = " ".join(filter(None, (row.get(key, "") for key in sheet.keys)))
        try:
            if sold in seen:
                raise BadRequest(str(sheet.twice))
            seen.add(sold)
            found.append(_read(sheet, number, row, begins, reason, now))
        except (BadRequest, ValidationError) as error:
            words = to_staff(error) if isinstance(error, BadRequest) else " ".join(error.messages)
            found.append(Line(number, sold, problem=words))
    return found


def _lines(sheet: Sheet, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    text = text.strip().lstrip("\ufeff")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = [[cell.strip() for cell in row] for row in reader]
    columns = [name.lower().replace(" ", "_") for name in rows[0]] if rows else []
    is_list = sheet.keys[0] in columns
    if not is_list or (unknown := set(columns) - set(sheet.columns)):
        odd = f" Unknown: {', '.join(sorted(unknown))}." if is_list else ""
        raise BadRequest(
            "The first line names the columns, of %(names)s.%(odd)s",
            about={"names": ", ".join(sheet.columns), "odd": odd},
        )
    if len(rows) > MOST:
        raise BadRequest("More than %(most)s lines.", about={"most": MOST})
    for number, row in enumerate(rows[1:], 2):
        if any(row):
            yield number, dict(zip(columns, row, strict=False))


def _read(
    sheet: Sheet, number: int, row: Row, begins: datetime | None, reason: str, now: datetime
) -> Line:
    sold, reason = sheet.sold(row), row.get("reason") or reason
    wanted = _moment(row.get("effective_at", "")) or begins
    price = sheet.version(row, reason, wanted or now)
    begins = schedule.beginning(wanted, price)
    price = sheet.version(row, reason, begins)  # what is not in the list is as it is then
    price.effective_at = begins
    before = price.current(begins)
    schedule.check(price, now)
    line = Line(number, sold, before, price, notified=announcements.told_of(price, now))
    return line if line.steps else Line(number, sold, before, problem=gettext("Nothing changes."))


class ModelSheet(Sheet):
    keys = ("model",)
    amounts = (*BUCKETS, "long_context_above", *LONG)
    unit = _t("dollars per million tokens")
    twice = _t("The same model twice.")
    name = "price"

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}

    def prepare(self, rows: list[Row]) -> None:
        self._models = Model.objects.in_bulk([row.get("model", "") for row in rows])

    def sold(self, row: Row) -> str:
        if row.get("model", "") not in self._models:
            raise BadRequest(gettext("There is no such model."))
        return row["model"]

    def version(self, row: Row, reason: str, moment: datetime) -> Price:
        model = self._models[row["model"]]
        before = schedule.in_force(model.pk, moment)
        return Price(model=model, reason=reason, effective_at=moment, **_columns(row, before))

    def rows(self) -> Iterator[dict[str, str]]:
        """Of every active model."""
        now = clock.now()
        for pk in Model.objects.filter(active=True).values_list("pk", flat=True):
            if (price := schedule.in_force(pk, now)) is not None:
                cells = {name: _cell(name, getattr(price, name)) for name in self.amounts}
                yield {"model": pk, **cells}


def _columns(row: Row, before: Price | None) -> dict[str, Any]:
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
            "The model has no price yet: %(names)s is missing.",
            about={"names": ", ".join(missing)},
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
    begins = [f"{line.sold} {line.price.reason}" for line in lines if line.price]
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
                "Line %(number)s: %(problem)s",
                about={"number": line.number, "problem": line.problem},
            )
        notified += announcements.announce(line.price, actor, request_id)
    return notified


def written(sheet: Sheet) -> str:
    """What is in force, as `read` takes it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*sheet.keys, *sheet.amounts])
    writer.writeheader()
    writer.writerows(sheet.rows())
    return out.getvalue()


def _cell(name: str, value: int | None) -> str:
    if value is None:
        return ""
    return str(value) if name == "long_context_above" else dollars(value)


def earned(lines: Iterable[Line]) -> dict[int, dict[str, margins.Margin]]:
    """By line and bucket, what the new versions earn."""
    return {
        line.number: {each.bucket: each for each in margins.earned(line.price)}
        for line in lines
        if line.price is not None
    }
