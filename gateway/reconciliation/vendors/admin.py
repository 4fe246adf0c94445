"""Staff: where vendors' reports come from, what their names mean, and what was imported."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminPasswordWidget
from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

from billing.staff.audited import ReadOnlyAdmin, audit_deed, email_of
from gateway.reconciliation.vendors import alarms, intake
from gateway.reconciliation.vendors.formats.report import BadReport
from gateway.reconciliation.vendors.models import (
    DEFAULT_ACCOUNT,
    MarginAlarm,
    ReportSource,
    VendorBill,
    VendorDifference,
    VendorImport,
    VendorName,
)
from gateway.vendors import vault
from gateway.vendors.models import home
from hontoni.money import change, dollars

_MOST_BYTES = 64 * 1024 * 1024


class SourceForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    secret = forms.CharField(
        required=False,
        max_length=10_000,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_(
            "An admin key; at Google the JSON of a service account's key. It is sealed and "
            "never shown again; leave it empty to keep the one there is."
        ),
    )

    class Meta:
        model = ReportSource
        fields = ("vendor", "account", "secret", "base_url", "table", "active")

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"].strip()
        if not secret and not self.instance.sealed:
            raise forms.ValidationError(gettext("A new source needs its secret."))
        return secret

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("vendor") == "google" and not cleaned.get("table"):
            self.add_error("table", gettext("Google needs the table: project.dataset.table."))
        if self.instance.pk and not cleaned.get("secret") and self._moved(cleaned):
            self.add_error("secret", gettext("Enter it again: it was for another address."))
        return cleaned

    def _moved(self, cleaned: dict[str, Any]) -> bool:
        """Whether the secret would be sent to somebody else than it was entered for."""
        before = ReportSource.objects.get(pk=self.instance.pk)
        there = home(cleaned.get("vendor", ""), cleaned.get("base_url", ""))
        return there != (before.entered_for or before.home)

    def save(self, commit: bool = True) -> ReportSource:
        if secret := self.cleaned_data["secret"]:
            self.instance.sealed, self.instance.problem = vault.seal(secret), ""
            self.instance.problem_about = {}
            self.instance.entered_for = self.instance.home
        saved: ReportSource = super().save(commit)
        return saved


@admin.register(ReportSource)
class ReportSourceAdmin(ModelAdmin):
    form = SourceForm
    list_display = ["vendor", "account", "active", "fetched_at", "went_wrong"]
    list_filter = ["vendor", "active"]
    readonly_fields = ["fetched_at", "went_wrong"]

    def get_fields(self, request: HttpRequest, obj: ReportSource | None = None) -> list[str]:
        """Of a new one there is nothing to tell yet."""
        found = ["vendor", "account", "secret", "base_url", "table", "active"]
        return [*found, *self.readonly_fields] if obj else found

    @admin.display(description=_("problem"))
    def went_wrong(self, source: ReportSource) -> str:
        return _told(source.problem, source.problem_about) if source.problem else ""


def _told(template: str, about: dict[str, str]) -> str:
    """What a report is refused for, in the language of whoever reads it."""
    said = gettext(template)
    return said % about if about else said


@admin.register(VendorName)
class VendorNameAdmin(ModelAdmin):
    list_display = ["name", "vendor", "label"]
    list_filter = ["vendor"]
    list_select_related = ["credential__provider"]
    search_fields = ["name"]


@admin.register(VendorBill)
class VendorBillAdmin(ReadOnlyAdmin):
    list_display = [
        *("day", "vendor", "account", "scope", "key", "vendor_model"),
        *("input", "cache_read", "output", "calls", "costs_us"),
    ]
    list_filter = ["vendor", "day", "vendor_model"]
    search_fields = ["key", "scope", "vendor_model"]
    ordering = ["-day", "vendor", "vendor_model"]
    show_full_result_count = False

    @admin.display(description=_("costs us"), ordering="dollars")
    def costs_us(self, bill: VendorBill) -> str:
        return gettext("not told yet") if bill.dollars is None else f"${dollars(bill.dollars)}"


@admin.register(VendorDifference)
class VendorDifferenceAdmin(ReadOnlyAdmin):
    list_display = ["day", "credential", "model", "unexplained", "of", "told_at", "gone_at"]
    list_filter = ["vendor", ("gone_at", admin.EmptyFieldListFilter), "day"]
    search_fields = ["credential", "model"]

    @admin.display(description=_("unexplained"), ordering="rest")
    def unexplained(self, found: VendorDifference) -> str:
        return f"${dollars(found.rest)}"

    @admin.display(description=_("of"), ordering="billed")
    def of(self, found: VendorDifference) -> str:
        return f"${dollars(found.billed)}"


@admin.register(MarginAlarm)
class MarginAlarmAdmin(ReadOnlyAdmin):
    list_display = ["day", "model", "customer", "charged", "costs_us", "earned", "told_at"]
    list_filter = ["day", "model"]

    @admin.display(description=_("charged"), ordering="revenue")
    def charged(self, alarm: MarginAlarm) -> str:
        return f"${dollars(alarm.revenue)}"

    @admin.display(description=_("cost us"), ordering="cost")
    def costs_us(self, alarm: MarginAlarm) -> str:
        return f"${dollars(alarm.cost)}"

    @admin.display(description=_("earned"))
    def earned(self, alarm: MarginAlarm) -> str:
        earned = alarm.revenue - alarm.cost
        sign = "−" if earned < 0 else ""
        return f"{sign}${dollars(abs(earned))} ({change(alarm.cost, alarm.revenue)})"


class UploadForm(forms.Form):
    report = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("A vendor's answer saved as JSON (all its pages in a list), or a CSV export."),
    )
    account = forms.SlugField(
        max_length=40,
        initial=DEFAULT_ACCOUNT,
        widget=TextInput,
        help_text=_("Our name for the organization at the vendor."),
    )

    def clean_report(self) -> Any:
        if self.cleaned_data["report"].size > _MOST_BYTES:
            raise forms.ValidationError(gettext("It is larger than 64 MiB."))
        return self.cleaned_data["report"]


@admin.register(VendorImport)
class VendorImportAdmin(ReadOnlyAdmin):
    audits_itself = True
    list_display = [
        *("created_at", "vendor", "account", "kind", "first_day", "last_day"),
        *("rows", "changed", "source", "by"),
    ]
    list_filter = ["vendor", "kind", "created_at"]
    search_fields = ["source", "sha256", "by"]
    actions_list = ["upload"]

    def has_upload_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("gateway.add_vendorimport")

    @action(description=_("Import a report"), url_path="upload", permissions=["upload"])
    def upload(self, request: HttpRequest) -> HttpResponse:
        """Ask for a file; import it, whole or not at all."""
        if not self.has_upload_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid() and self._import(request, form):
            return redirect(reverse("admin:gateway_vendorimport_changelist"))
        shown = {
            "form": form,
            "title": gettext("Import a vendor's report"),
            "button": gettext("Import"),
        }
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, **shown}
        return render(request, "admin/form_page.html", context)

    def _import(self, request: HttpRequest, form: UploadForm) -> bool:
        file, account = form.cleaned_data["report"], form.cleaned_data["account"]
        try:
            found = intake.read_file(
                file.read(), name=file.name, by=email_of(request), account=account
            )
        except BadReport as error:
            form.add_error(
                "report",
                f"{_told(error.template, error.about)} {gettext('Nothing was imported.')}",
            )
            return False
        after = {"source": found.source, "sha256": found.sha256, "rows": found.rows}
        audit_deed(request, "import", f"vendor_import:{found.pk}", before={}, after=after)
        said = gettext("%(rows)d bills, %(changed)d of them changed.")
        said %= {"rows": found.rows, "changed": found.changed}
        self.message_user(request, said, messages.SUCCESS)
        if odd := alarms.look(found.first_day, found.last_day):
            said = gettext("%(count)d bills have more than the thresholds that nothing explains.")
            said %= {"count": len(odd)}
            self.message_user(request, said, messages.WARNING)
        return True
