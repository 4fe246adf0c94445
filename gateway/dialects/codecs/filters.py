"""What an upstream cannot do, done to its events: stop sequences, bare JSON, one block at a time.

A filter takes an event and gives the events that stand for it. Text is held back only while it
may still be the beginning of something that must not be shown.
"""

import re
from typing import Protocol

from gateway.dialects.ir import (
    CallOpen,
    Close,
    Event,
    Failed,
    Finish,
    HostedDone,
    HostedOpen,
    ReasoningOpen,
    TextDelta,
    TextOpen,
    UsageSeen,
)

_FENCE_OPENS = re.compile(r"\s*```[a-zA-Z]*[^\S\n]*\n")
_MAY_OPEN = re.compile(r"\s*(`|``|```[a-zA-Z]*[^\S\n]*)?")
_FENCE_CLOSES = re.compile(r"\n?\s*```\s*\Z")
_MAY_CLOSE = re.compile(r"\n?\s*(`{1,3}\s*)?\Z")


class Filter(Protocol):
    def feed(self, event: Event) -> list[Event]: ...


class Stop:
    """Cut the text where the first stop sequence is complete, and finish there; `done` then
    tells the caller to leave the upstream.
    """

    __slots__ = ("_held", "_longest", "_open", "_stops", "done")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self._open: int | None = None
        self.done = False

    def feed(self, event: Event) -> list[Event]:
        if self.done:
            return [event] if isinstance(event, UsageSeen) else []
        if isinstance(event, TextDelta):
            return self._text(event)
        if isinstance(event, TextOpen):
            self._open = event.index
        if isinstance(event, Close) and event.index == self._open:
            rest, self._held, self._open = self._held, "", None
            return [TextDelta(event.index, rest), event] if rest else [event]
        return [event]

    def _text(self, event: TextDelta) -> list[Event]:
        text = self._held + event.text
        found = [(at + len(s), at, s) for s in self._stops if (at := text.find(s)) >= 0]
        if found:
            self.done = True
            _, start, stop = min(found)
            said: list[Event] = [TextDelta(event.index, text[:start])] if start else []
            return [*said, Close(event.index), Finish("stop_sequence", "", stop)]
        held = self._prefix(text)
        self._held = text[len(text) - held :]
        shown = text[: len(text) - held]
        return [TextDelta(event.index, shown)] if shown else []

    def _prefix(self, text: str) -> int:
        """How long the end of `text` is that may begin a stop sequence."""
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops if len(stop) > size):
                return size
        return 0


class Unfence:
    """JSON without the markdown fence some models put around it: a parser wants it bare."""

    __slots__ = ("_fenced", "_held", "_index")

    def __init__(self) -> None:
        self._held = ""
        self._fenced: bool | None = None
        self._index: int | None = None

    def feed(self, event: Event) -> list[Event]:
        if isinstance(event, TextDelta):
            return self._text(event)
        if isinstance(event, TextOpen):
            self._index, self._fenced, self._held = event.index, None, ""
        if isinstance(event, Close) and event.index == self._index:
            rest = _FENCE_CLOSES.sub("", self._held) if self._fenced else self._held
            self._index, self._held = None, ""
            return [TextDelta(event.index, rest), event] if rest else [event]
        return [event]

    def _text(self, event: TextDelta) -> list[Event]:
        text = self._held + event.text
        if self._fenced is None:
            opens = _FENCE_OPENS.match(text)
            if not opens and _MAY_OPEN.fullmatch(text):
                self._held = text
                return []
            self._fenced = bool(opens)
            text = text[opens.end() :] if opens else text
        shown = len(text)
        if self._fenced:
            tail = _MAY_CLOSE.search(text)
            shown = tail.start() if tail else shown
        self._held = text[shown:]
        return [TextDelta(event.index, text[:shown])] if shown else []


class Serial:
    """One open item at a time: what belongs to a later call waits until the earlier is closed."""

    __slots__ = ("_current", "_waiting")

    def __init__(self) -> None:
        self._current: int | None = None
        self._waiting: dict[int, list[Event]] = {}

    def feed(self, event: Event) -> list[Event]:
        if isinstance(event, TextOpen | ReasoningOpen | CallOpen):
            if self._current is None:
                self._current = event.index
                return [event]
            self._waiting[event.index] = [event]
            return []
        if isinstance(event, HostedOpen | HostedDone):  # each is whole at once
            if self._current is None:
                return [event]
            self._waiting.setdefault(event.index, []).append(event)
            return []
        if self._waiting:
            return self._behind(event)
        if isinstance(event, Close):
            self._current = None
        return [event]

    def _behind(self, event: Event) -> list[Event]:
        if isinstance(event, Finish | Failed):
            return [*self._rest(), event]
        index: int | None = getattr(event, "index", None)
        if index is not None and index != self._current:
            self._waiting[index].append(event)
            return []
        return [event, *self._next()] if isinstance(event, Close) else [event]

    def _next(self) -> list[Event]:
        """After a close: the calls that waited, up to the first that is not whole yet."""
        freed: list[Event] = []
        self._current = None
        while self._waiting and self._current is None:
            index = min(self._waiting)
            events = self._waiting.pop(index)
            freed += events
            if not isinstance(events[-1], Close | HostedOpen | HostedDone):
                self._current = index
        return freed

    def _rest(self) -> list[Event]:
        rest = [event for index in sorted(self._waiting) for event in self._waiting[index]]
        self._waiting.clear()
        return rest
