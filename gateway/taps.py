"""Same dialect on both sides: the reply's bytes pass through and are only read on the way.

A tap is fed the vendor's bytes as they come, cut anywhere, and gives back whole events with the
one edit we promise (the model is called what the client called it) and, on the side, what the
receipt needs: usage, how much text went out, whether the reply ended properly. It never builds a
reply of its own, so nothing a provider adds tomorrow is lost.
"""

import re
from typing import Any, ClassVar

import orjson

from gateway.codecs import anthropic_messages, openai_chat
from gateway.ir import Usage

# Text, reasoning and tool arguments of both dialects. A quote inside is escaped, so the match
# ends where the string ends; only its length is used.
_TEXT = re.compile(
    rb'"(?:content|text|thinking|reasoning_content|arguments|partial_json)"\s*:\s*'
    rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
)
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LARGEST_EVENT = 32 * 1024 * 1024


def text_bytes(wire: bytes) -> int:
    """How many bytes of text, reasoning and tool arguments a reply (or a part of it) carries."""
    return sum(map(len, _TEXT.findall(wire)))


class Tap:
    """One streamed reply. Subclasses say where their dialect keeps usage, errors and its end."""

    error_mark: ClassVar[bytes]

    __slots__ = (
        "_begun",
        "_pending",
        "_prelude",
        "_renamed",
        "_rename_to",
        "error",
        "finished",
        "text_bytes",
        "usage",
    )

    def __init__(self, model: str) -> None:
        self._rename_to = b'"model":' + orjson.dumps(model)
        self._renamed: bytes | None = None
        self._pending = b""
        self._prelude = b""
        self._begun = False
        self.usage: dict[str, Any] | None = None
        self.text_bytes = 0
        self.finished = False
        self.error: dict[str, Any] | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Whole events, ready to be sent on; the rest is kept until its end arrives."""
        data = self._pending + chunk if self._pending else chunk
        if data.endswith(b"\n\n"):  # nearly always: a vendor writes whole events
            self._pending = b""
        else:
            end = 0
            for boundary in _BOUNDARY.finditer(data):
                end = boundary.end()
            data, self._pending = data[:end], data[end:]
            if len(self._pending) > _LARGEST_EVENT:
                raise ValueError("an event of the provider's stream has no end")
        return self._read(data) if data else b""

    def close(self) -> bytes:
        """What was left when the stream ended without a blank line."""
        data, self._pending = self._pending, b""
        return self._read(data + b"\n\n") if data.strip() else b""

    def _read(self, block: bytes) -> bytes:
        if self.error_mark in block:
            block = self._up_to_error(block)
        self.text_bytes += text_bytes(block)
        block = self._rename(self._observe(block))
        if self._begun:
            return block
        # Comments and pings decide nothing: until a real event, failing is a status code.
        self._prelude += block
        if not any(data.get("type") != "ping" for data in data_of(block)):
            return b""
        self._begun = True
        return self._prelude

    def _up_to_error(self, block: bytes) -> bytes:
        """The events before an error; the error itself is told by us, in our words."""
        good: list[bytes] = []
        for event in _events(block):
            for data in data_of(event):
                if isinstance(data.get("error"), dict):
                    self.error = data["error"]
                    return b"".join(good)
            good.append(event)
        return block

    def _rename(self, block: bytes) -> bytes:
        if self._renamed is None:
            found = _MODEL.search(block)
            if found is None:
                return block
            self._renamed = found.group()
        return block.replace(self._renamed, self._rename_to)

    def _observe(self, block: bytes) -> bytes:
        """Read usage and the end; may leave out what the client did not ask for."""
        raise NotImplementedError

    def decoded_usage(self) -> Usage | None:
        """The vendor's own numbers, or None if it never said."""
        raise NotImplementedError


def data_of(block: bytes) -> list[dict[str, Any]]:
    """The JSON of each event in a block of whole events; what is not a JSON object is skipped."""
    found = []
    for line in re.split(rb"\r\n|\n|\r", block):
        if line.startswith(b"data:"):
            try:
                value = orjson.loads(line[5:])
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict):
                found.append(value)
    return found


class ChatTap(Tap):
    """OpenAI Chat Completions: usage comes in a last chunk without choices, then [DONE]."""

    error_mark = b'"error"'

    __slots__ = ("_finish_seen", "_keep_usage")

    def __init__(self, model: str, *, keep_usage: bool) -> None:
        super().__init__(model)
        self._keep_usage = keep_usage
        self._finish_seen = False

    def _observe(self, block: bytes) -> bytes:
        if b'"finish_reason"' in block and re.search(rb'"finish_reason"\s*:\s*"', block):
            self._finish_seen = True
        if _USAGE.search(block):
            block = self._take_usage(block)
        if b"[DONE]" in block:
            self.finished = self._finish_seen
        return block

    def _take_usage(self, block: bytes) -> bytes:
        kept = []
        for event in _events(block):
            drop = False
            for data in data_of(event):
                if isinstance(usage := data.get("usage"), dict):
                    self.usage = usage
                    # A client that did not ask for usage reads choices[0] of every chunk.
                    drop = not self._keep_usage and not data.get("choices")
            if not drop:
                kept.append(event)
        return b"".join(kept)

    def decoded_usage(self) -> Usage | None:
        return openai_chat.decode_usage(self.usage) if self.usage else None


class MessagesTap(Tap):
    """Anthropic Messages: input side in message_start, running totals in message_delta."""

    error_mark = b"event: error"

    __slots__ = ()

    def _observe(self, block: bytes) -> bytes:
        if _USAGE.search(block):
            for data in data_of(block):
                usage = data.get("usage") or (data.get("message") or {}).get("usage")
                if isinstance(usage, dict):
                    self.usage = merged(self.usage or {}, usage)
        if b"message_stop" in block and any(
            d.get("type") == "message_stop" for d in data_of(block)
        ):
            self.finished = True
        return block

    def decoded_usage(self) -> Usage | None:
        return anthropic_messages.decode_usage(self.usage) if self.usage else None


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The later snapshot wins; null never does, and 0 never replaces a positive input-side number
    (protocols.md section 3.2: hosts repeat or zero them in the last event)."""
    result = dict(old)
    for name, value in new.items():
        if value is None or (value == 0 and "input" in name and result.get(name)):
            continue
        result[name] = value
    return result


def _events(block: bytes) -> list[bytes]:
    ends = [0, *(boundary.end() for boundary in _BOUNDARY.finditer(block))]
    return [block[a:b] for a, b in zip(ends, ends[1:], strict=False)]
