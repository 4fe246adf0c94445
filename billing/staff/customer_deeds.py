"""What staff do to a customer, behind a form: each is a function of the domain, with a reason."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.people import freezing
from accounts.sign_in import deletion
from billing.books import adjustments, audit, credit_requests
from billing.payments import balance_refunds
from billing.plans import raises
from billing.plans.models import Subscription
from billing.staff.audited import audit_deed, email_of, member
from billing.staff.deeds import AuditedForm, OnceForm, ReasonForm
from billing.staff.dollars import DollarsField
from billing.staff.models import Customer, CustomerNote
from billing.subscriptions import changes, complimentary
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import CENT, dollars
from hontoni.pages import at
from hontoni.translated_errors import to_staff


class CreditForm(OnceForm):
    amount = DollarsField(
        label=_("Amount"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Dollars; below 0 to take it away."),
    )
    field_order = ["amount", "reason", "once"]

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        try:
            adjustments.check_amount(amount)
        except errors.BadRequest as error:
            raise forms.ValidationError(to_staff(error)) from None
        return amount


class BalanceRefundForm(OnceForm):
    """Of what was bought, whole or in part."""

    of = forms.ChoiceField(label=_("Of"), widget=UnfoldAdminSelectWidget)
    amount = DollarsField(
        label=_("Amount"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Dollars and whole cents: all that is left of it, or a part."),
    )
    field_order = ["of", "amount", "reason", "once"]

    def __init__(self, data: Any, customer: int) -> None:
        super().__init__(data)
        found = balance_refunds.refundable(customer)
        field: Any = self.fields["of"]
        field.choices = [
            (name, f"{_what(name)}: ${dollars(left // CENT * CENT)}")
            for name, left in found.items()
        ]


def _what(name: str) -> str:
    if name == balance_refunds.USAGE:
        return gettext("Usage")
    return gettext("Invoice %(number)s") % {"number": name}


class RingForm(ReasonForm):
    """Of several accounts; what was chosen in the list goes with it."""

    action = forms.CharField(widget=forms.HiddenInput)


class NoteForm(forms.Form):
    text = forms.CharField(label=_("Note"), max_length=4_000, widget=UnfoldAdminTextareaWidget)


class RaiseForm(AuditedForm):
    times = forms.IntegerField(
        label=_("Times"),
        min_value=2,
        max_value=raises.MOST_TIMES,
        initial=2,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    days = forms.IntegerField(
        label=_("Days"),
        min_value=1,
        max_value=raises.MOST_DAYS,
        initial=7,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    field_order = ["times", "days", "reason"]


class TrialForm(AuditedForm):
    days = forms.IntegerField(
        label=_("Days"),
        min_value=1,
        max_value=complimentary.MOST_DAYS,
        initial=7,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    field_order = ["days", "reason"]


class EndForm(AuditedForm):
    when = forms.ChoiceField(
        label=_("When"),
        choices=[
            ("period", _("At the end of the paid period; until then it can be kept")),
            ("now", _("Now, and what is unused is credited: nobody can undo this")),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ["when", "reason"]


class AllEndForm(AuditedForm):
    """Of several plans, now; what was chosen in the list goes with it."""

    action = forms.CharField(widget=forms.HiddenInput)


class DeletionForm(AuditedForm):
    email = forms.CharField(
        label=_("Address of the account"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Typed once more: nobody can undo this."),
    )
    field_order = ["email", "reason"]


def credit(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    """At once, by who may give any amount; else within the limit, or requested."""
    deed = {
        "user_id": customer.pk,
        "amount": data["amount"],
        "reason": data["reason"],
        "request_id": request_id(request),
    }
    amount = {"amount": f"${dollars(data['amount'])}"}
    if request.user.has_perm("billing.adjust_balance"):
        adjustments.adjust(key=f"staff:{data['once']}", actor=email_of(request), **deed)
    elif credit_requests.credit(key=str(data["once"]), staff=member(request), **deed) is not None:
        return gettext("Requested: %(amount)s waits for somebody else to approve it.") % amount
    return gettext("Credited %(made)s.") % {"made": amount["amount"]}


def refund_to_balance(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    made, _created = balance_refunds.refund(
        key=f"balance_refund:{data['once']}",
        user_id=customer.pk,
        of=data["of"],
        amount=data["amount"],
        reason=data["reason"],
        actor=email_of(request),
        request_id=request_id(request),
    )
    return gettext("Refunded %(amount)s to the balance.") % {"amount": f"${dollars(made.amount)}"}


def freeze(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    if not freezing.freeze(customer.pk, data["reason"]):
        raise errors.Conflict(
            gettext("It is frozen already: %(why)s") % {"why": customer.frozen_reason}
        )
    _audit(request, customer, "freeze", data["reason"])
    return gettext("Frozen: its keys are refused from now on.")


def unfreeze(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    if not freezing.unfreeze(customer.pk):
        raise errors.Conflict(gettext("It is not frozen."))
    _audit(request, customer, "unfreeze", data["reason"])
    return gettext("Unfrozen: its keys work again.")


def _audit(request: HttpRequest, customer: Customer, verb: str, reason: str) -> None:
    before = {"frozen_reason": customer.frozen_reason}
    audit_deed(request, verb, f"user:{customer.pk}", before=before, after={"reason": reason})


def note(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    """Its words are the note's alone: they go with the account, and the audit stays."""
    made = CustomerNote.objects.create(user=customer, text=data["text"], author=email_of(request))
    after = {"note": made.pk, "characters": len(made.text)}
    audit_deed(request, "note", f"user:{customer.pk}", before={}, after=after)
    return gettext("Noted.")


