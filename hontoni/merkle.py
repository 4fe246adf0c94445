"""Merkle trees by RFC 6962 (certificate transparency): one hash stands for a list, and a short
path shows that something is in it.

Leaves carry a nonce, so that nobody can guess what a hash is of who was not told. Pure; it imports
nothing of ours but canonical.py.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from hontoni import canonical

Path = list[list[str]]  # ["left" or "right", the sibling's hash in hex], from the leaf up


def leaf(document: Any, nonce: bytes) -> bytes:
    """The hash of one member."""
    return hashlib.sha256(b"\x00" + nonce + canonical.encode(document)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash of the list; of an empty one, the hash of nothing."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def _above(level: list[bytes]) -> list[bytes]:
    """The next level; one that has no sibling rises as it is."""
    pairs = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return pairs + level[len(pairs) * 2 :]


def path(leaves: Sequence[bytes], position: int) -> Path:
    """What leads from the leaf at this position to the root. Raises IndexError."""
    level, found = list(leaves), []
    level[position]
    while len(level) > 1:
        sibling = position ^ 1
        if sibling < len(level):
            found.append(["left" if sibling < position else "right", level[sibling].hex()])
        level, position = _above(level), position // 2
    return found


def climb(start: bytes, way: Path) -> bytes:
    """The root that a path leads to. Raises ValueError if it is none."""
    here = start
    for side, sibling in way:
        other = bytes.fromhex(sibling)
        if side not in ("left", "right") or len(other) != 32:
            raise ValueError("this is no path")
        here = _node(other, here) if side == "left" else _node(here, other)
    return here


def chain(before: bytes, this: bytes) -> bytes:
    """A root that also stands for all roots before it."""
    return hashlib.sha256(b"\x02" + before + this).digest()
