"""Plans and add-ons: what there is, what a change costs and when it holds, and the change itself.

Every change that costs is shown with its quote first. The confirmation carries what was shown:
if it would cost more by then, it is shown again and nothing is paid.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.views import customer
from billing import balances, changes, periods, quotes, stripe_api, terms
from billing.forms import OnceForm
from billing.models import AddOn, Plan, Subscription
from billing.quotes import Quote
from hontoni import errors
from hontoni.money import MAX
from hontoni.refusals import said

METHODS: dict[str, Promise] = {
    Subscription.PaymentMethod.BALANCE: gettext_lazy("Your balance"),
    Subscription.PaymentMethod.STRIPE: gettext_lazy("A card, every month"),
}
_OF_A_PLAN = ("subscribe", "upgrade", "downgrade")
_OF_AN_ADD_ON = ("add", "swap", "keep")


class ChangeForm(OnceForm):
    """The confirmation of a quote: `shown` is the amount it showed, in nano-dollars."""

    action = forms.ChoiceField(choices=[(name, name) for name in _OF_A_PLAN + _OF_AN_ADD_ON])
    shown = forms.IntegerField(min_value=-MAX, max_value=MAX)
    payment_method = forms.ChoiceField(
        label=gettext_lazy("Pay from"),
        widget=forms.RadioSelect,
        initial=Subscription.PaymentMethod.BALANCE,
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["payment_method"]
        assert isinstance(field, forms.ChoiceField)
        offered = (
            list(METHODS) if stripe_api.configured() else [Subscription.PaymentMethod.BALANCE]
        )
        field.choices = [(name, METHODS[name]) for name in offered]


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
        "renewal": quotes.price(*coming) if coming else 0,
        "add_on_stays": coming is not None and coming[1] is not None,
        "arranged": mine is not None
        and (mine.cancel_at_period_end or mine.add_on_ends or mine.next_plan is not None),
        "grace_until": mine.period_end + periods.GRACE if mine and past_due else None,
        "offers": [(each, _way_to(each, plan)) for each in Plan.objects.filter(active=True)],
        "add_ons": AddOn.objects.filter(active=True),
    }
    return render(request, "billing/plans.html", context)


def _way_to(plan: Plan, current: Plan) -> str:
    """What getting to a plan is called."""
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
    quote, refusal = _quote(user_id, sold)
    form = ChangeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if quote is not None and quote.due_now > form.cleaned_data["shown"]:
            form.add_error(None, _("The price has changed. Look at it again, please."))
        elif (done := _confirmed(request, form, user_id, sold)) is not None:
            return done
    context = {
        "sold": sold,
        "quote": quote,
        "refusal": "" if request.method == "POST" else refusal,
        "form": form,
        "balance": balances.live(user_id),
        "by_card": changes.by_stripe(user_id),
        "choose": terms.subscription_of(user_id) is None,
        **(_effects(user_id, quote) if quote else {}),
    }
    return render(request, "billing/change.html", context)


def _sold(request: HttpRequest) -> Plan | AddOn:
    if "add_on" in request.GET:
        return get_object_or_404(AddOn, slug=request.GET["add_on"])
    return get_object_or_404(Plan, slug=request.GET.get("plan", ""))


def _quote(user_id: int, sold: Plan | AddOn) -> tuple[Quote | None, str]:
    """The quote, or why there is none."""
    now = timezone.now()
    try:
        if isinstance(sold, Plan):
            return changes.preview_plan(user_id, sold, now=now), ""
        return changes.preview_add_on(user_id, sold, now=now), ""
    except errors.ApiError as error:
        return None, said(error)


def _effects(user_id: int, quote: Quote) -> dict[str, Any]:
    """The limits before and after, and what the quote's lines are about."""
    plan, multiplier = terms.plan_of(user_id)
    mine = terms.subscription_of(user_id)
    kept = multiplier if quote.starts_at < quote.period_end else 1
    after = terms.limits(quote.plan, quote.add_on.multiplier if quote.add_on else kept)
    is_plan = quote.action in ("subscribe", "upgrade", "downgrade")
    return {
        "before": terms.limits(plan, multiplier),
        "after": after,
        "thinking": (plan.thinking_budget, quote.plan.thinking_budget),
        "keys": (plan.key_cap, quote.plan.key_cap),
        "old": mine and (mine.plan if is_plan else mine.add_on),
    }


def _confirmed(
    request: HttpRequest, form: ChangeForm, user_id: int, sold: Plan | AddOn
) -> HttpResponse | None:
    """Do it, and go back to the plans; or say beside the form why not."""
    back = request.build_absolute_uri(reverse("plan-done"))
    try:
        payment_url = _do(user_id, sold, form.cleaned_data, back)
    except errors.ApiError as error:
        field = "payment_method" if isinstance(error, errors.PaymentRequired) else None
        form.add_error(field, said(error))
        return None
    if payment_url:
        return redirect(payment_url)
    messages.success(request, _("Done: %s.") % sold)
    return redirect("billing-plans")


def _do(user_id: int, sold: Plan | AddOn, asked: dict[str, Any], back: str) -> str:
    """The deed that was confirmed, and the page to pay it on, if it has one. The form's key makes
    sending it twice harmless."""
    now, key = timezone.now(), f"web:{asked['once']}"
    method = asked["payment_method"] or Subscription.PaymentMethod.BALANCE
    ways = {"method": method, "return_url": back}
    match asked["action"], sold:
        case "subscribe", Plan():
            return changes.subscribe(user_id, sold, now=now, key=key, **ways).payment_url
        case "upgrade", Plan():
            return changes.upgrade(user_id, sold, now=now, key=key).payment_url
        case "downgrade", Plan():
            changes.downgrade(user_id, sold, now=now)
            return ""
        case (("add" | "swap" | "keep"), AddOn()):
            return changes.add(user_id, sold, now=now, key=key, **ways).payment_url
        case _:
            raise errors.BadRequest("This form does not fit.")


# -- What happens when the period ends -----------------------------------------------------------


def _arrange(
    request: HttpRequest, deed: Callable[..., Subscription], *sold: AddOn
) -> HttpResponse:
    try:
        deed(customer(request).pk, *sold, now=timezone.now())
    except errors.ApiError as error:
        messages.error(request, said(error))
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
