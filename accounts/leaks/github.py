"""Whether it is GitHub that speaks: its signature over the body, by a key that it publishes.

docs.github.com/code-security/secret-scanning/secret-scanning-partner-program: ECDSA on P-256 with
SHA-256, the signature in base64, the key by its identifier.
"""

import base64
import logging

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.cache import cache

from hontoni import errors

logger = logging.getLogger(__name__)

_CACHE, _ASKED = "leaks.github", "leaks.github.asked"
_UNANSWERED, _ANSWERED = 0, 1
_SECONDS, _AGAIN_SECONDS = 24 * 3600, 60
_TIMEOUT_SECONDS = 10.0


def is_signed(body: bytes, identifier: str, signature: str) -> bool:
    """Raises Unavailable where GitHub's keys cannot be had: it tries again."""
    pem = _key(identifier)
    if pem is None:
        return False
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(base64.b64decode(signature, validate=True), body, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):  # ValueError: what is no base64
        return False
    return True


def _key(identifier: str) -> str | None:
    """By its name. They change rarely: they are asked for again when there is an unknown name,
    and for that once a minute, whoever makes names up and whether there is an answer."""
    known: dict[str, str] = cache.get(_CACHE) or {}
    if identifier not in known:
        if cache.add(_ASKED, _UNANSWERED, _AGAIN_SECONDS):
            known = _published()
            cache.set(_CACHE, known, _SECONDS)
            cache.set(_ASKED, _ANSWERED, _AGAIN_SECONDS)
        elif cache.get(_ASKED) != _ANSWERED:  # somebody asks just now, or nobody answered
            raise _away()
    return known.get(identifier)


def _published() -> dict[str, str]:
    try:
        answer = httpx.get(settings.GITHUB_SCANNING_KEYS_URL, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        return {
            str(each["key_identifier"]): str(each["key"]) for each in answer.json()["public_keys"]
        }
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        logger.warning("leaks.github: its keys cannot be had: %r", error)
        raise _away() from None


def _away() -> errors.Unavailable:
    return errors.Unavailable(
        "GitHub's public keys cannot be had right now. Try again.",
        headers={"Retry-After": str(_AGAIN_SECONDS)},
    )
