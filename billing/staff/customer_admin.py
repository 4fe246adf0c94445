"""Staff's view of a customer: money, plan, keys, spend; crediting with a reason; freezing."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts.models import ApiKey
from billing.books import credit_requests, ledger
from billing.books.models import CreditRequest, Entry
from billing.payments import balance_refunds
from billing.payments.models import TopUp
from billing.plans import raises, terms
from billing.plans.models import Subscription
from billing.staff import customer_deeds as deeds
from billing.staff.audited import ReadOnlyAdmin, member
from billing.staff.deeds import DeedAdmin, ReasonForm
from billing.staff.models import Customer, CustomerNote
from hontoni.drf import request_id
from hontoni.money import dollars

SPEND_DAYS = 30


def _paid(customer: Any) -> QuerySet[TopUp]:
    """Payments that can go back to their card."""
    return TopUp.objects.filter(user=customer, state=TopUp.State.PAID).exclude(intent_id="")


@admin.register(Customer)
class CustomerAdmin(DeedAdmin):
    list_display = ["email", "name", "balance", "plan", "live_keys", "frozen_at", "created_at"]
    list_filter = [("frozen_at", admin.EmptyFieldListFilter), "is_active", "created_at"]
    search_fields = ["email", "name", "memberships__person__email"]  # of a team
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
        "raised",
        "frozen_at",
        "frozen_reason",
    ]
    readonly_fields = ["balance", "plan", "live_keys", "spent", "spent_lately", "raised"]
    actions = ["freeze_all"]
    actions_detail = [
        "credit",
        {"title": _("Refund"), "items": ["refund", "refund_to_balance"]},
        "note",
        {
            "title": _("Limits and plan"),
            "items": ["raise_limits", "lower_limits", "extend_trial", "end_plan", "keep_plan"],
        },
        {"title": _("Account"), "items": ["freeze", "unfreeze", "close_account"]},
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        live = Subscription.objects.filter(user=OuterRef("pk"), status__in=Subscription.LIVE)
        keys = ApiKey.objects.active(timezone.now()).filter(user=OuterRef("pk")).order_by()
        counted = keys.values("user").annotate(number=Count("pk")).values("number")
        found: QuerySet[Customer] = super().get_queryset(request)
        return found.select_related("wallet").annotate(
            plan_name=Coalesce(Subquery(live.values("plan__name")[:1]), Value("–")),
            active_keys=Coalesce(Subquery(counted), 0),
        )

    @admin.display(description=_("balance"), ordering="wallet__credits_total")
    def balance(self, customer: Customer) -> str:
        wallet = getattr(customer, "wallet", None)  # opened by the first request or look
        return f"${dollars(wallet.balance if wallet else 0)}"

    @admin.display(description=_("plan"), ordering="plan_name")
    def plan(self, customer: Any) -> str:
        return str(customer.plan_name)

    @admin.display(description=_("active keys"), ordering="active_keys")
    def live_keys(self, customer: Any) -> int:
        return int(customer.active_keys)

    @admin.display(description=_("spent on usage"), ordering="wallet__settled_total")
    def spent(self, customer: Customer) -> str:
        wallet = getattr(customer, "wallet", None)
        return f"${dollars(wallet.settled_total if wallet else 0)}"

    @admin.display(description=format_lazy(_("of that in {days} days"), days=SPEND_DAYS))
    def spent_lately(self, customer: Customer) -> str:
        since = timezone.now() - timedelta(days=SPEND_DAYS)
        usage = Entry.objects.filter(
            account__code=ledger.wallet_code(customer.pk),
            transfer__kind=ledger.Kind.USAGE,
            transfer__created_at__gte=since,
        )
        return f"${dollars(-(usage.aggregate(total=Sum('amount'))['total'] or 0))}"

    @admin.display(description=_("limits raised"))
    def raised(self, customer: Customer) -> str:
        return str(raises.of(customer.pk, timezone.now()) or "")

    # -- What staff may do -----------------------------------------------------------------------

    def has_credit_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.adjust_balance") or request.user.has_perm(
            "billing.credit_within_limit"
        )

    def has_note_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.add_customernote")

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

    def has_raise_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("billing.raise_limits")

    def has_lower_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("billing.raise_limits"):
            return False
        return object_id is None or raises.of(int(object_id), timezone.now()) is not None

    def has_trial_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("billing.manage_subscription"):
            return False
        mine = None if object_id is None else terms.subscription_of(int(object_id))
        return object_id is None or bool(mine and mine.on_trial)

    def has_end_plan_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._has_plan(request, object_id)

    def has_keep_plan_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._has_plan(request, object_id, cancel_at_period_end=True)

    def _has_plan(self, request: HttpRequest, object_id: Any, **lookups: bool) -> bool:
        if not request.user.has_perm("billing.manage_subscription"):
            return False
        live = Subscription.objects.filter(user=object_id, status__in=Subscription.LIVE)
        return object_id is None or live.filter(**lookups).exists()

    def has_refund_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("payments.refund_topup"):
            return False
        return object_id is None or _paid(object_id).exists()

    def has_refund_to_balance_permission(
        self, request: HttpRequest, object_id: Any = None
    ) -> bool:
        """Where the balance paid for something that has not gone back yet."""
        if not request.user.has_perm("payments.refund_topup"):
            return False
        return object_id is None or bool(balance_refunds.refundable(int(object_id)))

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("billing.close_customer"):
            return False
        rows = Customer.objects.filter(pk=object_id, is_active=True, is_staff=False)
        return object_id is None or rows.exists()

    @action(description=_("Credit"), url_path="credit", permissions=["credit"])
    def credit(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.CreditForm(request.POST or None)
        return self.ask(request, object_id, gettext("Credit"), form, deeds.credit)

    @action(description=_("Note"), url_path="note", permissions=["note"])
    def note(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self.ask(
            request, object_id, gettext("Note"), deeds.NoteForm(request.POST or None), deeds.note
        )

    @action(
        description=_("Raise limits for a time"), url_path="raise-limits", permissions=["raise"]
    )
    def raise_limits(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.RaiseForm(request.POST or None)
        return self.ask(request, object_id, gettext("Raise limits"), form, deeds.raise_limits)

    @action(description=_("Limits as sold"), url_path="lower-limits", permissions=["lower"])
    def lower_limits(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.AuditedForm(request.POST or None)
        return self.ask(request, object_id, gettext("Limits as sold"), form, deeds.lower_limits)

    @action(description=_("Extend trial"), url_path="extend-trial", permissions=["trial"])
    def extend_trial(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.TrialForm(request.POST or None)
        return self.ask(request, object_id, gettext("Extend trial"), form, deeds.extend_trial)

    @action(description=_("End plan"), url_path="end-plan", permissions=["end_plan"])
    def end_plan(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.EndForm(request.POST or None)
        return self.ask(
            request, object_id, gettext("End plan"), form, deeds.end_plan, at_once=False
        )

    @action(description=_("Keep plan"), url_path="keep-plan", permissions=["keep_plan"])
    def keep_plan(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.AuditedForm(request.POST or None)
        return self.ask(
            request, object_id, gettext("Keep plan"), form, deeds.keep_plan, at_once=False
        )

    @action(description=_("To the card"), url_path="refund", permissions=["refund"])
    def refund(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Of a payment: the only one, or the list of them."""
        first = list(_paid(object_id)[:2])
        if len(first) == 1:
            return redirect("admin:payments_topup_refund", str(first[0].pk))
        return redirect(
            f"{reverse('admin:payments_topup_changelist')}"
            f"?user__id__exact={int(object_id)}&state__exact=paid"
        )

    @action(
        description=_("To the balance"),
        url_path="refund-to-balance",
        permissions=["refund_to_balance"],
    )
    def refund_to_balance(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.BalanceRefundForm(request.POST or None, int(object_id))
        title = gettext("Refund to the balance")
        return self.ask(request, object_id, title, form, deeds.refund_to_balance)

    @action(description=_("Freeze"), url_path="freeze", permissions=["freeze"])
    def freeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = ReasonForm(request.POST or None)
        return self.ask(request, object_id, gettext("Freeze"), form, deeds.freeze)

    def has_freeze_all_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.freeze_customer")

    @admin.action(description=_("Freeze the chosen"), permissions=["freeze_all"])
    def freeze_all(self, request: HttpRequest, queryset: QuerySet[Customer]) -> Any:
        """A ring of accounts, for one reason, in one transaction. Asks for the reason first."""
        sent = request.POST if "reason" in request.POST else None
        form = deeds.RingForm(sent, initial={"action": "freeze_all"})
        chosen = list(queryset.filter(frozen_at=None).order_by("pk"))
        if form.is_valid():
            with transaction.atomic():
                for customer in chosen:
                    deeds.freeze(request, customer, form.cleaned_data)
            self.message_user(
                request,
                gettext("%(count)d are frozen: their keys are refused.") % {"count": len(chosen)},
            )
            return None
        context = {**self.admin_site.each_context(request), "opts": self.model._meta}
        context |= {
            "form": form,
            "title": gettext("Freeze %(count)d accounts") % {"count": len(chosen)},
            "button": gettext("Freeze"),
        }
        return render(request, "admin/billing/customer/ask.html", context | {"chosen": chosen})

    @action(description=_("Unfreeze"), url_path="unfreeze", permissions=["unfreeze"])
    def unfreeze(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = ReasonForm(request.POST or None)
        return self.ask(request, object_id, gettext("Unfreeze"), form, deeds.unfreeze)

    @action(description=_("Delete account"), url_path="close", permissions=["close"])
    def close_account(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.DeletionForm(request.POST or None)
        return self.ask(request, object_id, gettext("Delete account"), form, deeds.delete)


@admin.register(CustomerNote)
class CustomerNoteAdmin(ReadOnlyAdmin):
    list_display = ["at", "user", "author", "text"]
    list_filter = ["at", "author"]
    list_select_related = ["user"]
    search_fields = ["user__email", "text"]


@admin.register(CreditRequest)
class CreditRequestAdmin(DeedAdmin):
    """Open ones first."""

    list_display = ["requested_at", "user", "shown_amount", "reason", "requested_by", "state"]
    list_filter = ["state", "requested_at", "requested_by"]
    list_select_related = ["user"]
    search_fields = ["user__email", "requested_by", "decided_by"]
    ordering = ["-state", "-id"]
    fields = [
        *("user", "shown_amount", "reason", "requested_by", "requested_at", "state"),
        *("decided_by", "decided_at", "note"),
    ]
    readonly_fields = ["shown_amount"]
    actions_detail = ["approve", "decline"]

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, request: CreditRequest) -> str:
        return f"${dollars(request.amount)}"

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Somebody else than who requested it, while it is open."""
        if not request.user.has_perm("billing.decide_creditrequest"):
            return False
        found = CreditRequest.objects.filter(pk=object_id, state=CreditRequest.State.OPEN)
        return object_id is None or found.exclude(requester=member(request)).exists()

    @action(description=_("Approve"), url_path="approve", permissions=["decide"])
    def approve(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = forms.Form(request.POST if request.method == "POST" else None)
        return self.ask(request, object_id, gettext("Approve"), form, _approve)

    @action(description=_("Decline"), url_path="decline", permissions=["decide"])
    def decline(self, request: HttpRequest, object_id: int) -> HttpResponse:
        form = deeds.AuditedForm(request.POST or None)
        return self.ask(request, object_id, gettext("Decline"), form, _decline)


def _approve(request: HttpRequest, found: CreditRequest, data: dict[str, Any]) -> str:
    made = credit_requests.approve(found.pk, staff=member(request), request_id=request_id(request))
    return gettext("Credited %(made)s.") % {"made": made}


def _decline(request: HttpRequest, found: CreditRequest, data: dict[str, Any]) -> str:
    credit_requests.decline(
        found.pk, note=data["reason"], staff=member(request), request_id=request_id(request)
    )
    return gettext("Declined: nothing is booked.")
