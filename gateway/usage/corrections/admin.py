"""Staff: the corrections that were made, to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.staff.audited import ReadOnlyAdmin
from gateway.usage.corrections.models import Correction
from hontoni.money import dollars


@admin.register(Correction)
class CorrectionAdmin(ReadOnlyAdmin):
    list_display = ("id", "created_at", "price", "since", "until", "actor", "credited", "debited")
    list_filter = ("created_at", "price__model")
    list_select_related = ("price",)
    search_fields = ("actor", "reason")
    readonly_fields = ("credited", "debited", "by_account")
    fields = (
        *("created_at", "actor", "reason", "price", "since", "until", "user", "debits"),
        *("credited", "debited", "by_account"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Correction]:
        found: QuerySet[Correction] = super().get_queryset(request)
        return found.annotate(
            sum_credited=Sum("accounts__credited"), sum_debited=Sum("accounts__debited")
        )

    @admin.display(description=_("credited"))
    def credited(self, correction: Any) -> str:
        return f"${dollars(correction.sum_credited or 0)}"

    @admin.display(description=_("debited"))
    def debited(self, correction: Any) -> str:
        return f"${dollars(correction.sum_debited or 0)}"

    @admin.display(description=_("accounts"))
    def by_account(self, correction: Correction) -> SafeString:
        found = correction.accounts.select_related("user").order_by("user_id")[:200]
        rows = (
            (each.user.email, each.requests, dollars(each.credited), dollars(each.debited))
            for each in found
        )
        return format_html_join(
            "", format_html("<div>{}</div>", gettext("{}: {} requests, +${}, −${}")), rows
        )
