"""Staff: bills that are strange, to look at, to take up with the vendor, and to close."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.staff.audited import ReadOnlyAdmin, audit_deed, email_of
from gateway.catalogue.snapshot import price_of
from gateway.dialects.ir import Usage
from gateway.usage.quarantine.models import UsageQuarantine
from hontoni.money import dollars


class NoteForm(forms.Form):
    note = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("What was found, and what was agreed with the vendor."),
    )


@admin.register(UsageQuarantine)
class UsageQuarantineAdmin(ReadOnlyAdmin):
    audits_itself = True
    list_display = [
        *(
            "created_at",
            "kind",
            "request_id",
            "customer",
            "sold_model",
            "credential",
            "told_tokens",
        ),
        *("billed", "told_cost", "closed_at", "closed_by"),
    ]
    list_filter = [
        *(("closed_at", admin.EmptyFieldListFilter), "kind", "event__model", "created_at"),
    ]
    list_select_related = ["event__user", "event__price"]
    search_fields = ["event__user__email", "event__upstream_request_id", "note"]
    fields = [
        *(
            "request_id",
            "kind",
            "customer",
            "sold_model",
            "credential",
            "vendors_request",
            "created_at",
            "told_tokens",
        ),
        *("billed", "held", "told_cost", "closed_at", "closed_by", "note"),
    ]
    readonly_fields = [
        *("request_id", "customer", "sold_model", "credential", "vendors_request"),
        *("billed", "held", "told_cost", "told_tokens"),
    ]
    actions_detail = ["close"]

    @admin.display(description=_("request"))
    def request_id(self, found: UsageQuarantine) -> str:
        return found.event.request_id

    @admin.display(description=_("customer"), ordering="event__user__email")
    def customer(self, found: UsageQuarantine) -> str:
        return found.event.user.email

    @admin.display(description=_("model"), ordering="event__model")
    def sold_model(self, found: UsageQuarantine) -> str:
        return found.event.model

    @admin.display(description=_("answered by"))
    def credential(self, found: UsageQuarantine) -> str:
        attempts = found.event.details.get("attempts") or [{}]
        return str(attempts[-1].get("credential", ""))

    @admin.display(description=_("the vendor's request id"))
    def vendors_request(self, found: UsageQuarantine) -> str:
        return found.event.upstream_request_id

    @admin.display(description=_("tokens told"))
    def told_tokens(self, found: UsageQuarantine) -> str:
        shown = (f"{gettext(name.replace('_', ' '))} {n:,}" for name, n in found.told.items() if n)
        return ", ".join(shown)

    @admin.display(description=_("billed (the hold)"), ordering="event__cost")
    def billed(self, found: UsageQuarantine) -> str:
        return f"${dollars(found.event.cost)}"

    @admin.display(description=_("held"))
    def held(self, found: UsageQuarantine) -> str:
        return f"${dollars(found.event.hold)}"

    @admin.display(description=_("what was told would cost"))
    def told_cost(self, found: UsageQuarantine) -> str:
        return f"${dollars(price_of(found.event.price).cost(Usage(**found.told)))}"

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.close_usagequarantine")

    @action(description=_("Close"), url_path="close", permissions=["close"])
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a note; with it, close. Money is moved by an adjustment, never here."""
        found = self.get_object(request, object_id)
        if found is None or not self.has_view_permission(request, found):
            raise PermissionDenied
        form = NoteForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            if _close(request, found, form.cleaned_data["note"]):
                self.message_user(request, gettext("Closed."), messages.SUCCESS)
            else:
                self.message_user(request, gettext("It was closed already."), messages.WARNING)
            return redirect(reverse("admin:gateway_usagequarantine_changelist"))
        shown = {
            "form": form,
            "title": gettext("Close %(what)s") % {"what": found},
            "button": gettext("Close"),
        }
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, **shown}
        return render(request, "admin/billing/customer/ask.html", context)


@transaction.atomic
def _close(request: HttpRequest, found: UsageQuarantine, note: str) -> bool:
    """False if somebody else did."""
    closed = UsageQuarantine.objects.filter(pk=found.pk, closed_at=None).update(
        closed_at=timezone.now(), closed_by=email_of(request), note=note
    )
    if closed:
        subject, before = f"usage_quarantine:{found}", {"told": found.told}
        audit_deed(request, "close", subject, before=before, after={"note": note})
    return bool(closed)
