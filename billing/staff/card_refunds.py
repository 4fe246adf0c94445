"""What a card paid, given back to it behind a form: from the payment's page, or the customer's."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.books.ledger import balance
from billing.payments import refunds
from billing.payments.models import TopUp
from billing.payments.refunds import Choice, Payment
from billing.staff.audited import email_of
from billing.staff.deeds import AuditedForm, OnceForm
from billing.staff.dollars import DollarsField
from billing.staff.models import Customer
from billing.stripe.models import StripeCustomer
from hontoni.drf import request_id
from hontoni.money import CENT, cents, dollars
from hontoni.pages import at


class RefundForm(AuditedForm, OnceForm):
    amount = DollarsField(
        label=_("Amount"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_(
            "Dollars of what the card paid, tax included. All that is left, or a part. "
            "Nobody can undo this."
        ),
    )
    field_order = ["amount", "reason", "once"]


class CardRefundForm(RefundForm):
    """Of one of a customer's payments; where there is one only, of all of it."""

    of = forms.ChoiceField(label=_("Of"), widget=UnfoldAdminSelectWidget)
    field_order = ["of", "amount", "reason", "once"]

    def __init__(self, data: Any, found: Sequence[Choice]) -> None:
        initial = {"amount": found[0].cents * CENT} if len(found) == 1 else {}
        super().__init__(data, initial=initial)
        field: Any = self.fields["of"]
        named = {each.subject: _named(each) for each in found}
        if data is not None:  # sent twice it is gone from the list, and is refunded once
            named.setdefault(str(data.get("of", "")), "")
        field.choices = list(named.items())


def _named(choice: Choice) -> str:
    about = {
        "day": at(choice.at),
        "left": f"${dollars(choice.cents * CENT)}",
        "number": choice.number,
    }
    if choice.number:
        return gettext("Plan, invoice %(number)s of %(day)s: %(left)s") % about
    return gettext("Top-up of %(day)s: %(left)s") % about


def may_have_paid(customer: Any) -> bool:
    """Whether a card may have paid something that is not back yet: what, Stripe knows."""
    paid = TopUp.objects.filter(user=customer, state=TopUp.State.PAID).exclude(intent_id="")
    return paid.exists() or StripeCustomer.objects.filter(pk=customer).exists()


def refund_of(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    """The payment that the form names."""
    return refund_to_card(request, refunds.find(customer.pk, data["of"]), data)


def refund_to_card(request: HttpRequest, payment: Payment, data: dict[str, Any]) -> str:
    made = refunds.refund(
        payment,
        cents(data["amount"]),
        key=str(data["once"]),
        reason=data["reason"],
        actor=email_of(request),
        request_id=request_id(request),
    )
    about = {
        "back": f"${dollars(made['amount'] * CENT)}",
        "user": Customer.objects.get(pk=payment.user_id),
        "left": f"${dollars(balance(payment.user_id))}",
    }
    return gettext("Refunded %(back)s. The balance of %(user)s is %(left)s.") % about
