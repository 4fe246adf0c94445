"""Who looks at a page, and whether they have just shown that it is them."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from allauth.account.decorators import reauthentication_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.models import User
from accounts.teams import acting
from accounts.teams.acting import Acting

_View = TypeVar("_View", bound=Callable[..., HttpResponseBase])


def reauthenticated(view: _View) -> _View:
    """Asks for the password, or the second factor, again after a quarter of an hour: those of the
    person, whatever account they act for."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        account = request.user

        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.user = account
            return view(request, *args, **kwargs)

        request.user = at_work(request).person
        found: HttpResponseBase = reauthentication_required(answer)(request, *args, **kwargs)
        request.user = account
        return found

    return cast(_View, asked)


def at_work(request: HttpRequest) -> Acting:
    """Who is there, for which account."""
    return acting.on_page(request)


def customer(request: HttpRequest) -> User:
    """The account that whoever `login_required` let in acts for."""
    return cast(User, request.user)
