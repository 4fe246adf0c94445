"""A stream sealed with a passphrase: AES-256-GCM in chunks, the key made by scrypt.

    magic, 16 bytes of salt, then for each chunk its length (4 bytes) and its ciphertext

A chunk's nonce is its number and whether it is the last, so none can be changed, moved, repeated
or cut off. The salt makes every file's key another, so no nonce is used twice under one key.
"""

import io
import secrets
import struct
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_MAGIC = b"hontoni backup 1\n"
_CHUNK = 1 << 20
_LENGTH = struct.Struct(">I")


class Unreadable(ValueError):
    """Another key, or the file is damaged, cut off, or no backup."""


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode()))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class Sealer(io.RawIOBase):
    """Write into it; `close` seals the end. The file below stays open."""

    def __init__(self, below: IO[bytes], passphrase: str) -> None:
        salt = secrets.token_bytes(16)
        self._below, self._cipher = below, _cipher(passphrase, salt)
        self._waiting, self._number = bytearray(), 0
        below.write(_MAGIC + salt)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting += data
        while len(self._waiting) > _CHUNK:
            self._seal(bytes(self._waiting[:_CHUNK]), last=False)
            del self._waiting[:_CHUNK]
        return len(data)

    def _seal(self, plain: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last), plain, _MAGIC)
        self._below.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1

    def close(self) -> None:
        if not self.closed:
            self._seal(bytes(self._waiting), last=True)
        super().close()


class Opener(io.RawIOBase):
    """Read from it. Raises Unreadable."""

    def __init__(self, below: IO[bytes], passphrase: str) -> None:
        head = below.read(len(_MAGIC) + 16)
        if not head.startswith(_MAGIC):
            raise Unreadable("This is no backup.")
        self._below, self._cipher = below, _cipher(passphrase, head[len(_MAGIC) :])
        self._plain, self._number, self._ended = b"", 0, False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._plain) < size):
            self._plain += self._chunk()
        size = len(self._plain) if size < 0 else size
        found, self._plain = self._plain[:size], self._plain[size:]
        return found

    def _chunk(self) -> bytes:
        length = self._below.read(_LENGTH.size)
        if len(length) < _LENGTH.size:
            raise Unreadable("The backup is cut off.")
        sealed = self._below.read(_LENGTH.unpack(length)[0])
        self._number += 1
        for last in (False, True):
            try:
                plain = self._cipher.decrypt(_nonce(self._number - 1, last), sealed, _MAGIC)
            except InvalidTag:
                continue
            self._ended = last
            return plain
        raise Unreadable("BACKUP_KEY does not open it, or it is damaged.")
