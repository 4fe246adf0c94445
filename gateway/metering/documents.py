"""What a request attaches, and how many tokens that can come to.

Only what stands where a dialect has content is a picture or a document: in tool arguments, schemas
and metadata whatever calls itself one is text, and counts by its bytes like all text. So does a
picture block without a picture in it.

* A picture has a most, whatever its size (the vendors' vision pages). What stands in its place is
  looked at: a PDF there is a PDF, for there are vendors who read it as one, and packed bytes that
  are no picture count as any other packed document.
* A file id names a file in the vendor's account, which all customers share: it may be another's,
  and nobody can upload one here. It is refused.
* A PDF is bounded by its pages, each an image to the vendor, and by the text drawn on them. One
  that cannot be read in a moment counts as the whole context window, and so does any other packed
  document, and whatever is only pointed at by its URL: its size is known to its vendor.
* Sound counts as sound.py has it. Film has no bound and is refused.
* A summary in the place of a conversation is packed (codecs/summaries.py), and counts by what it
  says.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from gateway.catalogue.sold import Model
from gateway.dialects.codecs import media, summaries
from gateway.metering import sound
from hontoni.errors import BadRequest

# The most an image costs, in tokens, and what one usually does. gpt-4o-mini multiplies its image
# tokens by about 33; `detail: original` is ten thousand patches of the newest of OpenAI's.
_PICTURE = {"anthropic": (5_000, 1_600), "openai": (2_500, 1_100), "google": (4_200, 1_100)}
_ANY_PICTURE, _ANY_PAGE = (16_400, 2_500), 5_000  # of whoever else: the dearest known
_PICTURE_OF = {"gpt-4o-mini": (50_000, 25_500)}
_ORIGINAL = 16_000
_PAGE = {"anthropic": 5_000, "openai": 2_500, "google": 1_200}  # its image
_USUAL_PAGE = 2_500

_MARK = re.compile(  # written so that it costs no more than three words did
    rb'"(?:(?:i(?:mage|mage_url|nput_image|nput_file|nput_video|nput_audio|nlineData)|document'
    rb"|file(?:_id|_url|_uri|Data)?"
    rb'|computer_screenshot|video(?:_url)?)"|hns)'
)
_PICTURES = frozenset(("image", "image_url", "input_image", "computer_screenshot"))
_DOCUMENTS = frozenset(("document", "file", "input_file"))
_SOUNDS = frozenset(("input_audio", "audio"))
_FILMS = frozenset(("video", "video_url", "input_video"))
_FOUND = frozenset(("web_search_result", "web_fetch_result", "search_result"))  # read already
_POINTERS = ("url", "file_url", "file_uri")
_HOLDERS = ("source", "file", "image_url")  # of an address, in a block
_LISTS = {"openai_responses": ("input",), "anthropic_messages": ("system", "messages")}
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")

# What a vendor takes at most where that is more than we sell, in tokens (their model pages): a
# document of which nobody knows the size may fill it.
_TAKES = {"gpt-4.1": 1_047_576, "gpt-5.4": 1_050_000}
_TAKES_OF = {"google": 1_048_576}

_SPELLED = re.compile(rb"\\u00[4-7]")  # an ASCII letter that JSON need not escape: words may hide
_PDF_WITHIN = 1_368  # letters: readers look for the mark in the first kilobyte of a file
_ADDRESSES = ("https:", "http:", "gs:")
_PICTURE_DATA, _PDF, _TEXT, _PACKED, _ODD = "picture", "pdf", "text", "packed", "odd"
_BRANDS = (b"heic", b"heix", b"mif1", b"heif", b"avif")

_PDF_SECONDS = 4.0
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_readers = ThreadPoolExecutor(2, "documents")


class Pages(NamedTuple):
    """Of a PDF, and the bytes of text drawn on them at most."""

    number: int
    text: int


class Attached(NamedTuple):
    """`data`: bytes of the body that are no text. `likely` and `most`: tokens, of which `heard`
    are sound. `blind`: only the vendor will know how many."""

    data: int = 0
    likely: int = 0
    most: int = 0
    blind: bool = False
    heard: int = 0

    def __add__(self, other: object) -> "Attached":
        assert isinstance(other, Attached)
        return Attached(
            self.data + other.data,
            self.likely + other.likely,
            self.most + other.most,
            self.blind or other.blind,
            self.heard + other.heard,
        )


NOTHING = Attached()


async def survey(
    dialect: str, model: Model, window: int, body: bytes, parsed: dict[str, Any]
) -> Attached:
    """What a body attaches. `window` is what the model takes at most, in tokens. Raises
    BadRequest for what has no bound."""
    sound.refuse_unpriced(parsed, model)
    if attaches_nothing(body, spelled(body)):
        return NOTHING
    window = max(window, _TAKES.get(model.id, _TAKES_OF.get(model.vendor, 0)))
    summarised = summaries.expanded(parsed)
    found = Attached(0, summarised // 3, summarised)
    for block in _content(dialect, parsed):
        kind = block.get("type")
        _refuse_file_id(block)
        if kind in _PICTURES:
            found += await _picture(block, model, window)
        elif kind in _DOCUMENTS:
            found += await _document(block, model, window)
        elif kind in _SOUNDS:
            found += _sound(block, model, window)
        elif kind in _FILMS:
            raise BadRequest("Video is not accepted: it has no bound.", param=str(kind))
        elif kind not in _FOUND and any(isinstance(block.get(name), str) for name in _POINTERS):
            found += Attached(0, window // 8, window, True)
    return found


def attaches_nothing(body: bytes, spells: bool) -> bool:
    """Whether a look at the bytes is enough to say so, of one that is `spelled` or not: nearly
    always."""
    return not spells and _MARK.search(body) is None


def _sound(block: dict[str, Any], model: Model, window: int) -> Attached:
    piece = sound.heard(block, model, window)
    raw = block.get("input_audio")
    data = raw.get("data") if isinstance(raw, dict) else None
    size = len(data) if isinstance(data, str) else 0
    return Attached(size, piece.likely, piece.most, piece.blind, piece.most)


def _refuse_file_id(block: dict[str, Any]) -> None:
    """Whether it is beside bytes or not: nobody knows which of them its vendor reads."""
    for holder in (block, *(block.get(name) for name in _HOLDERS)):
        if isinstance(holder, dict) and holder.get("file_id"):
            raise BadRequest(
                "file_id names a file in the vendor's account, and none there is yours. Send the "
                "file's bytes, or a URL.",
                code="unsupported_parameter",
                param="file_id",
            )


def spelled(body: bytes) -> bool:
    """Whether a body writes plain letters as escapes, so that its words cannot be searched for."""
    return b"\\u00" in body and _SPELLED.search(body) is not None


def _content(dialect: str, parsed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every block of content, wherever this dialect has one."""
    if dialect == "gemini":
        yield from _parts(parsed)
        return
    names = _LISTS.get(dialect, _LISTS["anthropic_messages"])
    if not parsed.get("messages") and dialect not in _LISTS:
        names = _LISTS["openai_responses"]
    for name in names:
        for item in _objects(parsed.get(name)):
            yield from _blocks([item] if name in ("system", "input") else ())
            for held in ("content", "output"):
                yield from _blocks(item.get(held))


