"""A Responses stream, read.

* Items are known by `output_index`: some hosts change their ids from event to event.
* What the deltas left out is taken from the `done` events, and from the final response what no
  event told; but an empty final `output` takes nothing back.
* An item's secret is the one in `output_item.done`; the earlier copy may be incomplete.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.dialects.codecs import endings, failures, tokens, wire
from gateway.dialects.codecs.openai_responses.usage import decode_tally, decode_usage
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

_CALLS = {
    "function_call": "function",
    "custom_tool_call": "custom",
    "tool_search_call": "tool_search",
}


class _Item:
    """One output item: its block that is open, and what came of it already."""

    __slots__ = ("index", "kind", "parts", "phase", "said", "done")

    def __init__(self, kind: str, phase: str) -> None:
        self.kind, self.phase = kind, phase
        self.index = -1  # of the open block; -1 when none is
        self.parts: set[int] = set()  # of a message
        self.said: set[tuple[str, int]] = set()  # channels that had deltas
        self.done = False  # that it is done


class Decoder:
    """`feed` every frame, then `close`."""

    __slots__ = (
        "_called",
        "_compacted",
        "_done",
        "_handlers",
        "_id",
        "_items",
        "_mint",
        "_next",
        "_refused",
        "_started",
        "_target",
    )

    def __init__(self, target: Target, mint: Callable[[], str]) -> None:
        self._target, self._mint = target, mint
        self._items: dict[int, _Item] = {}
        self._next = 0
        self._id: Any = None
        self._started = self._done = False
        self._called = self._refused = self._compacted = False
        self._handlers: dict[str, Callable[[dict[str, Any]], list[Event]]] = {
            "response.output_text.delta": self._text,
            "response.function_call_arguments.delta": self._args,
            "response.custom_tool_call_input.delta": self._args,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._reasoning,
            "response.refusal.delta": self._refusal,
            "response.output_text.annotation.added": self._annotation,
            "response.created": self._start,
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.completed": self._end,
            "response.incomplete": self._end,
            "response.failed": self._end,
            "response.cancelled": self._end,
            "error": self._error,
        }

    @property
    def ended(self) -> bool:
        """Whether the answer said how it ended."""
        return self._done

    def feed(self, frame: Frame) -> list[Event]:
        if self._done or frame.data == b"[DONE]":
            return []
        try:
            event = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            return self._fail(failures.BROKEN)
        if not isinstance(event, dict):
            return self._fail(failures.BROKEN)
        if "type" not in event and event.get("error"):
            return self._error(event)
        handler = self._handlers.get(event.get("type") or frame.event)
        return handler(event) if handler else []

    def close(self) -> list[Event]:
        """At the end of the bytes: only the terminal event ends an answer."""
        return [] if self._done else self._fail(failures.CUT)

    def _start(self, event: dict[str, Any]) -> list[Event]:
        response = event.get("response") or {}
        if self._started:
            return self._fail(failures.BROKEN) if self._is_another(event, response) else []
        self._started, self._id = True, response.get("id")
        return [Start(str(response.get("id") or ""), str(response.get("model") or ""))]

    def _is_another(self, event: Mapping[str, Any], response: Mapping[str, Any]) -> bool:
        """Whether a second answer begins in the stream of the first."""
        return event.get("type") == "response.created" and response.get("id") != self._id

    def _at(self, event: Mapping[str, Any], kind: str) -> _Item:
        index = event.get("output_index") or 0
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _Item(kind, "")
        return item

    def _added(self, event: dict[str, Any]) -> list[Event]:
        raw = event.get("item") or {}
        item = self._at(event, "")
        item.kind, item.phase = str(raw.get("type")), str(raw.get("phase") or "")
        if item.index >= 0 or item.done:
            return []
        if item.kind == "reasoning":
            return self._open(item, ReasoningOpen(self._next))
        if item.kind in _CALLS:
            return self._open(item, self._call_open(raw))
        self._compacted = self._compacted or item.kind == "compaction"
        return []

    def _call_open(self, raw: Mapping[str, Any]) -> CallOpen:
        self._called = True
        kind = _CALLS[str(raw["type"])]
        call_id = str(raw.get("call_id") or "") or self._mint()
        name = str(raw.get("name") or kind)
        return CallOpen(self._next, call_id, name, str(raw.get("namespace") or ""), kind)

    def _open(self, item: _Item, opening: Event) -> list[Event]:
        closing: list[Event] = []
        if not isinstance(opening, CallOpen):
            for other in self._items.values():
                closing += self._close(other)
        item.index, self._next = self._next, self._next + 1
        return [*closing, opening]

    def _close(self, item: _Item) -> list[Event]:
        index, item.index = item.index, -1
        return [Close(index)] if index >= 0 else []

    def _block(
        self, event: Mapping[str, Any], *, refusal: bool = False
    ) -> tuple[_Item, list[Event]]:
        """The message an event belongs to, its part opened if no event did."""
        item = self._at(event, "message")
        part = event.get("content_index") or 0
        if part in item.parts:
            return item, []
        joined = bool(item.parts)
        item.parts.add(part)
        closing = self._close(item)
        opening = TextOpen(self._next, item.phase, joined, refusal)
        return item, [*closing, *self._open(item, opening)]

    def _text(self, event: dict[str, Any]) -> list[Event]:
        text = event.get("delta")
        item, events = self._block(event)
        if text and item.index >= 0:
            item.said.add(("text", event.get("content_index") or 0))
            events.append(TextDelta(item.index, text))
        return events

    def _refusal(self, event: dict[str, Any]) -> list[Event]:
        self._refused = True
        item, events = self._block(event, refusal=True)
        if event.get("delta") and item.index >= 0:
            item.said.add(("text", event.get("content_index") or 0))
            events.append(RefusalDelta(item.index, event["delta"]))
        return events

    def _annotation(self, event: dict[str, Any]) -> list[Event]:
        note, (item, events) = event.get("annotation"), self._block(event)
        found = _cited(note, item.index)
        return [*events, *found] if item.index >= 0 else events

    def _args(self, event: dict[str, Any]) -> list[Event]:
        item, text = self._at(event, "function_call"), event.get("delta")
        if not text or item.index < 0:
            return []
        item.said.add(("args", 0))
        return [ArgsDelta(item.index, text)]

    def _summary(self, event: dict[str, Any]) -> list[Event]:
        return self._thought(event, "summary", event.get("summary_index") or 0)

    def _reasoning(self, event: dict[str, Any]) -> list[Event]:
        return self._thought(event, "content", event.get("content_index") or 0)

    def _thought(self, event: dict[str, Any], channel: str, part: int) -> list[Event]:
        item, text = self._at(event, "reasoning"), event.get("delta")
        events: list[Event] = []
        if item.index < 0 and not item.done:
            events = self._open(item, ReasoningOpen(self._next))
        if not text or item.index < 0:
            return events
        item.said.add((channel, part))
        return [*events, ReasoningDelta(item.index, text, channel == "summary", part)]

    def _part_added(self, event: dict[str, Any]) -> list[Event]:
        kind = (event.get("part") or {}).get("type")
        if kind not in ("output_text", "refusal"):
            return []
        return self._block(event, refusal=kind == "refusal")[1]

    def _part_done(self, event: dict[str, Any]) -> list[Event]:
        """The whole part: what its deltas left out, and its end."""
        raw = event.get("part") or {}
        if raw.get("type") not in ("output_text", "refusal"):
            return []
        part = event.get("content_index") or 0
        item = self._at(event, "message")
        events: list[Event] = []
        if ("text", part) not in item.said:
            item.said.add(("text", part))
            whole = raw.get("text") or raw.get("refusal") or ""
            tell = self._refusal if raw["type"] == "refusal" else self._text
            events = tell({**event, "delta": whole})
            for note in raw.get("annotations") or ():
                events += _cited(note, item.index)
        return events + self._close(item)

    def _item_done(self, event: dict[str, Any]) -> list[Event]:
        raw = event.get("item") or {}
        item = self._at(event, "")
        if item.done:
            return []
        events = self._added(event)
        item.done = True
        at = {"output_index": event.get("output_index") or 0}
        for number, part in enumerate(raw.get("content") or ()):
            if item.kind == "message" and number not in item.parts:
                events += self._part_done({**at, "content_index": number, "part": part})
        if item.kind == "reasoning":
            events += self._reasoning_done(item, raw, at)
        if item.kind in _CALLS and item.index >= 0 and ("args", 0) not in item.said:
            events.append(ArgsDelta(item.index, _whole_args(raw)))
        return events + self._close(item)

    def _reasoning_done(
        self, item: _Item, raw: Mapping[str, Any], at: dict[str, Any]
    ) -> list[Event]:
        events: list[Event] = []
        for channel in ("summary", "content"):
            for number, part in enumerate(raw.get(channel) or ()):
                if (channel, number) not in item.said:
                    events += self._thought({**at, "delta": part.get("text")}, channel, number)
        secret = raw.get("encrypted_content")
        if secret and item.index >= 0:
            texts = tuple(str(part.get("text") or "") for part in raw.get("summary") or ())
            by = self._target
            kept = Carrier(
                by.vendor, by.model, "encrypted_content", str(secret), texts, by.account
            )
            events.append(CarrierSeen(item.index, kept))
        return events

    def _end(self, event: dict[str, Any]) -> list[Event]:
        response = event.get("response") or {}
        events = self._start(event)
        for number, item in enumerate(response.get("output") or ()):
            events += self._item_done({"output_index": number, "item": item})
        for each in self._items.values():
            events += self._close(each)
        usage = response.get("usage")
        if usage:
            events.append(
                UsageSeen(decode_usage(tokens.merge(None, usage)), decode_tally(response))
            )
        self._done = True
        if event.get("type") == "response.failed":
            response = {**response, "status": "failed"}
        return [*events, self._finish(response)]

    def _finish(self, response: Mapping[str, Any]) -> Finish | Failed:
        return endings.of_response(
            response, called=self._called, refused=self._refused, compacted=self._compacted
        )

    def _error(self, event: dict[str, Any]) -> list[Event]:
        return self._fail(failures.decode(event))

    def _fail(self, failed: Failed) -> list[Event]:
        self._done = True
        return [failed]


def _whole_args(raw: Mapping[str, Any]) -> str:
    if raw.get("type") == "custom_tool_call":
        return str(raw.get("input") or "")
    args = raw.get("arguments") or {}
    return args if isinstance(args, str) else wire.dump(args)


def _cited(note: Any, index: int) -> list[Event]:
    if not isinstance(note, dict) or note.get("type") != "url_citation":
        return []
    found = Annotation(
        str(note.get("url") or ""),
        str(note.get("title") or ""),
        tokens.count(note, "start_index"),
        tokens.count(note, "end_index"),
    )
    return [AnnotationSeen(index, found)]


def decode_reply(body: Mapping[str, Any], target: Target, mint: Callable[[], str]) -> list[Event]:
    """A whole response as the events a stream of it would have given."""
    decoder = Decoder(target, mint)
    event = {"type": "response.completed", "response": body}
    raw = event if body.get("object") == "response" else dict(body)
    return decoder.feed(Frame("", orjson.dumps(raw))) + decoder.close()
