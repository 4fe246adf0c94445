"""What a document counts as: a PDF by its pages, a text by its length, the rest as declared.

Pages are those of the page tree, as a reader shows them: a node may be listed many times, and
objects may lie in compressed streams. What is behind a URL or a file id says the prompt:
`[[document: 300 pages]]`.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

from sandbox.vendors.conversation import Json, walk
from sandbox.vendors.usage import Piece, count, dumps, image

PAGE_TOKENS = {"anthropic": 2_500, "openai": 1_500, "google": 258}
"""The vendors' pages on PDFs: text and picture of a page."""

_MOST_PAGES = 5_000
_OBJECT = re.compile(rb"(?<!\d)(\d{1,8})\s+\d+\s+obj\b(.*?)endobj", re.S)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.S)
_KIDS = re.compile(rb"/Kids\s*\[(.*?)\]", re.S)
_REF = re.compile(rb"(\d{1,8})\s+\d+\s+R")
_ROOT = re.compile(rb"/Pages\s+(\d{1,8})\s+\d+\s+R")
_FIRST = re.compile(rb"/First\s+(\d+)")
_DECLARED = re.compile(r"\[\[document:\s*(\d+)\s*(pages|tokens)?\s*\]\]")


def declared(body: object, vendor: str) -> int | None:
    """Tokens of a document that is only pointed at, as the prompt declares them."""
    for part in walk(body):
        for text in part.values():
            if isinstance(text, str) and (found := _DECLARED.search(text)):
                each = 1 if found[2] == "tokens" else PAGE_TOKENS[vendor]
                return int(found[1]) * each
    return None


def document(vendor: str, part: Json, data: object, elsewhere: int | None, ttl: str = "") -> Piece:
    """A document or picture: `data` is its base64, or its URL, where it came with one."""
    text = data.rpartition("base64,")[2] if isinstance(data, str) else ""
    if text.startswith("http"):
        text = ""
    if text.startswith("JVBERi"):  # %PDF-
        return Piece(dumps(part), pages(_bytes(text)) * PAGE_TOKENS[vendor], ttl)
    if not text and elsewhere is not None:
        return Piece(dumps(part), elsewhere, ttl)
    return image(dumps(part), ttl)


def plain(source: Json) -> int | None:
    """Tokens of a document that is text."""
    text = source.get("data") if source.get("type") == "text" else None
    return count(text) if isinstance(text, str) else None


def _bytes(text: str) -> bytes:
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(text)
    return b""


def pages(pdf: bytes) -> int:
    """How many pages a reader shows; at least one."""
    objects = dict(_objects(pdf))
    root = _ROOT.search(pdf) or next(filter(None, map(_ROOT.search, objects.values())), None)
    if root is None:
        return 1
    return max(1, _leaves(objects, int(root[1]), ()))


def _leaves(objects: dict[int, bytes], number: int, above: tuple[int, ...]) -> int:
    kids = _KIDS.search(objects.get(number, b""))
    if kids is None:
        return 1
    if number in above or len(above) > 20:
        return 0
    total = 0
    for ref in _REF.findall(kids[1]):
        total += _leaves(objects, int(ref), (*above, number))
        if total >= _MOST_PAGES:
            break
    return total


def _objects(pdf: bytes) -> Iterator[tuple[int, bytes]]:
    for number, body in _OBJECT.findall(pdf):
        yield int(number), body
        if b"/ObjStm" in body and (stream := _STREAM.search(body)):
            yield from _packed(body, stream[1])


def _packed(head: bytes, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The objects of a compressed stream: numbers and places first, then the objects."""
    with suppress(zlib.error):
        data = zlib.decompressobj().decompress(data, 50_000_000)
    first = _FIRST.search(head)
    start = int(first[1]) if first else 0
    index = [int(word) for word in data[:start].split() if word.isdigit()]
    places = sorted(zip(index[1::2], index[::2], strict=False))
    for n, (place, number) in enumerate(places):
        end = places[n + 1][0] if n + 1 < len(places) else len(data)
        yield number, data[start + place : start + end]
