"""The fingerprints by which people are recognised. Migrations use it: it needs but a key."""

import hashlib
import hmac

from django.conf import settings


def digest(kind: str, value: str) -> str:
    """Of a mark: it can be compared, and not found by trying all of them.

    The key is the one that never changes: by another one, nobody would be recognised.
    """
    text = f"gift:{kind}:{value}".encode()
    return hmac.new(settings.KEY_PEPPER.encode(), text, hashlib.sha256).hexdigest()
