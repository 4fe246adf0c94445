"""Sessions on /api: a short access token (a JWT) and a long refresh token (random, used once).

* An access token is good for /api only; /v1 takes API keys and nothing else. Programs have keys
  and tokens with scopes (grants.py).
* A refresh token is stored hashed. Using it makes its successor in the same family; using it
  again means that somebody else has it, so the whole family ends.
* A family ends at once, access tokens included, with logout, and with it every family of a user
  whose password changes or whose account is deactivated.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken
from rest_framework_simplejwt.tokens import Token

from accounts.models import RefreshToken, User
from accounts.sign_in import grants
from accounts.sign_in.grants import Grant
from hontoni import errors

PREFIX = "rt-gw-"


@dataclass(frozen=True)
class Session:
    """What a client gets. `expires_in` is the access token's life in seconds."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int


def issue(user: User) -> Session:
    """A new session, in a family of its own, for the account that the user opened last."""
    return _extend(user, uuid4(), timezone.now(), user.acts_for_id)


def rotate(refresh: str) -> Session:
    """The next link of the chain. Raises Unauthenticated, and ends the family on reuse."""
    link = _find(refresh)
    now = timezone.now()
    with transaction.atomic():
        # Logout takes this lock too: it must not miss a successor that is just being made.
        user = User.objects.select_for_update(no_key=True).get(pk=link.user_id)
        # One conditional UPDATE decides who is first.
        fresh = RefreshToken.objects.filter(
            pk=link.pk, used_at=None, revoked_at=None, expires_at__gt=now
        )
        if alive(user, link.credentials) and fresh.update(used_at=now):
            return _extend(user, link.family, now, link.account_id)
        _end(RefreshToken.objects.filter(family=link.family))
    raise errors.Unauthenticated(
        "This refresh token is used, expired or revoked. Log in again.", code="invalid_token"
    )


def revoke_family(refresh: str) -> None:
    """End the session of this refresh token, used or not. Raises Unauthenticated if unknown."""
    link = _find(refresh)
    _revoke(link.user_id, family=link.family)


def revoke_all(refresh: str) -> None:
    """End every session of this refresh token's user. Raises Unauthenticated if unknown."""
    _revoke(_find(refresh).user_id)


def forget(before: datetime) -> int:
    """Delete the refresh tokens that expired before; how many."""
    return RefreshToken.objects.filter(expires_at__lt=before).delete()[0]


def _find(refresh: str) -> RefreshToken:
    link = RefreshToken.objects.filter(digest=_digest(refresh)).first()
    if link is None:
        raise errors.Unauthenticated("There is no such refresh token.", code="invalid_token")
    return link


def _revoke(user_id: int, **which: Any) -> None:
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user_id)
        _end(RefreshToken.objects.filter(user_id=user_id, **which))


def _end(links: QuerySet[RefreshToken]) -> None:
    links.filter(revoked_at=None).update(revoked_at=timezone.now())


def _extend(user: User, family: UUID, now: datetime, account: int | None) -> Session:
    refresh = PREFIX + secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        digest=_digest(refresh),
        family=family,
        user=user,
        credentials=credentials(user),
        account_id=account,
        issued_at=now,
        expires_at=now + settings.REFRESH_TOKEN_LIFETIME,
    )
    life: timedelta = settings.ACCESS_TOKEN_LIFETIME
    access = _backend().encode(
        {
            "sub": str(user.pk),
            "type": "access",
            "family": family.hex,
            "exp": now + life,
            **({"account": account} if account else {}),
        }
    )
    return Session(user, access, refresh, int(life.total_seconds()))


def _digest(refresh: str) -> bytes:
    return hashlib.sha256(refresh.encode()).digest()


def credentials(user: User) -> str:
    """Changes with the password, whoever changes it, and with whatever ends all sessions."""
    return user.get_session_auth_hash()[:16]


def alive(user: User, began_with: str) -> bool:
    """Whether what began with those credentials is still good."""
    return user.is_active and secrets.compare_digest(began_with, credentials(user))


def _backend() -> TokenBackend:
    return TokenBackend("HS256", settings.SECRET_KEY, audience="api", issuer="hontoni")


class AccessTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`: no cookies, so nothing to forge across sites.
    API keys and personal tokens come the same way, and open what their scopes do (grants.py)."""

    def authenticate(self, request: Request) -> tuple[User, dict[str, Any] | Grant] | None:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if grants.is_grant(token := token.strip()):
            return grants.enter(request, token)
        claims = _claims(token)
        # The newest link of a family that has not ended stands for the session.
        link = (
            RefreshToken.objects.select_related("user")
            .filter(family=claims["family"], user_id=claims["sub"], revoked_at=None)
            .order_by("-pk")
            .first()
        )
        if link is None or not alive(link.user, link.credentials):
            raise AuthenticationFailed("This session has ended. Log in again.", "session_ended")
        return link.user, claims

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _claims(token: str) -> dict[str, Any]:
    try:
        # Its annotation asks for a Token where it takes the text.
        claims = _backend().decode(cast(Token, token))
    except TokenBackendExpiredToken:
        raise AuthenticationFailed("This access token is expired.", "token_expired") from None
    except TokenBackendError:
        raise AuthenticationFailed("This is not a valid access token.", "invalid_token") from None
    return claims


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes the class above."""

    target_class = AccessTokenAuthentication
    match_subclasses = True
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
