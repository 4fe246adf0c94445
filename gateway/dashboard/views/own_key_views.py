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
from gateway.vendors.own_keys import fees, keeping, parts, problems, testing
from gateway.vendors.own_keys.keeping import TriesByAccount
from gateway.vendors.own_keys.models import OwnKey
from hontoni import errors
from hontoni.translated_errors import MESSAGES, translated
from ratelimits import throttle

_LINE = RegexValidator(
    r"\A[!-~]*\Z", gettext_lazy("A key has no spaces and no letters beyond ASCII.")
)
_LABELS = {
    "secret": gettext_lazy("Key"),
    "resource": gettext_lazy("Name of your resource"),
    "access_key_id": gettext_lazy("Access key id"),
    "secret_access_key": gettext_lazy("Secret access key"),
    "session_token": gettext_lazy("Session token, if it has one"),
    "service_account": gettext_lazy("JSON file of the service account's key"),
}
KINDS = {
    parts.LINE: gettext_lazy("Enter a key"),
    parts.RESOURCE: gettext_lazy("Enter a key of Azure"),
    parts.ACCESS_KEY: gettext_lazy("Enter an access key of AWS"),
    parts.FILE: gettext_lazy("Enter a service account of Google Cloud"),
}


def _field(name: str, *, required: bool) -> forms.CharField:
    """Where a part of a key is entered; nothing of it is ever filled in."""
    hidden = {"autocomplete": "off", "spellcheck": "false"}
    shortest, longest = parts.bounds(name)
    kind: type[forms.Widget] = forms.PasswordInput
    if name in ("service_account", "resource"):
        kind = forms.Textarea if name == "service_account" else forms.TextInput
    return forms.CharField(
        label=_LABELS[name],
        required=required,
        min_length=shortest,
        max_length=longest,
        validators=[] if name == "service_account" else [_LINE],
        widget=kind(attrs=hidden),
    )


class PartsForm(forms.Form):
    """The parts in which a key of that kind is entered."""

    def __init__(self, *args: Any, kind: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kind = kind
        rest = {name: self.fields.pop(name) for name in list(self.fields) if name != "provider"}
        for name in parts.NAMES[kind]:
            needed = "provider" in self.fields and name != "session_token"
            self.fields[name] = _field(name, required=needed)
        self.fields |= rest
        self.hint(gettext_lazy("It is sealed, and never shown again."))

    def hint(self, text: Any) -> None:
        self.fields[parts.NAMES[self.kind][-1]].help_text = text

    @property
    def entered(self) -> dict[str, str]:
        """What of a key was typed."""
        typed = self.cleaned_data
        return {name: typed[name] for name in parts.NAMES[self.kind] if typed.get(name)}


class AddForm(PartsForm):
    provider = forms.ChoiceField(label=gettext_lazy("Vendor"))
    falls_back = forms.BooleanField(
        label=gettext_lazy("If the vendor fails it, ask through our accounts at the list price"),
        required=False,
    )

    def __init__(self, *args: Any, names: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["provider"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]


class ChangeForm(PartsForm):
    active = forms.BooleanField(label=gettext_lazy("In use"), required=False)
    falls_back = forms.BooleanField(label=AddForm.base_fields["falls_back"].label, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.hint(gettext_lazy("Empty: the one there is."))


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_keys(request: HttpRequest) -> HttpResponse:
    """All of them, and a form for each kind of another."""
    user, kept = customer(request), list(keeping.of(customer(request)))
    free = _free(kept)
    wanted = request.POST.get("provider", "")
    shown = [
        AddForm(
            request.POST if request.method == "POST" and wanted in names else None,
            kind=kind,
            names=names,
            auto_id=f"id_{kind}_%s",
        )
        for kind, names in free.items()
    ]
    form = next((each for each in shown if each.is_bound), None)
    if form is not None and form.is_valid():
        data = form.cleaned_data
        try:
            throttle.count(request, TriesByAccount)
            made = keeping.add(user, wanted, form.entered, falls_back=data["falls_back"])
        except errors.ApiError as error:
            form.add_error(error.param if error.param in form.fields else None, translated(error))
        else:
            _tell(request, made)
            return redirect("own-keys")
    return render(request, "gateway/own_keys.html", _context(shown, kept))


def _free(kept: list[OwnKey]) -> dict[str, list[str]]:
    """Where there is none yet, by the kind of key that is entered there."""
    taken = {row.provider_id for row in kept}
    found: dict[str, list[str]] = {}
    for provider in keeping.offered():
        if provider.pk not in taken:
            found.setdefault(parts.kind(provider), []).append(provider.name)
    return {kind: found[kind] for kind in KINDS if kind in found}


def _context(shown: list[AddForm], kept: list[OwnKey]) -> dict[str, Any]:
    now = timezone.now()
    rows = []
    for row in kept:
        given = {"active": row.active, "falls_back": row.falls_back}
        change = ChangeForm(initial=given, kind=_kind(row), auto_id=f"id_{row.pk}_%s")
        rows.append((row, state(row), _problem(row), change))
    vendors = {each.vendor for each in keeping.offered()}
    charged = [
        (each, VENDORS.get(each, each), fees.in_force(each, now)) for each in sorted(vendors)
    ]
    named = [(KINDS[form.kind], form) for form in shown]
    return {"forms": named, "rows": rows, "fees": charged}


def _kind(row: OwnKey) -> str:
    """How it is entered; a line where its provider takes none any more."""
    try:
        return parts.kind(row.provider)
    except errors.BadRequest:
        return parts.LINE


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
    row = _mine(request, pk)
    form = ChangeForm(request.POST, kind=_kind(row))
    if form.is_valid():
        data = form.cleaned_data
        try:
            if form.entered:
                throttle.count(request, TriesByAccount)
            keeping.change(
                row,
                secret=form.entered or None,
                active=data["active"],
                falls_back=data["falls_back"],
            )
        except errors.ApiError as error:
            messages.error(request, translated(error))
            return redirect("own-keys")
        messages.success(request, _("Saved. It holds from the next request on."))
        if form.entered:
            _tell(request, row)
    else:
        messages.error(request, str(next(iter(form.errors.values()))[0]))
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
