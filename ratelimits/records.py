"""The record of one request, as the scripts keep it (lua/request.lua): who asked, what it holds
and has cost, and the usage event to settle with if nothing is heard of it again.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

_NUMBERS = Struct(">BqqdqqdIIB")
_ACCOUNT = Struct(">q")
_WINDOWS = Struct(">qIqIqIqI")

Opened = tuple[int, int]  # when a window opened (ms by Redis's clock), and how many it counts


class Record(NamedTuple):
    """An open request. `admitted` in microseconds by Redis's clock, 0 of a purchase; `windows`
    only if it was announced. Money is nano-dollars."""

    account: int
    subject: str
    purse: str
    hold: int
    cost: int
    admitted: int
    draft: bytes
    windows: tuple[Opened, ...] = ()


@lru_cache(maxsize=65_536)
def _who(account: int, subject: str, purse: str) -> bytes:
    words = (word.encode() for word in (subject, purse))
    return _ACCOUNT.pack(account) + b"".join(bytes((len(word),)) + word for word in words)


def rest(
    account: int, subject: str, purse: str, draft: str | bytes, windows: Sequence[Opened] = ()
) -> bytes:
    """What a gateway says of a request: the end of its record."""
    text = draft if isinstance(draft, bytes) else draft.encode()
    if not windows:
        return b"%b\0%b" % (_who(account, subject, purse), text)
    opened = _WINDOWS.pack(*(number for window in windows for number in window))
    return b"%b%c%b%b" % (_who(account, subject, purse), len(opened), opened, text)


def read(stored: bytes | None) -> Record | None:
    """A record; None of a request that has ended, or is not known."""
    if stored is None or len(stored) == 1:
        return None
    _, hold, cost, _, admitted, _, _, _, _, epoch = _NUMBERS.unpack_from(stored)
    at = _NUMBERS.size + epoch
    (account,) = _ACCOUNT.unpack_from(stored, at)
    subject, at = _word(stored, at + _ACCOUNT.size)
    purse, at = _word(stored, at)
    opened, at = _word(stored, at)
    windows: tuple[Opened, ...] = ()
    if opened:
        numbers = _WINDOWS.unpack(opened)
        windows = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    who = account, subject.decode(), purse.decode()
    return Record(*who, hold, cost, admitted, stored[at:], windows)


def _word(stored: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their length in front, and where they end."""
    end = at + 1 + stored[at]
    return stored[at + 1 : end], end
