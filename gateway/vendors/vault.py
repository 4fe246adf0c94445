"""Credentials at rest: sealed when staff write them, opened only where a request is sent.

Fernet (AES-128-CBC and HMAC-SHA-256) under keys derived from settings.CREDENTIAL_KEYS. The first
one seals, all of them open: to rotate, put a new one in front, run `manage.py reseal`, and take
the old one away.
"""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(ValueError):
    """It was sealed under a key that is no longer among settings.CREDENTIAL_KEYS."""


def seal(secret: str) -> str:
    """Ciphertext; the same secret is another text each time."""
    return _box().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """The secret. Raises Unreadable."""
    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken:
        raise Unreadable("No key of CREDENTIAL_KEYS opens it.") from None


def reseal(sealed: str) -> str:
    """The same secret under the newest key. Raises Unreadable."""
    try:
        return _box().rotate(sealed).decode()
    except InvalidToken:
        raise Unreadable("No key of CREDENTIAL_KEYS opens it.") from None


def _box() -> MultiFernet:
    return _box_of(tuple(settings.CREDENTIAL_KEYS))


@lru_cache(maxsize=4)
def _box_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    """32 bytes from a text of any length, for this purpose alone."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"gateway.credentials")
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
