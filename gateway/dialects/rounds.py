"""An answer that is made in several rounds, because its model uses tools that are run on the way.

    round     the vendor answers; calls of such tools are kept back (`waiting`), the rest goes on
    between   whoever asked the vendor runs them, and tells what came of each (`told`)
    begin     the vendor is asked once more, with what it said and what came of it (`conversation`)

For the client it is one answer: one start, indexes without gaps, one end, and usage that is the
sum of all rounds. Each round is an iteration of the bill, by its own prompt.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.dialects import codecs
from gateway.dialects.codecs import pages, turns, wire
from gateway.dialects.codecs.fold import Fold
from gateway.dialects.codecs.hosted import Helped
from gateway.dialects.codecs.reader import size
from gateway.dialects.codecs.tokens import guessed
from gateway.dialects.ir import (
    AnnotationSeen,
    ArgsDelta,
    CallOpen,
    Close,
    Event,
    Finish,
    Head,
    HostedCall,
    HostedDone,
    HostedOpen,
    Item,
    Iteration,
    ReasoningOpen,
    Request,
    Start,
    Tally,
    Target,
    Text,
    TextDelta,
    TextOpen,
    ToolResult,
    Usage,
    UsageSeen,
    WebPage,
)
from gateway.dialects.translator import Translator, snapshots

_ENDS_IN_CALLS = ("tool_calls", "stop")
_TAKES = {"web_search": "query", "web_fetch": "url"}


class Waiting:
    """A call that is to be run: its place in the answer, and what its model called it by."""

    __slots__ = ("call", "index", "upstream_id")

    def __init__(self, index: int, upstream_id: str, call: HostedCall) -> None:
        self.index, self.upstream_id, self.call = index, upstream_id, call


class Rounds(Translator):
    """A translator of such an answer. `used` counts the calls of each tool that came to
    something, by our words; `tried` all of them."""

    __slots__ = ("_before", "_helped", "_indexes", "_made", "_next", "_open", "_others", "_results", "_round", "_target", "_texts", "_used", "found", "last", "tried", "used", "waiting")  # noqa: E501  # fmt: skip

    def __init__(self, head: Head, target: Target, helped: Mapping[str, Helped]) -> None:
        super().__init__(head, target)
        self._helped, self._target = helped, target
        self._made: list[Item] = []
        self._before: list[Usage] = []  # of earlier rounds
        self._next = 0
        self.waiting: list[Waiting] = []
        self.found: dict[str, WebPage] = {}  # by `pages.plain` of their addresses
        self.used: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.last = False  # no round follows this one
        self._reset()

    def _reset(self) -> None:
        self._round = Fold()
        self._indexes: dict[int, int] = {}
        self._open: dict[int, CallOpen] = {}
        self._texts: dict[int, list[str]] = {}
        self._results: list[ToolResult] = []
        self._others = 0  # calls that the client runs
        self._used: Usage | None = None  # as the vendor told it
        self.waiting = []

    # -- a round

    def feed(self, chunk: bytes) -> bytes:
        return self._send(self._sifted(self._reader.feed(chunk)))

    def speak(self, chunk: bytes) -> bytes | None:
        return None

    def close(self) -> bytes:
        return self._send(self._sifted(self._reader.close()))

    def _sifted(self, events: list[Event]) -> list[Event]:
        return [shown for event in events for shown in self._sift(event)]

    def _sift(self, event: Event) -> list[Event]:
        self._round.feed(event)
        if isinstance(event, Start):
            self.upstream_id = event.upstream_id
            return [] if self._before else [event]
        if isinstance(event, UsageSeen):
            return [self._summed(event)]
        if isinstance(event, Finish):
            return self._ended(event)
        if isinstance(event, CallOpen) and not event.namespace and event.name in self._helped:
            self._open[event.index], self._texts[event.index] = event, []
            return []
        index: int | None = getattr(event, "index", None)
        if index is None:
            return [event]
        if index in self._open:
            return self._kept_back(event, index)
        if isinstance(event, TextOpen | ReasoningOpen | CallOpen):
            self._indexes[index] = self._place()
            self._others += isinstance(event, CallOpen)
        return [*self._annotated(event, index), _moved(event, self._indexes[index])]

    def _place(self) -> int:
        self._next += 1
        return self._next - 1

    def _kept_back(self, event: Event, index: int) -> list[Event]:
        """Of a call that is run on the way: shown once it is whole."""
        if isinstance(event, ArgsDelta):
            self._texts[index].append(event.text)
            self.text_bytes += size(event.text)  # it was made
        if not isinstance(event, Close):
            return []
        opened, args = self._open.pop(index), "".join(self._texts.pop(index))
        helped = self._helped[opened.name]
        given = wire.arguments(args).get(_TAKES[helped.tool])
        call = HostedCall(
            call_id=f"{self.head.reply_id}{self._next:02x}",
            tool=helped.tool,
            name=helped.name,
            query=given if isinstance(given, str) else "",
        )
        self.waiting.append(Waiting(self._place(), opened.call_id, call))
        return [HostedOpen(self.waiting[-1].index, call)]

    def _annotated(self, event: Event, index: int) -> list[Event]:
        """What a text that is closing points at."""
        if isinstance(event, TextDelta):
            self._texts.setdefault(index, []).append(event.text)
        elif isinstance(event, Close) and self.found and index in self._texts:
            notes = pages.cited("".join(self._texts.pop(index)), self.found)
            return [AnnotationSeen(self._indexes[index], note) for note in notes]
        return []

    def _summed(self, event: UsageSeen) -> UsageSeen:
        self._used = event.usage
        if not self._before:
            return event
        rounds = [*self._before, event.usage]
        tally = event.tally._replace(iterations=tuple(map(Iteration, rounds)))
        return UsageSeen(_sum(rounds), tally)

    def _ended(self, event: Finish) -> list[Event]:
        """The end of a round is one of the answer, unless calls are waiting, and may be run."""
        if self.waiting and event.reason in _ENDS_IN_CALLS and not self.last:
            return []
        left, self.waiting = self.waiting, []
        why = "max_uses_exceeded" if self.last else "unavailable"
        if left and event.reason in _ENDS_IN_CALLS and not self._others:
            event = Finish("stop", event.raw)
        return [*(HostedDone(w.index, replace(w.call, error=why)) for w in left), event]

    # -- between rounds

    @property
    def others(self) -> int:
        """Calls of this round that the client runs."""
        return self._others

    def told(self, waiting: Waiting, call: HostedCall) -> bytes:
        """What to send the client of what came of a call."""
        self.found |= {pages.plain(page.url): page for page in call.pages}
        if not call.error:
            self.used[call.tool] += 1
        result = ToolResult(waiting.upstream_id, (Text(pages.told(call)),), bool(call.error))
        self._results.append(result)
        return self._send([HostedDone(waiting.index, call)])

    def tally(self) -> Tally:
        if not self.used:
            return self._tally
        calls = {f"hontoni_{tool}_requests": times for tool, times in self.used.items()}
        return self._tally._replace(calls={**self._tally.calls, **calls})

    def conversation(self) -> tuple[Item, ...]:
        """What the model said up to now, and what came of its calls."""
        said = (each for each in self._round.reply().items if not isinstance(each, HostedCall))
        return (*self._made, *said, *self._results)

    def output(self) -> int:
        """Tokens that were made up to now."""
        return sum(sum(usage[4:]) for usage in (*self._before, self._last_usage()))

    def _last_usage(self) -> Usage:
        return self._used or guessed(self.head.input_tokens, self.made)

    def begin(self, request: Request, *, last: bool) -> None:
        """The vendor is asked once more. What it will have read is our estimate until it says so
        itself."""
        self.last = last
        self._made, used = [*self.conversation()], self._last_usage()
        results = sum(size(turns.plain(each.parts)) for each in self._results)
        read = Usage(input=sum(used) + results // 3)
        self._before.append(used)
        rounds = [*self._before, read]
        self.usage, self.reported = _sum(rounds), False
        self._tally = self._tally._replace(iterations=tuple(map(Iteration, rounds)))
        self._snapshots = snapshots(self._target)
        reply_id = f"{self.head.reply_id}r{len(self._before)}"  # calls have ids of their own
        self._reader = codecs.reader(request, self._target, reply_id)
        self._reset()

    def finish(self, *, short: bool) -> bytes:
        """The answer ends here: its client has calls to run, or it is as long as it may be."""
        reason = "length" if short and not self._others else "tool_calls"
        self.waiting = []
        return self._send([Finish(reason)])


def _moved(event: Any, index: int) -> Event:
    """The same at another index."""
    moved: Event = replace(event, index=index)
    return moved


def _sum(rounds: list[Usage]) -> Usage:
    return Usage(*map(sum, zip(*rounds, strict=True)))
