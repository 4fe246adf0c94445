"""Cards: topping up with one, keeping some, and letting them top up by themselves.

A page never waits for Stripe where it can do without: only these ask it anything.
"""

import contextlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from accounts.pages.visitors import customer
from billing.books import balances
from billing.pages.bank_forms import BankForm
from billing.pages.billing_forms import SandboxForm
from billing.pages.card_forms import CHECKOUT, AutoTopUpForm, TopUpForm, card_name
from billing.payments import autotopup, orders, settlements
from billing.payments.card_throttles import OrdersByAccount
from billing.payments.models import TopUp
from billing.payments.vietqr import bank_orders
from billing.rewards.models import Redemption
from billing.stripe import customers, stripe_api
from billing.subscriptions.models import PlanOrder
from hontoni import errors
from hontoni.money import dollars, nanos
from hontoni.templatetags.money import decimal
from hontoni.translated_errors import translated
from ratelimits import throttle

_pages = require_http_methods(["GET", "HEAD", "POST"])


def saved_cards(request: HttpRequest) -> list[dict[str, Any]]:
    """The saved cards; none, and a word about it, while Stripe cannot be asked."""
    if not stripe_api.configured():
        return []
    try:
        return customers.cards(customer(request).pk)
    except errors.ApiError as error:
        messages.warning(request, translated(error))
        return []


# -- Topping up ----------------------------------------------------------------------------------


@login_required
@never_cache
@_pages
def top_up(request: HttpRequest) -> HttpResponse:
    """Add funds: on the payment page, or at once with a saved card."""
    form = TopUpForm(request.POST or None, cards=saved_cards(request), initial=_asked_for(request))
    if request.method == "POST" and stripe_api.configured() and form.is_valid():
        try:
            return _order(request, form)
        except stripe_api.Unanswered as error:
            form.add_error(None, translated(error))  # the same form asks about the same order
        except errors.ApiError as error:
            _refuse(form, error)
    return top_up_page(request, form=form)


def _asked_for(request: HttpRequest) -> dict[str, Any]:
    """The amount that a page of ours found missing, and where that page is."""
    amount, back = request.GET.get("amount", ""), request.GET.get("back", "")
    known = url_has_allowed_host_and_scheme(back, None) and back.startswith("/billing/plans")
    return {**({"amount": amount} if amount else {}), **({"back": back} if known else {})}


def empty_form(request: HttpRequest) -> TopUpForm:
    """As it is shown first."""
    return TopUpForm(cards=saved_cards(request), initial=_asked_for(request))


def top_up_page(
    request: HttpRequest,
    *,
    form: TopUpForm,
    sandbox: SandboxForm | None = None,
    transfer: BankForm | None = None,
) -> HttpResponse:
    """The page with its forms; one that was sent comes back as it was typed."""
    user = customer(request)
    waiting = Redemption.objects.filter(user=user, granted_at=None).select_related("code")
    context = {
        "balance": balances.live(user.pk),
        "form": form if stripe_api.configured() else None,
        "sandbox_form": (sandbox or SandboxForm()) if settings.SANDBOX else None,
        "waiting": waiting.order_by("pk").first(),
        "quick": _quick(request, form),
        "tax": settings.STRIPE_TAX,
        "rate": (rate := bank_orders.offered()),
        "bank_form": (transfer or BankForm(initial=_asked_for(request))) if rate else None,
    }
    return render(request, "billing/top_up.html", context)


_QUICK = ("10", "25", "50", "100", "250")


def _quick(request: HttpRequest, form: TopUpForm) -> list[dict[str, Any]]:
    """Amounts to choose with a click, of those that may be: links, which need no script."""
    chosen, back = str(form["amount"].value() or ""), str(form["back"].value() or "")
    least, most = Decimal(settings.TOPUP_MIN), Decimal(settings.TOPUP_MAX)
    rest = {"back": back} if back else {}
    return [
        {
            "amount": each,
            "nanos": nanos(each),
            "query": urlencode({"amount": each} | rest),
            "chosen": each == chosen,
        }
        for each in _QUICK
        if least <= Decimal(each) <= most
    ]


def _refuse(form: TopUpForm, error: errors.ApiError) -> None:
    """Say it beside the field it is about. The order is over: the next try is another one."""
    form.add_error("amount" if error.param == "amount" else "method", translated(error))
    form.renew()


