"""Sessions of browsers: in the cache, which forgets them, and of no use to who reads it there.

What a browser's cookie holds is kept nowhere: the cache knows a session by a hash of it, and has
what is in the session (a half-done password reset, a seed about to be confirmed) sealed under a
key made of it. The list of an account's sessions, in the database, has it enciphered.

settings.SESSION_ENGINE is this module.
"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.conf import settings
from django.contrib.sessions.backends import cache

_HEX = 32  # letters of a key: 128 bits


class Sealed:
    """A cache that is given session keys and sessions, and holds neither."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def get(self, key: str) -> Any:
        return _open(key, self.inner.get(_hashed(key)))

    async def aget(self, key: str) -> Any:
        return _open(key, await self.inner.aget(_hashed(key)))

    def set(self, key: str, value: Any, age: int) -> Any:
        return self.inner.set(_hashed(key), _seal(key, value), age)

    async def aset(self, key: str, value: Any, age: int) -> Any:
        return await self.inner.aset(_hashed(key), _seal(key, value), age)

    def add(self, key: str, value: Any, age: int) -> Any:
        return self.inner.add(_hashed(key), _seal(key, value), age)

    async def aadd(self, key: str, value: Any, age: int) -> Any:
        return await self.inner.aadd(_hashed(key), _seal(key, value), age)

    def delete(self, key: str) -> Any:
        return self.inner.delete(_hashed(key))

    async def adelete(self, key: str) -> Any:
        return await self.inner.adelete(_hashed(key))

    def __contains__(self, key: str) -> bool:
        return _hashed(key) in self.inner

    async def ahas_key(self, key: str) -> bool:
        return bool(await self.inner.ahas_key(_hashed(key)))


class SessionStore(cache.SessionStore):
    cache_key_prefix = "session:"
    _cache: Any

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._cache = Sealed(self._cache)

    def _get_new_session_key(self) -> str:
        return secrets.token_hex(_HEX // 2)

    async def _aget_new_session_key(self) -> str:
        return self._get_new_session_key()


def _hashed(key: str) -> str:
    return f"session:{hashlib.sha256(key.encode()).hexdigest()}"


def _box(key: str) -> Fernet:
    made = hmac.digest(settings.SECRET_KEY.encode(), f"session {key}".encode(), "sha256")
    return Fernet(base64.urlsafe_b64encode(made))


def _seal(key: str, session: dict[str, Any]) -> bytes:
    return _box(key).encrypt(json.dumps(session, separators=(",", ":")).encode())


def _open(key: str, sealed: bytes | None) -> dict[str, Any] | None:
    if sealed is None:
        return None
    try:
        session: dict[str, Any] = json.loads(_box(key).decrypt(sealed))
    except InvalidToken:
        return None  # SECRET_KEY is another one now
    return session


# -- The list of sessions ------------------------------------------------------------------------


def encipher(key: str) -> str:
    """A session key as the database has it: as long, and always the same, for it is looked up. It
    is one block of random bits, so one block of the cipher is all there is to it."""
    return _block(key, decrypt=False)


def decipher(kept: str) -> str:
    """The session key again. One of before, which is no such block, as it is."""
    return _block(kept, decrypt=True)


def _block(text: str, *, decrypt: bool) -> str:
    try:
        block = bytes.fromhex(text) if len(text) == _HEX else b""
    except ValueError:
        block = b""
    if not block:
        return text
    made = hmac.digest(settings.SECRET_KEY.encode(), b"session keys", "sha256")
    cipher = Cipher(algorithms.AES256(made), modes.ECB())
    machine = cipher.decryptor() if decrypt else cipher.encryptor()
    return (machine.update(block) + machine.finalize()).hex()


def keep_keys_enciphered() -> None:
    """allauth's list compares, shows and ends sessions by their keys: its column does the rest."""
    field: Any = UserSession._meta.get_field("session_key")
    prepared = type(field).get_prep_value

    def get_prep_value(value: Any) -> Any:
        found = prepared(field, value)
        return encipher(found) if isinstance(found, str) else found

    def from_db_value(value: Any, expression: Any, connection: Any) -> Any:
        return decipher(value) if isinstance(value, str) else value

    field.get_prep_value, field.from_db_value = get_prep_value, from_db_value
