"""The playground: a chat with any model, from the page straight to /v1, with a key of its own."""

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import keys
from accounts.models import ApiKey, User
from accounts.views import customer
from gateway import catalogue
from hontoni import errors
from hontoni.refusals import said

NAME = "Playground"
LIFETIME = timedelta(hours=1)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def playground(request: HttpRequest) -> HttpResponse:
    """The page. Asked to (POST), it makes a key for itself that ends within the hour."""
    context = {"models": list(catalogue.load().models.values()), "raw": "", "problem": ""}
    if request.method == "POST":
        try:
            context["raw"] = _key(customer(request))
        except errors.ApiError as error:
            context["problem"] = said(error)
    return render(request, "gateway/playground.html", context)


def _key(user: User) -> str:
    """A fresh key in clear, in place of the one before it: there is never more than one."""
    now = timezone.now()
    ours = ApiKey.objects.active(now).filter(user=user, name=NAME, expires_at__lte=now + LIFETIME)
    for old in ours:
        keys.revoke(old)
    return keys.mint(user, NAME, now + LIFETIME)[1]
