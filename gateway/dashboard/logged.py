"""The requests of a selection, and on what way each was answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from gateway.catalogue.models import Model
from gateway.dashboard.selection import Selection
from gateway.usage import charges, log, series
from gateway.usage.corrections.models import corrected
from gateway.usage.models import UsageEvent

VENDORS = {"anthropic": "Anthropic", "openai": "OpenAI", "google": "Google"}


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


def selected(
    user_id: int, chosen: Selection, within: series.Span | None, *, most: int
) -> QuerySet[UsageEvent]:
    """The log of a selection, newest first, so many of it at most. Raises Http404 for a charge
    there is none of."""
    if chosen.transaction:
        charged = charges.requests_of(user_id, chosen.transaction)
        if charged is None:
            raise Http404
        return narrowed(user_id, chosen, events=charged)[:most]
    return narrowed(user_id, chosen, within=within, most=most)[:most]


def narrowed(
    user_id: int,
    chosen: Selection,
    *,
    events: QuerySet[UsageEvent] | None = None,
    within: series.Span | None = None,
    most: int | None = None,
) -> QuerySet[UsageEvent]:
    """An account's requests, or these of them, with the model, the tool, the key and the outcome
    that were chosen."""
    if events is None:
        events = UsageEvent.objects.filter(user_id=user_id)
    return log.narrowed(
        corrected(events).select_related("api_key"),
        user_id,
        {"model": chosen.model, "tool": chosen.tool, "api_key_id": chosen.key},
        failed=chosen.outcome == "failed" if chosen.outcome else None,
        within=within,
        before=chosen.before,
        most=most,
    )
