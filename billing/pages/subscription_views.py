"""Plans and add-ons: what there is, what a change costs and when it holds, and the change itself.

Every change that costs is shown with its quote first. The confirmation carries what was shown:
if it would cost more by then, it is shown again and nothing is paid.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.pages.visitors import customer
from billing.books import balances
from billing.pages import reset_views
from billing.pages.billing_forms import OnceForm
from billing.pages.card_forms import card_name
from billing.pages.card_views import saved_cards, top_up_at_once
from billing.payments import reset_orders
from billing.payments.card_throttles import OrdersByAccount
from billing.plans import price_list, quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.plans.quotes import Quote
from billing.stripe import stripe_api
from billing.subscriptions import changes
from billing.subscriptions.balance_changes import Outcome
from hontoni import errors
from hontoni.money import MAX, dollars
from hontoni.templatetags.money import decimal
from hontoni.translated_errors import translated
from ratelimits import throttle

Method = Subscription.PaymentMethod
_OF_A_PLAN = ("subscribe", "upgrade", "downgrade")
_OF_AN_ADD_ON = ("add", "swap", "swap_later", "keep")


class ChangeForm(OnceForm):
    """The confirmation of a quote: `shown` is the amount it showed, in nano-dollars."""

    action = forms.ChoiceField(choices=[(name, name) for name in _OF_A_PLAN + _OF_AN_ADD_ON])
    shown = forms.IntegerField(min_value=-MAX, max_value=MAX)
    # What the page said that a card is charged first.
    first = forms.DecimalField(required=False, localize=False, widget=forms.HiddenInput)
    # The balance, the payment page, or the id of a saved card.
    pay_with = forms.ChoiceField(
        label=gettext_lazy("Pay with"), widget=forms.RadioSelect, required=False
    )

    def __init__(
        self,
        *args: Any,
        cards: list[dict[str, Any]],
        by_card: bool = False,
        prefers_card: bool = False,
        short: str = "",
        **kwargs: Any,
    ) -> None:
        """`short`: the dollars that a card puts on the balance first, for who pays from it."""
        super().__init__(*args, **kwargs)
        field = self.fields["pay_with"]
        assert isinstance(field, forms.ChoiceField)
        if short:
            words = _("%(card)s: $%(amount)s is charged, and put on your balance first")
            field.choices = [
                (card["id"], words % {"card": card_name(card), "amount": decimal(short)})
                for card in cards
            ]
            field.initial, field.required = cards[0]["id"] if cards else "", bool(cards)
            self.fields["first"].initial = short
            return
        choices: list[tuple[str, str | Promise]] = [
            *(() if by_card else ((Method.BALANCE, gettext_lazy("Your balance")),)),
            *((card["id"], card_name(card)) for card in cards),
        ]
        if stripe_api.configured():
            choices.append((Method.STRIPE, gettext_lazy("A new card, on the payment page")))
        field.choices, field.initial = choices, choices[0][0] if choices else ""
        if prefers_card and cards:
            field.initial = cards[0]["id"]
        field.required = by_card


# -- What there is -------------------------------------------------------------------------------


@login_required
@never_cache
@require_safe
def plans(request: HttpRequest) -> HttpResponse:
    """Yours, and everything on sale."""
    user_id = customer(request).pk
    plan, multiplier = terms.plan_of(user_id)
    mine = terms.subscription_of(user_id)
    coming = quotes.next_period(mine) if mine else None
    past_due = mine is not None and mine.status == Subscription.Status.PAST_DUE
    context = {
        "plan": plan,
        "mine": mine,
        "limits": terms.limits(plan, multiplier),
        "coming": coming,
        "renewal": quotes.renewal(mine, *coming) if mine and coming else 0,
        "add_on_stays": coming is not None and coming[1] is not None,
        "frozen": customer(request).frozen_reason,
        "arranged": mine is not None
        and bool(
            mine.cancel_at_period_end or mine.add_on_ends or mine.next_plan or mine.next_add_on
        ),
        "other_way": _other_way(mine),
        "grace_until": mine.grace_until if mine and past_due else None,
        **reset_views.shown(request, mine),
        **_on_sale(plan, mine),
    }
    return render(request, "billing/plans.html", context)


def _on_sale(current: Plan, mine: Subscription | None) -> dict[str, Any]:
    """Every plan with the way to it and what add-ons would cost, and the add-ons."""
    on_sale = list(Plan.objects.filter(active=True))
    add_ons = list(AddOn.objects.filter(active=True))
    found = price_list.offers(on_sale, add_ons)
    beside = {plan.pk: price_list.compared(plan, found) for plan in on_sale if plan.price}
    ways = [(plan, _way_to(plan, current, mine), beside.get(plan.pk)) for plan in on_sale]
    return {"offers": ways, "add_ons": add_ons}


def _other_way(mine: Subscription | None) -> str:
    """How else the next period may be paid; empty if in no other way."""
    if mine is None or mine.cancel_at_period_end or not stripe_api.configured():
        return ""
    coming = mine.next_payment_method or mine.payment_method
    return str(Method.STRIPE if coming == Method.BALANCE else Method.BALANCE)


def _way_to(plan: Plan, current: Plan, mine: Subscription | None) -> str:
    """What getting to a plan is called."""
    if quotes.buys_trial(mine, plan):
        return "trial"
    if plan == current:
        return "mine"
    if plan.is_default:
        return "default"
    if not current.price:
        return "subscribe"
    return "downgrade" if plan.price < current.price else "upgrade"


# -- A change ------------------------------------------------------------------------------------


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest) -> HttpResponse:
    """What having this plan, or this add-on, would cost and when; sent (POST), it is done."""
    user_id, sold = customer(request).pk, _sold(request)
    by_card = _by_card(request, sold)
    quote, refusal = _quote(user_id, sold, by_card=by_card)
    mine = terms.subscription_of(user_id)
    # Whoever has something already pays as for that.
    chooses = by_card or _chooses_payment(mine, sold)
    method = mine.payment_method if mine and not chooses else ""
    missing = _missing(user_id, quote.due_now) if quote else ""
    short = missing if method == Method.BALANCE and not settings.STRIPE_TAX else ""
    cards = saved_cards(request) if chooses or short else []
    offered: dict[str, Any] = {"cards": cards, "by_card": by_card, "prefers_card": bool(missing)}
    form = ChangeForm(request.POST or None, short=short, **offered)
    if request.method == "POST" and form.is_valid():
        if quote is not None and _dearer(form.cleaned_data, quote, short):
            form.add_error(None, _("The price has changed. Look at it again, please."))
        elif (done := _confirmed(request, form, user_id, sold, short)) is not None:
            return done
    context = {
        "sold": sold,
        "quote": quote,
        "refusal": "" if request.method == "POST" else refusal,
        "form": form,
        "balance": balances.live(user_id),
        "method": method,
        "missing": missing,
        "fills_up": short and cards,
        "card_pays": missing and cards,
        "trial_ends": by_card or (isinstance(sold, Plan) and quotes.buys_trial(mine, sold)),
        "by_card": by_card,
        "or_by_card": not chooses and stripe_api.configured() and _may_replace(mine, sold),
        **(_effects(user_id, quote) if quote else {}),
    }
    return render(request, "billing/change.html", context)


def _dearer(data: dict[str, Any], quote: Quote, short: str) -> bool:
    """Whether it would cost more than was shown, or more would be charged to a card first."""
    return quote.due_now > data["shown"] or Decimal(short or 0) > (
        data["first"] or Decimal(short or 0)
    )


def _missing(user_id: int, due: int) -> str:
    """Dollars to add before the balance pays this, at least what can be topped up; empty if it
    does already."""
    short = reset_orders.missing(user_id, due)
    return dollars(short) if short else ""


def _chooses_payment(mine: Subscription | None, sold: Plan | AddOn) -> bool:
    """Whoever buys what is on trial pays for it as for a first plan."""
    if mine is None:
        return True
    return isinstance(sold, Plan) and quotes.buys_trial(mine, sold) and mine.add_on is None


def _may_replace(mine: Subscription | None, sold: Plan | AddOn) -> bool:
    return isinstance(sold, Plan) and quotes.replaces_trial(mine, sold)


def _by_card(request: HttpRequest, sold: Plan | AddOn) -> bool:
    """Whether this is about another plan by card, in place of the one on trial."""
    wanted = request.GET.get("by") == "card" and stripe_api.configured()
    return wanted and _may_replace(terms.subscription_of(customer(request).pk), sold)


def _sold(request: HttpRequest) -> Plan | AddOn:
    if "add_on" in request.GET:
        return get_object_or_404(AddOn, slug=request.GET["add_on"])
    return get_object_or_404(Plan, slug=request.GET.get("plan", ""))


def _quote(user_id: int, sold: Plan | AddOn, *, by_card: bool) -> tuple[Quote | None, str]:
    """The quote, or why there is none."""
    now = timezone.now()
    try:
        if isinstance(sold, Plan):
            return changes.preview_plan(user_id, sold, by_card=by_card, now=now), ""
        return changes.preview_add_on(user_id, sold, now=now), ""
    except errors.ApiError as error:
        return None, translated(error)


def _effects(user_id: int, quote: Quote) -> dict[str, Any]:
    """The limits before and after, and what the quote's lines are about."""
    plan, multiplier = terms.plan_of(user_id)
    mine, is_plan = terms.subscription_of(user_id), quote.action in _OF_A_PLAN
    now = quote.starts_at < quote.period_end
    kept = mine.add_on if mine and now and is_plan else quote.add_on
    after = terms.limits(quote.plan, kept.multiplier if kept else 1)
    return {
        "before": terms.limits(plan, multiplier),
        "after": after,
        "thinking": (plan.thinking_budget, quote.plan.thinking_budget),
        "keys": (plan.key_cap, quote.plan.key_cap),
        "old": mine and (mine.plan if is_plan else mine.add_on),
    }