def raise_limits(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    now = timezone.now()
    made = raises.give(
        customer.pk,
        data["times"],
        now + timedelta(days=data["days"]),
        now=now,
        **_by(request, data),
    )
    return gettext("Limits are %(made)s.") % {"made": made}


def lower_limits(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    raises.take_back(customer.pk, now=timezone.now(), **_by(request, data))
    return gettext("Limits are as sold again.")


def extend_trial(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    mine = complimentary.extend_trial(customer.pk, data["days"], **_by(request, data))
    return gettext("It lasts until %(time)s.") % {"time": at(mine.period_end)}


def end_plan(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    do = changes.end_now if data["when"] == "now" else changes.cancel
    mine = change_plan(request, customer.pk, do, data["reason"])
    if data["when"] == "now":
        return gettext("Ended: what was unused is credited.")
    return gettext("It ends on %(time)s.") % {"time": at(mine.period_end)}


def keep_plan(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    mine = change_plan(request, customer.pk, changes.resume, data["reason"])
    return gettext("It renews on %(time)s.") % {"time": at(mine.period_end)}


def change_plan(
    request: HttpRequest, user_id: int, change: Callable[..., Subscription], reason: str
) -> Subscription:
    """Its audit entry says why."""
    with audit.because(reason):
        who = {"actor": email_of(request), "request_id": request_id(request)}
        return change(user_id, now=timezone.now(), **who)


def _by(request: HttpRequest, data: dict[str, Any]) -> dict[str, str]:
    return {
        "reason": data["reason"],
        "actor": email_of(request),
        "request_id": request_id(request),
    }


def delete(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    """As its owner would (accounts/sign_in/deletion.py): the books stay."""
    if customer.is_staff:
        raise errors.Conflict(gettext("It is of staff: take that away first."))
    if data["email"].strip().lower() != customer.email:
        raise errors.BadRequest(gettext("That is not its address."))
    before, after = {"active": customer.is_active}, {"deleted": True, "reason": data["reason"]}
    audit_deed(request, "delete customer", f"user:{customer.pk}", before=before, after=after)
    deletion.delete(customer)
    return gettext("Deleted: what the books are made of stays.")
