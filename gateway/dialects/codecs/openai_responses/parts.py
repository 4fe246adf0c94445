"""Content parts, written."""

from collections.abc import Iterable
from typing import Any, assert_never

from gateway.dialects.codecs import media, turns
from gateway.dialects.ir import Audio, Document, Image, Opaque, Part, Refusal, Text, ToolReference

DIALECT = "openai_responses"


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
