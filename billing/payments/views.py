"""Where Checkout sends the customer back to."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing import stripe_api
from billing.payments import settlements
from billing.payments.models import TopUp
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
