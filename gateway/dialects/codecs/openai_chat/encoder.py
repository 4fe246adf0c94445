"""Events as Chat chunks (protocols.md section 2.1).

The role, a call's id and its name are said exactly once: SDKs concatenate strings. Call indexes
are dense from 0. One finish chunk, then usage if it was asked for, then `[DONE]`; after an error
nothing.
"""

from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.codecs import carrier
from gateway.dialects.codecs.openai_chat.reply import FINISH, citation, encode_error, signature
from gateway.dialects.codecs.openai_chat.usage import encode_usage
from gateway.dialects.ir import (
    AnnotationSeen,
    ArgsDelta,
    CallOpen,
    CarrierSeen,
    Event,
    Failed,
    Finish,
    Head,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    TextOpen,
    Usage,
    UsageSeen,
)


class Encoder:
    """`feed` every event; send what it gives."""

    __slots__ = (
        "_after",
        "_before",
        "_calls",
        "_custom",
        "_details",
        "_gap",
        "_handlers",
        "_head",
        "_open",
        "_part",
        "_spoke",
        "_start_of_text",
        "_usage",
        "_written",
    )

    def __init__(self, head: Head) -> None:
        self._head = head
        self._usage = Usage(input=head.input_tokens)
        self._calls: dict[int, int] = {}
        self._custom: set[int] = set()
        self._details = 0
        self._part: tuple[int, int, bool] | None = None
        self._spoke = self._open = False
        self._gap = ""
        self._written = self._start_of_text = 0  # characters of the content
        shared = {
            "id": f"chatcmpl-{head.reply_id}",
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
        }
        requested = head.request.include_usage
        self._before = b"data: " + orjson.dumps(shared)[:-1]
        self._after = b',"usage":null}\n\n' if requested else b"}\n\n"
        self._handlers: dict[type, Callable[[Any], bytes]] = {
            Start: self._start,
            TextOpen: self._text_open,
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            AnnotationSeen: self._annotation,
            ReasoningDelta: self._reasoning,
            CarrierSeen: self._carrier,
            CallOpen: self._call,
            ArgsDelta: self._args,
            UsageSeen: self._seen,
            Finish: self._finish,
            Failed: self._fail,
        }

    def feed(self, event: Event) -> bytes:
        handler = self._handlers.get(type(event))
        return handler(event) if handler else b""

    def ping(self) -> bytes:
        """A comment: a `ping` event would kill the OpenAI SDK."""
        return b": keep-alive\n\n"

    def _start(self, event: Start) -> bytes:
        self._open = True
        return self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self._before + b',"choices":[' + orjson.dumps(choice) + b"]" + self._after

    def _text_open(self, event: TextOpen) -> bytes:
        """A second message is a second paragraph: Chat has room for one message only."""
        self._gap = "\n\n" if self._spoke and not event.joined else ""
        self._start_of_text = self._written + len(self._gap)
        return b""

    def _annotation(self, event: AnnotationSeen) -> bytes:
        return self._chunk({"annotations": [citation(event.annotation, self._start_of_text)]})

    def _text(self, event: TextDelta) -> bytes:
        text, self._gap, self._spoke = self._gap + event.text, "", True
        self._written += len(text)
        return (
            self._before
            + b',"choices":[{"index":0,"delta":{"content":'
            + orjson.dumps(text)
            + b'},"finish_reason":null}]'
            + self._after
        )

    def _refusal(self, event: RefusalDelta) -> bytes:
        return self._chunk({"refusal": event.text})

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        part = (event.index, event.part, event.summary)
        apart = self._part is not None and self._part != part
        self._part = part
        return self._chunk({"reasoning_content": "\n\n" + event.text if apart else event.text})

    def _carrier(self, event: CarrierSeen) -> bytes:
        detail = {
            "type": "reasoning.encrypted",
            "index": self._details,
            "data": carrier.seal(event.carrier, self._head.key),
        }
        self._details += 1
        return self._chunk({"reasoning_details": [detail]})

    def _call(self, event: CallOpen) -> bytes:
        index = self._calls[event.index] = len(self._calls)
        call: dict[str, Any] = {"index": index, "id": event.call_id, "type": "function"}
        if event.kind == "custom":
            self._custom.add(event.index)
            call |= {"type": "custom", "custom": {"name": event.name, "input": ""}}
        else:
            call["function"] = {"name": event.name, "arguments": ""}
        return self._chunk({"tool_calls": [call | signature(event.carriers, self._head.key)]})

    def _args(self, event: ArgsDelta) -> bytes:
        raw: dict[str, Any] = {"index": self._calls[event.index]}
        if event.index in self._custom:
            return self._chunk({"tool_calls": [raw | {"custom": {"input": event.text}}]})
        return self._chunk({"tool_calls": [raw | {"function": {"arguments": event.text}}]})

    def _seen(self, event: UsageSeen) -> bytes:
        self._usage = event.usage
        return b""

    def _finish(self, event: Finish) -> bytes:
        finish = self._chunk({}, FINISH.get(event.reason, "stop"))
        opener = b"" if self._open else self._start(Start())
        usage = b""
        if self._head.request.include_usage:
            counted = orjson.dumps(encode_usage(self._usage))
            usage = self._before + b',"choices":[],"usage":' + counted + b"}\n\n"
        return opener + finish + usage + b"data: [DONE]\n\n"

    def _fail(self, event: Failed) -> bytes:
        return b"data: " + orjson.dumps(encode_error(event)) + b"\n\n"
