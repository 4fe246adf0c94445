"""One page of the web, and its text.

As guarded as every address of a customer's (`gateway/vendors/fetching.py`): only the public
internet, on every redirect anew, within bounds of time and size. The text is made by selectolax,
which is in C: a page of a megabyte costs a few milliseconds.
"""

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.vendors import loading
from gateway.vendors.web.searching import TOO_MANY, UNAVAILABLE, Failed, permitted

if TYPE_CHECKING:
    from gateway.vendors import fetching

_SECONDS = 15.0
_MOST_BYTES = 2 * 1024 * 1024
_MOST_URL = 250
_MOST_PAGES = 100  # of a PDF
_UNSAID = "script, style, noscript, template, svg, nav, header, footer, aside, form, iframe"
_HTML = ("text/html", "application/xhtml+xml")
_PLAIN = ("text/", "application/json", "application/xml", "application/ld+json")
_PDF = "application/pdf"

NOT_ALLOWED, NOT_ACCESSIBLE = "url_not_allowed", "url_not_accessible"


@dataclass(frozen=True, slots=True)
class Page:
    """`url` is where it was found in the end."""

    url: str
    title: str
    text: str


async def read(
    url: str, most_bytes: int, allowed: tuple[str, ...] = (), blocked: tuple[str, ...] = ()
) -> Page:
    """Its text, at most so much of it. Raises Failed."""
    if len(url) > _MOST_URL:
        raise Failed("url_too_long", f"{len(url)} characters")

    await loading.fetching()
    from yarl import URL

    from gateway.vendors import fetching

    def check(there: URL) -> None:
        if not permitted(str(there), allowed, blocked):
            raise Failed(NOT_ALLOWED, str(there))

    try:
        got = await fetching.page(URL(url), _MOST_BYTES, _SECONDS, check)
    except fetching.ERRORS as error:
        raise Failed(NOT_ACCESSIBLE, f"{type(error).__name__}") from None
    if got.status == 429:
        raise Failed(TOO_MANY, "429")
    if got.status != 200:
        raise Failed(NOT_ACCESSIBLE, str(got.status))
    return await asyncio.to_thread(_page, got, most_bytes)


def _page(got: "fetching.Got", most_bytes: int) -> Page:
    if got.media_type in _HTML:
        title, text = _of_html(got.body)
    elif got.media_type == _PDF:
        title, text = "", _of_pdf(got.body, most_bytes)
    elif got.media_type.startswith(_PLAIN):
        title, text = "", _decoded(got.body, got.charset)
    else:
        raise Failed("unsupported_content_type", got.media_type)
    raw = text.encode("utf-8", "replace")[:most_bytes]
    return Page(got.url, title, raw.decode("utf-8", "ignore"))


def _decoded(body: bytes, charset: str) -> str:
    """As its server says, or as everybody else writes where nobody knows what that is."""
    try:
        return body.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _of_html(body: bytes) -> tuple[str, str]:
    """Title and text, a block a line, without what stands on every page of a site."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(body)
    title = tree.css_first("title")
    named = title.text(strip=True) if title else ""
    for node in tree.css(_UNSAID):
        node.decompose()
    whole = tree.css_first("main") or tree.css_first("article") or tree.body
    lines = (whole.text(separator="\n") if whole else "").splitlines()
    return named[:300], "\n".join(line for raw in lines if (line := " ".join(raw.split())))


def _of_pdf(body: bytes, most_bytes: int) -> str:
    from pypdf import PdfReader  # costs 30 MB where nobody reads one

    try:
        said, size = [], 0
        for page in PdfReader(io.BytesIO(body), strict=False).pages[:_MOST_PAGES]:
            said.append(page.extract_text())
            size += len(said[-1])
            if size > most_bytes:
                break
        return "\n\n".join(said)
    except Exception as error:  # a reader of hostile files may fail in any way
        raise Failed(UNAVAILABLE, f"a PDF that cannot be read: {type(error).__name__}") from None
