"""Staff: the catalogue may be edited (its prices in its own room); usage may be read."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import is_aware, make_aware
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from billing.staff.archived_lists import REQUESTS, ArchivedList
from billing.staff.audited import audit_deed
from gateway.archive import archived_receipts
from gateway.batches import admin as batches  # noqa: F401  registers
from gateway.catalogue.models import BUCKETS, Model
from gateway.pricing import admin as pricing  # noqa: F401  registers
from gateway.pricing import feature_admin as features  # noqa: F401
from gateway.pricing import feature_price_admin as feature_prices  # noqa: F401
from gateway.pricing import model_admin as models  # noqa: F401
from gateway.pricing import own_key_admin as own_keys  # noqa: F401
from gateway.pricing import price_admin as prices  # noqa: F401
from gateway.pricing import proposal_admin as proposals  # noqa: F401
from gateway.pricing import routing_admin as routing  # noqa: F401
from gateway.reconciliation.vendors import admin as vendorbills  # noqa: F401
from gateway.usage import dead_events
from gateway.usage.corrections import admin as corrections  # noqa: F401  registers
from gateway.usage.corrections.models import corrected
from gateway.usage.models import DeadEvent, OverflowMonth, Refusal, UsageEvent
from gateway.usage.quarantine import admin as quarantine  # noqa: F401
from gateway.usage.request_ids import first_id
from gateway.vendors import admin as pools  # noqa: F401
from gateway.vendors.web import admin as web  # noqa: F401
from hontoni.money import dollars
from hontoni.read_only import ReadOnly


class ModelFilter(admin.SimpleListFilter):
    """Those of the catalogue: the table is too large to be asked which it has."""

    title, parameter_name = _("model"), "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in Model.objects.values_list("pk", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(model=self.value()) if self.value() else queryset


class OutcomeFilter(admin.SimpleListFilter):
    title, parameter_name = _("outcome"), "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("failed")), ("fine", _("answered"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "failed":
            return queryset.filter(status__gte=400)
        return queryset.filter(status__lt=400) if self.value() == "fine" else queryset


class SentDateFilter(admin.DateFieldListFilter):
    """By the time of a request, with which its id begins: no index has the one, but the other."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found: QuerySet[Any] | None = super().queryset(request, queryset)
        found = queryset if found is None else found
        for bound, of_ids, seconds in _BOUNDS:
            given: Any = self.used_parameters.get(bound)
            moment = UsageEvent._meta.get_field("created_at").to_python(given and given[-1])
            if moment is not None:
                moment = moment if is_aware(moment) else make_aware(moment)
                found = found.filter(**{of_ids: first_id(moment.timestamp() + seconds)})
        return found


# Looser by an hour than the time itself, which says which of them it is.
_BOUNDS = (("created_at__gte", "pk__gte", -3_600), ("created_at__lt", "pk__lt", 3_600))


@admin.register(UsageEvent)
class UsageAdmin(ArchivedList, ReadOnly, ModelAdmin):
    elsewhere = REQUESTS
    list_display = ("request_id", "created_at", "user", "model", "status", "charged_dollars")
    keyset = True
    list_filter = (
        ModelFilter,
        OutcomeFilter,
        ("created_at", SentDateFilter),
        "estimated",
        "aborted",
    )
    list_select_related = ("user",)
    show_full_result_count = False
    fields = (
        *("request_id", "created_at", "user", "api_key", "model", "requested_model", "price"),
        *("charged_dollars", "cost_dollars", "hold_dollars", *BUCKETS, "estimated", "aborted"),
        *("status", "error", "upstream_status", "upstream_request_id", "dialect", "stream"),
        *("first_byte_ms", "duration_ms", "client", "tool", "details"),
    )
    readonly_fields = ("request_id", "charged_dollars", "cost_dollars", "hold_dollars")

    @admin.display(description=_("request id"))
    def request_id(self, event: UsageEvent) -> str:
        return event.request_id

    def get_queryset(self, request: HttpRequest) -> QuerySet[UsageEvent]:
        return corrected(super().get_queryset(request))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> UsageEvent | None:
        """Out of the archive, too."""
        found: UsageEvent | None = super().get_object(request, object_id, from_field)
        try:
            return found or archived_receipts.find(None, UUID(object_id))
        except ValueError:
            return None

    @admin.display(description=_("charged"), ordering="cost")
    def charged_dollars(self, event: UsageEvent) -> str:
        return f"${dollars(event.charged)}"

    @admin.display(description=_("charged before any correction"))
    def cost_dollars(self, event: UsageEvent) -> str:
        return f"${dollars(event.cost)}"

    @admin.display(description=_("held"))
    def hold_dollars(self, event: UsageEvent) -> str:
        return f"${dollars(event.hold)}"


@admin.register(Refusal)
class RefusalAdmin(ReadOnly, ModelAdmin):
    list_display = ("last_at", "user", "status", "code", "model", "count", "request_id")
    keyset = True
    list_filter = ("code", "status", "last_at")
    search_fields = ("user__email", "request_id")
    list_select_related = ("user",)


@admin.register(OverflowMonth)
class OverflowMonthAdmin(ReadOnly, ModelAdmin):
    """What went past plans' windows, by key and month (docs/20-authentication.md)."""

    list_display = ("month", "api_key", "user", "spent", "cap")
    list_filter = ("month",)
    search_fields = ("api_key__user__email", "api_key__name")
    list_select_related = ("api_key__user",)
    fields = readonly_fields = ("month", "api_key", "user", "spent", "cap")
    ordering = ("-month", "-cost")

    @admin.display(description=_("user"))
    def user(self, row: OverflowMonth) -> str:
        return str(row.api_key.user)

    @admin.display(description=_("spent"), ordering="cost")
    def spent(self, row: OverflowMonth) -> str:
        return f"${dollars(row.cost)}"

    @admin.display(description=_("cap now"))
    def cap(self, row: OverflowMonth) -> str:
        most = row.api_key.overflow_cap
        return f"${dollars(most)}" if most else "–"


@admin.register(DeadEvent)
class DeadEventAdmin(ReadOnly, ModelAdmin):
    list_display = ("stream_id", "created_at", "problem")
    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("gateway.change_deadevent")

    @admin.action(description=_("Write into the books after all"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadEvent]) -> None:
        for dead in queryset.order_by("pk"):
            before = {"problem": dead.problem}
            problem = dead_events.replay(dead)
            after = {"problem": problem} if problem else {"recorded": True}
            audit_deed(request, "replay", f"usage:{dead.stream_id}", before=before, after=after)
            if problem:
                self.message_user(request, f"{dead.stream_id}: {problem}", messages.ERROR)
            else:
                self.message_user(
                    request,
                    gettext("%(id)s is recorded.") % {"id": dead.stream_id},
                    messages.SUCCESS,
                )
