"""An upstream's bytes in, the client's events out: split, decoded, restored, cut.

    reader = Reader(request, target, reply_id)
    events = reader.feed(chunk) ... reader.close()

`reader.done` once the answer is complete, by a stop sequence even before the upstream thinks so;
then it may be fed on, for what it used in the end, until it is `over`.
"""

from collections.abc import Iterable
from typing import Any

from gateway.dialects import sse
from gateway.dialects.codecs import failures, stops, structured, wire
from gateway.dialects.codecs.filters import Filter, Stop, Unfence
from gateway.dialects.codecs.restore import Restore
from gateway.dialects.codecs.tools import Toolbox
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


class Reader:
    """One upstream answer. It always ends in one `Finish` or one `Failed`."""

    __slots__ = ("_decoder", "_filters", "_splitter", "_watches", "done", "over", "said")

    def __init__(self, decoder: Any, request: Request, target: Target) -> None:
        self._decoder = decoder
        self._splitter = sse.Splitter()
        self._filters = _filters(request, target)
        self._watches = bool(stops.emulated(request, target))
        self.done = self.over = False
        self.said = 0  # bytes of what the upstream says, whether it is shown or cut off

    @property
    def ended(self) -> bool:
        """Whether the upstream said how its answer ended."""
        return bool(self._decoder.ended)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes; after the end only what was used."""
        if self.over:
            return []
        try:
            frames = self._splitter.feed(chunk)
        except sse.TooLong:
            return self._filtered(self._ended([failures.BROKEN]))
        return self._frames(frames)

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
                events += found  # nearly always
            else:
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
