"""What vendors learn of whom they answer: a pseudonym, and that they are to keep nothing.

A vendor that sees one customer misuse a model can tell that one apart from the rest of us. The
pseudonym is stable, the same on every lane, and nobody's name: a keyed hash of the account. What a
client says of its own users goes as it is where the dialect is the vendor's. Gemini has no place
for either, nor has counting tokens.

`store` is off, whatever a request says, unless its account lets vendors store; nothing of ours
ever reads what they stored.
"""

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import Any

from django.conf import settings


def pseudonym(account: int, given: str = "") -> str:
    """Of an account, or of a user it tells of where the words are not the vendor's."""
    return _hashed(account) if not given else _hash(f"{account}:{given}")


def introduce(sent: dict[str, Any], dialect: str, account: int, *, store: bool = False) -> None:
    """Say so in a body on its way to a vendor, in its dialect. `store`: it is asked for, and the
    account lets them."""
    if dialect == "anthropic_messages":
        metadata = sent.get("metadata")
        if not (isinstance(metadata, dict) and metadata.get("user_id")):
            sent["metadata"] = {**(metadata or {}), "user_id": _hashed(account)}
    elif dialect == "converse":
        sent["requestMetadata"] = {"user": _hashed(account)} | sent.get("requestMetadata", {})
    elif dialect != "gemini":
        if not (sent.get("safety_identifier") or sent.get("user")):
            sent["safety_identifier"] = _hashed(account)
        sent["store"] = store


def front(sent: dict[str, Any], dialect: str, account: int, *, store: bool = False) -> bytes:
    """The same as JSON members to put in front of a body, where it has none of them, which is
    cheaper; else they are in `sent` now, and nothing is to put anywhere."""
    if dialect == "anthropic_messages":
        if "metadata" not in sent:
            return _metadata(account)
    elif not (store or "safety_identifier" in sent or "user" in sent) and (
        sent.get("store", False) is False
    ):
        return _identifier(account) if "store" in sent else _identifier_and_store(account)
    introduce(sent, dialect, account, store=store)
    return b""


@lru_cache(maxsize=50_000)
def _metadata(account: int) -> bytes:
    return b'"metadata":{"user_id":"%b"}' % _hashed(account).encode()


@lru_cache(maxsize=50_000)
def _identifier(account: int) -> bytes:
    return b'"safety_identifier":"%b"' % _hashed(account).encode()


@lru_cache(maxsize=50_000)
def _identifier_and_store(account: int) -> bytes:
    return _identifier(account) + b',"store":false'


@lru_cache(maxsize=50_000)
def _hashed(account: int) -> str:
    return _hash(f"{account}:")


def _hash(text: str) -> str:
    key = sha256(b"gateway.end_user" + settings.SECRET_KEY.encode()).digest()
    return hmac.digest(key, text.encode("utf-8", "replace"), "sha256").hex()[:32]
