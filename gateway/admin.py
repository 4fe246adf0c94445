"""Staff: the catalogue may be edited (its prices: gateway/prices/admin.py); usage may be read."""

from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from gateway.corrections import admin as corrections  # noqa: F401  registers
from gateway.features import admin as features  # noqa: F401
from gateway.models import Alias, DeadEvent, Model, Refusal, UsageEvent
from gateway.pools import admin as pools  # noqa: F401
from gateway.prices import admin as prices  # noqa: F401
from gateway.quarantine import admin as quarantine  # noqa: F401
from gateway.vendorbills import admin as vendorbills  # noqa: F401


class ReadOnly:
    """Nobody adds, changes or deletes these by hand."""

    def has_add_permission(self, *args: Any) -> bool:
        return False

    def has_change_permission(self, *args: Any) -> bool:
        return False

    def has_delete_permission(self, *args: Any) -> bool:
        return False


class AliasInline(TabularInline):
    model = Alias
    extra = 0


@admin.register(Model)
class CatalogueAdmin(ModelAdmin):
    list_display = ("id", "vendor", "upstream_id", "context_window", "max_output", "active")
    list_filter = ("vendor", "active")
    search_fields = ("id", "name", "upstream_id")
    inlines = (AliasInline,)


@admin.register(UsageEvent)
class UsageAdmin(ReadOnly, ModelAdmin):
    list_display = ("request_id", "created_at", "user", "model", "status", "cost")
    list_filter = ("model", "status", "estimated", "aborted")
    list_select_related = ("user",)
    show_full_result_count = False


@admin.register(Refusal)
class RefusalAdmin(ReadOnly, ModelAdmin):
    list_display = ("last_at", "user", "status", "code", "model", "count", "request_id")
    list_filter = ("code", "status")
    search_fields = ("user__email", "request_id")
    list_select_related = ("user",)


@admin.register(DeadEvent)
class DeadEventAdmin(ReadOnly, ModelAdmin):
    list_display = ("stream_id", "created_at", "problem")
