"""Where a person types the code that a program shows them, and lets it in or not."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from rest_framework.request import Request

from accounts.keys import scopes
from accounts.pages.visitors import at_work, reauthenticated
from accounts.sign_in import callers, device_codes, tokens
from accounts.sign_in.device_codes import Given, Pending
from accounts.teams import events
from accounts.teams.acting import Acting
from hontoni import errors
from hontoni.translated_errors import translated
from ratelimits.throttle import Throttle, count


class CodeForm(forms.Form):
    """The code, typed: no link carries it."""

    code = forms.CharField(
        label=gettext_lazy("Code that the program shows"),
        max_length=20,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )


class CodesByPerson(Throttle):
    """Nobody guesses 25 thousand million; this bounds who tries."""

    scope, limit, seconds = "device-code", 20, 300

    def identify(self, request: Request) -> str | None:
        return str(request.user.pk)


@login_required
@reauthenticated
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """First the code; then who asks for what, to be allowed or not."""
    form = CodeForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/device.html", {"form": form})
    try:
        count(request, CodesByPerson)
    except errors.ApiError as error:
        form.add_error("code", translated(error))
        return render(request, "accounts/device.html", {"form": form})
    pending = device_codes.find(form.cleaned_data["code"])
    if pending is None:
        form.add_error("code", _("No program waits for this code: it is another, or too old."))
        return render(request, "accounts/device.html", {"form": form})
    work = at_work(request)
    may = tuple(each for each in pending.scopes if work.may(each))
    if "deed" in request.POST:
        return _decided(request, work, pending, may)
    context = {
        "code": form.cleaned_data["code"],
        "pending": pending,
        "may": [scopes.WORDS[each] for each in may],
        "elsewhere": pending.address != (callers.address(request) or ""),
        "account": work.account,
    }
    return render(request, "accounts/device_allow.html", context)


def _decided(
    request: HttpRequest, work: Acting, pending: Pending, may: tuple[str, ...]
) -> HttpResponse:
    allows = request.POST["deed"] == "allow" and bool(may)
    given = None
    if allows:
        session = tokens.credentials(work.person)
        given = Given(work.person.pk, work.account.pk, may, session)
    if not device_codes.decide(pending, given):
        messages.warning(request, _("That was decided already."))
    elif given is None:
        messages.success(request, _("It is not let in. Nothing was given."))
    else:
        events.record(
            work.account.pk,
            work.person,
            "device_allowed",
            pending.name,
            ip=callers.address(request),
            scopes=list(may),
            asked_from=pending.address,
        )
        messages.success(request, _("It is let in: go back to your terminal."))
    return redirect("tokens")
