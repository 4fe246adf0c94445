"""A team's provider by its discovery document: OpenID Connect, code flow with PKCE.

openid.net/specs/openid-connect-core-1_0 (3.1) and -discovery-1_0; RFC 7636, RFC 9207. An id token
is believed for its signature by the provider's published keys, its issuer, audience, nonce and
time; an algorithm without a public key never is.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt
from django.core.cache import cache

from accounts.models import SignOn
from accounts.sign_on import outbound
from hontoni import errors
from hontoni.vault import Vault

_vault = Vault("accounts.sign_on")
_KEPT_SECONDS = 3600
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_LEEWAY_SECONDS = 60
_ASKED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True)
class Attempt:
    """A sign-in that has begun: what its session remembers."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Claims:
    """Whom the provider means. `verified` is its word that the address is theirs."""

    subject: str
    email: str
    verified: bool
    name: str


def seal(secret: str) -> str:
    """As it is kept at rest."""
    return _vault.seal(secret)


def reseal() -> int:
    """Seal every team's secret under the newest key; how many there are. In a transaction. Raises
    vault.Unreadable."""
    found = list(SignOn.objects.select_for_update().exclude(sealed_secret=""))
    for each in found:
        each.sealed_secret = _vault.reseal(each.sealed_secret)
    SignOn.objects.bulk_update(found, ["sealed_secret"])
    return len(found)


def discover(issuer: str, *, fresh: bool = False) -> dict[str, Any]:
    """The provider's discovery document. Raises BadRequest for one that is none, or another's."""
    name = f"sign_on.discovery.{hashlib.sha256(issuer.encode()).hexdigest()}"
    known: dict[str, Any] | None = None if fresh else cache.get(name)
    if known is not None:
        return known
    outbound.check(issuer)
    found = outbound.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        raise errors.BadRequest(
            "The discovery document names another issuer.", code="provider_failed"
        )
    for each in _ASKED:
        outbound.check(str(found.get(each, "")))
    cache.set(name, found, _KEPT_SECONDS)
    return found


def begin(sign_on: SignOn, back: str) -> tuple[Attempt, str]:
    """An attempt, and where the browser goes for it. Raises BadRequest."""
    found = discover(sign_on.issuer)
    attempt = Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))
    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": sign_on.client_id,
        "redirect_uri": back,
        "scope": "openid email profile",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    endpoint = str(found["authorization_endpoint"])
    return attempt, f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def finish(sign_on: SignOn, attempt: Attempt, code: str, back: str) -> Claims:
    """Who has signed in there. Raises BadRequest."""
    found = discover(sign_on.issuer)
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back,
        "code_verifier": attempt.verifier,
    }
    secret = _vault.unseal(sign_on.sealed_secret) if sign_on.sealed_secret else ""
    methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    auth = None
    if secret and "client_secret_basic" in methods:
        auth = (sign_on.client_id, secret)
    else:
        body |= {"client_id": sign_on.client_id, **({"client_secret": secret} if secret else {})}
    answer = outbound.post(str(found["token_endpoint"]), body, auth)
    if not isinstance(answer, dict):
        raise _unbelievable("no token")
    return _claims(_verified(sign_on, found, attempt, str(answer.get("id_token", ""))))


def _verified(
    sign_on: SignOn, found: dict[str, Any], attempt: Attempt, token: str
) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(found, token),
            algorithms=list(_ALGORITHMS),
            audience=sign_on.client_id,
            issuer=sign_on.issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
        raise _unbelievable(type(error).__name__) from error  # nor what is no token, or no key
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
        raise _unbelievable("another nonce")
    if not claims["sub"].strip():
        raise _unbelievable("nobody")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if several and claims.get("azp") != sign_on.client_id:
        raise _unbelievable("another party")
    return claims


def _key(found: dict[str, Any], token: str) -> Any:
    """The key it is signed with, of those the provider publishes now."""
    head = jwt.get_unverified_header(token)
    keys = jwt.PyJWKSet.from_dict(outbound.get(str(found["jwks_uri"]))).keys
    fitting = [key for key in keys if key.key_id == head.get("kid") or "kid" not in head]
    if len(fitting) != 1:
        raise _unbelievable("no such key")
    return fitting[0]


def _claims(claims: dict[str, Any]) -> Claims:
    truths = (True, "true", "True", 1, "1")
    verified = claims.get("email_verified", claims.get("xms_edov")) in truths
    email = str(claims.get("email") or "").strip().lower()
    name = str(claims.get("name") or "").replace("\0", "")[:200]
    return Claims(str(claims["sub"]).replace("\0", "")[:255], email, verified, name)


def _unbelievable(why: str) -> errors.BadRequest:
    return errors.BadRequest(
        f"What the team's provider says cannot be believed ({why}).", code="provider_failed"
    )
