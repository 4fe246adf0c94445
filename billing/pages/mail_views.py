"""The page that says which mails come, and when the balance counts as low; no more news without
signing in; a banner is dismissed."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts.pages.visitors import customer
from billing.mails import announcements
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


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """No more news and offers. The address is its own proof: mailboxes post to it by themselves
    (RFC 8058), a person by the button. Looking at it changes nothing."""
    reader = announcements.reader(token)
    if reader is None:
        raise Http404
    if request.method == "POST":
        Preferences.of(reader).change(low_balance=None, switched={"news": False})
    done = request.method == "POST"
    return render(request, "billing/unsubscribe.html", {"done": done, "reader": reader})


@login_required
@require_POST
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """This banner is not shown to this customer any more."""
    announcements.dismiss(pk, customer(request).pk, timezone.now())
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, None):
        back = reverse("overview")
    return redirect(back)