def _parts(parsed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What Gemini's contents attach, within results too, as the blocks that others have."""
    for content in _objects(parsed.get("contents")) + _objects(parsed.get("systemInstruction")):
        for part in _objects(content.get("parts")):
            answer = part.get("functionResponse")
            inner = _objects(answer.get("parts")) if isinstance(answer, dict) else []
            for each in (part, *inner):
                if isinstance(raw := each.get("inlineData"), dict):
                    yield _inlined(raw)
                if isinstance(raw := each.get("fileData"), dict):
                    yield _pointed(raw)


def _pointed(raw: dict[str, Any]) -> dict[str, Any]:
    kind = str(raw.get("mimeType") or "").lower()
    if kind.startswith(("video/", "audio/")):
        return {"type": "video"}
    name = "image" if kind.startswith("image/") else "document"
    return {"type": name, "url": raw.get("fileUri")}


def _inlined(raw: dict[str, Any]) -> dict[str, Any]:
    kind, data = str(raw.get("mimeType") or "").lower(), raw.get("data")
    data = data.replace("-", "+").replace("_", "/") if isinstance(data, str) else data
    if kind.startswith("audio/"):
        return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
    if kind.startswith("video/"):
        return {"type": "video"}
    source = {"type": "base64", "data": data}
    return {"type": "image" if kind.startswith("image/") else "document", "source": source}


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    """The blocks of a content, and those within results and composed documents."""
    pending = _objects(content)
    while pending:
        block = pending.pop()
        yield block
        kind, source = str(block.get("type")), block.get("source")
        if kind.endswith(("tool_result", "fetch_result")):
            pending += _objects(block.get("content"))
        elif kind == "document" and isinstance(source, dict):
            pending += _objects(source.get("content"))


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


async def _picture(block: dict[str, Any], model: Model, window: int) -> Attached:
    """What stands in a picture's place; nothing if nothing does. Text counts as text, too."""
    data, pointer = _held(block)
    drawn = _drawn(block, model)
    if not data:
        paper = media.guess(pointer, "image/").partition("/")[0] != "image"
        return (Attached(0, window // 8, window, True) if paper else drawn) if pointer else NOTHING
    kind = _kind(data)
    if kind in (_PDF, _PACKED):
        return await _packed(data, kind, model, window)
    return drawn + Attached(len(data)) if kind == _PICTURE_DATA else drawn


def _drawn(block: dict[str, Any], model: Model) -> Attached:
    """One picture, without its bytes."""
    most, likely = _PICTURE_OF.get(model.id) or _PICTURE.get(model.vendor, _ANY_PICTURE)
    raw = block.get("image_url")
    detail = raw.get("detail") if isinstance(raw, dict) else block.get("detail")
    return Attached(0, likely, max(most, _ORIGINAL) if detail == "original" else most)


def _held(block: dict[str, Any]) -> tuple[str, str]:
    """The base64 in a block, and what it points at if it holds none."""
    source = block.get("source") or block.get("image_url") or block.get("file")
    inner = source if isinstance(source, dict) else {**block, "url": source}
    said = [inner.get(name) for name in ("data", "url", "file_data", "file_url")]
    for text in said:
        if isinstance(text, str) and text.strip():
            text = text.strip()
            scheme = text[:8].lower()
            if scheme.startswith("data:") and "," in text:
                return text.partition(",")[2], ""
            return ("", text) if scheme.startswith(_ADDRESSES) else (text, "")
    return "", ""


def _head(data: str, letters: int = 64) -> bytes:
    try:
        return base64.b64decode(data[:letters] + "=" * (-len(data[:letters]) % 4))
    except (binascii.Error, ValueError):
        return b""


def _kind(data: str) -> str:
    """What base64 holds, by its bytes; `_ODD` for what is none."""
    head = _head(data)
    if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return _PICTURE_DATA
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _PICTURE_DATA
    if b"%PDF-" in _head(data, _PDF_WITHIN):
        return _PDF
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError:
        return _ODD
    try:
        raw.decode()
    except ValueError:
        return _PACKED
    return _PACKED if _BINARY.search(raw) else _TEXT


async def _document(block: dict[str, Any], model: Model, window: int) -> Attached:
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") in ("text", "content"):
        return NOTHING  # text, and what stands in it
    data, pointer = _held(block)
    if not data:
        return Attached(0, window // 8, window, True) if pointer else NOTHING
    kind = _kind(data)
    if kind == _PICTURE_DATA:
        return _drawn(block, model) + Attached(len(data))
    return NOTHING if kind == _TEXT else await _packed(data, kind, model, window)


async def _packed(data: str, kind: str, model: Model, window: int) -> Attached:
    """A PDF by its pages. Office documents, and what nobody can read, as the whole context."""
    pages = await _in_time(data) if kind == _PDF else None
    if pages is None:
        return Attached(len(data), window // 8, window, True)
    return _bound(len(data), pages, model, window)


def _bound(size: int, pages: Pages, model: Model, window: int) -> Attached:
    image = _PICTURE_OF.get(model.id, (_PAGE.get(model.vendor, _ANY_PAGE),))[0]
    most = min(window, pages.number * image + pages.text + 1_000)
    return Attached(size, min(pages.number * _USUAL_PAGE, most), most, True)


async def _in_time(data: str) -> Pages | None:
    """Read beside the event loop; None if it cannot be read, or takes too long."""
    reading = asyncio.get_running_loop().run_in_executor(_readers, _read, data)
    try:
        return await asyncio.wait_for(reading, _PDF_SECONDS)
    except TimeoutError:
        return None


def _read(data: str) -> Pages | None:
    from gateway.metering import pdf  # its reader is 9 MB that most processes never need

    return pdf.read(data)
