"""Events as a Messages stream (protocols.md section 2.3).

Every event is named; one block is open at a time, indexes are dense from 0. A block is opened by
its first delta: an empty one would come back in the history and be refused.

Lossy: a secret behind the text is told only when something follows it. Gemini signs the end of
its answers so, where nothing checks it; but Claude Code prints the last block as the answer.
"""

from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects import sse
from gateway.dialects.codecs import wire
from gateway.dialects.codecs.anthropic_messages.reply import (
    STOP_REASONS,
    encode_error,
    thinking,
    unguarded,
)
from gateway.dialects.codecs.anthropic_messages.usage import encode_usage
from gateway.dialects.codecs.filters import Serial
from gateway.dialects.codecs.searches import citation, result, use, uses
from gateway.dialects.codecs.tools import INPUT
from gateway.dialects.ir import (
    AnnotationSeen,
    ArgsDelta,
    CallOpen,
    Carrier,
    CarrierSeen,
    Close,
    Event,
    Failed,
    Finish,
    Head,
    HostedCall,
    HostedDone,
    HostedOpen,
    Ping,
    ReasoningDelta,
    ReasoningOpen,
    RefusalDelta,
    Start,
    TextDelta,
    Usage,
    UsageSeen,
)

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_TEXT = _DELTA + b'{"type":"text_delta","text":%b}}\n\n'
_THINKING = _DELTA + b'{"type":"thinking_delta","thinking":%b}}\n\n'
_JSON = _DELTA + b'{"type":"input_json_delta","partial_json":%b}}\n\n'
_SIGNATURE = _DELTA + b'{"type":"signature_delta","signature":%b}}\n\n'
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class Encoder:
    """`feed` every event; send what it gives."""

    __slots__ = (
        "_block",
        "_carriers",
        "_custom",
        "_handlers",
        "_head",
        "_hosted_calls",
        "_kind",
        "_last",
        "_late",
        "_part",
        "_serial",
        "_started",
        "_usage",
    )

    def __init__(self, head: Head) -> None:
        self._head = head
        self._usage = Usage(input=head.input_tokens)
        self._block = -1
        self._kind = ""  # of the open block
        self._last = ""  # the kind of the newest block, open or not
        self._late: list[dict[str, Any]] = []  # secrets that wait for something to follow
        self._carriers: list[Carrier] = []
        self._part: tuple[int, bool] | None = None
        self._custom: list[str] | None = None
        self._hosted_calls: list[HostedCall] = []
        self._started = False
        self._serial = Serial()
        self._handlers: dict[type, Callable[[Any], bytes]] = {
            Start: self._start,
            ReasoningOpen: self._reasoning_open,
            TextDelta: self._text,
            RefusalDelta: self._text,
            ReasoningDelta: self._reasoning,
            CarrierSeen: self._carrier,
            CallOpen: self._call,
            ArgsDelta: self._args,
            AnnotationSeen: self._annotation,
            HostedOpen: self._hosted,
            HostedDone: self._hosted_done,
            Close: self._close,
            UsageSeen: self._seen,
            Finish: self._finish,
            Failed: self._fail,
            Ping: self._ping,
        }

    def feed(self, event: Event) -> bytes:
        if type(event) is TextDelta:  # most of them, and never out of turn
            return self._text(event)
        return b"".join(self._one(each) for each in self._serial.feed(event))

    def ping(self) -> bytes:
        """Any time, but behind `message_start`."""
        return self._start(Start()) + _PING

    def _one(self, event: Event) -> bytes:
        handler = self._handlers.get(type(event))
        return handler(event) if handler else b""

    def _start(self, _: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: dict[str, Any] = {
            "id": f"msg_{self._head.reply_id}",
            "type": "message",
            "role": "assistant",
            "model": self._head.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Nobody but Anthropic tells the input before the end: the estimate, until then.
            "usage": encode_usage(Usage(input=self._head.input_tokens, output=1)),
        }
        return _event("message_start", message=message)

    def _open(self, kind: str, block: dict[str, Any]) -> bytes:
        late, self._late = self._late, []
        before = self._whole(late) if late else b""
        self._block += 1
        self._kind = self._last = kind
        return before + _event("content_block_start", index=self._block, content_block=block)

    def _shut(self) -> bytes:
        self._kind = ""
        return _event("content_block_stop", index=self._block)

    def _text(self, event: TextDelta | RefusalDelta) -> bytes:
        return self._text_block() + _TEXT % (self._block, orjson.dumps(event.text))

    def _text_block(self) -> bytes:
        """One is open."""
        return b"" if self._kind == "text" else self._open("text", {"type": "text", "text": ""})

    def _reasoning_open(self, _: ReasoningOpen) -> bytes:
        self._carriers, self._part = [], None
        return b""

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        part, text = (event.part, event.summary), event.text
        opening = b""
        if self._kind != "thinking":
            opening = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        elif part != self._part:
            text = "\n\n" + text
        self._part = part
        return opening + _THINKING % (self._block, orjson.dumps(text))

    def _carrier(self, event: CarrierSeen) -> bytes:
        self._carriers.append(event.carrier)
        return b""

    def _call(self, event: CallOpen) -> bytes:
        secret = self._whole(thinking("", event.carriers, self._head.key))
        block = {"type": "tool_use", "id": event.call_id, "name": event.name, "input": {}}
        self._custom = [] if event.kind == "custom" else None
        return secret + self._open("tool_use", block)

    def _args(self, event: ArgsDelta) -> bytes:
        if self._custom is not None:
            self._custom.append(event.text)
            return b""
        return _JSON % (self._block, orjson.dumps(event.text))

    def _annotation(self, event: AnnotationSeen) -> bytes:
        """It may come before the words it is for."""
        opening = self._text_block()
        delta = {"type": "citations_delta", "citation": citation(event.annotation, self._head.key)}
        return opening + _event("content_block_delta", index=self._block, delta=delta)

    def _hosted(self, event: HostedOpen) -> bytes:
        block = use(event.call)
        opening = self._open(block["type"], block | {"input": {}})
        given = wire.dump(block["input"])
        return opening + _JSON % (self._block, orjson.dumps(given)) + self._shut()

    def _hosted_done(self, event: HostedDone) -> bytes:
        self._hosted_calls.append(event.call)
        block = result(event.call, self._head.key)
        return self._open(block["type"], block) + self._shut()

    def _close(self, event: Close) -> bytes:
        carriers, self._carriers = self._carriers, []
        if self._kind == "thinking":
            # A signature comes once, just before the stop: a second one replaces the first.
            signed, *rest = thinking("shown", carriers, self._head.key)
            mark = _SIGNATURE % (self._block, orjson.dumps(signed["signature"]))
            return mark + self._shut() + self._whole(rest)
        if self._custom is not None:
            # Messages knows objects only: raw text goes in one, as it would to a model.
            whole, self._custom = wire.dump({INPUT: "".join(self._custom)}), None
            return _JSON % (self._block, orjson.dumps(whole)) + self._shut()
        if self._kind:
            return self._shut()
        secrets = thinking("", carriers, self._head.key)
        if self._last == "text":
            self._late += secrets
            return b""
        return self._whole(secrets)

    def _whole(self, blocks: list[dict[str, Any]]) -> bytes:
        """Blocks that come at once."""
        said = b""
        for block in blocks:
            if block["type"] == "thinking":
                said += self._open("thinking", block | {"signature": ""})
                said += _SIGNATURE % (self._block, orjson.dumps(block["signature"]))
            else:
                said += self._open("redacted_thinking", block)
            said += self._shut()
        return said

    def _seen(self, event: UsageSeen) -> bytes:
        self._usage = event.usage
        return b""

    def _finish(self, event: Finish) -> bytes:
        opening = self._start(Start())
        reason = STOP_REASONS.get(event.reason, "end_turn")
        return (
            opening
            + _event(
                "message_delta",
                delta={"stop_reason": reason, "stop_sequence": event.stop_sequence}
                | unguarded(self._head.body),
                usage=encode_usage(self._usage) | uses(self._hosted_calls),
            )
            + _event("message_stop")
        )

    def _fail(self, event: Failed) -> bytes:
        raw = encode_error(event, f"req_{self._head.reply_id}")
        return sse.encode("error", orjson.dumps(raw))

    def _ping(self, _: Ping) -> bytes:
        return _PING


def _event(name: str, **fields: Any) -> bytes:
    return sse.encode(name, orjson.dumps({"type": name, **fields}))
