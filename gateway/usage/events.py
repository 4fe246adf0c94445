"""A usage event on its way from a gateway to the books: its spelling, and what is malformed.

It is a JSON array: a version, then the values of FIELDS in their order; what is left out at the
end has UsageEvent's defaults. That is half the bytes and half the work of an object, and plain
text, so what cannot be read is kept as it was. The release before wrote objects; both are read.

Only what breaks a rule of this file is malformed, whatever the database says of it: a database
that refuses a row that is sound is itself at fault, and the row waits for it.
"""

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import orjson

from gateway.catalogue.models import BUCKETS

VERSION = 2
# Those of a draft first. Their names are gateway.models.UsageEvent's, but for `began` and `ip`.
FIELDS = (
    *("id", "user_id", "api_key_id", "model", "requested_model", "price_id", "dialect", "stream"),
    *("began", "error", "ip", "details"),
    *(*BUCKETS, "cost", "hold", "estimated", "aborted", "status", "upstream_status"),
    *("upstream_request_id", "first_byte_ms", "duration_ms", "client"),
)
DRAFT = 12  # so many of them are a draft

_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys((*BUCKETS, "cost", "hold", "duration_ms"), 0),
    **dict.fromkeys(("estimated", "aborted", "stream"), False),
    **dict.fromkeys(("error", "upstream_request_id", "client", "ip"), ""),
    **dict.fromkeys(("upstream_status", "first_byte_ms"), None),
    "status": 500,
}
_SMALL, _INT, _BIG = 2**15 - 1, 2**31 - 1, 2**63 - 1
_NUMBERS: tuple[tuple[tuple[str, ...], type, int], ...] = (
    (("user_id", "api_key_id", "price_id", "cost", "hold"), int, _BIG),
    ((*BUCKETS, "duration_ms", "first_byte_ms"), int, _INT),
    (("status", "upstream_status"), int, _SMALL),
    (("stream", "estimated", "aborted"), bool, 1),
)
_OPTIONAL = ("upstream_status", "first_byte_ms")
_TEXTS = (
    *(("model", 100), ("requested_model", 200), ("dialect", 30), ("error", 60), ("ip", 60)),
    *(("upstream_request_id", 200), ("client", 200)),
)
_KNOWN = dict.fromkeys(FIELDS).keys()
_KINDS: dict[str, Any] = {
    **{
        name: Annotated[kind, msgspec.Meta(ge=0, le=most)] if kind is int else kind
        for names, kind, most in _NUMBERS
        for name in names
    },
    **{name: Annotated[str, msgspec.Meta(max_length=most)] for name, most in _TEXTS},
    **{"id": uuid.UUID, "details": dict[str, Any]},
}
_NUL = b"\\u0000"
_LAST_MOMENT = 4_102_444_800  # 2100: no gateway's clock is there yet
_KINDS["began"] = Annotated[float, msgspec.Meta(gt=0, lt=_LAST_MOMENT)]
# The rules of this file, compiled: what passes here is sound. As many types as there are fields.
_TYPES: Any = (
    Literal.__getitem__(VERSION),
    *(_KINDS[name] | None if name in _OPTIONAL else _KINDS[name] for name in FIELDS),
)
_COMPLETE: msgspec.json.Decoder[tuple[Any, ...]] = msgspec.json.Decoder(
    tuple.__class_getitem__(_TYPES)
)
_COMPLETE_FIELDS = ("version", *FIELDS)


class Malformed(ValueError):
    """No row can be made of this event. Says why."""


class Newer(ValueError):
    """A later release wrote it, and will read it: this one leaves it where it is."""


def packed(*values: Any) -> bytes:
    """An event, or a draft: the values of FIELDS in order, from the first on."""
    return orjson.dumps((VERSION, *values))


def pack(event: Mapping[str, Any]) -> bytes:
    """The same of an event that was read."""
    return packed(*(event[name] if name in event else _DEFAULTS[name] for name in FIELDS))


def read(text: bytes) -> dict[str, Any]:
    """An event, or a draft, by the names of FIELDS. Raises Malformed or Newer."""
    if _NUL in text:  # whoever sent it to a vendor; Postgres keeps none
        text = text.replace(_NUL, b"\\ufffd")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"unreadable: {error}") from None
    if isinstance(found, list):
        found = _named(found)
    if not isinstance(found, dict):
        raise Malformed("neither an array nor an object")
    return found if found.keys() == _KNOWN else _DEFAULTS | found


def sound(text: bytes) -> dict[str, Any] | None:
    """An event as gateways of this release write it, read and checked in one go; its id is a UUID.
    None if it is anything else: `read` and `check` tell what."""
    if _NUL in text:
        return None
    try:
        found = dict(zip(_COMPLETE_FIELDS, _COMPLETE.decode(text), strict=True))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    del found["version"]
    return found


def _named(values: list[Any]) -> dict[str, Any]:
    version = values[0] if values else None
    if isinstance(version, int) and version > VERSION:
        raise Newer(f"of version {version}")
    if version != VERSION or not DRAFT < len(values) <= len(FIELDS) + 1:
        raise Malformed(f"version {version!r} with {len(values)} values")
    return dict(zip(FIELDS, values[1:], strict=False))


def check(event: Mapping[str, Any]) -> None:
    """Raises Malformed if no row can be made of an event that was read."""
    try:
        found = "unknown" if event.keys() != _KNOWN else _fault(event)
        uuid.UUID(hex=event["id"])
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from None
    if found:
        raise Malformed(f"members that are missing, of a wrong kind or out of range: {found}")


def _fault(event: Mapping[str, Any]) -> str:
    """The first member whose value no column takes."""
    for names, kind, most in _NUMBERS:
        for name in names:
            value = event[name]
            sound = type(event[name]) is kind and 0 <= event[name] <= most
            if not sound and (value is not None or name not in _OPTIONAL):
                return name
    for name, length in _TEXTS:
        if type(event[name]) is not str or len(event[name]) > length:
            return name
    if type(event["details"]) is not dict:
        return "details"
    began = event["began"]
    return "" if type(began) in (int, float) and 0 < began < _LAST_MOMENT else "began"


def request_id(text: bytes) -> str:
    """The id of an event, without a look at the rest. Raises Malformed or Newer."""
    found: Any = read(text).get("id")
    if not isinstance(found, str):
        raise Malformed("without an id")
    return found
