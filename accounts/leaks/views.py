"""/leaked-key: anybody who finds a key of ours reports it, and it ends."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.leaks import ended
from accounts.leaks.ended import Report
from accounts.sign_in import callers
from hontoni import errors
from hontoni.translated_errors import translated
from ratelimits import throttle
from ratelimits.throttle import AddressThrottle


class ReportsByHand(AddressThrottle):
    """Nobody guesses a key; this only bounds the load."""

    scope, limit, seconds = "leaks-page", 20, 3600


class LeakForm(forms.Form):
    text = forms.CharField(
        label=_("The key, or a text with keys in it"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )
    where = forms.CharField(
        label=_("Where you found it"),
        help_text=_("An address, if there is one."),
        max_length=300,
        required=False,
    )

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if not ended.found_in(text):
            raise forms.ValidationError(
                _("There is no key of ours in it. One begins with sk-gw- and has 55 letters.")
            )
        return text


@never_cache
@sensitive_post_parameters("text")
@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HttpRequest) -> HttpResponse:
    """Take a key in clear from whoever has it, and end it."""
    form, known = LeakForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        try:
            throttle.count(request, ReportsByHand)
            seen = Report(callers.address(request) or "", form.cleaned_data["where"])
            known = ended.end_all(ended.found_in(form.cleaned_data["text"]), seen)
            form = LeakForm()
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    return render(request, "accounts/leaked_key.html", {"form": form, "known": known})
