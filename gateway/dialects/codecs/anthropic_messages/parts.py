"""Content blocks, written."""

from typing import Any, assert_never

from gateway.dialects.codecs import turns, wire
from gateway.dialects.ir import Audio, Document, Image, Opaque, Part, Refusal, Text, ToolReference

DIALECT = "anthropic_messages"


def cached(block: dict[str, Any], ttl: str) -> dict[str, Any]:
    """The block, marked."""
    if not ttl:
        return block
    control = {"type": "ephemeral"} | ({"ttl": "1h"} if ttl == "1h" else {})
    return block | {"cache_control": control}


def encode_part(part: Part) -> dict[str, Any]:
    """BadRequest for what Claude takes no block of: audio, other vendors' files."""
    match part:
        case Text(text, ttl):
            return cached({"type": "text", "text": text}, ttl)
        case Refusal(text):
            return {"type": "text", "text": text}
        case ToolReference():
            return {"type": "text", "text": turns.plain([part])}
        case Image():
            return cached({"type": "image", "source": _image_source(part)}, part.cache)
        case Document():
            raw = wire.only(title=part.title, context=part.context)
            block = {"type": "document", "source": _document_source(part)} | raw
            return cached(block, part.cache)
        case Opaque(dialect, json) if dialect == DIALECT:
            return dict(json)
        case Audio() | Opaque():
            return turns.inexpressible(part, DIALECT)
        case _:
            assert_never(part)


def _image_source(image: Image) -> dict[str, Any]:
    if image.data:
        return {"type": "base64", "media_type": image.media_type, "data": image.data}
    if image.url:
        return {"type": "url", "url": image.url}
    return turns.inexpressible(image, DIALECT)


def _document_source(document: Document) -> dict[str, Any]:
    if document.text:
        return {"type": "text", "media_type": "text/plain", "data": document.text}
    if document.data:
        return {"type": "base64", "media_type": document.media_type, "data": document.data}
    if document.url:
        return {"type": "url", "url": document.url}
    return turns.inexpressible(document, DIALECT)
