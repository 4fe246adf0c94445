"""How our secrets are spelled: a prefix, 43 random base62 characters (256 bits), and 6 more: the
CRC-32 of all before, in base62. So garbage is refused before any I/O, and scanners find ours.
"""

import re
import secrets
import string
from functools import lru_cache
from zlib import crc32

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH = 49  # behind the prefix


def generate(prefix: str) -> str:
    """A new one."""
    text = prefix + "".join(secrets.choice(_BASE62) for _ in range(43))
    return text + _checksum(text)


def well_formed(raw: str, prefix: str) -> bool:
    """Whether this could be one of ours. No I/O, and no secret: anybody can compute it."""
    parts = _shape(prefix).fullmatch(raw)
    return parts is not None and _checksum(parts[1]) == parts[2]


@lru_cache(maxsize=8)
def _shape(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"({prefix}[0-9A-Za-z]{{43}})([0-9A-Za-z]{{6}})", re.ASCII)


def _checksum(text: str) -> str:
    number, letters = crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        letters = _BASE62[digit] + letters
    return letters
