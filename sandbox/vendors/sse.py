"""Server-sent events as the vendors write them."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from sandbox.vendors.wire import Frame


def event(
    data: Any, name: str = "", *, content: bool = False, thought: bool = False, end: str = "\n"
) -> Frame:
    """One event; `name` where the vendor names its events, `end` its line end."""
    head = f"event: {name}{end}".encode() if name else b""
    return Frame(head + b"data: " + orjson.dumps(data) + (end * 2).encode(), content, thought)


DONE = Frame(b"data: [DONE]\n\n")
COMMENT = Frame(b": keep-alive\n\n")


def words(text: str) -> list[str]:
    """A text as it is streamed: word by word, nothing lost."""
    return re.findall(r"\s*\S+|\s+$", text)


def pieces(text: str, size: int = 12) -> Iterator[str]:
    """Arguments as they are streamed: a few characters at a time."""
    return (text[n : n + size] for n in range(0, len(text), size))
