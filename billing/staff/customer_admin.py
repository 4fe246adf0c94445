"""Staff's view of a customer: money, plan, keys, spend; crediting with a reason; freezing."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import ApiKey
from accounts.people import freezing
from billing.books import adjustments, ledger
from billing.books.models import Entry
from billing.plans.models import Subscription
from billing.staff.audited import audit_deed, email_of
from billing.staff.deeds import DeedAdmin, OnceForm, ReasonForm
from billing.staff.dollars import DollarsField
from billing.staff.models import Customer
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars

SPEND_DAYS = 30


class CreditForm(OnceForm):
    amount = DollarsField(
        widget=UnfoldAdminTextInputWidget, help_text="Dollars; below 0 to take it away."
    )
    field_order = ["amount", "reason", "once"]

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        try:
            adjustments.check_amount(amount)
        except errors.BadRequest as error:
            raise forms.ValidationError(error.message) from None
        return amount


@admin.register(Customer)
class CustomerAdmin(DeedAdmin):
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
        return self._may_freeze(request, object_id, frozen=False)

    def has_unfreeze_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_freeze(request, object_id, frozen=True)

    def _may_freeze(self, request: HttpRequest, object_id: Any, *, frozen: bool) -> bool:
        """Only the one of the two that applies is shown, and done."""
        if not request.user.has_perm("billing.freeze_customer"):
            return False
        rows = Customer.objects.filter(pk=object_id, frozen_at__isnull=not frozen)
        return object_id is None or rows.exists()

    @action(description="Credit", url_path="credit", permissions=["credit"])
    def credit(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self.ask(request, object_id, "Credit", CreditForm(request.POST or None), _credit)

    @action(description="Freeze", url_path="freeze", permissions=["freeze"])
    def freeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self.ask(request, object_id, "Freeze", ReasonForm(request.POST or None), _freeze)

    @action(description="Unfreeze", url_path="unfreeze", permissions=["unfreeze"])
    def unfreeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = ReasonForm(request.POST or None)
        return self.ask(request, object_id, "Unfreeze", form, _unfreeze)


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
