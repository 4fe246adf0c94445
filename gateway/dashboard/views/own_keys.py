"""A customer's own keys at vendors: enter, test, switch, replace, remove."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.validators import RegexValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.pages.visitors import customer
from gateway.dashboard.logged import VENDORS
from gateway.vendors.own_keys import fees, keeping, problems, testing
from gateway.vendors.own_keys.keeping import TriesByAccount
from gateway.vendors.own_keys.models import OwnKey
from hontoni import errors
from hontoni.translated_errors import MESSAGES, translated
from ratelimits import throttle

_SECRET: dict[str, Any] = {
    "min_length": keeping.SHORTEST,
    "max_length": keeping.LONGEST,
    "validators": [
        RegexValidator(
            r"\A[!-~]*\Z", gettext_lazy("A key has no spaces and no letters beyond ASCII.")
        )
    ],
    "widget": forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
}


class AddForm(forms.Form):
    provider = forms.ChoiceField(label=gettext_lazy("Vendor"))
    secret = forms.CharField(
        label=gettext_lazy("Key"),
        help_text=gettext_lazy("It is sealed, and never shown again."),
        **_SECRET,
    )
    falls_back = forms.BooleanField(
        label=gettext_lazy("If the vendor fails it, ask through our accounts at the list price"),
        required=False,
    )

    def __init__(self, *args: Any, names: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["provider"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]


class ChangeForm(forms.Form):
    secret = forms.CharField(
        label=gettext_lazy("New key"),
        required=False,
        help_text=gettext_lazy("Empty: the one there is."),
        **_SECRET,
    )
    active = forms.BooleanField(label=gettext_lazy("In use"), required=False)
    falls_back = forms.BooleanField(label=AddForm.base_fields["falls_back"].label, required=False)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_keys(request: HttpRequest) -> HttpResponse:
    """All of them, and the form for another."""
    user, kept = customer(request), list(keeping.of(customer(request)))
    taken = {row.provider_id for row in kept}
    names = [each.name for each in keeping.offered() if each.pk not in taken]
    form = AddForm(request.POST or None, names=names)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            throttle.count(request, TriesByAccount)
            made = keeping.add(
                user, data["provider"], data["secret"], falls_back=data["falls_back"]
            )
        except errors.ApiError as error:
            form.add_error("secret" if error.param == "secret" else None, translated(error))
        else:
            _tell(request, made)
            return redirect("own-keys")
    return render(request, "gateway/own_keys.html", _context(form, names, kept))


def _context(form: AddForm, names: list[str], kept: list[OwnKey]) -> dict[str, Any]:
    now = timezone.now()
    rows = []
    for row in kept:
        given = {"active": row.active, "falls_back": row.falls_back}
        change = ChangeForm(initial=given, auto_id=f"id_{row.pk}_%s")
        rows.append((row, state(row), _problem(row), change))
    vendors = {each.vendor for each in keeping.offered()}
    charged = [
        (each, VENDORS.get(each, each), fees.in_force(each, now)) for each in sorted(vendors)
    ]
    return {"form": form, "names": names, "rows": rows, "fees": charged}


def state(row: OwnKey) -> tuple[str, str | Promise]:
    """How it stands: the kind of badge, and the word."""
    if not row.is_at_home or not (row.provider.own_keys and row.provider.active):
        return "bad", _("cannot be used")
    if not row.active:
        return "", _("off")
    return ("bad", _("refused")) if row.refused_at else ("good", _("in use"))


def _problem(row: OwnKey) -> str:
    """What its owner is to repair; "" if nothing is wrong."""
    if not row.is_at_home:
        return str(MESSAGES["own_key_moved"])
    if not row.refusal:
        return ""
    vendor = _("The vendor said:")
    return problems.shown(row.refusal) or f"{vendor} {row.refusal}"


@login_required
@require_POST
def own_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Replace its secret, switch it, choose the way back."""
    row, form = _mine(request, pk), ChangeForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            if data["secret"]:
                throttle.count(request, TriesByAccount)
            keeping.change(
                row,
                secret=data["secret"] or None,
                active=data["active"],
                falls_back=data["falls_back"],
            )
        except errors.ApiError as error:
            messages.error(request, translated(error))
            return redirect("own-keys")
        messages.success(request, _("Saved. It holds from the next request on."))
        if data["secret"]:
            _tell(request, row)
    else:
        messages.error(request, str(form.errors["secret"][0]))
    return redirect("own-keys")


@login_required
@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask its vendor whether it works."""
    row = _mine(request, pk)
    throttle.count(request, TriesByAccount)
    _tell(request, row)
    return redirect("own-keys")


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget it for good."""
    row = _mine(request, pk)
    keeping.remove(row)
    messages.success(request, _("Your key at %(name)s is removed.") % {"name": row.provider.name})
    return redirect("own-keys")


def _mine(request: HttpRequest, pk: int) -> OwnKey:
    return get_object_or_404(keeping.of(customer(request)), pk=pk)


def _tell(request: HttpRequest, row: OwnKey) -> None:
    """Ask its vendor whether it works, and say so."""
    problem = testing.test(row)
    if not row.is_at_home:
        messages.error(request, str(MESSAGES["own_key_moved"]))
    elif problem:
        refused = _("The vendor does not accept it: %(why)s") % {"why": problem}
        messages.error(request, problems.shown(problem) or refused)
    else:
        messages.success(request, _("The vendor accepts it."))
