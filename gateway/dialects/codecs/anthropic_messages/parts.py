"""Content blocks, both ways."""

from collections.abc import Mapping
from typing import Any, assert_never

from gateway.dialects.codecs import media, turns, wire
from gateway.dialects.ir import Audio, Document, Image, Opaque, Part, Refusal, Text, ToolReference

DIALECT = "anthropic_messages"


def cache(block: Mapping[str, Any]) -> str:
    """The time a cached prefix that ends here is kept; "" for none."""
    control = block.get("cache_control")
    if not isinstance(control, Mapping):
        return ""
    return "1h" if control.get("ttl") == "1h" else "5m"


def cached(block: dict[str, Any], ttl: str) -> dict[str, Any]:
    """The block, marked."""
    if not ttl:
        return block
    control = {"type": "ephemeral"} | ({"ttl": "1h"} if ttl == "1h" else {})
    return block | {"cache_control": control}


def decode_part(block: Mapping[str, Any], where: str) -> Part:
    kind = block.get("type") or ("text" if "text" in block else "")
    if kind == "text":
        return Text(wire.text(block.get("text"), f"{where}.text"), cache(block))
    if kind == "image":
        return _image(wire.obj(block.get("source"), f"{where}.source"), cache(block), where)
    if kind == "document":
        return _document(block, where)
    if kind == "search_result":
        return Document(
            text=_text(block.get("content"), where),
            media_type="text/plain",
            title=wire.text(block.get("title"), where),
            context=wire.text(block.get("source"), where),
            cache=cache(block),
        )
    if kind == "tool_reference":
        return ToolReference(wire.text(block.get("tool_name"), f"{where}.tool_name"))
    return Opaque(DIALECT, block)


def _image(source: Mapping[str, Any], ttl: str, where: str) -> Image:
    kind = source.get("type")
    if kind == "base64":
        data = wire.text(source.get("data"), f"{where}.source.data")
        label = wire.text(source.get("media_type"), f"{where}.source.media_type")
        return Image(data=data, media_type=media.sniff(data, label), cache=ttl)
    if kind == "url":
        return Image(url=wire.text(source.get("url"), f"{where}.source.url"), cache=ttl)
    return Image(file_id=wire.text(source.get("file_id"), f"{where}.source.file_id"), cache=ttl)


def _document(block: Mapping[str, Any], where: str) -> Document:
    source = wire.obj(block.get("source"), f"{where}.source")
    kind = source.get("type")
    data = wire.text(source.get("data"), f"{where}.source.data")
    label = wire.text(source.get("media_type"), f"{where}.source.media_type")
    said = data if kind == "text" else _text(source.get("content"), where)
    return Document(
        data=data if kind == "base64" else "",
        url=wire.text(source.get("url"), f"{where}.source.url"),
        text=said,
        file_id=wire.text(source.get("file_id"), f"{where}.source.file_id"),
        media_type=label or ("text/plain" if said else "application/pdf"),
        title=wire.text(block.get("title"), f"{where}.title"),
        context=wire.text(block.get("context"), f"{where}.context"),
        cache=cache(block),
    )


def _text(content: Any, where: str) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    blocks = wire.objects(content, where)
    return "\n\n".join(wire.text(block.get("text"), where) for block in blocks)


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
