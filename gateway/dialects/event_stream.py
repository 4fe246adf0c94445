"""AWS's binary event stream, taken apart on bytes: what was in it comes out as server-sent events.

A frame: its length, that of its headers, a CRC of both; the headers; the payload; a CRC of it all.
Every number is big-endian, every CRC is checked. (vnd.amazon.eventstream, Smithy 2.0.)

* A `chunk` holds a vendor's own event, in base64: Claude's, as Anthropic's own API sends it
* any other event is named, and its payload is JSON
* an exception becomes an `error` event in Anthropic's words, which every reader here knows
"""

import base64
import binascii
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.dialects import sse

MEDIA_TYPE = b"application/vnd.amazon.eventstream"
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_MOST, _MOST_HEADERS = 16 * 1024 * 1024, 128 * 1024
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # of a header's value, by its type
_METRICS = "amazon-bedrock-invocationMetrics"  # AWS's own, in Claude's last event
_WORDS = {
    "throttlingException": "rate_limit_error",
    "serviceUnavailableException": "overloaded_error",
    "modelTimeoutException": "timeout_error",
    "validationException": "invalid_request_error",
}


class Unframer:
    """Bytes in, whole events out, wherever the bytes were cut."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_open(self) -> bool:
        """Whether a frame has begun that is not whole."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> bytes:
        """The events that `data` completes. Raises ValueError for what is no frame."""
        self._buffer += data
        return b"".join(self._events())

    def _events(self) -> Iterator[bytes]:
        buffer = self._buffer
        while len(buffer) >= _PRELUDE.size:
            size, headers, crc = _PRELUDE.unpack_from(buffer)
            if zlib.crc32(buffer[:8]) != crc:
                raise ValueError("the prelude's checksum is wrong")
            if size > _MOST or headers > _MOST_HEADERS or size < _PRELUDE.size + headers + 4:
                raise ValueError("no frame is as long as that")
            if len(buffer) < size:
                return
            frame = bytes(buffer[:size])
            del buffer[:size]
            if zlib.crc32(frame[:-4]) != _CRC.unpack_from(frame, size - 4)[0]:
                raise ValueError("a frame's checksum is wrong")
            end = _PRELUDE.size + headers
            yield _event(dict(_headers(frame[_PRELUDE.size : end])), frame[end:-4])


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """Those that are text; the others are passed over."""
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name, kind, at = data[at + 1 : end], data[end : end + 1], end + 1
        if kind in (b"\x07", b"\x06"):
            length = _length(data, at)
            value, at = data[at + 2 : at + 2 + length], at + 2 + length
            if kind == b"\x07":
                yield name.decode("utf-8", "replace"), value.decode("utf-8", "replace")
        elif kind and kind[0] in _SIZES:
            at += _SIZES[kind[0]]
        else:
            raise ValueError("a header of no known type")
    if at > len(data):
        raise ValueError("a header that is longer than all of them")


def _length(data: bytes, at: int) -> int:
    if at + 2 > len(data):
        raise ValueError("a header without its length")
    return int(_LENGTH.unpack_from(data, at)[0])


def _event(headers: dict[str, str], payload: bytes) -> bytes:
    try:
        given = orjson.loads(payload) if payload else {}
    except orjson.JSONDecodeError:
        raise ValueError("a payload that is no JSON") from None
    if not isinstance(given, dict):
        raise ValueError("a payload that is no object")
    if headers.get(":message-type", "event") != "event":
        return _failure(headers, given)
    kind = headers.get(":event-type", "")
    if kind == "chunk":
        return _chunk(given)
    return sse.encode(_line(kind), orjson.dumps(given))


def _chunk(given: dict[str, Any]) -> bytes:
    try:
        event = orjson.loads(base64.b64decode(given["bytes"], validate=True))
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise ValueError("a chunk without an event") from None
    if not isinstance(event, dict):
        raise ValueError("a chunk that is no object")
    event.pop(_METRICS, None)
    return sse.encode(_line(str(event.get("type") or "")), orjson.dumps(event))


def _failure(headers: dict[str, str], given: dict[str, Any]) -> bytes:
    kind = headers.get(":exception-type") or headers.get(":error-code") or ""
    message = given.get("message") or headers.get(":error-message") or kind
    error = {"type": _WORDS.get(kind, "api_error"), "message": str(message)}
    return sse.encode("error", orjson.dumps({"type": "error", "error": error}))


def _line(name: str) -> str:
    """A name that stays on its line."""
    return name if name.isidentifier() else ""
