"""The billing page: what there is, and where it went."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.pages.visitors import customer
from billing.books import balances, ledger
from billing.books.models import LedgerAccount, Transfer
from billing.books.transactions import KINDS, MOST, Transactions
from billing.books.transfer_names import KIND_NAMES
from billing.pages.billing_forms import SandboxForm
from billing.pages.card_views import empty_form, top_up_page
from billing.payments import autotopup, funding
from billing.plans import terms
from billing.rewards import gifts
from hontoni import errors
from hontoni.money import nanos
from hontoni.translated_errors import translated

PAGE = 50


@login_required
@require_safe
def billing(request: HttpRequest) -> HttpResponse:
    """Balance, plan and transactions, the newest first. Nobody but the books is asked."""
    user = customer(request)
    automatic = autotopup.of(user)
    context = {
        "balance": balances.live(user.pk),
        "plan": terms.plan_of(user.pk)[0],
        "subscription": terms.subscription_of(user.pk),
        "gift": _gift(user.pk),
        "automatic": automatic,
        "gave_up": not automatic.enabled and automatic.failures >= automatic.MOST_FAILURES,
        **_transactions(request, user.pk),
    }
    return render(request, "billing/billing.html", context)


def _gift(user_id: int) -> dict[str, object] | None:
    """What keeps an account from its sign-up credit, if something does."""
    found = gifts.standing(user_id)
    return {"amount": found.amount, "why": translated(found.why)} if found.why else None


def _transactions(request: HttpRequest, user_id: int) -> dict[str, object]:
    """One keyset page: entries are numbered within their account."""
    account = LedgerAccount.objects.filter(code=ledger.wallet_code(user_id)).first()
    kind = request.GET.get("kind", "")
    # Money in and out; the charges of usage, of which there are many, are asked for.
    kinds = frozenset({kind}) if kind in KIND_NAMES else KINDS - {Transfer.Kind.USAGE}
    before, last = request.GET.get("before", ""), MOST
    if before:
        if not before.isdecimal() or len(before) > 18:
            raise Http404
        last = int(before) - 1
    rows, away = Transactions(account, kinds, last=last).page(PAGE + 1) if account else ([], False)
    shown = [{"entry": row, "kind": KIND_NAMES[row.transfer.kind]} for row in rows[:PAGE]]
    more = rows[PAGE - 1].account_version if len(rows) > PAGE else None
    return {
        **{"rows": shown, "more": more, "kind": kind, "kinds": KIND_NAMES, "before": before},
        "archive_away": away,
    }


@login_required
@require_POST
def sandbox_funds(request: HttpRequest) -> HttpResponse:
    """Play money, and only where nothing but the sandbox answers."""
    if not settings.SANDBOX:
        raise Http404
    form, user_id = SandboxForm(request.POST), customer(request).pk
    if not form.is_valid():
        return top_up_page(request, form=empty_form(request), sandbox=form)
    try:
        funding.sandbox(
            key=str(form.cleaned_data["once"]),
            user_id=user_id,
            amount=nanos(form.cleaned_data["amount"]),
        )
    except errors.ApiError as error:
        form.add_error("amount", translated(error))
        return top_up_page(request, form=empty_form(request), sandbox=form)
    messages.success(request, _("The money is on your balance."))
    return redirect("billing")