def _confirmed(
    request: HttpRequest, form: ChangeForm, user_id: int, sold: Plan | AddOn, short: str
) -> HttpResponse | None:
    """Do it, and go back to the plans; or say beside the form why not. What the balance is short
    of is charged to the chosen card first."""
    try:
        if short and form.cleaned_data["pay_with"]:
            top_up_at_once(
                request,
                card=form.cleaned_data["pay_with"],
                amount=Decimal(short),
                client_key=f"web:{form.cleaned_data['once']}:first",
            )
        outcome = _do(request, user_id, sold, form.cleaned_data)
    except stripe_api.Unanswered as error:
        form.add_error("pay_with", translated(error))  # the same form asks about the same order
        return None
    except errors.ApiError as error:
        about_money = isinstance(error, errors.PaymentRequired)
        form.add_error("pay_with" if about_money else None, translated(error))
        form.renew()
        return None
    if outcome is not None and outcome.payment_url:
        return redirect(outcome.payment_url)
    messages.success(request, _("Your plan has changed: %s.") % sold)
    return redirect("billing-plans")


def _do(
    request: HttpRequest, user_id: int, sold: Plan | AddOn, data: dict[str, Any]
) -> Outcome | None:
    """The deed that was confirmed. The form's key makes sending it twice harmless."""
    now, key = timezone.now(), f"web:{data['once']}"
    match data["action"], sold:
        case "subscribe", Plan():
            ways = _ways(request, data, sold)
            return changes.subscribe(user_id, sold, now=now, key=key, **ways)
        case "upgrade", Plan():
            return changes.upgrade(user_id, sold, now=now, key=key)
        case "downgrade", Plan():
            changes.downgrade(user_id, sold, now=now)
            return None
        case (("add" | "swap" | "swap_later" | "keep"), AddOn()):
            return changes.add(user_id, sold, now=now, key=key, **_ways(request, data, sold))
        case _:
            raise errors.BadRequest("This form does not fit.")


