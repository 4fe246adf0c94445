"""What was found on the web, in words for a model, and on its way through a client.

A client gives back what it was given, and the model goes on from it: so the text of a page that
was found travels sealed where Anthropic's own travels encrypted (`carrier`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier
from gateway.dialects.codecs.opaque import readable
from gateway.dialects.ir import (
    Annotation,
    Carrier,
    HostedCall,
    Message,
    Opaque,
    Request,
    ToolResult,
    WebPage,
)

MOST_FOUND_BYTES = 6_000  # of all that one search found, as the model reads it
MOST_PAGE_BYTES = 24_000
_FORM = "page"
_URL = re.compile(
    r"""(?:https?://|\bwww\.)[^\s<>"'`\\)\]}|]+|\b[\w-]+(?:\.[\w-]+)+/[^\s<>"'`\\)\]}|]*"""
)
_TRAILING = ".,;:!?*_"


def told(call: HostedCall) -> str:
    """What came of a call, as its model is told."""
    if call.error:
        return f"Error: {call.error}"
    if not call.pages:
        return "Nothing was found."
    said = "\n\n".join(_page(page, at) for at, page in enumerate(call.pages, 1))
    most = MOST_FOUND_BYTES if call.tool == "web_search" else MOST_PAGE_BYTES
    return cut(said, most)


def _page(page: WebPage, at: int) -> str:
    lines = (f"[{at}] {page.title}".rstrip(), page.url, page.age, page.text)
    return "\n".join(line for line in lines if line)


def cut(text: str, most: int) -> str:
    """No more bytes than that, whole letters."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= most else raw[:most].decode("utf-8", "ignore")


def sealed(page: WebPage, key: bytes) -> str:
    """The text of a page, for the client to keep."""
    return carrier.seal(Carrier("ours", "", _FORM, page.text), key)


def opened(text: Any, key: bytes) -> str | None:
    """What was sealed so; None for anything else."""
    found = carrier.open(text, key) if isinstance(text, str) else None
    return found.data if found is not None and found.form == _FORM else None


def is_sealed(text: Any) -> bool:
    """Whether it looks like one of ours; nobody has opened it."""
    return isinstance(text, str) and text.startswith(carrier.PREFIX)


# -- Citations -----------------------------------------------------------------------------------


def cited(text: str, pages: Mapping[str, WebPage]) -> list[Annotation]:
    """Where a text points at pages that were found, in their order."""
    found: list[Annotation] = []
    for match in _URL.finditer(text):
        url = match[0].rstrip(_TRAILING)
        if (page := pages.get(plain(url))) is None:
            continue
        start, end = match.start(), match.start() + len(url)
        if text[start - 2 : start] == "](" and (opening := text.rfind("[", 0, start)) >= 0:
            start, end = opening, end + (text[end : end + 1] == ")")
        found.append(Annotation(page.url, page.title, start, end))
    return found


def plain(url: str) -> str:
    """An address without what makes no other page of it."""
    bare = url.partition("#")[0].strip().rstrip("/")
    return re.sub(r"^https?://", "", bare, flags=re.IGNORECASE).lower()


# -- What a conversation has mentioned -----------------------------------------------------------


def mentioned(request: Request) -> frozenset[str]:
    """The addresses (`plain`) that its user, results of tools and earlier searches have named:
    what the model says itself is no reason to ask anybody."""
    return frozenset(plain(url) for text in _texts(request) for url in addresses(text))


def addresses(text: str) -> Iterator[str]:
    """Whatever looks like one in a text."""
    return (match[0].rstrip(_TRAILING) for match in _URL.finditer(text))


def _texts(request: Request) -> Iterator[str]:
    for item in request.items:
        if isinstance(item, ToolResult) or (isinstance(item, Message) and item.role == "user"):
            yield from _said(item.parts)
        elif isinstance(item, Message) and item.role == "assistant":
            parts = (part for part in item.parts if isinstance(part, Opaque))
            yield from _results(parts)


def _said(parts: Iterable[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Opaque):
            yield readable(part.json)
        else:
            yield " ".join(filter(None, (getattr(part, name, "") for name in ("text", "url"))))


def _results(parts: Iterable[Opaque]) -> Iterator[str]:
    """Of searches that a vendor ran itself."""
    for part in parts:
        content = part.json.get("content")
        listed = content if isinstance(content, list) else [content]
        yield from (str(each.get("url")) for each in listed if isinstance(each, dict))
