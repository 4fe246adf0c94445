"""The page of the admin on which many prices change at once: paste, preview, apply."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _t
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from billing.staff.audited import email_of
from gateway.catalogue.prices import changes
from gateway.pricing import many
from gateway.pricing.many import Line, Sheet
from hontoni import errors
from hontoni.drf import request_id
from hontoni.translated_errors import to_staff


class ManyForm(forms.Form):
    text = forms.CharField(
        label=_t("List"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "spellcheck": "false"}),
    )
    begins = forms.DateTimeField(
        label=_t("In force from"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_t(
            "UTC: 2027-01-01 00:00. Empty: what falls at once, what rises when its customers have "
            "had their notice."
        ),
    )
    reason = forms.CharField(
        label=_t("Reason"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_t("For a price below cost, or a rise sooner than its notice."),
    )
    large = forms.BooleanField(
        label=_t("Changes of more than half are meant"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )
    # What was shown, when it was shown: a confirmation of something else is shown again.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, sheet: Sheet, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = gettext(
            "CSV, in %(unit)s. The first line names the columns: %(names)s. An empty cell is as "
            "it was."
        )
        names = format_html("<code>{}</code>", ", ".join(sheet.columns))
        self.fields["text"].help_text = words % {"unit": sheet.unit, "names": names}


class SheetPages:
    """Mixed into a page of prices: many change at once, and all are taken away as a file."""

    sheet: ClassVar[Callable[[], Sheet]]

    @action(description=_t("Change many…"), url_path="many", permissions=["add"])
    def many(self, request: HttpRequest) -> HttpResponse:
        """Paste a list, look at what it changes, apply it."""
        return change(self, request, type(self).sheet())

    @action(description=_t("Export as CSV"), url_path="export", permissions=["view"])
    def export(self, request: HttpRequest) -> HttpResponse:
        """What is in force, in the columns that "Change many" takes."""
        return export(request, type(self).sheet())


def change(page: ModelAdmin, request: HttpRequest, sheet: Sheet) -> HttpResponse:
    """Ask for the list; show what it would change; when that is confirmed, do it."""
    form = ManyForm(request.POST or None, sheet=sheet)
    lines: list[Line] = []
    if request.method == "POST" and form.is_valid():
        requested = form.cleaned_data
        try:
            lines = many.read(sheet, requested["text"], requested["begins"], requested["reason"])
            if _is_confirmed(form, lines):
                return _applied(page, request, sheet, lines)
            form.data = {**request.POST.dict(), "seen": many.confirmation(lines)}
        except errors.BadRequest as error:
            form.add_error(None, to_staff(error))
    context = {
        **page.admin_site.each_context(request),
        "opts": page.model._meta,
        "title": gettext("Change many prices"),
        "form": form,
        "lines": _shown(lines),
        "button": _button(lines),
    }
    return render(request, "admin/gateway/price/many.html", context)


def _button(lines: list[Line]) -> str:
    return gettext("Apply, or preview another list") if _applies(lines) else gettext("Preview")


def _is_confirmed(form: ManyForm, lines: list[Line]) -> bool:
    requested = form.cleaned_data
    if not _applies(lines) or requested["seen"] != many.confirmation(lines):
        return False
    if many.is_large(lines) and not requested["large"]:
        form.add_error("large", gettext("Some amounts change by more than half. Is that meant?"))
        return False
    return True


def _applies(lines: list[Line]) -> bool:
    return bool(lines) and not any(line.problem for line in lines)


def _shown(lines: list[Line]) -> list[dict[str, Any]]:
    earned = many.earned(lines)
    return [
        {
            "line": line,
            "rises": line.price is not None and changes.rises(line.before, line.price),
            "rows": [
                {"step": step, "margin": earned[line.number].get(step.bucket)}
                for step in line.steps
            ],
        }
        for line in lines
    ]


def _applied(
    page: ModelAdmin, request: HttpRequest, sheet: Sheet, lines: list[Line]
) -> HttpResponse:
    notified = many.apply(lines, actor=email_of(request), request_id=request_id(request))
    words = gettext(
        "%(prices)d prices are announced. %(mails)d mails tell customers of what rises."
    )
    words %= {"prices": len(lines), "mails": notified}
    page.message_user(request, words, messages.SUCCESS)
    return redirect(reverse(f"admin:gateway_{sheet.name}_changelist"))


def export(request: HttpRequest, sheet: Sheet) -> HttpResponse:
    """What is in force, as a file."""
    answer = HttpResponse(many.written(sheet), content_type="text/csv")
    answer["Content-Disposition"] = f'attachment; filename="{sheet.name}s.csv"'
    return answer
