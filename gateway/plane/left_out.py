"""What was left out of a request, in the header of its answer."""

import re
from collections.abc import Iterable

from gateway.plane.exchange import Exchange
from gateway.plane.wire import Headers

HEADER = b"x-hontoni-left-out"
_MOST_BYTES = 1_000
_UNSAFE = re.compile(r"[^\x20-\x7e]+")


def header(left_out: Iterable[str]) -> Headers:
    """The names came from a client: only what is safe in a header is said of them."""
    given, size = [], 0
    for each in left_out:
        name = _UNSAFE.sub("_", each).replace(",", "_")
        size += len(name) + 2
        if size > _MOST_BYTES:
            given.append("...")
            break
        given.append(name)
    return [(HEADER, ", ".join(given).encode())] if given else []


def tell(http: Exchange, left_out: Iterable[str]) -> None:
    """In place of what the header said of another try."""
    http.extra = [each for each in http.extra if each[0] != HEADER] + header(left_out)
