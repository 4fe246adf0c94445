"""A customer's page: money, plan, keys, requests, refusals, mails and consents, in tabs.

It is billing's page (`billing/staff/customer_admin.py`) with what the domains above and beside
billing know of the same person. Every tab shows the newest rows and leads to the rest.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from accounts.models import ApiKey
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments.models import TopUp
from billing.plans.models import Subscription
from billing.staff.customer_admin import CustomerAdmin
from billing.staff.models import Customer
from cockpit import announcement_admin  # noqa: F401  registers
from cockpit.finding import page
from cockpit.sidebar import may_see
from cockpit.watch import admin as watch  # noqa: F401  registers
from gateway.usage.models import Refusal, UsageEvent
from hontoni.money import dollars

NEWEST = 20


class Tab(TabularInline):
    """The newest rows of a customer's, to read."""

    tab = True
    extra = 0
    can_delete = False
    order = "-pk"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """A formset filters what it is given, so the newest are chosen by their keys."""
        rows: QuerySet[Any] = super().get_queryset(request)
        match = request.resolver_match
        customer = match.kwargs.get("object_id") if match else None
        mine = rows.filter(user=customer).order_by(self.order)
        return rows.filter(pk__in=list(mine.values_list("pk", flat=True)[:NEWEST])).order_by(
            self.order
        )

    @admin.display(description=_("open"))
    def link(self, row: Model) -> str:
        return format_html('<a class="underline" href="{}">{}</a>', page(row), row)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TopUps(Tab):
    model = TopUp
    verbose_name_plural = _("Top-ups")
    fields = readonly_fields = ["link", "created_at", "route", "state", "failure"]
    order = "-created_at"


class Invoices(Tab):
    model = Invoice
    verbose_name_plural = _("Invoices")
    fields = readonly_fields = ["link", "issued_at", "kind", "amount"]

    @admin.display(description=_("total"))
    def amount(self, invoice: Invoice) -> str:
        return f"${dollars(invoice.total)}"


class Subscriptions(Tab):
    model = Subscription
    verbose_name_plural = _("Plan")
    fk_name = "user"
    fields = readonly_fields = [
        *("link", "plan", "add_on", "status", "payment_method", "period_end"),
        *("trial", "cancel_at_period_end"),
    ]


class Keys(Tab):
    model = ApiKey
    verbose_name_plural = _("Keys")
    fields = readonly_fields = [
        "link",
        "prefix",
        "last4",
        "created_at",
        "last_used_at",
        "revoked_at",
    ]


class Requests(Tab):
    model = UsageEvent
    verbose_name_plural = _("Requests")
    fields = readonly_fields = ["link", "created_at", "model", "status", "error", "charged"]

    @admin.display(description=_("charged"))
    def charged(self, event: UsageEvent) -> str:
        return f"${dollars(event.cost)}"


class Refusals(Tab):
    model = Refusal
    verbose_name_plural = _("Refusals")
    fields = readonly_fields = ["link", "last_at", "status", "message", "model", "count"]


class Notices(Tab):
    model = Notice
    verbose_name_plural = _("Mails")
    fields = readonly_fields = ["link", "created_at", "kind"]


admin.site.index_title = _("Home")
admin.site.unregister(Customer)


@admin.register(Customer)
class CustomerPage(CustomerAdmin):
    actions = ["freeze_together"]
    inlines = [TopUps, Invoices, Subscriptions, Keys, Requests, Refusals, Notices]
    fields = [*CustomerAdmin.fields, "lists"]
    readonly_fields = [*CustomerAdmin.readonly_fields, "lists"]

    @admin.action(description=_("Freeze together"), permissions=["freeze"])
    def freeze_together(self, request: HttpRequest, queryset: QuerySet[Customer]) -> HttpResponse:
        """A ring that no rule found: chosen by hand, frozen as one."""
        chosen = ",".join(map(str, queryset.order_by("pk").values_list("pk", flat=True)))
        return redirect(f"{reverse('cockpit-freeze')}?{urlencode({'accounts': chosen})}")

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Those of tables that this member of staff may see."""
        return [tab for tab in self.inlines if may_see(request.user, tab.model._meta.label_lower)]

    @admin.display(description=_("all of it"))
    def lists(self, customer: Customer) -> str:
        """The whole lists of what the tabs show the newest of."""
        ledger = reverse("admin:billing_transfer_changelist")
        return format_html(
            '<a class="underline" href="{}?q=wallet:{}">{}</a> · '
            '<a class="underline" href="{}?user__id__exact={}">{}</a> · '
            '<a class="underline" href="{}?q={}">{}</a>',
            *(ledger, customer.pk, _("Ledger")),
            *(reverse("admin:gateway_usageevent_changelist"), customer.pk, _("Requests")),
            *(reverse("admin:gateway_refusal_changelist"), customer.email, _("Refusals")),
        )
