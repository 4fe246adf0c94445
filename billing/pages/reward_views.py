"""Promo codes and referrals: redeeming, inviting, and what came of it.

A referral link leads to `invited`, and is remembered until the visitor signs up.
"""

from typing import Any

from allauth.account.signals import user_signed_up
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework.request import Request

from accounts.models import User
from accounts.pages.visitors import customer
from billing.pages.reward_forms import CodeForm
from billing.rewards import gifts, promos, referrals
from billing.rewards.code_throttles import GuessesByAccount, GuessesByAddress
from billing.rewards.models import PromoCode, Redemption, Referral, normal
from billing.subscriptions import changes
from hontoni import errors
from hontoni.translated_errors import translated
from ratelimits import throttle
from ratelimits.throttle import AddressThrottle

_pages = require_http_methods(["GET", "HEAD", "POST"])

COOKIE = "referral"
_DAYS_30 = 30 * 24 * 3600


@require_safe
def invited(request: HttpRequest, code: str) -> HttpResponse:
    """Remember who invited this visitor, and let them sign up."""
    response = HttpResponseRedirect(reverse("account_signup"))
    invitation = normal(code)
    if invitation.isascii() and invitation.isalnum():  # as all of ours; no cookie holds any text
        response.set_cookie(
            COOKIE, invitation, _DAYS_30, httponly=True, secure=request.is_secure(), samesite="Lax"
        )
    return response


@receiver(user_signed_up, dispatch_uid="billing.rewards")
def _accept(request: HttpRequest, user: User, **others: Any) -> None:
    code = request.COOKIES.get(COOKIE)
    if not code:
        return
    address = AddressThrottle().identify(Request(request)) or ""
    try:
        referrals.accept(user, code, address=address, now=timezone.now(), signing_up=True)
    except errors.ApiError:
        return  # a code that is unknown, or their own, keeps nobody from signing up


# -- Promo codes ---------------------------------------------------------------------------------


@login_required
@_pages
def promo(request: HttpRequest) -> HttpResponse:
    """Look at what a code gives, then redeem it; and what earlier ones gave."""
    user, found = customer(request), None
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            throttle.count(request, GuessesByAddress, GuessesByAccount)
            if "redeem" in request.POST:
                return _redeemed(request, form.cleaned_data["code"])
            found = promos.check(user.pk, form.cleaned_data["code"], timezone.now())
        except errors.ApiError as error:
            form.add_error("code", translated(error))
    mine = Redemption.objects.filter(user=user).select_related("code__plan").order_by("-pk")
    rows = [
        (each, translated(gifts.Taken(each.refused)) if each.refused else "") for each in mine[:50]
    ]
    context = {"form": form, "found": found, "mine": rows}
    return render(request, "billing/promo.html", context)


def _refusal(redemption: Redemption) -> str:
    return translated(gifts.Taken(redemption.refused)) if redemption.refused else ""


def _redeemed(request: HttpRequest, code: str) -> HttpResponse:
    redeemed = changes.redeem(customer(request).pk, code, now=timezone.now())
    if redeemed.waits_for_top_up:
        messages.success(request, _("Redeemed: it comes with your next top-up."))
        return redirect("billing-topup")
    messages.success(request, _("Redeemed."))
    trial = redeemed.redemption.code.kind == PromoCode.Kind.TRIAL
    return redirect("billing-plans" if trial else "billing")


# -- Referrals -----------------------------------------------------------------------------------


@login_required
@_pages
def invite(request: HttpRequest) -> HttpResponse:
    """The link to invite with, what it earned, and (POST) the code of who invited this account."""
    user, form = customer(request), CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            throttle.count(request, GuessesByAddress, GuessesByAccount)
            address = AddressThrottle().identify(Request(request)) or ""
            code = form.cleaned_data["code"]
            referrals.accept(user, code, address=address, now=timezone.now())
        except errors.ApiError as error:
            unknown = isinstance(error, errors.NotFound)
            form.add_error("code", _("There is no such code.") if unknown else translated(error))
        else:
            messages.success(request, _("Accepted. Thank you."))
            return redirect("billing-referrals")
    standing = referrals.standing(user.pk)
    accepted = Referral.objects.filter(invitee=user).exists()
    may = referrals.may_accept(user, timezone.now())
    context = {
        "mine": standing,
        "link": standing.link,
        "program": referrals.program(),
        "form": form if may or (form.errors and not accepted) else None,
        "accepted": accepted,
    }
    return render(request, "billing/referrals.html", context)
