"""AWS's event stream as AWS writes it: lengths, headers, a payload, and checksums."""

import struct
import zlib
from typing import Any

import orjson


def event(kind: str, payload: Any) -> bytes:
    """One event."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return _frame(headers, orjson.dumps(payload))


def exception(kind: str, payload: Any) -> bytes:
    """How a stream ends that fails."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return _frame(headers, orjson.dumps(payload))


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    told = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(told) + len(payload), len(told))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + told + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text
