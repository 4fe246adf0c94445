"""The reply that a stream amounts to. Both are metered and shown by the same events."""

from collections.abc import Iterable, Iterator
from typing import Any

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
    HostedCall,
    HostedDone,
    HostedOpen,
    Item,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    ReasoningOpen,
    Refusal,
    RefusalDelta,
    Reply,
    Start,
    Text,
    TextDelta,
    TextOpen,
    ToolCall,
    Usage,
    UsageSeen,
)


class _Growing:
    """One item while its deltas come in."""

    __slots__ = ("annotations", "carriers", "opened", "pieces", "summary")

    def __init__(self, opened: TextOpen | ReasoningOpen | CallOpen | HostedOpen) -> None:
        self.opened = opened
        self.pieces: dict[int, list[str]] = {}
        self.summary: dict[int, list[str]] = {}
        self.carriers: list[Carrier] = list(getattr(opened, "carriers", ()))
        self.annotations: list[Annotation] = []

    def text(self) -> str:
        return "".join(piece for part in self.pieces.values() for piece in part)

    def part(self) -> Part:
        assert isinstance(self.opened, TextOpen)
        if self.opened.refusal:
            return Refusal(self.text())
        return Text(self.text(), annotations=tuple(self.annotations))

    def item(self) -> Item | HostedCall:
        carriers = tuple(self.carriers)
        match self.opened:
            case CallOpen(_, call_id, name, namespace, kind):
                return ToolCall(call_id, name, self.text(), namespace, kind, carriers)
            case ReasoningOpen():
                return Reasoning(_joined(self.pieces), _joined(self.summary), carriers)
            case HostedOpen(_, call):
                return call
            case TextOpen(_, phase):
                return Message("assistant", (self.part(),), phase)


def _joined(parts: dict[int, list[str]]) -> tuple[str, ...]:
    return tuple("".join(parts[number]) for number in sorted(parts))


class Fold:
    """Feed it every event; `reply()` is what they amount to so far."""

    __slots__ = ("_end", "_growing", "_start", "_usage")

    def __init__(self) -> None:
        self._growing: dict[int, _Growing] = {}
        self._start = Start()
        self._usage = Usage()
        self._end: Finish | Failed | None = None

    def feed(self, event: Event) -> None:
        match event:
            case TextDelta(index, text) | RefusalDelta(index, text) | ArgsDelta(index, text):
                self._growing[index].pieces.setdefault(0, []).append(text)
            case ReasoningDelta(index, text, summary, part):
                growing = self._growing[index]
                parts = growing.summary if summary else growing.pieces
                parts.setdefault(part, []).append(text)
            case TextOpen(index) | ReasoningOpen(index) | CallOpen(index) | HostedOpen(index):
                self._growing[index] = _Growing(event)
            case HostedDone(index, call):
                self._growing[index] = _Growing(HostedOpen(index, call))
            case CarrierSeen(index, carrier):
                self._growing[index].carriers.append(carrier)
            case AnnotationSeen(index, annotation):
                self._growing[index].annotations.append(annotation)
            case Start():
                self._start = event
            case UsageSeen(usage):
                self._usage = usage
            case Finish() | Failed():
                self._end = event

    def reply(self) -> Reply:
        items: list[Any] = []
        for growing in self._growing.values():
            if isinstance(growing.opened, TextOpen) and growing.opened.joined and items:
                before = items[-1]
                assert isinstance(before, Message)
                items[-1] = Message(before.role, (*before.parts, growing.part()), before.phase)
            else:
                items.append(growing.item())
        return Reply(self._start, tuple(items), self._usage, self._end)


def fold(events: Iterable[Event]) -> Reply:
    """The reply of a whole stream."""
    folding = Fold()
    for event in events:
        folding.feed(event)
    return folding.reply()


def replay(reply: Reply) -> Iterator[Event]:
    """Events that fold to `reply`, each item's content at once."""
    yield reply.start
    index = 0
    for item in reply.items:
        for opened in _unfolded(item, index):
            yield opened
            index += isinstance(opened, Close | HostedDone)
    yield UsageSeen(reply.usage)
    if reply.end is not None:
        yield reply.end


def _unfolded(item: Item | HostedCall, index: int) -> Iterator[Event]:
    if isinstance(item, Message):
        for at, part in enumerate(item.parts):
            yield from _part(part, index + at, item.phase, joined=at > 0)
        return
    if isinstance(item, HostedCall):
        yield HostedOpen(index, item)
        yield HostedDone(index, item)
        return
    if isinstance(item, ToolCall):
        raw = (item.call_id, item.name, item.namespace, item.kind, item.carriers)
        yield CallOpen(index, *raw)
        if item.args:
            yield ArgsDelta(index, item.args)
    elif isinstance(item, Reasoning):
        yield ReasoningOpen(index)
        yield from (ReasoningDelta(index, t, True, at) for at, t in enumerate(item.summary))
        yield from (ReasoningDelta(index, t, False, at) for at, t in enumerate(item.text))
        yield from (CarrierSeen(index, each) for each in item.carriers)
    yield Close(index)


def _part(part: Part, index: int, phase: str, *, joined: bool) -> Iterator[Event]:
    yield TextOpen(index, phase, joined, isinstance(part, Refusal))
    if isinstance(part, Refusal):
        yield RefusalDelta(index, part.text)
    elif isinstance(part, Text):
        if part.text:
            yield TextDelta(index, part.text)
        yield from (AnnotationSeen(index, note) for note in part.annotations)
    yield Close(index)
