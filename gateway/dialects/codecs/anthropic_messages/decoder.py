"""Claude's stream, read.

* Block and delta types nobody knows are passed over; a second `message_start` is a fault.
* A call's whole input may sit in its opening block.
* Usage comes in two snapshots, merged: the second may leave out or zero what the first told.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.dialects.codecs import endings, failures, tokens, wire
from gateway.dialects.codecs.anthropic_messages.usage import decode_tally, decode_usage
from gateway.dialects.ir import (
    Annotation,
    AnnotationSeen,
    ArgsDelta,
    CallOpen,
    Carrier,
    CarrierSeen,
    Close,
    Event,
    Failed,
    Finish,
    Ping,
    ReasoningDelta,
    ReasoningOpen,
    Start,
    Target,
    TextDelta,
    TextOpen,
    UsageSeen,
)
from gateway.dialects.sse import Frame


class Decoder:
    """`feed` every frame, then `close`."""

    __slots__ = (
        "_called",
        "_done",
        "_finish",
        "_handlers",
        "_input",
        "_item",
        "_kind",
        "_mint",
        "_next",
        "_said",
        "_signature",
        "_started",
        "_target",
        "_texted",
        "_usage",
    )

    def __init__(self, target: Target, mint: Callable[[], str]) -> None:
        self._target, self._mint = target, mint
        self._next = self._item = 0
        self._kind = ""  # of the open block
        self._said: list[str] = []  # its thinking, or its arguments
        self._input: dict[str, Any] = {}
        self._signature = ""
        self._usage: dict[str, Any] = {}
        self._finish: Finish | Failed | None = None
        self._started = self._done = self._texted = self._called = False
        self._handlers: dict[str, Callable[[dict[str, Any]], list[Event]]] = {
            "content_block_delta": self._delta,
            "content_block_start": self._open,
            "content_block_stop": self._close,
            "message_start": self._start,
            "message_delta": self._message_delta,
            "message_stop": self._stop,
            "ping": self._ping,
            "error": self._error,
        }

    @property
    def ended(self) -> bool:
        """Whether the answer said how it ended."""
        return self._finish is not None

    def feed(self, frame: Frame) -> list[Event]:
        if self._done:
            return []
        try:
            event = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            return self._fail(failures.BROKEN)
        if not isinstance(event, dict):
            return self._fail(failures.BROKEN)
        handler = self._handlers.get(event.get("type") or frame.event)
        return handler(event) if handler else []

    def close(self) -> list[Event]:
        """At the end of the bytes: the finish, or that there was none."""
        if self._done:
            return []
        return self._stop({}) if self._finish else self._fail(failures.CUT)

    def _start(self, event: dict[str, Any]) -> list[Event]:
        if self._started:
            return self._fail(failures.BROKEN)
        self._started = True
        message = event.get("message") or {}
        start = Start(str(message.get("id") or ""), str(message.get("model") or ""))
        return [start, *self._seen(message.get("usage"))]

    def _seen(self, usage: Any) -> list[Event]:
        if not isinstance(usage, dict) or not usage:
            return []
        self._usage = tokens.merge(self._usage, usage)
        return [UsageSeen(decode_usage(self._usage), decode_tally({"usage": self._usage}))]

    def _open(self, event: dict[str, Any]) -> list[Event]:
        block = event.get("content_block") or {}
        self._kind, self._said, self._signature = str(block.get("type")), [], ""
        self._item = index = self._next
        joined, self._texted = self._texted, self._kind == "text"
        if self._kind == "text":
            return self._opened(TextOpen(index, joined=joined), block.get("text"))
        if self._kind == "thinking":
            self._signature = str(block.get("signature") or "")
            return self._opened(ReasoningOpen(index), block.get("thinking"))
        if self._kind == "redacted_thinking":
            kept = self._carrier("redacted", str(block.get("data") or ""))
            return [*self._opened(ReasoningOpen(index)), CarrierSeen(index, kept)]
        if self._kind == "tool_use":
            self._called = True
            self._input = block.get("input") or {}
            identity = str(block.get("id") or "") or self._mint()
            return self._opened(CallOpen(index, identity, str(block.get("name") or "")))
        self._kind = ""
        return []

    def _opened(self, opening: Event, text: Any = "") -> list[Event]:
        self._next += 1
        if not text:
            return [opening]
        delta = {"text": text, "thinking": text}
        name = "text_delta" if self._kind == "text" else "thinking_delta"
        return [opening, *self._delta({"delta": delta | {"type": name}})]

    def _delta(self, event: dict[str, Any]) -> list[Event]:
        delta = event.get("delta") or {}
        kind = delta.get("type")
        if not self._kind:
            return []
        if kind == "text_delta":
            text = delta.get("text")
            return [TextDelta(self._item, text)] if text else []
        if kind == "thinking_delta":
            thought = delta.get("thinking")
            self._said.append(thought or "")
            return [ReasoningDelta(self._item, thought)] if thought else []
        if kind == "input_json_delta":
            part = delta.get("partial_json")
            self._said.append(part or "")
            return [ArgsDelta(self._item, part)] if part else []
        if kind == "signature_delta":
            self._signature = str(delta.get("signature") or "")
        if kind == "citations_delta":
            return self._cited(delta.get("citation"))
        return []

    def _cited(self, citation: Any) -> list[Event]:
        if not isinstance(citation, dict) or not citation.get("url"):
            return []
        found = Annotation(str(citation["url"]), str(citation.get("title") or ""))
        return [AnnotationSeen(self._item, found)]

    def _close(self, _: dict[str, Any]) -> list[Event]:
        kind, self._kind = self._kind, ""
        if not kind:
            return []
        closing: list[Event] = []
        if kind == "tool_use" and not any(self._said):
            closing.append(ArgsDelta(self._item, wire.dump(self._input)))
        if kind == "thinking" and self._signature:
            kept = self._carrier("signature", self._signature, ("".join(self._said),))
            closing.append(CarrierSeen(self._item, kept))
        return [*closing, Close(self._item)]

    def _carrier(self, form: str, data: str, texts: tuple[str, ...] = ()) -> Carrier:
        target = self._target
        return Carrier(target.vendor, target.model, form, data, texts, target.account)

    def _message_delta(self, event: dict[str, Any]) -> list[Event]:
        delta = event.get("delta") or {}
        raw = delta.get("stop_reason")
        if raw:
            self._finish = endings.judge(
                "anthropic_messages",
                str(raw),
                called=self._called,
                stop=delta.get("stop_sequence"),
            )
        return self._seen(event.get("usage"))

    def _stop(self, _: dict[str, Any]) -> list[Event]:
        if self._finish is None:
            return self._fail(failures.CUT)
        self._done = True
        return [*self._close({}), self._finish]

    def _ping(self, _: dict[str, Any]) -> list[Event]:
        return [Ping()]

    def _error(self, event: dict[str, Any]) -> list[Event]:
        return self._fail(failures.decode(event))

    def _fail(self, failed: Failed) -> list[Event]:
        self._done = True
        return [failed]


def decode_reply(body: Mapping[str, Any], target: Target, mint: Callable[[], str]) -> list[Event]:
    """A whole message as the events a stream of it would have given."""
    decoder = Decoder(target, mint)
    given: list[dict[str, Any]] = [{"type": "message_start", "message": body}]
    if body.get("type") == "error":
        given = [dict(body)]
    for block in body.get("content") or ():
        given.append({"type": "content_block_start", "content_block": block})
        given.extend(
            {"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": c}}
            for c in block.get("citations") or ()
        )
        given.append({"type": "content_block_stop"})
    given.append({"type": "message_delta", "delta": body})
    frames = [Frame("", orjson.dumps(each)) for each in given]
    return [event for frame in frames for event in decoder.feed(frame)] + decoder.close()
