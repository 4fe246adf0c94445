"""Content parts, both ways."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from gateway.dialects.codecs import media, turns, wire
from gateway.dialects.ir import Audio, Document, Image, Opaque, Part, Refusal, Text, ToolReference

DIALECT = "openai_responses"


def decode_parts(content: Any, where: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for at, part in enumerate(wire.objects(content, where)):
        yield _decode(part, f"{where}[{at}]")


def _decode(part: Mapping[str, Any], where: str) -> Part:
    kind = part.get("type") or "input_text"
    cache = "5m" if part.get("prompt_cache_breakpoint") else ""
    if kind in ("input_text", "output_text", "text"):
        return Text(wire.text(part.get("text"), f"{where}.text"), cache)
    if kind == "refusal":
        return Refusal(wire.text(part.get("refusal"), f"{where}.refusal"))
    if kind in ("input_image", "image_url"):
        return _image(part, cache, where)
    if kind in ("input_file", "file"):
        return _file(wire.obj(part.get("file", part), where), cache, where)
    if kind == "input_audio":
        sound = wire.obj(part.get("input_audio"), where)
        return Audio(wire.text(sound.get("data"), where), wire.text(sound.get("format"), where))
    return Opaque(DIALECT, part)


def _image(part: Mapping[str, Any], cache: str, where: str) -> Image:
    raw = part.get("image_url")
    url = wire.text(raw.get("url") if isinstance(raw, dict) else raw, f"{where}.image_url")
    detail = wire.text(part.get("detail"), f"{where}.detail")
    media_type, data = media.split(url, f"{where}.image_url")
    if data:
        return Image(data=data, media_type=media_type, detail=detail, cache=cache)
    file_id = wire.text(part.get("file_id"), f"{where}.file_id")
    return Image(url=url, file_id="" if url else file_id, detail=detail, cache=cache)


def _file(file: Mapping[str, Any], cache: str, where: str) -> Document:
    title = wire.text(file.get("filename"), f"{where}.filename")
    url = wire.text(file.get("file_url"), f"{where}.file_url")
    raw = wire.text(file.get("file_data"), f"{where}.file_data")
    media_type, data = media.split(raw, f"{where}.file_data")
    if not (data or raw):
        file_id = "" if url else wire.text(file.get("file_id"), f"{where}.file_id")
        return Document(url=url, file_id=file_id, title=title, cache=cache)
    kind = media_type or media.sniff(raw, media.guess(title, "application/pdf"))
    return Document(data=data or raw, media_type=kind, title=title, cache=cache)


def encode_parts(parts: Iterable[Part], text_type: str) -> list[dict[str, Any]]:
    """`text_type` is input_text, or output_text in the assistant's messages."""
    said = (part for part in parts if not isinstance(part, Text) or part.text)
    return [encode_part(part, text_type) for part in said]


def encode_part(part: Part, text_type: str) -> dict[str, Any]:
    match part:
        case Text(text):
            raw: dict[str, Any] = {"type": text_type, "text": text}
            return raw | ({"annotations": []} if text_type == "output_text" else {})
        case Refusal(text):
            return {"type": "refusal", "refusal": text}
        case ToolReference():
            return {"type": text_type, "text": turns.plain([part])}
        case Image():
            return _encode_image(part)
        case Document():
            return _encode_document(part, text_type)
        case Opaque(dialect, json) if dialect == DIALECT:
            return dict(json)
        case Audio() | Opaque():
            return turns.inexpressible(part, DIALECT)
        case _:
            assert_never(part)


def _encode_image(image: Image) -> dict[str, Any]:
    url = media.join(image.media_type, image.data) if image.data else image.url
    if not url:
        return turns.inexpressible(image, DIALECT)
    return {"type": "input_image", "image_url": url, "detail": image.detail or "auto"}


def _encode_document(document: Document, text_type: str) -> dict[str, Any]:
    if document.text:
        return {"type": text_type, "text": media.titled(document)}
    if document.data:
        data = media.join(document.media_type, document.data)
        name = document.title or "document.pdf"
        return {"type": "input_file", "filename": name, "file_data": data}
    if document.url:
        return {"type": "input_file", "file_url": document.url}
    return turns.inexpressible(document, DIALECT)
