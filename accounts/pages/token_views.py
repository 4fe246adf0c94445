"""Personal access tokens of the account: see them, make one, end one."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.keys import personal_tokens, scopes
from accounts.models import TeamEvent
from accounts.pages.account_forms import TokenForm
from accounts.pages.visitors import at_work, reauthenticated
from accounts.sign_in import callers
from accounts.teams.acting import Acting
from hontoni import errors
from hontoni.translated_errors import translated

_CALLS = 20


@login_required
@reauthenticated
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """All tokens, and the form for another. The new token is in the answer, this once."""
    work, now = at_work(request), timezone.now()
    form = TokenForm(request.POST or None)
    may = [each for each in scopes.OF_TOKENS if work.may(each)]
    offered: Any = form.fields["scopes"]
    offered.choices = [(each, scopes.WORDS[each]) for each in may]
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        if not cache.add(f"once:{data['once']}", 1, 3600):
            messages.info(request, _("This form was sent already: the token is made."))
            return redirect("tokens")
        try:
            made, raw = personal_tokens.mint(
                work.account,
                data["name"],
                data["scopes"],
                data["expires"],
                callers.address(request),
                work.person,
            )
            context = {"token": made, "raw": raw, "base_url": settings.PUBLIC_URL}
            answer = render(request, "accounts/token_made.html", context)
            answer.done = True  # type: ignore[attr-defined]  # for the team's audit
            return answer
        except errors.ApiError as error:
            form.add_error(None, translated(error))
    rows = personal_tokens.of(work.account, work.person).order_by("-pk")[:200]
    shown = [(each, each.status(now)) for each in rows]
    context = {"form": form, "tokens": shown, "calls": _calls(work)}
    return render(request, "accounts/tokens.html", context)


def _calls(work: Acting) -> QuerySet[TeamEvent]:
    """What programs did for the person, the latest first."""
    deeds = ("tool_called", "device_allowed")
    mine = TeamEvent.objects.filter(account=work.account, actor=work.person, action__in=deeds)
    return mine.order_by("-pk")[:_CALLS]


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token for good. Twice is once."""
    work = at_work(request)
    found = get_object_or_404(personal_tokens.of(work.account, work.person), pk=pk)
    personal_tokens.revoke(found)
    messages.success(request, _("%(name)s is revoked.") % {"name": found.name})
    return redirect("tokens")
