"""Staff look as a customer, and take what is kept of one: the deeds of a customer's page that need
more than billing."""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import User
from accounts.sign_in import viewing
from billing.staff.audited import audit_deed
from billing.staff.deeds import AuditedForm
from billing.staff.models import Customer
from gateway.usage.models import Refusal, UsageEvent
from hontoni.pages import at

NEWEST = 30


class LookForm(AuditedForm):
    code = forms.CharField(
        label=_("Code of your second factor"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code"}),
    )
    field_order = ["reason", "code"]


def begin(request: HttpRequest, customer: Customer, data: dict[str, Any]) -> str:
    user = User.objects.get(pk=customer.pk)
    until = viewing.begin(request, user, data["code"].strip(), timezone.now())
    after = {"until": until.isoformat(), "reason": data["reason"]}
    before = {"looks": False}
    audit_deed(request, "look as customer", f"user:{user.pk}", before=before, after=after)
    return gettext("You see what %(email)s sees at %(path)s, until %(time)s.") % {
        **{"email": user.email, "path": reverse("overview"), "time": at(until)}
    }


def end(request: HttpRequest) -> HttpResponseRedirect:
    """Back to the customer's page."""
    user_id = viewing.end(request)
    if user_id is None:
        return redirect("admin:index")
    before, after = {"looks": True}, {"looks": False}
    audit_deed(request, "end looking", f"user:{user_id}", before=before, after=after)
    return redirect("admin:billing_customer_change", user_id)


def exported(request: HttpRequest, customer: Customer) -> User:
    """Noted before anything is sent."""
    audit_deed(request, "export customer", f"user:{customer.pk}", before={}, after={})
    return User.objects.get(pk=customer.pk)


def live(request: HttpRequest, customer: Customer, context: dict[str, Any]) -> HttpResponse:
    """The newest requests and refusals, asked for anew every other second; a part of the page
    where htmx asks."""
    if not request.user.has_perm("gateway.view_usageevent"):
        raise PermissionDenied
    newest: QuerySet[UsageEvent] = UsageEvent.objects.filter(user=customer.pk).order_by("-id")
    refused = Refusal.objects.filter(user=customer.pk).order_by("-last_at")
    context |= {"events": newest[:NEWEST], "refusals": refused[:NEWEST], "customer": customer}
    part = request.headers.get("HX-Request") == "true"
    template = "cockpit/_live.html" if part else "cockpit/live.html"
    return render(request, template, context | {"read_at": timezone.now()})
