"""Counting what was left out, when requests are settled: so that staff can allow it the same day.

Only what was meant for a vendor of its own dialect counts: another dialect has no words for it,
whatever staff allow.
"""

from collections.abc import Iterable, Iterator, Mapping

from gateway.catalogue.features.models import Kind, LeftOut
from gateway.usage.books import Used
from hontoni import rowsets

_MOST_ROWS = 5_000  # names come from clients: beyond this they are counted together
_OTHERS = "(others)"
_BALANCE = " (balance)"
_Which = tuple[str, str, str]  # dialect, kind, name
_TABLE = LeftOut._meta.db_table
_KEY = ("dialect", "kind", "name")
_COLUMNS = (
    *((name, "text") for name in _KEY),
    *(("count", "bigint"), ("first_at", "timestamptz"), ("last_at", "timestamptz")),
    *(("last_user_id", "bigint"), ("last_request_id", "text")),
)


def count(rows: Iterable[Used]) -> None:
    """Add what these requests went without: once each, always in the same order."""
    found: dict[_Which, list[Used]] = {}
    for row in rows:
        if "left_out" in row.details and "upstream_dialect" not in row.details:
            for kind, name in _names(row.details["left_out"]):
                found.setdefault((row.dialect, kind, name), []).append(row)
    if found:
        _add(_bounded(found))


def _names(left_out: Iterable[str]) -> Iterator[tuple[str, str]]:
    for each in dict.fromkeys(left_out):
        kind, _, name = each.partition(":")
        if kind in Kind.values and not name.endswith(_BALANCE):
            yield kind, "".join(each if each.isprintable() else "?" for each in name)[:100]


def _bounded(found: Mapping[_Which, list[Used]]) -> dict[_Which, list[Used]]:
    """With new names put together, where there are too many rows already."""
    known = set(LeftOut.objects.filter(name__in={name for _, _, name in found}).values_list(*_KEY))
    if found.keys() <= known or LeftOut.objects.count() < _MOST_ROWS:
        return dict(found)
    bounded: dict[_Which, list[Used]] = {}
    for (dialect, kind, name), events in found.items():
        which = (dialect, kind, name if (dialect, kind, name) in known else _OTHERS)
        bounded.setdefault(which, []).extend(events)
    return bounded


def _add(found: Mapping[_Which, list[Used]]) -> None:
    rows = [
        (
            *which,
            len(events),
            events[0].created_at,
            events[-1].created_at,
            events[-1].user_id,
            events[-1].request_id,
        )
        for which, events in sorted(found.items())
    ]
    columns = ("last_at", "last_user_id", "last_request_id")
    said = ", ".join(f"{name} = excluded.{name}" for name in columns)
    rowsets.insert(
        _TABLE,
        _COLUMNS,
        rows,
        f"ON CONFLICT ({', '.join(_KEY)})"
        f" DO UPDATE SET count = {_TABLE}.count + excluded.count, {said}",
    )
