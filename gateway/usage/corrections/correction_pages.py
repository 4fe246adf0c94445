"""The page of the admin that corrects requests: what, a preview, and only then the deed."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.models import User
from billing.staff.audited import email_of
from gateway.catalogue.models import Price
from gateway.usage.corrections import booking
from gateway.usage.corrections.booking import Range, Sum
from hontoni import errors
from hontoni.drf import request_id
from hontoni.money import dollars
from hontoni.translated_errors import to_staff

MOST = 20_000  # requests; more are for `manage.py reprice`, which nobody waits for


class CorrectionForm(forms.Form):
    since = forms.DateTimeField(
        label=_("From"), widget=UnfoldAdminTextInputWidget, help_text=_("As 2026-11-30 08:00")
    )
    until = forms.DateTimeField(
        label=_("To"),
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The first moment not meant."),
    )
    account = forms.EmailField(
        label=_("Account"),
        required=False,
        widget=UnfoldAdminEmailInputWidget,
        help_text=_("Empty: all accounts."),
    )
    debit = forms.BooleanField(
        label=_("Charge what was too cheap, too"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Never more than was held for a request, and only from who can pay."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("The customers see it."),
    )
    # What was shown, when it was shown: a confirmation of something else is shown again.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean_account(self) -> User | None:
        address = self.cleaned_data["account"].lower()
        user = User.objects.filter(email=address).first() if address else None
        if address and user is None:
            raise forms.ValidationError(gettext("There is no such account."))
        return user


def correct(page: ModelAdmin, request: HttpRequest, price: Price) -> HttpResponse:
    """Ask for the range; show what it would change; when that is confirmed, book it."""
    if not request.user.has_perm("gateway.correct_requests"):
        raise PermissionDenied
    form = CorrectionForm(request.POST or None)
    found: list[Sum] | None = None
    if request.method == "POST" and form.is_valid():
        try:
            wanted = _range(price, form.cleaned_data)
            found = booking.preview(wanted, debit=form.cleaned_data["debit"])
            if _moves(found) and form.cleaned_data["seen"] == _seal(form.cleaned_data, found):
                return _booked(page, request, wanted, form.cleaned_data)
            form.data = {**request.POST.dict(), "seen": _seal(form.cleaned_data, found)}
        except errors.ApiError as error:
            form.add_error(None, to_staff(error))
    context = {
        **page.admin_site.each_context(request),
        "opts": page.model._meta,
        "title": gettext("Correct requests: %(price)s") % {"price": price},
        "form": form,
        "rows": _rows(found or []),
        "shown": found is not None,
        "heads": _HEADS,
        "button": (
            gettext("Book it, or preview other values") if _moves(found) else gettext("Preview")
        ),
    }
    return render(request, "admin/gateway/price/correct.html", context)


_HEADS = (
    *(_("Account"), _("Requests"), _("Credited"), _("Debited")),
    *(_("Not charged by prices"), _("Not debited")),
)


def _moves(found: list[Sum] | None) -> bool:
    return any(each.requests for each in found or ())


def _range(price: Price, fields: dict[str, Any]) -> Range:
    user = fields["account"]
    wanted = Range(price, fields["since"], fields["until"], user.pk if user else None)
    if wanted.events()[MOST : MOST + 1].exists():
        raise errors.BadRequest(
            gettext("More than %(count)s requests: use manage.py reprice.")
            % {"count": f"{MOST:,}"}
        )
    return wanted


def _seal(fields: dict[str, Any], found: list[Sum]) -> str:
    """Everything that a confirmation confirms."""
    user = fields["account"]
    what = (fields["since"], fields["until"], user.pk if user else 0, fields["debit"])
    sums = (sum(each.requests for each in found), *(_total(found)))
    return ":".join(str(part) for part in (*what, *sums))


def _total(found: list[Sum]) -> tuple[int, int]:
    return sum(each.credited for each in found), sum(each.debited for each in found)


def _rows(found: list[Sum]) -> list[dict[str, Any]]:
    names = dict(User.objects.filter(pk__in=[e.user_id for e in found]).values_list("pk", "email"))
    rows = [_row(names[each.user_id], [each], each.refused) for each in found]
    return [*rows, _row(gettext("All"), found, "")] if found else []


def _row(name: str, found: list[Sum], refused: str) -> dict[str, Any]:
    credited, debited = _total(found)
    return {
        "name": name,
        "requests": sum(each.requests for each in found),
        "credited": dollars(credited),
        "debited": dollars(debited),
        "odd": sum(each.odd for each in found),
        "refused": gettext(refused) if refused else "",
    }


def _booked(
    page: ModelAdmin, request: HttpRequest, wanted: Range, fields: dict[str, Any]
) -> HttpResponse:
    correction, done = booking.apply(
        wanted,
        reason=fields["reason"],
        actor=email_of(request),
        debit=fields["debit"],
        request_id=request_id(request),
    )
    if correction is None:
        page.message_user(request, gettext("There was nothing to correct."), messages.WARNING)
        return redirect(reverse("admin:gateway_price_changelist"))
    for each in done:
        if each.refused:
            page.message_user(
                request,
                gettext("Account %(id)s: not debited: %(why)s")
                % {"id": each.user_id, "why": gettext(each.refused)},
                messages.WARNING,
            )
    page.message_user(
        request, gettext("Booked as %(what)s.") % {"what": correction}, messages.SUCCESS
    )
    return redirect(reverse("admin:gateway_correction_change", args=[correction.pk]))
