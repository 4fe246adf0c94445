"""The playground: a chat with any model, from the page straight to /v1, with a key of its own.

Without JavaScript the server asks in the page's place: one question, its whole answer.
"""

from datetime import timedelta
from typing import Any

import httpx
from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.keys import api_keys, scopes
from accounts.keys.restrictions import Restrictions
from accounts.models import ApiKey
from accounts.pages.visitors import at_work
from accounts.teams.acting import Acting
from gateway.catalogue import snapshot
from gateway.usage.explanations import EXPLANATIONS
from hontoni import errors
from hontoni.translated_errors import translated

NAME = "Playground"
LIFETIME = timedelta(hours=1)
_PATIENCE_SECONDS = 120


class QuestionForm(forms.Form):
    """What the page's script would ask."""

    text = forms.CharField(max_length=100_000)
    key = forms.CharField(max_length=200)
    model = forms.CharField(max_length=100)
    system = forms.CharField(max_length=100_000, required=False)
    most = forms.IntegerField(min_value=1, max_value=128_000)
    think = forms.BooleanField(required=False)

    def body(self) -> dict[str, Any]:
        """The request, in Chat Completions."""
        fields = self.cleaned_data
        said = [{"role": "system", "content": fields["system"]}] if fields["system"] else []
        return {
            "model": fields["model"],
            "messages": [*said, {"role": "user", "content": fields["text"]}],
            "max_completion_tokens": fields["most"],
            **({"reasoning_effort": "high"} if fields["think"] else {}),
        }


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def playground(request: HttpRequest) -> HttpResponse:
    """The page. Asked to (POST), it makes a key for itself that ends within the hour; or it asks
    what was typed, where no script does."""
    typed = request.POST.dict() or {"most": "1024"}
    models = [model for model in snapshot.load().listed.values() if model.chats]
    context: dict[str, Any] = {"models": models, "typed": typed}
    try:
        if "make" in request.POST:
            typed["key"] = _key(at_work(request))
        elif request.method == "POST":
            form = QuestionForm(request.POST)
            if form.is_valid():
                context["answer"] = _answer(request, form)
            else:
                context["problem"] = _("Say something, with a key and a limit of output.")
    except errors.ApiError as error:
        context["problem"] = EXPLANATIONS.get(error.code) or translated(error)
    return render(request, "gateway/playground.html", context)


_ASKING = Restrictions(scopes=(scopes.INFERENCE,))


def _key(work: Acting) -> str:
    """A fresh key in clear, in place of the one before it: nobody has ever more than one. In a
    team it is its member's, within their limits."""
    now, user, member = timezone.now(), work.account, work.membership
    mine = ApiKey.objects.active(now).filter(user=user, member=member, name=NAME)
    for old in mine.filter(expires_at__lte=now + LIFETIME):
        api_keys.revoke(old)
    return api_keys.mint(user, NAME, now + LIFETIME, _ASKING, member=member)[1]


def _answer(request: HttpRequest, form: QuestionForm) -> dict[str, str]:
    """What /v1 of this very server says, and what it cost. Raises ApiError."""
    # The socket that was connected to, not the Host the visitor sent: a key goes nowhere else.
    host, port = request.META["SERVER_NAME"], request.META["SERVER_PORT"]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {form.cleaned_data['key'].strip()}"}
    try:
        reply = httpx.post(url, json=form.body(), headers=headers, timeout=_PATIENCE_SECONDS)
        answer = reply.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise errors.Unavailable("The connection broke.") from error
    if reply.is_error:
        refused = answer["error"]
        raise errors.BadRequest(refused["message"], code=refused["code"])
    message = answer["choices"][0]["message"]
    return {
        "text": message.get("content") or "",
        "thoughts": message.get("reasoning_content") or "",
        "cost": reply.headers["x-hontoni-cost"],
    }
