"""What a selection of usage adds up to, as templates show it: a chart, sums, and groups."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import ApiKey
from gateway.catalogue import snapshot
from gateway.dashboard import charts, logged
from gateway.dashboard.selection import Selection
from gateway.usage import rollups, series
from hontoni.templatetags.money import about, counted


def of(user_id: int, chosen: Selection, now: datetime) -> dict[str, Any]:
    """The chart, the sums and the groups of a selection, beside what it is compared with."""
    along = chosen.along(now)
    chosen_rows = series.with_own_keys(user_id, series.span(along), chosen.narrowing)
    past = chosen.compared(along)
    before = series.with_own_keys(user_id, series.span(past), chosen.narrowing) if past else None
    earlier = before.rows if before is not None else None
    catalogue = snapshot.load()
    names = _Names(user_id)
    return {
        "chart": _chart(user_id, chosen, along, past, names),
        "totals": rollups.totals(chosen_rows, catalogue),
        "earlier": rollups.totals(before, catalogue) if before is not None else None,
        "groups": _Groups(chosen, names).rows(
            series.groups(chosen_rows.rows, chosen.by, chosen.then, earlier), 1
        ),
        **_day(chosen),
    }


def _day(chosen: Selection) -> dict[str, Any]:
    """The day that an hour is looked at in."""
    if chosen.hour is None:
        return {}
    day = timezone.localdate(chosen.hour)
    return {"day": day, "day_query": chosen.query(since=day.isoformat(), until=day.isoformat())}


def _chart(
    user_id: int,
    chosen: Selection,
    along: list[series.Moment],
    past: list[series.Moment],
    names: "_Names",
) -> charts.Chart | None:
    found = _series(user_id, chosen, along)
    if not found:
        return None
    found = [series.Series(names.of(chosen.split, s.name), s.values) for s in found]
    compared = _series(user_id, chosen, past) if past else []
    sums = [sum(stack) for stack in zip(*(s.values for s in compared), strict=True)]
    show = about if chosen.measure == "cost" else counted
    link = None if chosen.hour else chosen.inside
    return charts.draw(along, found, show, link=link, earlier=sums or None)


def _series(user_id: int, chosen: Selection, along: list[series.Moment]) -> list[series.Series]:
    """Of an hour, from its requests; else from the rollups."""
    within = series.span(along)
    if chosen.hour:
        events = logged.narrowed(user_id, chosen, within=within)
        return series.by_minute(events, chosen.split, chosen.measure, along)
    rows = series.selection(user_id, within, chosen.narrowing)
    return series.series(rows, chosen.split, chosen.measure, along)


class _Names:
    """What groups are called: keys by their names, everything else by itself, in the reader's
    language."""

    def __init__(self, user_id: int) -> None:
        self._keys = {str(k.pk): k.name for k in ApiKey.objects.filter(user_id=user_id)}

    def of(self, by: str, value: Any) -> Any:
        if by == "tool":
            return gettext(value)
        return self._keys.get(str(value), str(value)) if by == "api_key_id" else value


class _Groups:
    """The rows of the table of groups, each with a link that narrows the page to it."""

    def __init__(self, chosen: Selection, names: _Names) -> None:
        self.chosen, self.names = chosen, names

    def rows(self, found: list[series.Group], level: int, **above: str) -> list[dict[str, Any]]:
        by = self.chosen.by if level == 1 else self.chosen.then
        dearest = max((group.cost for group in found), default=0)
        return [self._row(group, by, dearest, level, above) for group in found]

    def _row(
        self, group: series.Group, by: str, dearest: int, level: int, above: dict[str, str]
    ) -> dict[str, Any]:
        here = above | self._narrowed(by, group.value)
        return {
            "group": group,
            "name": self.names.of(by, group.value),
            "is_day": by == series.DAY,
            "url": self.chosen.url(**here),
            "share": group.cost * 100 // dearest if dearest else 0,
            "parts": self.rows(group.parts, level + 1, **here) if group.parts else [],
        }

    @staticmethod
    def _narrowed(by: str, value: Any) -> dict[str, str]:
        if by == series.DAY:
            return {"since": value.isoformat(), "until": value.isoformat()}
        return {"key" if by == "api_key_id" else by: str(value)}
