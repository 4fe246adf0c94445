"""Who looks at a page, and whether they have just shown that it is them."""

from collections.abc import Callable
from typing import TypeVar, cast

from allauth.account.decorators import reauthentication_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.models import User

_View = TypeVar("_View", bound=Callable[..., HttpResponseBase])
# Asks for the password, or the second factor, again after a quarter of an hour.
reauthenticated: Callable[[_View], _View] = reauthentication_required


def customer(request: HttpRequest) -> User:
    """Who `login_required` let in."""
    return cast(User, request.user)
