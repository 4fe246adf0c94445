"""A Chat upstream's chunks, read.

* A call is over when the stream is or when text follows, never because its arguments parse.
* Deltas may lack an index, an id or a type: an id opens a call, nothing continues the last one.
* Usage may sit in the last chunk, in every chunk or behind `[DONE]`: so the finish waits for
  it. A stream that ends without a `finish_reason` was cut.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.dialects.codecs import carrier, endings, failures, tokens
from gateway.dialects.codecs.openai_chat.usage import decode_tally, decode_usage
from gateway.dialects.ir import (
    Annotation,
    AnnotationSeen,
    ArgsDelta,
    CallOpen,
    CarrierSeen,
    Close,
    Event,
    Failed,
    ReasoningDelta,
    ReasoningOpen,
    RefusalDelta,
    Start,
    Target,
    TextDelta,
    TextOpen,
    UsageSeen,
)
from gateway.dialects.sse import Frame


class Decoder:
    """`feed` every frame, then `close`. `mint` makes the ids of calls that come without one."""

    __slots__ = (
        "_by_id",
        "_by_index",
        "_calls",
        "_current",
        "_done",
        "_finish",
        "_id",
        "_kind",
        "_mint",
        "_next",
        "_over",
        "_refused",
        "_silent",
        "_started",
        "_target",
        "_usage",
    )

    def __init__(self, target: Target, mint: Callable[[], str]) -> None:
        self._target, self._mint = target, mint
        self._calls: list[int] = []
        self._over: set[int] = set()
        self._silent: set[int] = set()
        self._by_index: dict[Any, int] = {}
        self._by_id: dict[tuple[Any, Any], int] = {}
        self._kind = ""  # of the open block: text, refusal or reasoning
        self._current = 0
        self._id: Any = None
        self._next = 0
        self._usage: dict[str, Any] = {}
        self._finish: str | None = None
        self._refused = self._started = self._done = False

    @property
    def ended(self) -> bool:
        """Whether the answer said how it ended."""
        return self._finish is not None

    def feed(self, frame: Frame) -> list[Event]:
        if self._done:
            return []
        if frame.data == b"[DONE]":
            return self._end() if self._usage else []
        try:
            chunk = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            return self._fail(failures.BROKEN)
        return self._chunk(chunk) if isinstance(chunk, dict) else self._fail(failures.BROKEN)

    def close(self) -> list[Event]:
        """At the end of the bytes: the finish, or that there was none."""
        if self._done:
            return []
        return self._fail(failures.CUT) if self._finish is None else self._end()

    def _chunk(self, chunk: dict[str, Any]) -> list[Event]:
        if chunk.get("error"):
            return self._fail(failures.decode(chunk))
        events: list[Event] = []
        if not self._started:
            self._started = True
            self._id = chunk.get("id")
            events.append(Start(str(self._id or ""), str(chunk.get("model") or "")))
        for choice in chunk.get("choices") or ():
            if isinstance(choice.get("error"), dict):
                return [*events, *self._fail(failures.decode(choice))]
            if self._finish and chunk.get("id") != self._id:
                return [*events, *self._fail(failures.BROKEN)]  # another answer's
            delta = choice.get("delta") or choice.get("message")
            if delta:
                self._delta(delta, events)
            reason = choice.get("finish_reason")
            if reason:
                self._finish = str(reason)
        usage = chunk.get("usage")
        if usage:
            self._usage = tokens.merge(self._usage, usage)
            events.append(UsageSeen(decode_usage(self._usage), decode_tally(chunk)))
        return events

    def _delta(self, delta: Mapping[str, Any], events: list[Event]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            events.append(ReasoningDelta(self._block("reasoning", events), reasoning))
        for detail in delta.get("reasoning_details") or ():
            self._detail(detail, events)
        content = delta.get("content")
        if content:
            events.append(TextDelta(self._block("text", events), _text(content)))
        for note in delta.get("annotations") or ():
            self._note(note, events)
        refusal = delta.get("refusal")
        if refusal:
            self._refused = True
            events.append(RefusalDelta(self._block("refusal", events), refusal))
        for call in delta.get("tool_calls") or ():
            self._call(call, events)
        if delta.get("function_call"):
            self._call({"index": "function_call", "function": delta["function_call"]}, events)

    def _block(self, kind: str, events: list[Event]) -> int:
        if self._kind == kind:
            return self._current
        self._leave(events)
        self._hang_up(events)
        self._kind, self._current = kind, self._next
        self._next += 1
        events.append(
            ReasoningOpen(self._current)
            if kind == "reasoning"
            else TextOpen(self._current, refusal=kind == "refusal")
        )
        return self._current

    def _leave(self, events: list[Event]) -> None:
        if self._kind:
            events.append(Close(self._current))
        self._kind = ""

    def _hang_up(self, events: list[Event]) -> None:
        """The end of the calls; one without arguments has none, which is an empty object."""
        for index in self._calls:
            if index in self._silent:
                events.append(ArgsDelta(index, "{}"))
            if index not in self._over:
                events.append(Close(index))
        self._silent.clear()
        self._over.update(self._calls)

    def _detail(self, detail: Any, events: list[Event]) -> None:
        data = detail.get("data") if isinstance(detail, dict) else None
        if isinstance(data, str) and data:
            kept = carrier.closed(data, "", "foreign")
            events.append(CarrierSeen(self._block("reasoning", events), kept))

    def _note(self, note: Any, events: list[Event]) -> None:
        cited = note.get("url_citation") if isinstance(note, dict) else None
        if isinstance(cited, dict) and self._kind == "text":
            found = Annotation(
                str(cited.get("url") or ""),
                str(cited.get("title") or ""),
                tokens.count(cited, "start_index"),
                tokens.count(cited, "end_index"),
            )
            events.append(AnnotationSeen(self._current, found))

    def _call(self, call: Mapping[str, Any], events: list[Event]) -> None:
        raw = call.get("function") or call.get("custom") or {}
        item = self._known(call, raw)
        if item is None:
            self._leave(events)
            item, self._next = self._next, self._next + 1
            self._calls.append(item)
            self._by_index[call.get("index")] = item
            events.append(self._opened(item, call, raw))
            if not call.get("custom"):
                self._silent.add(item)
        if call.get("id"):
            self._by_id[call.get("index"), call["id"]] = item
        args = raw.get("arguments") or raw.get("input")
        if args and item not in self._over:
            self._silent.discard(item)
            events.append(ArgsDelta(item, args if isinstance(args, str) else _json(args)))

    def _known(self, call: Mapping[str, Any], raw: Mapping[str, Any]) -> int | None:
        """The call a delta continues; None opens one. Some hosts use one index for all calls,
        so an id not seen yet, with a name, is another call whatever its index."""
        index, identity = call.get("index"), call.get("id")
        if (index, identity) in self._by_id:
            return self._by_id[index, identity]
        if identity and raw.get("name"):
            return None
        if index is None and self._calls:
            return self._calls[-1]
        return self._by_index.get(index)

    def _opened(self, index: int, call: Mapping[str, Any], raw: Mapping[str, Any]) -> CallOpen:
        google = (call.get("extra_content") or {}).get("google") or {}
        signature = google.get("thought_signature")
        carriers = (carrier.closed(signature, "google", "thought_signature"),) if signature else ()
        kind = "custom" if call.get("custom") else "function"
        name = str(raw.get("name") or "")
        call_id = str(call.get("id") or "") or self._mint()
        return CallOpen(index, call_id, name, "", kind, carriers)

    def _fail(self, failed: Failed) -> list[Event]:
        self._done = True
        return [failed]

    def _end(self) -> list[Event]:
        self._done = True
        events: list[Event] = []
        self._leave(events)
        self._hang_up(events)
        called = bool(self._calls)
        ended = endings.judge(
            "openai_chat", self._finish or "", called=called, refused=self._refused
        )
        return [*events, ended]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _json(args: Any) -> str:
    return orjson.dumps(args).decode()


def decode_reply(body: Mapping[str, Any], target: Target, mint: Callable[[], str]) -> list[Event]:
    """A whole reply as the events a stream of it would have given."""
    decoder = Decoder(target, mint)
    events = decoder.feed(Frame("", orjson.dumps(body)))
    return events + decoder.close()
