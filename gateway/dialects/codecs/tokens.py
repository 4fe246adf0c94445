"""Counting other people's tokens: what the four `decode_usage` share.

A stream reports usage in snapshots, each cumulative: they are merged, never added (protocols.md
section 3.2). A negative number survives decoding, so that metering can quarantine it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.dialects.ir import Usage

MOST = 2**53 - 1
_OUTPUT_SIDE = frozenset(
    {
        "completion_tokens",
        "output_tokens",
        "reasoning_tokens",
        "thinking_tokens",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    }
)


def guessed(input_tokens: int, text_bytes: int) -> Usage:
    """What was used, where the vendor never says: a token is about four bytes of text."""
    return Usage(input=input_tokens, output=-(-text_bytes // 4))


def merge(seen: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any]:
    """One snapshot from two. The last non-null value of a field wins, except that 0 never
    replaces a positive value on the input side: hosts repeat the field, empty, at the end."""
    merged = dict(seen or {})
    for name, value in (new or {}).items():
        old = merged.get(name)
        if isinstance(value, dict):
            merged[name] = merge(old if isinstance(old, dict) else None, value)
        elif value is not None and (value or not old or name in _OUTPUT_SIDE):
            merged[name] = value
    return merged


def count(wire: Mapping[str, Any] | None, *path: str) -> int:
    """The number at `path`; 0 where it is null, absent or no number. One beyond MOST, whichever
    side, is MOST: as absurd, and still a number that every JSON reader can take."""
    value: Any = wire
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    kind = type(value)
    if type(value) is int and 0 <= value <= MOST:  # nearly always
        return value
    if kind is not int and kind is not float:
        return 0
    return int(value) if -MOST <= value <= MOST else MOST


def apart(total: int, *inside: int) -> int:
    """What is left of `total` without the parts counted inside it; a nonsense total stays."""
    return total if total < 0 else max(total - sum(inside), 0)
