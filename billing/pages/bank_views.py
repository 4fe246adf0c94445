"""Bank transfers from Vietnam: ordering one, and the page with its code that turns green."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.pages.visitors import customer
from billing.pages.bank_forms import DONG, BankForm
from billing.pages.card_views import empty_form, top_up_page
from billing.payments.card_throttles import OrdersByAccount
from billing.payments.vietqr import bank_orders, banks, payload
from billing.payments.vietqr.heard import Unanswered
from billing.payments.vietqr.models import BankOrder, BankTransfer
from hontoni import errors
from hontoni.translated_errors import translated
from ratelimits import throttle

STOP_POLLING = 286  # what htmx takes for: it is over
_NOWHERE = "00000000-0000-0000-0000-000000000000"


@login_required
@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """Order it, and go to its page. Sent twice it is one order."""
    form = BankForm(request.POST)
    if form.is_valid():
        try:
            throttle.count(request, OrdersByAccount)
            return redirect("billing-vietqr", _placed(request, form.cleaned_data).pk)
        except errors.ApiError as error:
            form.add_error("amount" if error.param == "amount" else None, translated(error))
            if not isinstance(error, Unanswered):  # the same form asks about the same order
                form.renew()
    return top_up_page(request, form=empty_form(request), transfer=form)


def _placed(request: HttpRequest, data: dict[str, Any]) -> BankOrder:
    in_dong = data["currency"] == DONG
    page_of_it = request.build_absolute_uri(reverse("billing-vietqr", args=[_NOWHERE]))
    return bank_orders.place(
        user=customer(request),
        amount=None if in_dong else data["amount"],
        in_dong=int(data["amount"]) if in_dong else None,
        gateway=data.get("gateway", ""),
        client_key=f"web:{data['once']}",
        back=page_of_it.replace(_NOWHERE, "{}"),
    )


@login_required
@never_cache
@require_safe
def page(request: HttpRequest, pk: str) -> HttpResponse:
    """What to transfer, and its code; what became of it."""
    found = _own(request, pk)
    context = _context(found)
    if context["open"] and found.qr:
        context["drawing"] = payload.svg(found.qr)
    return render(request, "billing/vietqr.html", context)


@login_required
@never_cache
@require_safe
def state(request: HttpRequest, pk: str) -> HttpResponse:
    """The part of the page that htmx asks for, until it is over."""
    context = _context(_own(request, pk)) | {"swapped": True}
    status = 200 if context["open"] else STOP_POLLING
    return render(request, "billing/_vietqr_state.html", context, status=status)


def _context(found: BankOrder) -> dict[str, Any]:
    """An order waits a little longer than its code is shown: what is on its way still counts."""
    waits = BankTransfer.objects.filter(order=found).exclude(state=BankTransfer.State.BOOKED)
    is_open = found.state == BankOrder.State.OPEN
    late = is_open and found.expires_at <= timezone.now()
    return {
        "order": found,
        "open": is_open and not late,
        "late": late,
        "bank_name": banks.NAMES.get(found.bank, ""),
        "looked_at": waits.order_by("-pk").first(),
    }


@login_required
@require_POST
def cancel(request: HttpRequest, pk: str) -> HttpResponse:
    """Nobody will pay it."""
    found = bank_orders.cancel(_own(request, pk))
    if found.state == BankOrder.State.CANCELED:
        messages.success(request, _("The order is canceled."))
    return redirect("billing-vietqr", found.pk)


def _own(request: HttpRequest, pk: str) -> BankOrder:
    try:
        return bank_orders.own(customer(request).pk, pk)
    except errors.NotFound as error:
        raise Http404(translated(error)) from None
