"""Staff: what may be asked of the vendors and what it costs; and what customers asked in vain."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action

from billing.staff import RATES, ReadOnlyAdmin, audit_deed
from gateway.features.models import Feature, LeftOut
from hontoni.money import dollars


@admin.register(Feature)
class FeatureAdmin(ModelAdmin):
    """In force on every node within seconds."""

    formfield_overrides = {**ModelAdmin.formfield_overrides, **RATES}
    list_display = [
        *("name", "kind", "dialect", "only_models", "pricing", "a_call", "factor", "meter"),
        *("most_calls", "active", "note"),
    ]
    list_filter = ["dialect", "kind", "pricing", "active"]
    search_fields = ["name", "note", "only_models"]

    @admin.display(description="a call", ordering="amount")
    def a_call(self, row: Feature) -> str:
        return f"${dollars(row.amount)}" if row.amount else ""


@admin.register(LeftOut)
class LeftOutAdmin(ReadOnlyAdmin):
    audits_itself = True
    list_display = [
        *("name", "kind", "dialect", "count", "first_at", "last_at", "last_user"),
        "last_request_id",
    ]
    list_filter = ["dialect", "kind", "last_at"]
    list_select_related = ["last_user"]
    search_fields = ["name", "last_user__email", "last_request_id"]
    actions = ["allow"]

    def has_allow_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("gateway.allow_leftout")

    @action(description="Allow (costs nothing of its own)", permissions=["allow"])
    def allow(self, request: HttpRequest, chosen: QuerySet[LeftOut]) -> None:
        """Put them on the list, and off this one. What costs money needs its price there first."""
        for row in chosen:
            _allow(request, row)
        self.message_user(request, "Allowed. Customers' next requests have it.", messages.SUCCESS)


@transaction.atomic
def _allow(request: HttpRequest, row: LeftOut) -> None:
    which = {"dialect": row.dialect, "kind": row.kind, "name": row.name, "only_models": ""}
    Feature.objects.update_or_create(
        **which,
        defaults={"active": True},
        create_defaults={"note": "allowed from what was left out"},
    )
    audit_deed(
        request,
        "allow",
        f"feature:{row}",
        before={"count": row.count},
        after={"allowed": row.name},
    )
    row.delete()
