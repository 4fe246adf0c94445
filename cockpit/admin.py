"""A customer's page: money, plan, keys, requests, refusals, mails and consents, in tabs.

It is billing's page (`billing/staff/customer_admin.py`) with what the domains above and beside
billing know of the same person. Every tab shows the newest rows and leads to the rest.
"""

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from accounts.models import ApiKey
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments.models import BankOrder, TopUp
from billing.plans.models import Subscription
from billing.staff.customer_admin import CustomerAdmin
from billing.staff.models import Customer, CustomerNote
from cockpit import announcement_admin as announcement_admin
from cockpit import disputes as disputes
from cockpit import impersonation
from cockpit.finding import page
from cockpit.sidebar import may_see
from cockpit.watch import admin as watch  # noqa: F401  registers
from gateway.dashboard.views.data_views import exported
from gateway.usage.models import Refusal, UsageEvent
from hontoni.money import dollars
from hontoni.read_only import ReadOnly

NEWEST = 20


class Tab(ReadOnly, TabularInline):
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


class TopUps(Tab):
    model = TopUp
    verbose_name_plural = _("Top-ups")
    fields = readonly_fields = ["link", "created_at", "route", "state", "failure"]
    order = "-created_at"


class BankOrders(Tab):
    model = BankOrder
    verbose_name_plural = _("Bank orders")
    fields = readonly_fields = ["link", "created_at", "gateway", "state", "dong", "rate"]
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
    model, fk_name = ApiKey, "user"
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
    """And what is refused: as it comes, while it is looked at."""

    model = UsageEvent
    template = "cockpit/_live_tab.html"
    verbose_name_plural = _("Live requests")
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


class SignIns(Tab):
    model = UserSession
    verbose_name_plural = _("Sign-ins")
    fields = readonly_fields = ["created_at", "ip", "user_agent", "last_seen_at"]
    order = "-created_at"


class Notes(Tab):
    model = CustomerNote
    verbose_name_plural = _("Notes")
    fields = readonly_fields = ["at", "author", "text"]


admin.site.index_title = _("Home")
admin.site.unregister(Customer)


@admin.register(Customer)
class CustomerPage(CustomerAdmin):
    inlines = [
        *(
            TopUps,
            BankOrders,
            Invoices,
            Subscriptions,
            Keys,
            Requests,
            Refusals,
            SignIns,
            Notices,
            Notes,
        )
    ]
    actions_detail = [
        *CustomerAdmin.actions_detail,
        {"title": _("See"), "items": ["live", "look", "own_price", "export"]},
    ]
    fields = [*CustomerAdmin.fields, "lists"]
    readonly_fields = [*CustomerAdmin.readonly_fields, "lists"]

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Those of tables that this member of staff may see."""
        keys = may_see(request.user, "accounts.apikey")  # and from where they are used
        return [
            tab
            for tab in self.inlines
            if (keys if tab is SignIns else may_see(request.user, tab.model._meta.label_lower))
        ]

    # -- What staff see, and take ----------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        end = self.admin_site.admin_view(impersonation.end)
        return [path("look/end", end, name="billing_customer_look_end"), *super().get_urls()]

    def has_look_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("billing.look_as_customer"):
            return False
        rows = Customer.objects.filter(pk=object_id, is_active=True, is_staff=False)
        return object_id is None or rows.exists()

    def has_live_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.view_usageevent")

    def has_own_price_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("gateway.add_customerprice")

    def has_export_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.export_customer")

    @action(description=_("Live requests"), url_path="live", permissions=["live"])
    def live(self, request: HttpRequest, object_id: int) -> HttpResponse:
        customer = self._one(request, object_id)
        context = {**self.admin_site.each_context(request), "opts": self.model._meta}
        return impersonation.live(
            request,
            customer,
            context | {"title": gettext("Live: %(customer)s") % {"customer": customer}},
        )

    @action(description=_("As the customer sees it"), url_path="look", permissions=["look"])
    def look(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = impersonation.LookForm(request.POST or None)
        return self.ask(request, object_id, gettext("Look as customer"), form, impersonation.begin)

    @action(description=_("Own price"), url_path="own-price", permissions=["own_price"])
    def own_price(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return redirect(f"{reverse('admin:gateway_customerprice_add')}?user={int(object_id)}")

    @action(description=_("Export all data"), url_path="export", permissions=["export"])
    def export(self, request: HttpRequest, object_id: int) -> Any:
        return exported(impersonation.exported(request, self._one(request, object_id)))

    def _one(self, request: HttpRequest, object_id: int) -> Customer:
        customer = self.get_object(request, str(object_id))
        if customer is None or not self.has_view_permission(request, customer):
            raise PermissionDenied
        found: Customer = customer
        return found

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
