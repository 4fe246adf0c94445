"""The requests of a selection, and on what way each was answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from gateway.archive.archived_log import Log, Narrowing
from gateway.catalogue.models import Model
from gateway.dashboard.selection import Selection
from gateway.usage import charges, log, member_usage, series
from gateway.usage.corrections.models import corrected
from gateway.usage.models import UsageEvent
from gateway.vendors.models import Vendor
from hontoni.errors import Unavailable

VENDORS = dict(Vendor.choices)


@dataclass(frozen=True, slots=True)
class Way:
    """In which dialect it was asked, whose model answered, and each try to have it answered."""

    dialect: str
    vendor: str  # empty: of a model that is not known any more
    attempts: list[dict[str, Any]]

    @property
    def vendor_name(self) -> str:
        return VENDORS.get(self.vendor, self.vendor)

    @property
    def told(self) -> str:
        """ "503 overloaded_error 120 ms, 200 900 ms"."""
        return ", ".join(
            f"{each['status'] or '–'} {each.get('error') or ''}".rstrip() + f" {each['ms']} ms"
            for each in self.attempts
        )


def with_routes(events: Iterable[UsageEvent]) -> list[UsageEvent]:
    """Each with its `way`."""
    found = list(events)
    vendors = dict(
        Model.objects.filter(pk__in={event.model for event in found}).values_list("pk", "vendor")
    )
    for event in found:
        attempts = list(event.details.get("attempts", ()))
        way = Way(event.dialect, vendors.get(event.model, ""), attempts)
        event.way = way  # type: ignore[attr-defined]  # for templates and files
    return found


def selected(user_id: int, chosen: Selection, within: series.Span | None, *, most: int) -> Log:
    """The log of a selection, newest first, of which so many will be read at most. Raises Http404
    for a charge there is none of; its slices raise Unavailable where the archive is away."""
    of = Narrowing(user_id, _columns(user_id, chosen), _failed(chosen), began=within)
    of = of.between(None, chosen.before)
    if not chosen.transaction:
        return Log(narrowed(user_id, chosen, within=within, most=most), of)
    charge = charges.find(user_id, chosen.transaction)
    if charge is None:
        raise Http404
    return Log(narrowed(user_id, chosen, events=charge.events()), of.charged_with(charge))


def page(log: Log, most: int) -> tuple[list[UsageEvent], bool]:
    """So many of the log; where the archive is away, of what the database has alone."""
    try:
        return with_routes(log[:most]), False
    except Unavailable:
        return with_routes(log.events[:most]), True


def narrowed(
    user_id: int,
    chosen: Selection,
    *,
    events: QuerySet[UsageEvent] | None = None,
    within: series.Span | None = None,
    most: int | None = None,
) -> QuerySet[UsageEvent]:
    """An account's requests in the database, or these of them, with the model, the tool, the key
    and the outcome that were chosen."""
    if events is None:
        events = UsageEvent.objects.filter(user_id=user_id)
    return log.narrowed(
        corrected(events).select_related("api_key__member__person"),
        user_id,
        _columns(user_id, chosen),
        failed=_failed(chosen),
        within=within,
        before=chosen.before,
        most=most,
    )


def _columns(user_id: int, chosen: Selection) -> dict[str, Any]:
    wanted = {"model": chosen.model, "tool": chosen.tool, "api_key_id": chosen.key}
    found: dict[str, Any] = {name: value for name, value in wanted.items() if value}
    if chosen.member:
        found["api_key_id__in"] = member_usage.keys_of(user_id, chosen.member)
    return found


def _failed(chosen: Selection) -> bool | None:
    return chosen.outcome == "failed" if chosen.outcome else None