def _ways(request: HttpRequest, data: dict[str, Any], sold: Plan | AddOn) -> dict[str, str]:
    """How the first thing bought is paid, and where the payment page leads back to."""
    mine = terms.subscription_of(customer(request).pk)
    chosen = data["pay_with"] or Method.BALANCE
    if mine is not None and not _by_card(request, sold) and not _chooses_payment(mine, sold):
        chosen = mine.payment_method
    if chosen == Method.BALANCE:
        return {"method": Method.BALANCE}
    throttle.count(request, OrdersByAccount)
    card = "" if chosen == Method.STRIPE else chosen
    back = request.build_absolute_uri(reverse("plan-done"))
    return {"method": Method.STRIPE, "card": card, "return_url": back}


# -- What happens when the period ends -----------------------------------------------------------


def _arrange(
    request: HttpRequest, deed: Callable[..., Subscription], *about: AddOn | str
) -> HttpResponse:
    try:
        deed(customer(request).pk, *about, now=timezone.now())
    except errors.ApiError as error:
        messages.error(request, translated(error))
    else:
        messages.success(request, _("Saved."))
    return redirect("billing-plans")


@login_required
@require_POST
def cancel(request: HttpRequest) -> HttpResponse:
    """Let plan and add-on end with the period."""
    return _arrange(request, changes.cancel)


@login_required
@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Undo what was to happen at the end of the period."""
    return _arrange(request, changes.resume)


@login_required
@require_POST
def end_add_on(request: HttpRequest, slug: str) -> HttpResponse:
    """Let the add-on end with the period."""
    return _arrange(request, changes.remove, get_object_or_404(AddOn, slug=slug))


@login_required
@require_POST
def pay_by(request: HttpRequest) -> HttpResponse:
    """Pay from the next period on another way; at once, while a renewal is unpaid."""
    method = request.POST.get("method", "")
    if method not in Method.values:
        raise Http404
    return _arrange(request, changes.pay_by, method)
