"""Staff look at the product as a customer sees it. They can change nothing, and see no secret.

* It begins with a reason and a code of the staff member's second factor, and is in the audit.
* It lasts MINUTES, or until it is ended, or the session is. The admin stays who they are.
* Only what is read is let through: GET and HEAD, of the pages in PAGES. All of them are pages that
  show no secret (a key is shown when it is made, by a POST; recovery codes are on none of them).
* What a page would write all the same is taken back: nothing of such a request is committed.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from accounts.models import User
from accounts.sign_in import factors
from hontoni import errors
from hontoni.pages import NOT_NOW, refused

MINUTES = 30
_NAME = "viewing"
# By the names of their addresses. What is not here is refused: a new page is, until somebody has
# looked whether it shows a secret.
PAGES = frozenset(
    {
        *("overview", "usage-log", "usage-refusals", "usage-receipt", "keys", "key"),
        *("billing", "billing-plans", "billing-invoices", "billing-invoice", "billing-statements"),
        *("billing-statement", "billing-referrals", "models", "model", "pricing", "status"),
        *("docs", "docs-page", "error-code"),
    }
)


def begin(request: HttpRequest, user: User, code: str, now: datetime) -> datetime:
    """Let this session see what the user sees; until when.

    Raises Unauthenticated without a second factor or a right code of it, Forbidden for staff.
    """
    staff = request.user
    assert isinstance(staff, User)
    if user.is_staff or user.is_superuser:
        raise errors.Forbidden("It is of staff: nobody looks as them.")
    if not factors.has_one(staff):
        raise errors.Unauthenticated("Set up a second factor first.")
    factors.check(staff, code)
    until = now + timedelta(minutes=MINUTES)
    request.session[_NAME] = {"user": user.pk, "by": staff.pk, "until": until.isoformat()}
    return until


def end(request: HttpRequest) -> int | None:
    """Whose pages were looked at; None if nobody's were."""
    found = request.session.pop(_NAME, None)
    return None if found is None else int(found["user"])


class Viewing(MiddlewareMixin):
    """Puts the customer in the place of the staff member, outside the admin."""

    def process_view(
        self, request: Any, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not _is_customers(request):
            return None
        if (viewed := _viewed(request)) is None:
            return None
        request.viewed_by, request.user = request.user, viewed
        request.viewed_until = datetime.fromisoformat(request.session[_NAME]["until"])
        if request.method not in ("GET", "HEAD") or _page(request) not in PAGES:
            return render(request, "accounts/viewing.html", status=403)
        if iscoroutinefunction(view):
            return None
        try:
            return _rolled_back(request, view, args, kwargs)
        except NOT_NOW as exception:  # Django asks no middleware of what is raised here
            return refused(request, exception)


def _rolled_back(
    request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
) -> HttpResponse:
    with transaction.atomic():
        answer: HttpResponse = view(request, *args, **kwargs)
        if hasattr(answer, "render") and not getattr(answer, "is_rendered", True):
            answer.render()
        transaction.set_rollback(True)
    return answer


def _viewed(request: HttpRequest) -> User | None:
    """The customer, while it lasts and whoever began it is who is signed in, and still staff."""
    found = request.session.get(_NAME)
    staff = request.user
    if found is None:
        return None
    over = datetime.fromisoformat(found["until"]) <= timezone.now()
    mine = staff.is_authenticated and staff.is_active and staff.is_staff
    if over or not mine or staff.pk != found["by"]:
        del request.session[_NAME]
        return None
    return User.objects.filter(pk=found["user"], is_active=True, is_staff=False).first()


def _is_customers(request: HttpRequest) -> bool:
    """Whether the page is one of a customer's: the admin, files and choices of colours are not."""
    path = request.path
    own = (reverse("admin:index"), reverse("preferences"), "/api/", "/account/logout/")
    return not path.startswith(own)


def _page(request: HttpRequest) -> str:
    try:
        return str(resolve(request.path).url_name)
    except Resolver404:
        return ""