def _order(request: HttpRequest, form: TopUpForm) -> HttpResponse:
    throttle.count(request, OrdersByAccount)
    user, data = customer(request), form.cleaned_data
    by_checkout = data["method"] == CHECKOUT
    order, found = orders.buy(
        user=user,
        route=TopUp.Route.CHECKOUT if by_checkout else TopUp.Route.INTENT,
        payment_method="" if by_checkout else data["method"],
        amount=data["amount"],
        client_key=f"web:{data['once']}",
        return_url=request.build_absolute_uri(reverse("topup-done")),
        save_card=by_checkout and data["save_card"],
    )
    if by_checkout:
        return redirect(found["url"] or "billing")
    return _charged(request, order, data["back"])


def _charged(request: HttpRequest, order: TopUp, back: str) -> HttpResponse:
    """A saved card was charged; or its bank wants to ask, which only the payment page can do."""
    if order.state == TopUp.State.PAID:
        messages.success(request, _("$%s is on your balance.") % decimal(dollars(order.amount)))
        ours = url_has_allowed_host_and_scheme(back, None) and back.startswith("/billing/plans")
        return redirect(back if ours else "billing")
    raise _bank_asks()


def top_up_at_once(request: HttpRequest, *, card: str, amount: Decimal, client_key: str) -> None:
    """Charge a saved card now. Raises as `orders.buy`, and PaymentRequired where its bank wants to
    ask, which only the payment page can do."""
    throttle.count(request, OrdersByAccount)
    order, _found = orders.buy(
        user=customer(request),
        route=TopUp.Route.INTENT,
        payment_method=card,
        amount=amount,
        client_key=client_key,
    )
    if order.state != TopUp.State.PAID:
        raise _bank_asks()


def _bank_asks() -> errors.PaymentRequired:
    return errors.PaymentRequired("Use the payment page.", code="authentication_required")


@require_safe
@never_cache
def topup_done(request: HttpRequest) -> HttpResponse:
    """Where Checkout leads back to: settle what was paid, if no webhook has, and say what it is.

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
    """Where the page to subscribe on leads back to: the same."""
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


# -- Cards, and automatic top-ups ----------------------------------------------------------------


@login_required
@never_cache
@_pages
def cards(request: HttpRequest) -> HttpResponse:
    """The saved cards, and the form (POST) of the automatic top-up."""
    user, saved = customer(request), saved_cards(request)
    mine = autotopup.of(user)
    form = AutoTopUpForm(request.POST or None, cards=saved, initial=_initial(user))
    if request.method == "POST" and form.is_valid():
        try:
            autotopup.change(user, **form.cleaned_data)
        except errors.ApiError as error:
            form.add_error("payment_method", translated(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("billing-cards")
    context = {
        "configured": stripe_api.configured(),
        "cards": [{**card, "name": card_name(card)} for card in saved],
        "form": form,
        "automatic": mine,
        "gave_up": not mine.enabled and mine.failures >= mine.MOST_FAILURES,
        "spent": autotopup.spent(user.pk, timezone.now()),
    }
    return render(request, "billing/cards.html", context)


def _initial(user: User) -> dict[str, Any]:
    mine = autotopup.of(user)
    amounts = {name: dollars(getattr(mine, name)) for name in ("threshold", "amount")}
    return {
        **amounts,
        "monthly_cap": dollars(mine.monthly_cap),
        "enabled": mine.enabled,
        "payment_method": mine.payment_method,
    }


def _about_a_card(
    request: HttpRequest, id: str, deed: Callable[[int, str], None], done: str
) -> HttpResponse:
    try:
        deed(customer(request).pk, id)
    except errors.NotFound:
        messages.info(request, _("This card is not saved any more."))
    except errors.ApiError as error:
        messages.error(request, translated(error))
    else:
        messages.success(request, done)
    return redirect("billing-cards")


@login_required
@require_POST
def remove_card(request: HttpRequest, id: str) -> HttpResponse:
    """Forget a card. Twice is once."""
    return _about_a_card(request, id, customers.remove_card, _("The card is removed."))


@login_required
@require_POST
def default_card(request: HttpRequest, id: str) -> HttpResponse:
    """Charge this card where none is chosen."""
    return _about_a_card(request, id, customers.make_default, _("This is your default card now."))


@login_required
@require_POST
def portal(request: HttpRequest) -> HttpResponse:
    """To the payment provider's own page, where cards are added and its invoices are."""
    back = request.build_absolute_uri(reverse("billing-cards"))
    try:
        throttle.count(request, OrdersByAccount)
        url = stripe_api.portal(customers.of(customer(request)), back)["url"]
    except errors.ApiError as error:
        messages.error(request, translated(error))
        return redirect("billing-cards")
    return redirect(url)
