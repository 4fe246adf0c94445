"""Where Stripe's pages send the customer back to."""

import contextlib

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing import stripe_api
from billing.payments import settlements
from billing.payments.models import PlanOrder, TopUp
from hontoni.money import dollars


@require_safe
@never_cache
def topup_done(request: HttpRequest) -> HttpResponse:
    """Settle what was paid, if no webhook has yet, and say how it stands.

    Nobody has to be signed in: the browser may have lost its session on the way. What is shown is
    an amount and a state, to whoever has the id of the Checkout session.
    """
    session = request.GET.get("session_id", "")
    if not session:
        return render(request, "billing/topup_done.html", {"state": "canceled"})
    order = TopUp.objects.filter(session_id=session).first()
    if order is None:
        raise Http404
    try:
        order = settlements.settle_session(session) or order
    except stripe_api.Unanswered:
        order.refresh_from_db()  # the webhook, or the poll, will tell
    shown = {"state": order.state, "amount": dollars(order.amount)}
    return render(request, "billing/topup_done.html", shown)


@require_safe
@never_cache
def plan_done(request: HttpRequest) -> HttpResponse:
    """The same for a page to subscribe on."""
    session = request.GET.get("session_id", "")
    if not session:
        return render(request, "billing/plan_done.html", {"state": "canceled"})
    order = PlanOrder.objects.filter(session_id=session).first()
    if order is None:
        raise Http404
    with contextlib.suppress(stripe_api.Unanswered):  # the webhook, or the poll, will tell
        settlements.settle_session(session)
    order.refresh_from_db()
    shown = {"state": order.state, "bought": order.plan or order.add_on}
    return render(request, "billing/plan_done.html", shown)
