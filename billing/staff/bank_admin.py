"""Bank transfers for staff: rates, orders, what came and where it goes, and e-invoices."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from accounts.models import User
from billing.payments.vietqr import bank_refunds, quarantine, rates
from billing.payments.vietqr.models import BankOrder, BankRefund, BankTransfer, ExchangeRate
from billing.staff.audited import ReadOnlyAdmin, email_of, member
from billing.staff.deeds import AuditedForm, DeedAdmin, OnceForm
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars
from hontoni.templatetags.money import counted
from hontoni.translated_errors import to_staff


def in_dong(amount: int) -> str:
    return f"{counted(amount)} ₫"


class RateForm(forms.Form):
    dong = forms.IntegerField(
        label=_("Dong for a dollar"),
        min_value=rates.SANE.start,
        max_value=rates.SANE.stop - 1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Sold at from now on. What is ordered already keeps its rate."),
    )


@admin.register(ExchangeRate)
class ExchangeRateAdmin(DeedAdmin):
    """The newest that staff set is sold at; a source only proposes."""

    list_display = ["made_at", "shown_dong", "state", "source", "decided_by", "decided_at"]
    list_filter = ["state", "made_at"]
    actions_list = ["set_rate"]
    actions_detail = ["accept", "decline"]

    @admin.display(description=_("dong for a dollar"), ordering="dong")
    def shown_dong(self, rate: ExchangeRate) -> str:
        return in_dong(rate.dong)

    def has_set_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("payments.set_exchangerate")

    def has_decide_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not self.has_set_permission(request):
            return False
        proposed = ExchangeRate.objects.filter(pk=object_id, state=ExchangeRate.State.PROPOSED)
        return object_id is None or proposed.exists()

    @action(description=_("Set a rate"), url_path="set", permissions=["set"])
    def set_rate(self, request: HttpRequest) -> HttpResponse:
        found = rates.latest()
        form = RateForm(request.POST or None, initial={"dong": found.dong if found else None})
        if request.method == "POST" and form.is_valid():
            try:
                made = rates.set_by(
                    email_of(request), form.cleaned_data["dong"], request_id=request_id(request)
                )
            except errors.ApiError as error:
                form.add_error(None, to_staff(error))
            else:
                self.message_user(
                    request, gettext("A dollar costs %(rate)s now.") % {"rate": in_dong(made.dong)}
                )
                return redirect("admin:payments_exchangerate_changelist")
        return self.show(request, gettext("Set a rate"), form)

    @action(description=_("Sell at it"), url_path="accept", permissions=["decide"])
    def accept(self, request: HttpRequest, object_id: str) -> HttpResponse:
        title = gettext("Sell at it")
        return self.ask(request, object_id, title, forms.Form(request.POST), _decided(True))

    @action(description=_("Decline"), url_path="decline", permissions=["decide"])
    def decline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        title = gettext("Decline")
        return self.ask(request, object_id, title, forms.Form(request.POST), _decided(False))


def _decided(accept: bool) -> Callable[[HttpRequest, Any, dict[str, Any]], str]:
    def decide(request: HttpRequest, rate: ExchangeRate, _data: dict[str, Any]) -> str:
        rates.decide(
            rate.pk, accept=accept, actor=email_of(request), request_id=request_id(request)
        )
        said = gettext("A dollar costs %(rate)s now.") if accept else gettext("Declined: %(rate)s")
        return said % {"rate": in_dong(rate.dong)}

    return decide


@admin.register(BankOrder)
class BankOrderAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "code", "user", "gateway", "state", "shown_dong", "shown_amount"]
    list_filter = ["state", "gateway", "created_at"]
    list_select_related = ["user"]
    search_fields = ["code", "user__email", "number", "link_id"]
    exclude = ["amount", "dong"]
    readonly_fields = ["shown_dong", "shown_amount"]
    show_full_result_count = False

    @admin.display(description=_("dong"), ordering="dong")
    def shown_dong(self, order: BankOrder) -> str:
        return in_dong(order.dong)

    @admin.display(description=_("buys"), ordering="amount")
    def shown_amount(self, order: BankOrder) -> str:
        return f"${dollars(order.amount)}"


class BookForm(AuditedForm):
    """Whose balance it goes to, and at which rate."""

    email = forms.EmailField(label=_("Customer"), widget=UnfoldAdminTextInputWidget)
    rate = forms.IntegerField(
        label=_("Dong for a dollar"),
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Of the order, if it was paid in time; else today's."),
    )
    field_order = ["email", "rate", "reason"]

    def clean_email(self) -> User:
        found = User.objects.filter(email=self.cleaned_data["email"].strip().lower()).first()
        if found is None:
            raise forms.ValidationError(gettext("There is no such account."))
        return found


class BackForm(AuditedForm, OnceForm):
    """How much goes back, and where to."""

    dong = forms.IntegerField(label=_("Dong"), min_value=1, widget=UnfoldAdminIntegerFieldWidget)
    to = forms.CharField(
        label=_("To"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Bank, account and holder. Somebody else sends it there, by hand."),
    )
    field_order = ["dong", "to", "reason", "once"]


@admin.register(BankTransfer)
class BankTransferAdmin(DeedAdmin):
    """What came to the bank account; in quarantine, what fitted no order."""

    list_display = [
        *("sent_at", "shown_dong", "state", "problem", "order", "user", "shown_amount"),
        *("reference", "gateway", "heard_by"),
    ]
    list_filter = ["state", "problem", "gateway", "heard_by", "sent_at"]
    list_select_related = ["order", "user"]
    search_fields = ["reference", "content", "gateway_id", "user__email", "order__code"]
    exclude = ["amount", "dong", "identity"]
    readonly_fields = ["shown_dong", "shown_amount", "shown_left"]
    actions = ["book_for_orders"]
    actions_detail = ["book", "give_back"]
    show_full_result_count = False

    @admin.display(description=_("dong"), ordering="dong")
    def shown_dong(self, transfer: BankTransfer) -> str:
        return in_dong(transfer.dong)

    @admin.display(description=_("on the balance"), ordering="amount")
    def shown_amount(self, transfer: BankTransfer) -> str:
        return f"${dollars(transfer.amount)}" if transfer.amount else ""

    @admin.display(description=_("can go back"))
    def shown_left(self, transfer: BankTransfer) -> str:
        return in_dong(bank_refunds.left(transfer))

    def has_book_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("payments.book_banktransfer"):
            return False
        waiting = BankTransfer.objects.filter(state=BankTransfer.State.QUARANTINED)
        return object_id is None or waiting.filter(pk=object_id).exists()

    def has_give_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("payments.request_bankrefund"):
            return False
        found = BankTransfer.objects.filter(pk=object_id).first() if object_id else None
        return object_id is None or bool(found and bank_refunds.left(found))

    @admin.action(description=_("Book for the orders they name"), permissions=["book"])
    def book_for_orders(self, request: HttpRequest, queryset: QuerySet[BankTransfer]) -> None:
        """Each on the balance of who ordered, at the rate that is suggested for it."""
        done = 0
        for found in queryset.select_related("order__user"):
            owner, rate = quarantine.suggested(found)
            if owner is None or rate is None:
                self.message_user(
                    request,
                    gettext("%(transfer)s names no order: book it by itself.")
                    % {"transfer": found},
                    messages.WARNING,
                )
                continue
            why = {"reason": str(found.get_problem_display())}
            try:
                with transaction.atomic():
                    _book(request, found, {"email": owner, "rate": rate, **why})
            except errors.ApiError as error:
                self.message_user(request, f"{found}: {to_staff(error)}", messages.ERROR)
            else:
                done += 1
        self.message_user(request, gettext("%(count)d booked.") % {"count": done})

    @action(description=_("Put on a balance"), url_path="book", permissions=["book"])
    def book(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = BankTransfer.objects.select_related("order__user").filter(pk=object_id).first()
        owner, rate = quarantine.suggested(found) if found else (None, None)
        reason = found.get_problem_display() if found else ""
        initial = {"email": owner.email if owner else "", "rate": rate, "reason": reason}
        form = BookForm(request.POST or None, initial=initial)
        return self.ask(request, object_id, gettext("Put on a balance"), form, _book)

    @action(description=_("Send back"), url_path="back", permissions=["give_back"])
    def give_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = BankTransfer.objects.filter(pk=object_id).first()
        initial = {"dong": bank_refunds.left(found)} if found else {}
        form = BackForm(request.POST or None, initial=initial)
        return self.ask(request, object_id, gettext("Send back"), form, _request_back)


def _book(request: HttpRequest, transfer: BankTransfer, data: dict[str, Any]) -> str:
    made = quarantine.book(
        transfer.pk,
        user_id=data["email"].pk,
        rate=data["rate"],
        note=data["reason"],
        actor=email_of(request),
        request_id=request_id(request),
    )
    about = {"amount": f"${dollars(made.amount)}", "user": data["email"]}
    return gettext("%(amount)s is on the balance of %(user)s.") % about


def _request_back(request: HttpRequest, transfer: BankTransfer, data: dict[str, Any]) -> str:
    made = bank_refunds.request(
        transfer.pk,
        key=str(data["once"]),
        dong=data["dong"],
        to=data["to"],
        reason=data["reason"],
        staff=member(request),
        request_id=request_id(request),
    )
    return gettext("%(dong)s wait to be sent by somebody else.") % {"dong": in_dong(made.dong)}


class SentForm(forms.Form):
    reference = forms.CharField(
        label=_("The bank's reference"), max_length=100, widget=UnfoldAdminTextInputWidget
    )


@admin.register(BankRefund)
class BankRefundAdmin(DeedAdmin):
    """Notes of what goes back: who sends it is somebody else than who wrote it."""

    list_display = [
        *("requested_at", "shown_dong", "to", "state", "reason", "requested_by"),
        *("decided_by", "decided_at", "reference"),
    ]
    list_filter = ["state", "requested_at"]
    list_select_related = ["transfer"]
    search_fields = ["to", "reference", "transfer__reference", "transfer__user__email"]
    exclude = ["amount", "dong", "key"]
    readonly_fields = ["shown_dong", "shown_amount"]
    actions_detail = ["send", "decline"]

    @admin.display(description=_("dong"), ordering="dong")
    def shown_dong(self, refund: BankRefund) -> str:
        return in_dong(refund.dong)

    @admin.display(description=_("taken from the balance"), ordering="amount")
    def shown_amount(self, refund: BankRefund) -> str:
        return f"${dollars(refund.amount)}"

    def has_send_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        if not request.user.has_perm("payments.send_bankrefund"):
            return False
        others = BankRefund.objects.filter(state=BankRefund.State.REQUESTED)
        others = others.exclude(requester=member(request))
        return object_id is None or others.filter(pk=object_id).exists()

    @action(description=_("It is sent"), url_path="sent", permissions=["send"])
    def send(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = SentForm(request.POST or None)
        return self.ask(request, object_id, gettext("It is sent"), form, _sent)

    @action(description=_("Do not send it"), url_path="decline", permissions=["send"])
    def decline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = forms.Form(request.POST)
        return self.ask(request, object_id, gettext("Do not send it"), form, _declined)


def _sent(request: HttpRequest, refund: BankRefund, data: dict[str, Any]) -> str:
    bank_refunds.sent(
        refund.pk,
        reference=data["reference"],
        staff=member(request),
        request_id=request_id(request),
    )
    return gettext("%(dong)s are sent back.") % {"dong": in_dong(refund.dong)}


def _declined(request: HttpRequest, refund: BankRefund, data: dict[str, Any]) -> str:
    bank_refunds.decline(refund.pk, staff=member(request), request_id=request_id(request))
    return gettext("%(dong)s are where they were.") % {"dong": in_dong(refund.dong)}
