"""The pages of a PDF, as a vendor counts them: how many, and the text that is drawn on them."""

import base64
import io
import re
import time
from collections.abc import Iterator
from typing import Any

from pypdf import PdfReader
from pypdf.generic import DictionaryObject, StreamObject

from gateway.metering.documents import Pages

_MOST_PAGES = 2_000
_MOST_DRAWN = 32 * 1024 * 1024  # bytes of a document's pages, unpacked
_MOST_SECONDS = 2.0
_DEEPEST = 4  # forms within forms
_STRINGS = re.compile(rb"\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f\s]+>", re.DOTALL)
_HEX = re.compile(rb"<([0-9A-Fa-f]+)>")


def read(data: str) -> Pages | None:
    """Its pages, of base64; None if it cannot be read, or takes too long."""
    try:
        return _pages(PdfReader(io.BytesIO(base64.b64decode(data)), strict=False))
    except Exception:  # a reader of hostile files may fail in any way
        return None


def _pages(reader: PdfReader) -> Pages | None:
    if reader.is_encrypted or not 0 < len(reader.pages) <= _MOST_PAGES:
        return None
    deadline, drawn, text = time.monotonic() + _MOST_SECONDS, 0, 0
    for page in reader.pages:
        contents = page.get_contents()
        if contents is not None:
            said, unpacked = _said(contents, page.get("/Resources"), 0)
            text, drawn = text + said, drawn + unpacked
        if drawn > _MOST_DRAWN or time.monotonic() > deadline:
            return None
    return Pages(len(reader.pages), text)


def _said(contents: StreamObject, resources: Any, depth: int) -> tuple[int, int]:
    """Bytes of text that a content stream draws at most, and its own size. A form counts as often
    as any form is drawn. Raises ValueError for forms nested too deep."""
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    drawn = contents.get_data()
    text = sum(map(len, _STRINGS.findall(drawn)))
    held = resources.get_object() if resources is not None else {}
    times, size = drawn.count(b"Do"), len(drawn)
    for form in _forms(held) if times else ():
        said, unpacked = _said(form, form.get("/Resources", held), depth + 1)
        text, size = text + times * said, size + unpacked
    return text * _spelled(held), size


def _forms(resources: Any) -> Iterator[StreamObject]:
    for each in _values(resources, "/XObject"):
        if isinstance(each, StreamObject) and each.get("/Subtype") == "/Form":
            yield each


def _spelled(resources: Any) -> int:
    """How many tokens one glyph may stand for: a font may spell it as a long text."""
    longest = 4
    for font in _values(resources, "/Font"):
        table = font.get("/ToUnicode") if isinstance(font, DictionaryObject) else None
        spelling = table.get_object() if table is not None else None
        if isinstance(spelling, StreamObject):
            longest = max(longest, *map(len, _HEX.findall(spelling.get_data())), 4)
    return -(-longest // 16)  # four hexadecimal digits a letter, four letters a token


def _values(resources: Any, name: str) -> Iterator[Any]:
    held = resources.get(name) if resources else None
    for each in (held.get_object() if held is not None else {}).values():
        yield each.get_object()
