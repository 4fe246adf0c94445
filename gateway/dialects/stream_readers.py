"""Same dialect on both sides: the reply's bytes pass through and are only read on the way.

A tap is fed the vendor's bytes as they come, cut anywhere, and gives back whole events with the
one edit we promise (the model is called what the client called it) and, on the side, what the
receipt needs: usage, how much text went out, whether the reply ended properly. It never builds a
reply of its own, so nothing a provider adds tomorrow is lost.
"""

import re
from typing import Any

import orjson

from gateway.dialects import sse
from gateway.dialects.codecs import (
    anthropic_messages,
    endings,
    failures,
    openai_chat,
    openai_responses,
)
from gateway.dialects.codecs.tokens import guessed, merge
from gateway.dialects.ir import Failed, Finish, Head, Tally, Usage
from gateway.dialects.stream_reader import (
    REASONS,
    STRING,
    Tap,
    data_of,
    events_of,
    text_bytes,
    within,
)

__all__ = ["ChatTap", "MessagesTap", "ResponsesTap", "Tap", "data_of", "text_bytes"]

_BLOCK_EDGES = (b"content_block_start", b"content_block_stop")
_ITEM_EDGES = (b"response.output_item.",)
_DELTA = re.compile(rb'"delta"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_SEQUENCE = re.compile(rb'"sequence_number"\s*:\s*(\d+)')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_CALLING = re.compile(rb'"(?:tool_calls|function_call)"\s*:\s*[\[{]|"refusal"\s*:\s*"')
_SAID_IN = ("delta", "message")
_FINISHED = ("response.completed", "response.incomplete", "response.cancelled")
_ENDS = tuple(kind.encode() for kind in _FINISHED)


class ChatTap(Tap):
    """OpenAI Chat Completions: usage comes in a last chunk without choices, then [DONE]."""

    telling = re.compile(rb'"error"|"finish_reason"\s*:\s*"|\[DONE\]')

    __slots__ = ("_callers", "_first", "_keep_usage", "_many", "_refusers", "_tier")

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        options = head.body.get("stream_options")
        self._keep_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        self._first: dict[str, Any] | None = None
        self._many = (head.body.get("n") or 1) != 1
        self._callers: set[Any] = set()  # the numbers of the answers that call something
        self._refusers: set[Any] = set()
        self._tier: Any = None

    def _observe(self, block: bytes) -> bytes:
        if self._first is None:
            self._first = next(data_of(block), None)
        if b'"usage"' in block and _USAGE.search(block):
            block = self._take_usage(block)
            self.reported = self.ended is not None and self.usage is not None
        if b"[DONE]" in block:
            self.finished = self.ended is not None
            if self.finished and self._keep_usage and self.usage is None:
                block = self._add_usage(block)
        return block

    def _add_usage(self, block: bytes) -> bytes:
        """The chunk that the vendor left out, before the end marker."""
        usage = openai_chat.encode_usage(guessed(self.head.input_tokens, self.made))
        added = {"model": self.head.model, "choices": [], "usage": usage}
        chunk = sse.encode("", orjson.dumps((self._first or {}) | added))
        events = events_of(block)
        done = [b"[DONE]" in event for event in events].index(True)
        return b"".join([*events[:done], chunk, *events[done:]])

    def _take_usage(self, block: bytes) -> bytes:
        kept = []
        for event in events_of(block):
            drop = False
            for data in data_of(event) if b'"usage"' in event else ():
                if isinstance(usage := data.get("usage"), dict):
                    self.usage, self._tier = usage, data.get("service_tier")
                    # A client that did not ask for usage reads choices[0] of every chunk.
                    drop = not self._keep_usage and not data.get("choices")
            if not drop:
                kept.append(event)
        return b"".join(kept)

    def _hear(self, block: bytes) -> None:
        if (self._many or not (self._callers or self._refusers)) and _CALLING.search(block):
            for data in data_of(block):
                self._look_for_calls(data)
        super()._hear(block)

    def _look_for_calls(self, data: dict[str, Any]) -> None:
        """Which of the answers calls something, or refuses."""
        for choice in _choices(data):
            for message in (within(choice, name) for name in _SAID_IN):
                if endings.calls(message):
                    self._callers.add(choice.get("index"))
                if message.get("refusal"):
                    self._refusers.add(choice.get("index"))

    def _judged(self, block: bytes) -> bytes:
        if self._first is None:
            self._first = next(data_of(block), None)
        return super()._judged(block)

    def _verdict(self, data: dict[str, Any]) -> Finish | Failed | None:
        if isinstance(data.get("error"), dict):
            return failures.decode(data)
        self._look_for_calls(data)
        found: Finish | Failed | None = None
        for choice in _choices(data):
            if isinstance(choice.get("error"), dict):
                return failures.decode(choice)
            if self.ended is not None and data.get("id") != (self._first or data).get("id"):
                return failures.BROKEN  # another answer's
            found = self._judge(choice) or found
            if isinstance(found, Failed):
                return found
        return found

    def _judge(self, choice: dict[str, Any]) -> Finish | Failed | None:
        """How one of the answers ended, if it does here."""
        if not (raw := choice.get("finish_reason")):
            return None
        index = choice.get("index")
        called, refused = index in self._callers, index in self._refusers
        return endings.judge("openai_chat", str(raw), called=called, refused=refused)

    def _corrected(self, event: bytes, data: dict[str, Any], finish: Finish) -> bytes:
        now = [self._in_our_words(choice) for choice in _choices(data)]
        if now == data.get("choices"):
            return event
        return sse.encode("", orjson.dumps(data | {"choices": now}))

    def _in_our_words(self, choice: dict[str, Any]) -> dict[str, Any]:
        ended = self._judge(choice)
        word = endings.corrected("openai_chat", ended) if isinstance(ended, Finish) else ""
        return choice | {"finish_reason": word} if word else choice

    def _terminator(self) -> bytes:
        return b"data: [DONE]\n\n"

    def decoded_usage(self) -> Usage | None:
        return openai_chat.decode_usage(self.usage) if self.usage else None

    def tally(self) -> Tally:
        tier = self._tier or (self._first or {}).get("service_tier")
        return openai_chat.decode_tally({"service_tier": tier, "usage": self.usage})

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """An error event and no [DONE]: both SDKs raise on it (protocols.md section 2.1)."""
        return sse.encode("", orjson.dumps(openai_chat.encode_error(failed)))


def _choices(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [choice for choice in data.get("choices") or () if isinstance(choice, dict)]


class MessagesTap(Tap):
    """Anthropic Messages: input side in message_start, running totals in message_delta."""

    telling = re.compile(rb"event: error|message_(?:start|delta|stop)")
    text = re.compile(rb'"(?:text|partial_json)"' + STRING)
    edges = _BLOCK_EDGES

    __slots__ = ("_hosted", "_opened", "_over")

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        self._opened = self._over = False
        self._hosted: list[Any] = []  # blocks that begin what a tool of the vendor's does

    def _opens_reasoning(self, data: dict[str, Any]) -> bool | None:
        if data.get("type") == "content_block_stop":
            return False
        if data.get("type") != "content_block_start":
            return None  # it only talks of them
        kind = within(data, "content_block").get("type")
        self.called = self.called or kind == "tool_use"
        return kind in ("thinking", "redacted_thinking")

    def _judged(self, block: bytes) -> bytes:
        return b"" if self.finished else super()._judged(block)

    def _verdict(self, data: dict[str, Any]) -> Finish | Failed | None:
        kind = data.get("type")
        if kind == "error" or isinstance(data.get("error"), dict):
            return failures.decode(data)
        if kind == "content_block_start":
            self._opens_reasoning(data)
        if kind == "message_start":
            if self._opened:
                return failures.BROKEN
            self._opened = True
        delta = within(data, "delta")
        if kind != "message_delta" or not (raw := delta.get("stop_reason")):
            return None
        return endings.judge(
            "anthropic_messages", str(raw), called=self.called, stop=delta.get("stop_sequence")
        )

    def _corrected(self, event: bytes, data: dict[str, Any], finish: Finish) -> bytes:
        if not (word := endings.corrected("anthropic_messages", finish)):
            return event
        delta = within(data, "delta") | {"stop_reason": word}
        return sse.encode("message_delta", orjson.dumps(data | {"delta": delta}))

    def _terminator(self) -> bytes:
        return sse.encode("message_stop", b'{"type":"message_stop"}')

    def _observe(self, block: bytes) -> bytes:
        if b'"server_tool_use"' in block or b'"compaction"' in block:
            self._hosted += [data.get("content_block") for data in data_of(block)]
        if b'"usage"' in block or b'"stop_reason"' in block:
            for data in data_of(block):
                usage = data.get("usage") or (data.get("message") or {}).get("usage")
                if isinstance(usage, dict):
                    self.usage = merge(self.usage, usage)
                if within(data, "delta").get("stop_reason"):
                    self.reported = isinstance(usage, dict)
        if b"message_start" in block or b"message_delta" in block:
            block = self._supplied(block)
        if b"message_stop" in block and any(
            d.get("type") == "message_stop" for d in data_of(block)
        ):
            self.finished = True
        return block

    def _lacking(self, data: dict[str, Any]) -> dict[str, Any] | None:
        kind, message = data.get("type"), data.get("message")
        given = message if isinstance(message, dict) else data
        if kind not in ("message_start", "message_delta") or isinstance(given.get("usage"), dict):
            return None
        usage = guessed(self.head.input_tokens, self.made if given is data else 0)
        numbers = anthropic_messages.encode_usage(usage)
        if given is message:
            return {"message": given | {"usage": numbers}}
        # What `message_start` told of the input stands: a number here would replace it.
        return {"usage": {"output_tokens": usage.output} if self.usage else numbers}

    def decoded_usage(self) -> Usage | None:
        return anthropic_messages.decode_usage(self.usage) if self.usage else None

    def tally(self) -> Tally:
        given = {"usage": self.usage, "content": self._hosted}
        return anthropic_messages.decode_tally(given, ended=self.finished or self.reported)

    def ping(self) -> bytes:
        return b'event: ping\ndata: {"type":"ping"}\n\n'

    def fail(self, failed: Failed, request_id: str) -> bytes:
        given = anthropic_messages.encode_error(failed, request_id)
        return sse.encode("error", orjson.dumps(given))


class ResponsesTap(Tap):
    """OpenAI Responses: numbered events; everything is in the last one."""

    telling = re.compile(
        rb"event: error|response\.(?:created|failed|completed|incomplete|cancelled)"
    )
    text = _DELTA
    edges = _ITEM_EDGES

    __slots__ = ("_id", "_items", "_response")

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        self._items: dict[Any, Any] = {}  # what tools do, by where it stands: as last heard
        self._id: Any = None
        self._response: dict[str, Any] | None = None

    def _hear(self, block: bytes) -> None:
        if b"response.reasoning_" not in block:
            return super()._hear(block)
        for event in events_of(block):  # `delta` holds reasoning in some of them
            if REASONS.search(event):
                self.thought_bytes += sum(map(len, _DELTA.findall(event)))
            else:
                super()._hear(event)
        return None

    def _opens_reasoning(self, data: dict[str, Any]) -> bool | None:
        kind = within(data, "item").get("type")
        if kind not in ("reasoning", "compaction"):
            return None
        return data.get("type") == "response.output_item.added"

    def _judged(self, block: bytes) -> bytes:
        return b"" if self.finished else super()._judged(block)

    def _verdict(self, data: dict[str, Any]) -> Finish | Failed | None:
        kind, response = data.get("type"), within(data, "response")
        if kind == "error":
            return failures.decode(
                data if isinstance(data.get("error"), dict) else {"error": data}
            )
        if kind == "response.failed":
            return failures.decode(response.get("error") or {})
        if kind == "response.created":
            first, self._id = self._id, response.get("id")
            return failures.BROKEN if first not in (None, self._id) else None
        if kind not in _FINISHED:
            return None
        items = [*self._items.values(), *(response.get("output") or ())]
        return endings.of_reply("openai_responses", response | {"output": items})

    def _observe(self, block: bytes) -> bytes:
        self._newest = block or self._newest
        if b'_call"' in block and b"response.output_item." in block:
            given = (data for data in data_of(block) if isinstance(data.get("item"), dict))
            self._items |= {data.get("output_index", id(data)): data["item"] for data in given}
        if self._response is None or any(mark in block for mark in _ENDS):
            for data in data_of(block):
                if isinstance(response := data.get("response"), dict):
                    self._note(str(data.get("type")), response)
            if self.finished and self.usage is None:
                block = self._supplied(block)
        return block

    def _lacking(self, data: dict[str, Any]) -> dict[str, Any] | None:
        if data.get("type") not in _FINISHED:
            return None
        usage = openai_responses.encode_usage(guessed(self.head.input_tokens, self.made))
        return {"response": data["response"] | {"usage": usage}}

    def _note(self, kind: str, response: dict[str, Any]) -> None:
        self._response = response
        if kind in _FINISHED:
            self.finished = True
            if isinstance(usage := response.get("usage"), dict):
                self.usage, self.reported = usage, True

    def decoded_usage(self) -> Usage | None:
        return openai_responses.decode_usage(self.usage) if self.usage else None

    def tally(self) -> Tally:
        given = self._response or {}
        return openai_responses.decode_tally(
            given | {"output": given.get("output") or [*self._items.values()]}
        )

    def ping(self) -> bytes:
        """Before the vendor's `response.created` only a comment may come. After it, data, for a
        comment does not reset Codex's idle timer; without a number, as the vendor's leave no gap.
        """
        if not self.begun:
            return super().ping()
        return sse.encode("keepalive", b'{"type":"keepalive"}')

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """Agents only take `response.failed` for the end (protocols.md section 0, rule 8)."""
        if not self.begun or self._response is None:
            return openai_responses.Encoder(self.head).feed(failed)
        numbers = _SEQUENCE.findall(self._newest)
        given = {
            "type": "response.failed",
            "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
            "response": self._response
            | {"status": "failed", "error": openai_responses.encode_error(failed)}
            | {"model": self.head.model},
        }
        return sse.encode("response.failed", orjson.dumps(given))
