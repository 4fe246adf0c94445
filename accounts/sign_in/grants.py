"""A program at the door of /api, with an API key or a personal access token: who it acts for, and
whether this door is one that its scopes open.

A view says which scope each of its methods takes: `scopes = {"GET": scopes.USAGE}`. What it says
nothing about takes a session, so a door that nobody thought of stays shut to programs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.keys import api_keys, personal_tokens, restrictions, scopes
from accounts.models import User
from accounts.sign_in import callers
from hontoni import errors


@dataclass(frozen=True, slots=True)
class Grant:
    """By what a program acts; `request.auth`."""

    holder: str  # "API key" or "token"
    id: int
    scopes: frozenset[str]
    person: int | None = None  # who acts by it, where that is not the account
    member: int | None = None  # whose membership the key is of


def is_grant(token: str) -> bool:
    return token.startswith((api_keys.PREFIX, personal_tokens.PREFIX))


def enter(request: Request, raw: str) -> tuple[User, Grant]:
    """The account that a key or a token stands for. Raises AuthenticationFailed, or Forbidden
    where the scope is missing."""
    key = raw.startswith(api_keys.PREFIX)
    user, grant = _of_key(request, raw) if key else _of_token(request, raw)
    method = str(request.method)
    scope = needed(request.parser_context["view"], method)
    if method != "OPTIONS" and scope != scopes.ANY and scope not in grant.scopes:
        raise scopes.missing(scope, grant.holder)
    return user, grant


def needed(view: Any, method: str) -> str:
    """The scope that a method of a view takes; empty: a session."""
    return str(getattr(view, "scopes", {}).get("GET" if method == "HEAD" else method, ""))


def _of_key(request: Request, raw: str) -> tuple[User, Grant]:
    found = api_keys.find(api_keys.digest(raw)) if api_keys.well_formed(raw) else None
    if found is None:
        raise AuthenticationFailed("This is not a valid API key.", code="invalid_token")
    if problem := api_keys.refusal(found, timezone.now()):
        raise problem
    networks = restrictions.networks_of(found)
    if networks and not restrictions.contains(networks, callers.address(request) or ""):
        raise errors.Forbidden(
            "This API key may not be used from this address.", code="ip_not_allowed"
        )
    person = found.member.person_id if found.member else None
    return found.user, Grant("API key", found.pk, frozenset(found.scopes), person, found.member_id)


def _of_token(request: Request, raw: str) -> tuple[User, Grant]:
    found, now = personal_tokens.find(raw), timezone.now()
    if found is None:
        raise AuthenticationFailed("This is not a valid token.", code="invalid_token")
    if problem := personal_tokens.refusal(found, now):
        raise problem
    personal_tokens.touch(found, callers.address(request), now)
    return found.user, Grant("token", found.pk, frozenset(found.scopes), found.person_id)


def check(auth: Any, wanted: Iterable[str]) -> None:
    """Whether who is at the door may give these scopes to a key. Raises Forbidden."""
    if isinstance(auth, Grant) and (more := scopes.beyond(wanted, auth.scopes)):
        raise scopes.missing(more[0], auth.holder)
