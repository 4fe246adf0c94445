"""The reset pass, on the page of plans: what it costs, and the deed."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.pages.visitors import at_work, customer
from billing.pages.billing_forms import OnceForm
from billing.pages.card_forms import card_name
from billing.pages.card_views import saved_cards
from billing.payments import reset_orders
from billing.payments.card_throttles import OrdersByAccount
from billing.plans.models import Subscription
from billing.subscriptions import resets
from hontoni import errors
from hontoni.money import dollars
from hontoni.templatetags.money import decimal
from hontoni.translated_errors import translated
from ratelimits import throttle


class ResetForm(OnceForm):
    shown = forms.IntegerField(widget=forms.HiddenInput)
    pay_with = forms.ChoiceField(label=gettext_lazy("Pay with"), required=False)

    def __init__(
        self, *args: Any, shown: int = 0, cards: list[dict[str, Any]], short: int = 0, **more: Any
    ) -> None:
        """`short`: what the balance lacks, and a card puts on it first."""
        super().__init__(*args, **more)
        self.fields["shown"].initial = shown
        words = _("%(card)s: $%(amount)s is charged, and put on your balance first")
        field = self.fields["pay_with"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (card["id"], words % {"card": card_name(card), "amount": decimal(dollars(short))})
            for card in cards
        ]
        if not cards:
            field.widget = forms.HiddenInput()


def shown(request: HttpRequest, mine: Subscription | None) -> dict[str, Any]:
    """The reset pass of this period: what it costs, or when it was had."""
    price = resets.offered(mine, timezone.now())
    short = reset_orders.missing(customer(request).pk, price)
    cards = saved_cards(request) if short and not settings.STRIPE_TAX else []
    return {
        "reset": resets.last(mine),
        "reset_price": price,
        "reset_elsewhere": mine is None and resets.sold_with_plans(),
        "reset_short": short,
        "reset_form": ResetForm(shown=price, cards=cards, short=short),
        "reset_cards": cards,
    }


@login_required
@require_POST
def reset(request: HttpRequest) -> HttpResponse:
    """Buy the reset pass of this period; the form's key makes sending it twice harmless."""
    buyer = customer(request)
    cards = saved_cards(request) if request.POST.get("pay_with") else []
    form = ResetForm(request.POST, cards=cards)
    if not form.is_valid():
        messages.error(request, _("This form does not fit."))
        return redirect("billing-plans")
    data = form.cleaned_data
    try:
        if data["pay_with"]:
            throttle.count(request, OrdersByAccount)
        reset_orders.buy(
            buyer,
            now=timezone.now(),
            key=f"web:{data['once']}",
            card=data["pay_with"],
            most=data["shown"],
            by=at_work(request).person.email,
        )
    except errors.ApiError as error:
        messages.error(request, translated(error))
    else:
        messages.success(request, _("All windows are empty again, from the next request on."))
    return redirect("billing-plans")
