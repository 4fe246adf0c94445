"""Content parts, read: Chat's, Responses' and Anthropic's."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import media, wire
from gateway.dialects.ir import Audio, Document, Image, Opaque, Part, Refusal, Text, ToolReference

TEXTS = frozenset(("text", "input_text", "output_text"))


def cache(block: Mapping[str, Any]) -> str:
    """How long a cached prefix that ends here is kept; "" for not at all."""
    control = block.get("cache_control")
    if isinstance(control, Mapping):
        return "1h" if control.get("ttl") == "1h" else "5m"
    return "5m" if block.get("prompt_cache_breakpoint") else ""


def blocks(content: Any, where: str) -> list[dict[str, Any]]:
    """Content as a list of blocks: a string is a text, and so is each string in a list."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, dict):
        return [content]
    listed = wire.array(content, where)
    texts = ({"type": "text", "text": each} if isinstance(each, str) else each for each in listed)
    return [wire.obj(each, f"{where}[{n}]") for n, each in enumerate(texts)]


def decode_all(content: Any, where: str, dialect: str) -> Iterator[Part]:
    """Every part of a content."""
    for at, block in enumerate(blocks(content, where)):
        yield decode(block, f"{where}[{at}]", dialect)


def decode(block: Mapping[str, Any], where: str, dialect: str) -> Part:
    """The part; `Opaque` for one that only `dialect`, the client's, may know. Without a type, one
    that has a text is a text."""
    kind = str(block.get("type") or ("text" if "text" in block else ""))
    if kind in TEXTS:
        return Text(wire.text(block.get("text"), f"{where}.text"), cache(block))
    if kind in ("image", "image_url", "input_image"):
        return _image(block, where)
    if kind in ("document", "file", "input_file"):
        return _document(block, where)
    if kind == "refusal":
        return Refusal(wire.text(block.get("refusal"), f"{where}.refusal"))
    if kind == "input_audio":
        sound = wire.obj(block.get("input_audio"), where)
        return Audio(wire.text(sound.get("data"), where), wire.text(sound.get("format"), where))
    if kind == "search_result":
        return _search_result(block, where)
    if kind == "tool_reference":
        return ToolReference(wire.text(block.get("tool_name"), f"{where}.tool_name"))
    return Opaque(dialect, block)


def _image(block: Mapping[str, Any], where: str) -> Image:
    """Anthropic's have a source, OpenAI's a URL that may hold the data."""
    if "source" in block:
        return _sourced(wire.obj(block["source"], f"{where}.source"), cache(block), where)
    shown = block.get("image_url")
    raw = shown if isinstance(shown, dict) else {}
    url = wire.text(raw.get("url") if raw else shown, f"{where}.image_url")
    detail = wire.text(raw.get("detail") or block.get("detail"), f"{where}.detail")
    media_type, data = media.split(url, f"{where}.image_url")
    if data:
        return Image(data=data, media_type=media_type, detail=detail, cache=cache(block))
    file_id = "" if url else wire.text(block.get("file_id"), f"{where}.file_id")
    return Image(url=url, file_id=file_id, detail=detail, cache=cache(block))


def _sourced(source: Mapping[str, Any], ttl: str, where: str) -> Image:
    kind = source.get("type")
    if kind == "base64":
        data = wire.text(source.get("data"), f"{where}.source.data")
        label = wire.text(source.get("media_type"), f"{where}.source.media_type")
        return Image(data=data, media_type=media.sniff(data, label), cache=ttl)
    if kind == "url":
        return Image(url=wire.text(source.get("url"), f"{where}.source.url"), cache=ttl)
    return Image(file_id=wire.text(source.get("file_id"), f"{where}.source.file_id"), cache=ttl)


def _document(block: Mapping[str, Any], where: str) -> Document:
    if "source" in block:
        return _sourced_document(block, where)
    file = wire.obj(block.get("file", block), where)
    title = wire.text(file.get("filename"), f"{where}.filename")
    url = wire.text(file.get("file_url"), f"{where}.file_url")
    given = wire.text(file.get("file_data"), f"{where}.file_data")
    if not given:
        file_id = "" if url else wire.text(file.get("file_id"), f"{where}.file_id")
        return Document(url=url, file_id=file_id, title=title, cache=cache(block))
    media_type, data = media.split(given, f"{where}.file_data")
    kind = media_type or media.sniff(given, media.guess(title, "application/pdf"))
    return Document(data=data or given, media_type=kind, title=title, cache=cache(block))


def _sourced_document(block: Mapping[str, Any], where: str) -> Document:
    source = wire.obj(block.get("source"), f"{where}.source")
    kind = source.get("type")
    data = wire.text(source.get("data"), f"{where}.source.data")
    label = wire.text(source.get("media_type"), f"{where}.source.media_type")
    text = data if kind == "text" else _text(source.get("content"), where)
    return Document(
        data=data if kind == "base64" else "",
        url=wire.text(source.get("url"), f"{where}.source.url"),
        text=text,
        file_id=wire.text(source.get("file_id"), f"{where}.source.file_id"),
        media_type=label or ("text/plain" if text else "application/pdf"),
        title=wire.text(block.get("title"), f"{where}.title"),
        context=wire.text(block.get("context"), f"{where}.context"),
        cache=cache(block),
    )


def _search_result(block: Mapping[str, Any], where: str) -> Document:
    return Document(
        text=_text(block.get("content"), where),
        media_type="text/plain",
        title=wire.text(block.get("title"), where),
        context=wire.text(block.get("source"), where),
        cache=cache(block),
    )


def _text(content: Any, where: str) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    inner = wire.objects(content, where)
    return "\n\n".join(wire.text(block.get("text"), where) for block in inner)
