"""Shapes shared by the lints: types of plain fields, pictures, and strict schemas."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.vendors.conversation import Json

NUMBER = (int, float)
_MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"%PDF": "application/pdf",
}


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


def mistyped(body: Json, kinds: Mapping[str, Any]) -> str | None:
    """The first field whose value is of another type; null counts as absent."""
    for field, kind in kinds.items():
        value = body.get(field)
        wrong_bool = isinstance(value, bool) and kind is not bool
        if value is not None and (wrong_bool or not isinstance(value, kind)):
            return field
    return None


def media_type(data: object) -> str | None:
    """What the bytes of this base64 text are: "" where unknown, None where it is not base64."""
    try:
        head = base64.b64decode(data if isinstance(data, str) else "-", validate=True)[:8]
    except (binascii.Error, ValueError):
        return None
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def subschemas(
    schema: object, where: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Every schema inside a JSON schema, with its path; property names are no keywords."""
    if not isinstance(schema, dict):
        return
    yield where, schema
    for group in ("properties", "$defs", "definitions", "patternProperties"):
        for name, child in (schema.get(group) or {}).items():
            yield from subschemas(child, (*where, group, name))
    for key in ("items", "additionalProperties", "not", "propertyNames"):
        yield from subschemas(schema.get(key), (*where, key))
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for n, child in enumerate(schema.get(key) or []):
            yield from subschemas(child, (*where, key, str(n)))
