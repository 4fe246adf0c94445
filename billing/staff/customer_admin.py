"""Staff's view of a customer: money, plan, keys, spend; crediting with a reason; freezing."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import ApiKey
from accounts.people import freezing
from billing.books import adjustments, ledger
from billing.books.models import Entry
from billing.plans.models import Subscription
from billing.staff.audited import ReadOnlyAdmin, audit_deed, email_of
from billing.staff.dollars import DollarsField
from billing.staff.models import Customer
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars

SPEND_DAYS = 30


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="The customer sees it."
    )


class CreditForm(ReasonForm):
    amount = DollarsField(
        widget=UnfoldAdminTextInputWidget, help_text="Dollars; below 0 to take it away."
    )
    # Of this very form: sent twice, it credits once.
    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    field_order = ["amount", "reason", "once"]

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        try:
            adjustments.check_amount(amount)
        except errors.BadRequest as error:
            raise forms.ValidationError(error.message) from None
        return amount


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ["email", "name", "balance", "plan", "live_keys", "frozen_at", "created_at"]
    list_filter = [("frozen_at", admin.EmptyFieldListFilter), "is_active", "created_at"]
    search_fields = ["email", "name"]
    ordering = ["-id"]
    fields = [
        "email",
        "name",
        "created_at",
        "is_active",
        "balance",
        "plan",
        "live_keys",
        "spent",
        "spent_lately",
        "frozen_at",
        "frozen_reason",
    ]
    readonly_fields = ["balance", "plan", "live_keys", "spent", "spent_lately"]
    actions_detail = ["credit", "freeze", "unfreeze"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        live = Subscription.objects.filter(user=OuterRef("pk"), status__in=Subscription.LIVE)
        keys = ApiKey.objects.active(timezone.now()).filter(user=OuterRef("pk")).order_by()
        counted = keys.values("user").annotate(number=Count("pk")).values("number")
        found: QuerySet[Customer] = super().get_queryset(request)
        return found.select_related("wallet").annotate(
            plan_name=Coalesce(Subquery(live.values("plan__name")[:1]), Value("none")),
            active_keys=Coalesce(Subquery(counted), 0),
        )

    @admin.display(description="balance", ordering="wallet__credits_total")
    def balance(self, customer: Customer) -> str:
        wallet = getattr(customer, "wallet", None)  # opened by the first request or look
        return f"${dollars(wallet.balance if wallet else 0)}"

    @admin.display(description="plan", ordering="plan_name")
    def plan(self, customer: Any) -> str:
        return str(customer.plan_name)

    @admin.display(description="active keys", ordering="active_keys")
    def live_keys(self, customer: Any) -> int:
        return int(customer.active_keys)

    @admin.display(description="spent on usage", ordering="wallet__settled_total")
    def spent(self, customer: Customer) -> str:
        wallet = getattr(customer, "wallet", None)
        return f"${dollars(wallet.settled_total if wallet else 0)}"

    @admin.display(description=f"of that in {SPEND_DAYS} days")
    def spent_lately(self, customer: Customer) -> str:
        since = timezone.now() - timedelta(days=SPEND_DAYS)
        usage = Entry.objects.filter(
            account__code=ledger.wallet_code(customer.pk),
            transfer__kind=ledger.Kind.USAGE,
            transfer__created_at__gte=since,
        )
        return f"${dollars(-(usage.aggregate(total=Sum('amount'))['total'] or 0))}"

    # -- What staff may do -----------------------------------------------------------------------

    def has_credit_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.adjust_balance")

    def has_freeze_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.freeze_customer")

    @action(description="Credit", url_path="credit", permissions=["credit"])
    def credit(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._ask(request, object_id, "Credit", CreditForm, _credit)

    @action(description="Freeze", url_path="freeze", permissions=["freeze"])
    def freeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._ask(request, object_id, "Freeze", ReasonForm, _freeze)

    @action(description="Unfreeze", url_path="unfreeze", permissions=["freeze"])
    def unfreeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._ask(request, object_id, "Unfreeze", ReasonForm, _unfreeze)

    def _ask(
        self,
        request: HttpRequest,
        object_id: int,
        title: str,
        kind: type[ReasonForm],
        do: Callable[[HttpRequest, Customer, dict[str, Any]], str],
    ) -> HttpResponse:
        """Show the form; filled in, do it in one transaction with its audit, and go back."""
        customer = self.get_object(request, str(object_id))
        if customer is None or not self.has_view_permission(request, customer):
            raise PermissionDenied
        form = kind(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                with transaction.atomic():
                    said = do(request, customer, form.cleaned_data)
                self.message_user(request, said, messages.SUCCESS)
                return redirect(reverse("admin:billing_customer_change", args=[customer.pk]))
            except errors.ApiError as error:
                form.add_error(None, error.message)
        shown = {"form": form, "title": f"{title}: {customer}", "button": title}
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, **shown}
        return render(request, "admin/billing/customer/ask.html", context)


def _credit(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    adjustments.adjust(
        key=f"staff:{data['once']}",
        user_id=customer.pk,
        amount=data["amount"],
        reason=data["reason"],
        actor=email_of(request),
        request_id=request_id(request),
    )
    return f"Credited ${dollars(data['amount'])}."


def _freeze(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    if not freezing.freeze(customer.pk, data["reason"]):
        raise errors.Conflict(f"It is frozen already: {customer.frozen_reason}")
    _audit(request, customer, "freeze", data["reason"])
    return "Frozen: its keys are refused from now on."


def _unfreeze(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    if not freezing.unfreeze(customer.pk):
        raise errors.Conflict("It is not frozen.")
    _audit(request, customer, "unfreeze", data["reason"])
    return "Unfrozen: its keys work again."


def _audit(request: HttpRequest, customer: Customer, verb: str, reason: str) -> None:
    before = {"frozen_reason": customer.frozen_reason}
    audit_deed(request, verb, f"user:{customer.pk}", before=before, after={"reason": reason})
