"""Converse's stream, read, as `event_stream` took it out of its frames: events with a name.

* A block may begin with its first delta: only a call has a start of its own.
* What was used comes behind the stop; the finish is told when both are there, or the bytes end.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.dialects.codecs import endings, failures, wire
from gateway.dialects.codecs.converse.usage import decode_usage
from gateway.dialects.ir import (
    ArgsDelta,
    CallOpen,
    Carrier,
    CarrierSeen,
    Close,
    Event,
    Failed,
    ReasoningDelta,
    ReasoningOpen,
    Start,
    Target,
    TextDelta,
    TextOpen,
    UsageSeen,
)
from gateway.dialects.sse import Frame

DIALECT = "converse"


class Decoder:
    """`feed` every frame, then `close`."""

    __slots__ = (
        "_called",
        "_done",
        "_handlers",
        "_index",
        "_kind",
        "_mint",
        "_next",
        "_said",
        "_secret",
        "_stop",
        "_target",
        "_told",
    )

    def __init__(self, target: Target, mint: Callable[[], str]) -> None:
        self._target, self._mint = target, mint
        self._kind = ""  # of the open block: text, reasoning or call
        self._index = self._next = 0
        self._said: list[str] = []
        self._secret = ("", "")  # form and data, to be told behind the open reasoning
        self._stop = ""
        self._called = self._told = self._done = False
        self._handlers: dict[str, Callable[[dict[str, Any]], list[Event]]] = {
            "messageStart": self._start,
            "contentBlockStart": self._open,
            "contentBlockDelta": self._delta,
            "contentBlockStop": self._close,
            "messageStop": self._message_stop,
            "metadata": self._metadata,
            "error": self._error,
        }

    @property
    def ended(self) -> bool:
        """Whether the answer said how it ended."""
        return bool(self._stop)

    def feed(self, frame: Frame) -> list[Event]:
        if self._done:
            return []
        event = wire.load(frame.data)
        if not isinstance(event, dict):
            return self._fail(failures.BROKEN)
        handler = self._handlers.get(frame.event)
        return handler(event) if handler else []

    def close(self) -> list[Event]:
        """At the end of the bytes: the finish, or that there was none."""
        if self._done:
            return []
        return self._end() if self._stop else self._fail(failures.CUT)

    def _start(self, _: dict[str, Any]) -> list[Event]:
        if self._told:
            return self._fail(failures.BROKEN)
        self._told = True
        return [Start()]

    def _open(self, event: dict[str, Any]) -> list[Event]:
        used = (event.get("start") or {}).get("toolUse")
        if not used:
            return []
        self._called = True
        events = self._begin("call")
        call_id = str(used.get("toolUseId") or "") or self._mint()
        return [*events, CallOpen(self._index, call_id, str(used.get("name") or ""))]

    def _delta(self, event: dict[str, Any]) -> list[Event]:
        delta = event.get("delta") or {}
        if text := delta.get("text"):
            return [*self._block("text"), TextDelta(self._index, text)]
        if (used := delta.get("toolUse")) and self._kind == "call":
            part = used.get("input")
            self._said.append(part or "")
            return [ArgsDelta(self._index, part)] if part else []
        return self._reasoned(delta.get("reasoningContent") or {})

    def _reasoned(self, delta: Mapping[str, Any]) -> list[Event]:
        text = delta.get("text")
        for form, name in (("signature", "signature"), ("redacted", "redactedContent")):
            if secret := delta.get(name):
                events = self._block("reasoning")
                self._secret = form, self._secret[1] + str(secret)
                return events
        if not text:
            return []
        events = self._block("reasoning")
        self._said.append(text)
        return [*events, ReasoningDelta(self._index, text)]

    def _block(self, kind: str) -> list[Event]:
        if self._kind == kind:
            return []
        opened = ReasoningOpen if kind == "reasoning" else TextOpen
        events = self._begin(kind)
        return [*events, opened(self._index)]

    def _begin(self, kind: str) -> list[Event]:
        events = self._close({})
        self._kind, self._said = kind, []
        self._index, self._next = self._next, self._next + 1
        return events

    def _close(self, _: dict[str, Any]) -> list[Event]:
        kind, self._kind = self._kind, ""
        if not kind:
            return []
        closing: list[Event] = []
        if kind == "call" and not any(self._said):
            closing.append(ArgsDelta(self._index, "{}"))
        if self._secret[1]:
            closing.append(CarrierSeen(self._index, self._carrier()))
        return [*closing, Close(self._index)]

    def _carrier(self) -> Carrier:
        (form, data), self._secret = self._secret, ("", "")
        by, texts = self._target, ("".join(self._said),) if self._said else ()
        return Carrier(by.vendor, by.model, form, data, texts, by.account)

    def _message_stop(self, event: dict[str, Any]) -> list[Event]:
        self._stop = str(event.get("stopReason") or "")
        return self._close({})

    def _metadata(self, event: dict[str, Any]) -> list[Event]:
        usage = event.get("usage")
        seen: list[Event] = [UsageSeen(decode_usage(usage))] if isinstance(usage, dict) else []
        return [*seen, *(self._end() if self._stop else [])]

    def _end(self) -> list[Event]:
        self._done = True
        return [*self._close({}), endings.judge(DIALECT, self._stop, called=self._called)]

    def _error(self, event: dict[str, Any]) -> list[Event]:
        return self._fail(failures.decode(event))

    def _fail(self, failed: Failed) -> list[Event]:
        self._done = True
        return [failed]


def decode_reply(body: Mapping[str, Any], target: Target, mint: Callable[[], str]) -> list[Event]:
    """A whole reply as the events a stream of it would have given."""
    if isinstance(body.get("error"), dict):
        return [failures.decode(body)]
    decoder = Decoder(target, mint)
    events = decoder.feed(_frame("messageStart", {}))
    message = (body.get("output") or {}).get("message") or {}
    for block in message.get("content") or ():
        for name, given in _spelled(block):
            events += decoder.feed(_frame(name, given))
    events += decoder.feed(_frame("messageStop", {"stopReason": body.get("stopReason")}))
    events += decoder.feed(_frame("metadata", {"usage": body.get("usage")}))
    return events + decoder.close()


def _spelled(block: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    if used := block.get("toolUse"):
        args = wire.dump(used.get("input") or {})
        spelled = [
            ("contentBlockStart", {"start": {"toolUse": used}}),
            ("contentBlockDelta", {"delta": {"toolUse": {"input": args}}}),
        ]
    elif reasoned := block.get("reasoningContent"):
        told = reasoned.get("reasoningText") or {}
        parts = [{"text": told.get("text")}, {"signature": told.get("signature")}]
        parts.append({"redactedContent": reasoned.get("redactedContent")})
        spelled = [("contentBlockDelta", {"delta": {"reasoningContent": part}}) for part in parts]
    else:
        spelled = [("contentBlockDelta", {"delta": dict(block)})]
    return [*spelled, ("contentBlockStop", {})]


def _frame(name: str, given: dict[str, Any]) -> Frame:
    return Frame(name, orjson.dumps(given))
