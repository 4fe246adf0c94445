"""The opaque tokens by which a vendor recognises its own reasoning.

Anthropic's `signature` and `data`, OpenAI's `encrypted_content`, Google's `thoughtSignature`.
Like the real ones they come back unmodified or not at all: anything else is the vendor's 400.
"""

import base64
import binascii
import hashlib
import hmac

# Not a secret: a constant, so that a conversation survives a restart and a test can rely on it.
_KEY = b"the sandbox upstream"


def seal(kind: str, text: str) -> str:
    """A token for this text; the same text has the same token."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b64encode(digest + _mac(kind, digest)).decode()


def is_sealed(kind: str, token: object) -> bool:
    """Whether this token was made here, for whatever text."""
    return _digest(kind, token) is not None


def seals(kind: str, token: object, text: str) -> bool:
    """Whether this token was made here for exactly this text."""
    return _digest(kind, token) == hashlib.sha256(text.encode()).digest()


def _digest(kind: str, token: object) -> bytes | None:
    try:
        raw = base64.b64decode(token if isinstance(token, str) else "", validate=True)
    except (binascii.Error, ValueError):
        return None
    digest, mac = raw[:32], raw[32:]
    return digest if hmac.compare_digest(mac, _mac(kind, digest)) else None


def _mac(kind: str, digest: bytes) -> bytes:
    return hmac.digest(_KEY, kind.encode() + digest, "sha256")
