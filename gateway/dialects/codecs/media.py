"""Images and documents in JSON: data URLs, and what the bytes really are."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from gateway.dialects.codecs import wire
from gateway.dialects.ir import Document, Image, Item, Message, Part, Request, Target, ToolResult

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_BY_SUFFIX = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
}


def sniff(data: str, label: str) -> str:
    """The media type of base64 `data`: its bytes are believed before its label."""
    try:
        head = base64.b64decode(data[:64] + "=" * (-len(data[:64]) % 4))
    except (binascii.Error, ValueError):
        return _plain(label)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    found = (kind for magic, kind in _MAGIC if head.startswith(magic))
    return next(found, _plain(label))


def _plain(label: str) -> str:
    label = label.partition(";")[0].strip().lower()
    return "image/jpeg" if label == "image/jpg" else label


def still(kind: str) -> str:
    """The media type itself. BadRequest for film and sound in the place of a picture or document:
    Gemini would play them, and nobody has counted how long they are."""
    if kind.partition("/")[0] not in ("image", "application", "text", ""):
        wire.refuse("content", f"{kind[:80]!r} is no picture and no document")
    return kind


def split(url: str, param: str) -> tuple[str, str]:
    """A base64 data URL as (media type, data); ("", "") for another kind of URL."""
    if not url.startswith("data:"):
        return "", ""
    label, comma, data = url[5:].partition(",")
    if not comma or not label.endswith(";base64"):
        wire.refuse(param, "must be a base64 data URL")
    return sniff(data, label), data


def join(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


def guess(url: str, default: str = "") -> str:
    """The media type a URL's path claims."""
    path = url.partition("?")[0].partition("#")[0]
    return _BY_SUFFIX.get(path.rpartition(".")[2].lower(), default)


def titled(document: Document) -> str:
    """A text document where there are only messages: its title and context before it."""
    return "\n\n".join(filter(None, (document.title, document.context, document.text)))


def readable(url: str) -> bool:
    """Whether Gemini fetches it by itself: over HTTPS, and of a type the URL tells. What lies with
    Google is fetched by us, as anybody may: Gemini would open the files of its own account."""
    return url.startswith("https://") and bool(guess(url)) and not _is_googles(url)


def _is_googles(url: str) -> bool:
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return True
    return not host.isascii() or host.endswith(("googleapis.com", "google.com", "youtube.com"))


def to_fetch(request: Request, target: Target) -> list[str]:
    """The URLs this target takes only as bytes, each as often as it stands there: so often its
    bytes are sent. For the caller to fetch guarded."""
    return [
        p.url for p in _parts(request) if isinstance(p, Image | Document) and _bytes(p, target)
    ]


def _bytes(part: Image | Document, target: Target) -> bool:
    if not part.url:
        return False
    if target.dialect == "gemini":
        return not readable(part.url)
    if target.dialect == "converse":
        return True
    return target.dialect == "openai_chat" and isinstance(part, Document)


def _parts(request: Request) -> Iterator[Part]:
    for item in request.items:
        if isinstance(item, Message | ToolResult):
            yield from item.parts


def inlined(request: Request, fetched: Mapping[str, tuple[str, str]]) -> Request:
    """The same request with what was fetched in place: URL to (media type, base64)."""

    def item(each: Item) -> Item:
        if not isinstance(each, Message | ToolResult):
            return each
        return replace(each, parts=tuple(map(part, each.parts)))

    def part(each: Part) -> Part:
        if not isinstance(each, Image | Document) or each.url not in fetched:
            return each
        label, data = fetched[each.url]
        kind = sniff(data, label)
        if isinstance(each, Image) and not kind.startswith("image/"):
            wire.refuse("content", f"what is at {each.url[:200]!r} is no picture")
        return replace(each, url="", data=data, media_type=kind)

    return replace(request, items=tuple(map(item, request.items)))
