"""Lists of what goes into the archive with its month: each says since when it has its rows, and
where the older ones are."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from billing.books import checkpoints

CHARGES = _(
    "Charges for usage of before %(until)s are in the archive, and not in this list. Each opens "
    "at the list's address with its number behind it; the export for accountants has a period's."
)
ENTRIES = _(
    "Entries of charges for usage of before %(until)s are in the archive, and not in this list. A "
    "customer's transactions have all of theirs, and the export for accountants has a period's."
)
REQUESTS = _(
    "Requests of before %(until)s are in the archive, and not in this list. The search finds one "
    "by its id; a customer's log and exports have all of theirs."
)


class ArchivedList(ModelAdmin):
    """Mixed into the page of such a table."""

    list_before_template = "admin/billing/_archived.html"
    elsewhere = CHARGES

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        until = checkpoints.archived_until()
        note = self.elsewhere % {"until": until.date()} if until else ""
        context = {**(extra_context or {}), "archived_note": note}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer
