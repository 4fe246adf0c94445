"""Different dialects on the two sides: an upstream's stream becomes the client's.

The same verbs as a tap's. A unary answer is the fold of the same events, so it costs what the
streamed one costs.
"""

import time

import orjson

from gateway.dialects import codecs
from gateway.dialects.codecs import stops
from gateway.dialects.codecs.fold import Fold
from gateway.dialects.codecs.reader import size
from gateway.dialects.codecs.tokens import guessed
from gateway.dialects.ir import (
    NO_TALLY,
    ArgsDelta,
    Close,
    Event,
    Failed,
    Finish,
    Head,
    Ping,
    ReasoningDelta,
    ReasoningOpen,
    RefusalDelta,
    Start,
    Tally,
    Target,
    TextDelta,
    Usage,
    UsageSeen,
)

_SAID = (TextDelta, ArgsDelta, RefusalDelta)


class Translator:
    """One reply. `begun`, `finished`, `cut`, `told`, `reasoned`, `spoke_at`, `error` and the bytes
    are as a tap's. `runs`: this vendor's numbers are running totals, true at any moment."""

    __slots__ = ("_codec", "_encoder", "_end", "_fold", "_reader", "_reasoning", "_snapshots", "_tally", "_watched", "begun", "error", "finished", "head", "reasoned", "runs", "spoke_at", "stopped", "text_bytes", "thought_bytes", "reported", "upstream_id", "usage")  # noqa: E501  # fmt: skip

    def __init__(self, head: Head, target: Target) -> None:
        request = head.request
        self.head = head
        self._codec = codecs.CLIENTS[request.dialect]
        self._reader = codecs.reader(request, target, head.reply_id)
        self._encoder = self._codec.Encoder(head)
        self._fold = None if request.stream else Fold()
        self._watched = stops.emulated(request, target)
        self.stopped = (
            False  # by a stop sequence of ours: what the vendor said after it is nobody's
        )
        self._snapshots = snapshots(target)
        self.runs = target.dialect == "gemini"
        self.begun = self.finished = self.reported = self.reasoned = False
        self.error: Failed | None = None
        self.text_bytes = self.thought_bytes = 0
        self.spoke_at = 0.0
        self.upstream_id = ""
        self.usage: Usage | None = None
        self._tally = NO_TALLY
        self._reasoning = -1  # the open block of it
        self._end = ""

    @property
    def cut(self) -> bool:
        """It is at its end for the client, by a stop sequence of ours, and the vendor goes on."""
        return self._reader.done and not self._reader.over

    @property
    def complete(self) -> bool:
        """Whether it said how it ended: then it is whole, whatever becomes of the connection."""
        return self._reader.ended

    @property
    def said(self) -> int:
        """Bytes of text that the vendor made, passed on or not."""
        return max(self._reader.said, self.text_bytes)

    @property
    def made(self) -> int:
        """Bytes of text and reasoning that came."""
        return self.text_bytes + self.thought_bytes

    def ending(self) -> str:
        return self._end

    def carry_on(self, before: "Translator") -> None:
        """Go on where an attempt ended that had sent nothing but keep-alives."""
        self._encoder = before._encoder

    def feed(self, chunk: bytes) -> bytes:
        """What to send the client; nothing when it wants the answer whole."""
        return self._send(self._reader.feed(chunk))

    def speak(self, chunk: bytes) -> bytes | None:
        """As `feed`, if nothing but text is in it; else None, and nothing is done."""
        if self.finished or not (events := self._reader.spoken(chunk)):
            return None
        return self._send(events)

    def close(self) -> bytes:
        return self._send(self._reader.close())

    def _send(self, events: list[Event]) -> bytes:
        sent: list[bytes] = []
        if self.finished:  # a stop of ours was met: only the numbers are still of interest
            for event in events:
                self._note(event)
            return b""
        if not self.begun and (failed := _opened_to_fail(events)):
            self.error = failed
            return b""
        for event in events:
            if type(event) is TextDelta and self.begun and not self.finished:  # nearly always
                self.text_bytes += size(event.text)
                if not self.spoke_at:
                    self.spoke_at, self.reasoned = time.time(), True
                sent.append(self._tell(event))
                continue
            if isinstance(event, Failed):
                self.error = event
                break
            if self.finished:
                self._note(event)
                continue
            self._note(event)
            if type(event) is Finish and self.usage is None:
                guess = guessed(self.head.input_tokens, self.made)
                sent.append(self._tell(UsageSeen(guess)))
            sent.append(self._tell(event))
        return b"".join(sent)

    def _tell(self, event: Event) -> bytes:
        if self._fold is None:
            return self._encoder.feed(event)
        self._fold.feed(event)
        return b""

    def _note(self, event: Event) -> None:
        """What the bill and the status need to know."""
        if isinstance(event, _SAID):
            self.text_bytes += size(event.text)
            if not self.spoke_at:
                self.spoke_at, self.reasoned = time.time(), True
        elif isinstance(event, ReasoningDelta):
            self.thought_bytes += size(event.text)
        elif isinstance(event, ReasoningOpen):
            self._reasoning, self.reasoned = event.index, False
        elif isinstance(event, Close):
            self.reasoned = self.reasoned or event.index == self._reasoning
        elif isinstance(event, UsageSeen):
            self.usage, self._tally = event.usage, event.tally
            self._snapshots -= 1
            self.reported = self._snapshots <= 0 and not self.runs
            return
        elif isinstance(event, Finish):
            self.finished, self._end = True, event.reason
            self.stopped = event.stop_sequence is not None and event.stop_sequence in self._watched
        if not isinstance(event, Ping):  # a ping decides nothing: until then failing is a status
            if not self.begun and isinstance(event, Start):
                self.upstream_id = event.upstream_id
            self.begun = True

    def whole(self, billed: Usage | None = None) -> bytes:
        """The unary answer, once `finished`; with the usage that is billed, if that is another."""
        assert self._fold is not None
        if billed is not None:
            self._fold.feed(UsageSeen(billed))
        return orjson.dumps(self._codec.encode_reply(self._fold.reply(), self.head))

    def decoded_usage(self) -> Usage | None:
        return self.usage

    def tally(self) -> Tally:
        return self._tally

    def ping(self) -> bytes:
        return self._encoder.ping()

    def fail(self, failed: Failed, request_id: str) -> bytes:
        return self._encoder.feed(failed)


def snapshots(target: Target) -> int:
    """How often this vendor tells what was used, until it has told all."""
    return 2 if target.dialect == "anthropic_messages" else 1


def _opened_to_fail(events: list[Event]) -> Failed | None:
    """How it failed, if that is all it did: nothing has begun then, and a status can tell it."""
    last = events[-1] if events else None
    if isinstance(last, Failed) and all(isinstance(e, Start | Ping) for e in events[:-1]):
        return last
    return None
