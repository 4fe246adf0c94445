"""An upstream's bytes in, the client's events out: split, decoded, restored, cut.

    reader = Reader(request, target, reply_id)
    events = reader.feed(chunk) ... reader.close()

`reader.done` once the answer is complete, by a stop sequence even before the upstream thinks so;
then it may be fed on, for what it used in the end, until it is `over`.
"""

import re
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.dialects import sse
from gateway.dialects.codecs import failures, stops, structured, wire
from gateway.dialects.codecs.filters import Filter, Stop, Unfence
from gateway.dialects.codecs.restore import Restore
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.envelope import LESSONS, Envelope, Span, last_event
from gateway.dialects.ir import (
    ArgsDelta,
    Event,
    Failed,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Request,
    Target,
    TextDelta,
    UsageSeen,
)

# What reading JSON of the wrong shape raises. An upstream may send anything; we answer for it.
_NONSENSE = (AttributeError, IndexError, KeyError, TypeError, ValueError)

_SAID = (TextDelta, RefusalDelta, ArgsDelta)
_DELTAS = frozenset({*_SAID, ReasoningDelta})
_LAST = (Finish, Failed)
_STRING = re.compile(rb'"(?:content|text|delta)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')


class Reader:
    """One upstream answer. It always ends in one `Finish` or one `Failed`."""

    __slots__ = (
        "_decoder",
        "_envelope",
        "_filters",
        "_index",
        "_lessons",
        "_splitter",
        "_watches",
        "done",
        "over",
        "said",
    )

    def __init__(self, decoder: Any, request: Request, target: Target) -> None:
        self._decoder = decoder
        self._splitter = sse.Splitter()
        self._filters = _filters(request, target)
        self._watches = bool(stops.emulated(request, target))
        self._envelope: Envelope | None = None  # while nothing else was read since
        self._index = -1  # of the block that the last event was a piece of text of
        self._lessons = LESSONS
        self.done = self.over = False
        self.said = 0  # bytes of what the upstream says, whether it is shown or cut off

    @property
    def ended(self) -> bool:
        """Whether the upstream said how its answer ended."""
        return bool(self._decoder.ended)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes; after the end only what was used."""
        if spoken := self.spoken(chunk):
            return spoken
        if self.over:
            return []
        whole, self._envelope, self._index = self._splitter.is_empty, None, -1
        try:
            frames = self._splitter.feed(chunk)
        except sse.TooLong:
            return self._filtered(self._ended([failures.BROKEN]))
        events = self._frames(frames)
        if self._index >= 0 and self._lessons and whole and self._splitter.is_empty:
            self._learn(last_event(chunk), events[-1])
        return events

    def spoken(self, chunk: bytes) -> list[Event]:
        """As `feed`, of events that differ from the one before in their text alone: nearly all.
        Nothing, and nothing is done, for what is anything else."""
        if self._envelope is None or not (spans := self._envelope.texts(chunk)):
            return []
        found = _texts(self._index, chunk, spans)
        if found:
            self._lessons = LESSONS
        return found

    def _learn(self, event: bytes, read: Any) -> None:
        """The next event may be like this one, which was read as a piece of text."""
        self._lessons -= 1
        envelope = Envelope.of(event, _STRING)
        if envelope is not None and _texts(read.index, event, envelope.texts(event)) == [read]:
            self._envelope = envelope

    def close(self) -> list[Event]:
        """The end of the bytes. A stream cut, even inside an event, ends in a `Failed`."""
        left = [f for f in self._splitter.close() if wire.load(f.data) is not None]
        events = self._frames(left)
        return events if self.over else events + self._filtered(self._ended(self._decoder.close()))

    def reply(self, events: Iterable[Event]) -> list[Event]:
        """The events of a unary body (the codec's `decode_reply`), seen as the client does."""
        return self._filtered(events)

    def _frames(self, frames: list[sse.Frame]) -> list[Event]:
        events: list[Event] = []
        untouched = not (self._filters or self._watches or self.done)
        for frame in frames:
            if self.over:
                break
            found = self._decoded(frame)
            if untouched and len(found) == 1 and type(found[0]) is TextDelta:
                self._index = found[0].index
                events += found
            else:
                self._index = -1
                events += self._filtered(self._ended(found))
        return events

    def _ended(self, events: list[Event]) -> list[Event]:
        """The same; what they amount to is noted before anything is cut off."""
        if self._watches:
            self.said += sum(size(event.text) for event in events if isinstance(event, _SAID))
        self.over = self.over or any(isinstance(event, _LAST) for event in events)
        return events

    def _decoded(self, frame: sse.Frame) -> list[Event]:
        try:
            events: list[Any] = self._decoder.feed(frame)
        except _NONSENSE:
            return [failures.BROKEN]
        for event in events:
            if type(event) in _DELTAS and type(event.text) is not str:
                return [failures.BROKEN]
        return events

    def _filtered(self, events: Iterable[Event]) -> list[Event]:
        shown = list(events)
        for each in self._filters:
            shown = [after for event in shown for after in each.feed(event)]
        if self.done:
            return [event for event in shown if isinstance(event, UsageSeen)]
        if any(isinstance(event, _LAST) for event in shown):
            self.done = True
        return shown


def _texts(index: int, chunk: bytes, spans: list[Span]) -> list[Event]:
    """The pieces of text there; none where one is no JSON."""
    try:
        texts = [orjson.loads(chunk[start - 1 : end + 1]) for start, end in spans]
    except orjson.JSONDecodeError:
        return []
    return [TextDelta(index, text) for text in texts if text]


def size(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _filters(request: Request, target: Target) -> list[Filter]:
    filters: list[Filter] = []
    box = Toolbox(request, target)
    if box.offered or structured.tool(request, target):
        filters.append(Restore(box))
    if request.output.kind != "text":
        filters.append(Unfence())
    watched = stops.emulated(request, target)
    if watched:
        filters.append(Stop(watched))
    return filters
