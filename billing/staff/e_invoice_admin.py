"""E-invoices for staff: what is at the tax office, what was refused; and the rates of the tax."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from billing.invoices.models import TaxRate
from billing.payments.einvoice import handing_over
from billing.payments.einvoice.files import TYPES, file_of
from billing.payments.einvoice.models import EInvoice
from billing.staff.audited import email_of
from billing.staff.deeds import AuditedForm, DeedAdmin
from hontoni.drf import request_id
from hontoni.templatetags.money import dong


@admin.register(TaxRate)
class TaxRateAdmin(ModelAdmin):
    """In place of SELLER_TAX_RATE from a day on. What is issued already stays as it is."""

    list_display = ["since", "percent"]
    ordering = ["-since"]


@admin.register(EInvoice)
class EInvoiceAdmin(DeedAdmin):
    list_display = [
        *("created_at", "invoice", "kind", "state", "series", "number", "shown_total"),
        "error",
    ]
    list_filter = ["state", "kind", "created_at"]
    list_select_related = ["invoice"]
    search_fields = ["number", "reference_code", "invoice__number", "invoice__user__email"]
    fields = [
        *("invoice", "kind", "about", "state", "series", "template", "number", "reference_code"),
        *("tracking_code", "shown_total", "shown_tax", "rate", "tax_percent", "buyer", "reason"),
        *("shown_files", "error", "attempts", "next_at", "created_at", "issued_at"),
    ]
    readonly_fields = ["shown_total", "shown_tax", "shown_files"]
    actions_detail = ["replace", "retry"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[EInvoice]:
        found: QuerySet[EInvoice] = super().get_queryset(request)
        return found.defer("pdf", "xml", "invoice__pdf")

    @admin.display(description=_("total"), ordering="total")
    def shown_total(self, found: EInvoice) -> str:
        return dong(found.total)

    @admin.display(description=_("tax"))
    def shown_tax(self, found: EInvoice) -> str:
        return dong(found.tax)

    @admin.display(description=_("files"))
    def shown_files(self, found: EInvoice) -> SafeString | str:
        if not found.number:
            return ""
        links = [reverse("admin:payments_einvoice_file", args=[found.pk, end]) for end in TYPES]
        return format_html('<a href="{}">PDF</a> · <a href="{}">XML</a>', *links)

    def get_urls(self) -> list[URLPattern]:
        address = path(
            "<int:pk>/file/<slug:ending>",
            self.admin_site.admin_view(self.file),
            name="payments_einvoice_file",
        )
        return [address, *super().get_urls()]

    def file(self, request: HttpRequest, pk: int, ending: str) -> HttpResponse:
        found = EInvoice.objects.filter(pk=pk, number__gt="").first()
        if found is None or ending not in TYPES or not self.has_view_permission(request, found):
            raise Http404
        return file_of(found, ending)

    def has_mend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("payments.replace_einvoice")

    def has_replace_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        issued = EInvoice.objects.filter(pk=object_id, state=EInvoice.State.ISSUED)
        fits = issued.exclude(kind=EInvoice.Kind.ADJUSTMENT)
        return self.has_mend_permission(request) and (object_id is None or fits.exists())

    def has_retry_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        failed = EInvoice.objects.filter(pk=object_id, state=EInvoice.State.FAILED)
        return self.has_mend_permission(request) and (object_id is None or failed.exists())

    @action(
        description=_("Replace"),
        url_path="replace",
        permissions=["replace"],
    )
    def replace(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = AuditedForm(request.POST or None)
        return self.ask(request, object_id, gettext("Replace"), form, _replace)

    @action(description=_("Try again"), url_path="retry", permissions=["retry"])
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = AuditedForm(request.POST or None)
        return self.ask(request, object_id, gettext("Try again"), form, _retry)


def _replace(request: HttpRequest, found: EInvoice, data: dict[str, Any]) -> str:
    made = handing_over.replace(
        found.pk,
        reason=data["reason"],
        actor=email_of(request),
        now=timezone.now(),
        request_id=request_id(request),
    )
    return gettext("%(code)s is handed over within a minute.") % {"code": made.reference_code}


def _retry(request: HttpRequest, found: EInvoice, data: dict[str, Any]) -> str:
    made = handing_over.retry(
        found.pk, actor=email_of(request), now=timezone.now(), request_id=request_id(request)
    )
    return gettext("%(code)s is handed over within a minute.") % {"code": made.reference_code}
