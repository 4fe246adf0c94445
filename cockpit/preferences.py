"""What members of staff choose for themselves: the time zone and the language of the admin."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import User
from hontoni.pages import YEAR_SECONDS, zones


class PreferencesForm(forms.Form):
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=lambda: [("", "UTC"), *((name, name) for name in zones() if name != "UTC")],
        widget=UnfoldAdminSelectWidget,
        help_text=_(
            "Times in the admin, those that you type and the days you filter by. Days of the "
            "books (figures, exports, closed months) stay UTC, and say so."
        ),
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=settings.LANGUAGES, widget=UnfoldAdminSelectWidget
    )


def title(request: HttpRequest) -> str:
    """As the menu of the account has it."""
    return gettext("Time zone and language")


def link(request: HttpRequest) -> str:
    return reverse("cockpit-preferences")


def show(request: HttpRequest) -> HttpResponse:
    """Ask; keep what is chosen, and go home."""
    user = request.user
    assert isinstance(user, User)
    chosen = {"time_zone": user.time_zone, "language": user.language}
    form = PreferencesForm(request.POST or None, initial=chosen)
    if request.method == "POST" and form.is_valid():
        user.time_zone = form.cleaned_data["time_zone"]
        user.language = form.cleaned_data["language"]
        user.save(update_fields=["time_zone", "language"])
        return _kept(request, user)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": title(request),
        "form": form,
        "button": gettext("Save"),
    }
    return render(request, "admin/billing/customer/ask.html", context)


def _kept(request: HttpRequest, user: User) -> HttpResponse:
    with translation.override(user.language):
        messages.success(request, gettext("Saved."))
    response = redirect("admin:index")
    response.set_cookie(settings.LANGUAGE_COOKIE_NAME, user.language, YEAR_SECONDS, samesite="Lax")
    return response
