"""Webhooks as standardwebhooks.com describes them: how a message of ours is signed.

A receiver checks HMAC-SHA-256 of "<id>.<timestamp>.<body>" under the secret's bytes. `webhook-id`
is the same whenever a message is sent again, so that it is taken once; the timestamp is the
attempt's, so that an old one cannot be played back.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A secret, in the form that verifiers take."""
    return written(secrets.token_bytes(_BYTES))


def written(key: bytes) -> str:
    """Bytes as a secret."""
    return _PREFIX + base64.b64encode(key).decode()


def headers(message_id: str, at: datetime, body: str, under: Iterable[str]) -> dict[str, str]:
    """What is sent along: a signature under each secret, of which a receiver needs one."""
    timestamp = str(int(at.timestamp()))
    signatures = (f"v1,{signature(each, message_id, timestamp, body)}" for each in under)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def signature(secret: str, message_id: str, timestamp: str, body: str) -> str:
    """Base64, without the version in front."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = hmac.new(key, f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256)
    return base64.b64encode(signed.digest()).decode()
