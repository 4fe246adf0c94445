"""A dispute's page: what it is about, until when it must be answered, and the answer.

It is billing's page with the evidence that the domains above billing have, too.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing.payments import disputes
from billing.payments.models import Dispute
from billing.staff.audited import email_of
from billing.staff.deeds import ReasonForm
from billing.staff.payment_admin import DisputeAdmin
from cockpit import evidence
from hontoni.drf import request_id

_LONG = (
    *("access_activity_log", "refund_policy_disclosure", "uncategorized_text"),
    *("refund_refusal_explanation", "product_description"),
)


class AnswerForm(forms.Form):
    """Stripe's fields, filled in with what we know. Handed in once: the bank takes no second."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in disputes.FIELDS:
            widget = UnfoldAdminTextareaWidget if name in _LONG else UnfoldAdminTextInputWidget
            label = gettext(disputes.label(name))
            self.fields[name] = forms.CharField(
                required=False,
                max_length=disputes.MOST_CHARACTERS,
                label=label,
                widget=widget,
            )


class GiveUpForm(ReasonForm):
    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text=_("For the audit.")
    )


admin.site.unregister(Dispute)


@admin.register(Dispute)
class DisputePage(DisputeAdmin):
    actions_detail = ["answer", "give_up"]

    def has_answer_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Where the bank wants one."""
        if not request.user.has_perm("payments.answer_dispute"):
            return False
        if object_id is None:
            return True
        rows = Dispute.objects.filter(pk=unquote(object_id), status__in=Dispute.ANSWERABLE)
        return rows.exists()

    @action(description=_("Answer with evidence"), url_path="answer", permissions=["answer"])
    def answer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        named = Dispute.objects.filter(pk=unquote(object_id))
        dispute = named.select_related("topup__user", "user").first()
        initial = evidence.gather(dispute) if dispute and request.method != "POST" else None
        form = AnswerForm(request.POST or None, initial=initial)
        return self.ask(request, object_id, gettext("Answer"), form, _answer, at_once=False)

    @action(description=_("Give it up"), url_path="give-up", permissions=["answer"])
    def give_up(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = GiveUpForm(request.POST or None)
        return self.ask(request, object_id, gettext("Give up"), form, _give_up, at_once=False)


def _answer(request: HttpRequest, dispute: Dispute, data: dict[str, Any]) -> str:
    disputes.answer(dispute, data, actor=email_of(request), request_id=request_id(request))
    return gettext("Handed in: the bank decides.")


def _give_up(request: HttpRequest, dispute: Dispute, data: dict[str, Any]) -> str:
    disputes.give_up(
        dispute, reason=data["reason"], actor=email_of(request), request_id=request_id(request)
    )
    return gettext("Given up: the money stays with the customer.")
