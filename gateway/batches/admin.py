"""Staff: how batches go. They may be cancelled, and nothing of them is to be read."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.staff.audited import audit_deed
from gateway.batches import records
from gateway.batches.models import Batch
from hontoni.money import dollars
from hontoni.read_only import ReadOnlyAdmin


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("id", "created_at", "user", "status", "progress", "cost_dollars", "endpoint")
    list_filter = ("status", "endpoint", "created_at")
    search_fields = ("id", "user__email")
    list_select_related = ("user",)
    show_full_result_count = False
    actions = ("cancel",)
    fields = (
        *("id", "user", "api_key", "endpoint", "model", "status", "progress"),
        *("succeeded", "errored", "canceled", "expired", "held_dollars", "cost_dollars", "bytes"),
        *("created_at", "expires_at", "cancelling_at", "ended_at", "forgotten_at", "wrong"),
        *("runner", "lease_until"),
    )
    readonly_fields = fields

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("gateway.change_batch")

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, batch: Batch) -> str:
        return f"{batch.done:,} / {batch.total:,}"

    @admin.display(description=gettext_lazy("errors"))
    def wrong(self, batch: Batch) -> str:
        """Each with its line, and its code's page; what it says is the API's, in English."""
        return format_html_join(mark_safe("<br>"), "{}", ((_shown(e),) for e in batch.errors))

    @admin.display(description=gettext_lazy("cost so far"), ordering="cost")
    def cost_dollars(self, batch: Batch) -> str:
        return f"${dollars(batch.cost)}"

    @admin.display(description=gettext_lazy("held at first"), ordering="held")
    def held_dollars(self, batch: Batch) -> str:
        return f"${dollars(batch.held)}"

    @admin.action(
        description=gettext_lazy("Cancel: what runs now still ends"), permissions=["cancel"]
    )
    def cancel(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        for batch in queryset:
            before = {"status": batch.status}
            records.cancel(batch)
            if batch.status == before["status"]:
                continue
            subject = f"batch:{batch.pk}"
            audit_deed(request, "cancel", subject, before=before, after={"status": batch.status})
            text = _("%(id)s is being cancelled.") % {"id": batch.pk}
            self.message_user(request, text, messages.SUCCESS)


def _shown(error: dict[str, Any]) -> str:
    page = reverse("error-code", args=[error["code"]])
    said = '<a href="{}"><code>{}</code></a> <span lang="en">{}</span>'
    shown = format_html(said, page, error["code"], error["message"])
    if error.get("line") is None:
        return shown
    line = conditional_escape(_("Line %(number)s: %(problem)s"))
    return mark_safe(line % {"number": int(error["line"]), "problem": shown})
