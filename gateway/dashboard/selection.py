"""What the usage page is narrowed to: all of it in its address, which is also a saved view's."""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.http import Http404, QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from gateway.usage import series
from gateway.usage.clients import NAMES

MOST_DAYS = 367
RANGES = {
    "1": _("24 hours"),
    "7": _("7 days"),
    "30": _("30 days"),
    "90": _("90 days"),
    "365": _("12 months"),
}
MEASURES = {
    "cost": _("Cost"),
    "requests": _("Requests"),
    "errors": _("Failed requests"),
    "prompt": _("Prompt tokens"),
    "output": _("Output tokens"),
    "tokens": _("All tokens"),
}
GROUPS = {
    "model": _("By model"),
    "api_key_id": _("By key"),
    "tool": _("By tool"),
    "day": _("By day"),
}
THEN = {"": _("One level only"), **GROUPS}
COMPARED = {
    "": _("The time before"),
    "week": _("A week earlier"),
    "month": _("Four weeks earlier"),
    "none": pgettext_lazy("to compare with", "Nothing"),
}
_EARLIER = {"week": timedelta(days=7), "month": timedelta(days=28)}
OUTCOMES = {"": _("Any outcome"), "ok": _("Succeeded"), "failed": _("Failed")}
_TIMES = ("days", "since", "until", "hour")
_HOUR = "%Y-%m-%dT%HZ"


class SelectionForm(forms.Form):
    days = forms.ChoiceField(label=_("Time"), choices=RANGES, required=False)
    since = forms.DateField(label=_("From"), required=False)
    until = forms.DateField(label=_("To"), required=False)
    hour = forms.DateTimeField(required=False, input_formats=[_HOUR])
    custom = forms.BooleanField(required=False)  # what is shown is: another span ends it
    measure = forms.ChoiceField(label=_("Measure"), choices=MEASURES, required=False)
    by = forms.ChoiceField(label=_("Group"), choices=GROUPS, required=False)
    then = forms.ChoiceField(
        label=pgettext_lazy("a second group", "Then"), choices=THEN, required=False
    )
    compare = forms.ChoiceField(label=_("Compare with"), choices=COMPARED, required=False)
    model = forms.CharField(label=_("Model"), required=False, max_length=100)
    tool = forms.ChoiceField(
        label=_("Tool"), choices=[(name, name) for name in NAMES], required=False
    )
    key = forms.IntegerField(label=_("Key"), required=False, min_value=1, max_value=2**62)
    member = forms.IntegerField(label=_("Member"), required=False, min_value=1, max_value=2**62)
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    transaction = forms.CharField(required=False, max_length=30)
    before = forms.UUIDField(required=False)

    def clean_hour(self) -> datetime | None:
        """Hours are named in UTC: two of a night in autumn have the same name elsewhere."""
        found: datetime | None = self.cleaned_data["hour"]
        return found.replace(tzinfo=UTC) if found else None

    def clean(self) -> dict[str, Any]:
        chosen: dict[str, Any] = super().clean() or {}
        if chosen.get("custom") and chosen.get("days"):
            chosen |= {"since": None, "until": None, "hour": None}
        first, last = chosen.get("since"), chosen.get("until")
        if first or last:
            chosen["hour"] = None
        if first and last and not 0 <= (last - first).days < MOST_DAYS:
            raise forms.ValidationError("no such time")
        return chosen


@dataclass(frozen=True)
class Selection:
    """`days` is 0 where the time is of their own choice. Where none was `chosen`, the chart is of
    a week and the log of whatever there is."""

    days: int
    since: date | None
    until: date | None
    hour: datetime | None
    measure: str
    by: str
    then: str
    compare: str
    model: str
    tool: str
    key: int | None
    member: int | None
    outcome: str
    transaction: str
    before: UUID | None
    chosen: bool

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        """The choices, with defaults. Raises Http404 for what no link of ours says."""
        form = SelectionForm(query)
        if not form.is_valid():
            raise Http404
        found = form.cleaned_data
        own = found["since"] or found["until"] or found["hour"]
        values = {each.name: found.get(each.name) for each in fields(cls)} | {
            "days": 0 if own else int(found["days"] or 7),
            "measure": found["measure"] or "cost",
            "by": found["by"] or "model",
            "then": "" if found["then"] == (found["by"] or "model") else found["then"],
            "chosen": bool(own or found["days"]),
        }
        return cls(**values)

    @cached_property
    def first(self) -> date | None:
        """The first day, if days were chosen. One end alone is a day."""
        return self.since or self.until

    @cached_property
    def last(self) -> date | None:
        return self.until or self.since

    def along(self, now: datetime) -> list[series.Moment]:
        """The bars: an hour's minutes, a day's hours, or days."""
        if self.hour:
            return series.minutes(self.hour)
        if self.first and self.last:
            return series.between(self.first, self.last)
        return series.moments(self.days, now)

    def within(self, now: datetime) -> series.Span | None:
        """The time of the log; None if none was chosen."""
        return series.span(self.along(now)) if self.chosen else None

    def compared(self, along: list[series.Moment]) -> list[series.Moment]:
        """The bars to compare with; none if nothing is."""
        if self.compare == "none":
            return []
        return series.earlier(along, _EARLIER.get(self.compare))

    @property
    def split(self) -> str:
        """What the chart's colours are: a column of the rollups."""
        columns = [each for each in (self.by, self.then, "model") if each and each != series.DAY]
        return columns[0]

    @property
    def narrowing(self) -> dict[str, Any]:
        """As rollups and the log are narrowed."""
        return {"model": self.model, "tool": self.tool, "key": self.key, "member": self.member}

    def parameters(self) -> dict[str, str]:
        """What an address has to say, so that it leads here again."""
        if self.hour:
            time = {"hour": self.hour.strftime(_HOUR)}
        elif self.first and self.last:
            time = {"since": self.first.isoformat(), "until": self.last.isoformat()}
        else:
            time = {"days": str(self.days)}
        rest = {
            "measure": "" if self.measure == "cost" else self.measure,
            "by": "" if self.by == "model" else self.by,
            "then": self.then,
            "compare": self.compare,
            **{name: str(value or "") for name, value in self.narrowing.items()},
            "outcome": self.outcome,
            "transaction": self.transaction,
        }
        return time | {name: value for name, value in rest.items() if value}

    def query(self, **changes: str) -> str:
        """The address of this, with changes; an empty one takes something away."""
        found = self.parameters()
        if changes.keys() & _TIMES:
            found = {name: value for name, value in found.items() if name not in _TIMES}
        found |= changes
        return urlencode({name: value for name, value in found.items() if value})

    def url(self, **changes: str) -> str:
        """The page of this, with changes."""
        return f"{reverse('usage-log')}?{self.query(**changes)}"

    def inside(self, moment: series.Moment) -> str:
        """What is behind a bar: of a day its hours, of an hour its minutes."""
        if isinstance(moment, datetime):
            return self.url(hour=moment.astimezone(UTC).strftime(_HOUR))
        return self.url(since=moment.isoformat(), until=moment.isoformat())
