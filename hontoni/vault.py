"""Secrets at rest: sealed when they are written, opened only where they are used.

Fernet (AES-128-CBC and HMAC-SHA-256) under keys derived from settings.CREDENTIAL_KEYS, another one
for each purpose. The first one seals, all of them open: to rotate, put a new one in front, run
`manage.py reseal`, and take the old one away.
"""

import base64
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(ValueError):
    """It was sealed under a key that is no longer among settings.CREDENTIAL_KEYS."""

    def __init__(self) -> None:
        super().__init__("No key of CREDENTIAL_KEYS opens it.")


class Vault:
    """Opens what it sealed itself, and nothing sealed for another purpose."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose

    def seal(self, secret: str) -> str:
        """Ciphertext; the same secret is another text each time."""
        return self._box().encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """The secret. Raises Unreadable."""
        return self.unseal_bytes(sealed.encode()).decode()

    def seal_bytes(self, secret: bytes) -> bytes:
        """The same of bytes."""
        return self._box().encrypt(secret)

    def unseal_bytes(self, sealed: bytes) -> bytes:
        """The same of bytes. Raises Unreadable."""
        try:
            return self._box().decrypt(sealed)
        except InvalidToken:
            raise Unreadable from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the newest key. Raises Unreadable."""
        try:
            return self._box().rotate(sealed).decode()
        except InvalidToken:
            raise Unreadable from None

    def reseal_bytes(self, sealed: bytes) -> bytes:
        """The same of bytes. Raises Unreadable."""
        try:
            return self._box().rotate(sealed)
        except InvalidToken:
            raise Unreadable from None

    def _box(self) -> MultiFernet:
        return _box_of(self.purpose, tuple(settings.CREDENTIAL_KEYS))


class Seal:
    """Signs what everybody may read and nobody may change: Ed25519, under keys derived as above.
    Whoever has the public key can check it without us."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose

    def sign(self, text: bytes) -> tuple[str, str]:
        """The public key of the newest key, and its signature; both in hexadecimal."""
        key = _signers(self.purpose, tuple(settings.CREDENTIAL_KEYS))[0]
        return _public(key), key.sign(text).hex()

    def is_ours(self, public: str) -> bool:
        """Whether it belongs to a key of settings.CREDENTIAL_KEYS."""
        keys = _signers(self.purpose, tuple(settings.CREDENTIAL_KEYS))
        return any(_public(key) == public for key in keys)


def is_signed(text: bytes, public: str, signature: str) -> bool:
    """Whether the owner of a public key signed this."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            bytes.fromhex(signature), text
        )
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=16)
def _signers(purpose: str, keys: tuple[str, ...]) -> list[Ed25519PrivateKey]:
    seeds = (base64.urlsafe_b64decode(_derived(purpose, key)) for key in keys)
    return [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


@lru_cache(maxsize=16)
def _box_of(purpose: str, keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(purpose, key)) for key in keys])


def _derived(purpose: str, key: str) -> bytes:
    """32 bytes from a text of any length, for this purpose alone."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
