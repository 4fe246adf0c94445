"""The page that says which mails come, and when the balance counts as low."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.pages.visitors import customer
from billing.mails.letters import LETTERS
from billing.mails.models import Preferences
from billing.pages.mail_forms import MailsForm


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Choose; what the law or the account's safety asks for is only listed."""
    mine = Preferences.of(customer(request))
    form = MailsForm(request.POST or None, mine=mine)
    if request.method == "POST" and form.is_valid():
        mine.change(low_balance=form.cleaned_data["threshold"], switched=form.switched())
        messages.success(request, _("Saved."))
        return redirect("billing-mails")
    always = [letter.about for letter in LETTERS.values() if letter.required]
    return render(request, "billing/mails.html", {"form": form, "always": always})
