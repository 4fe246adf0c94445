"""Counting what was left out, when requests are settled: so that staff can allow it the same day.

Only what was meant for a vendor of its own dialect counts: another dialect has no words for it,
whatever staff allow.
"""

from collections.abc import Iterable, Iterator

from django.db.models import F

from gateway.catalogue.features.models import Kind, LeftOut
from gateway.usage.models import UsageEvent

_MOST_ROWS = 5_000  # names come from clients: beyond this they are counted together
_OTHERS = "(others)"
_BALANCE = " (balance)"


def count(rows: Iterable[UsageEvent]) -> None:
    """Add what these requests went without: once each, always in the same order."""
    found: dict[tuple[str, str, str], list[UsageEvent]] = {}
    for row in rows:
        if "left_out" in row.details and "upstream_dialect" not in row.details:
            for kind, name in _names(row.details["left_out"]):
                found.setdefault((row.dialect, kind, name), []).append(row)
    for which, events in sorted(found.items()):
        _add(*which, events)


def _names(left_out: Iterable[str]) -> Iterator[tuple[str, str]]:
    for each in dict.fromkeys(left_out):
        kind, _, name = each.partition(":")
        if kind in Kind.values and not name.endswith(_BALANCE):
            yield kind, "".join(each if each.isprintable() else "?" for each in name)[:100]


def _add(dialect: str, kind: str, name: str, events: list[UsageEvent]) -> None:
    which = {"dialect": dialect, "kind": kind, "name": name}
    if not LeftOut.objects.filter(**which).exists() and LeftOut.objects.count() >= _MOST_ROWS:
        which["name"] = _OTHERS
    last = events[-1]
    told = {"last_at": last.created_at, "last_user_id": last.user_id}
    told |= {"last_request_id": last.request_id}
    first = {"first_at": events[0].created_at}
    found, _ = LeftOut.objects.get_or_create(**which, defaults=told | first)
    LeftOut.objects.filter(pk=found.pk).update(count=F("count") + len(events), **told)
