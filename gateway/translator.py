"""Different dialects on the two sides: an upstream's stream becomes the client's.

The same verbs as a tap's. A unary answer is the fold of the same events, so it costs what the
streamed one costs.
"""

import orjson

from gateway import codecs
from gateway.codecs import stops
from gateway.codecs.fold import Fold
from gateway.codecs.tokens import guessed
from gateway.ir import (
    NO_TALLY,
    ArgsDelta,
    Event,
    Failed,
    Finish,
    Head,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    Start,
    Tally,
    Target,
    TextDelta,
    Usage,
    UsageSeen,
)


class Translator:
    """One reply. `begun`, `finished`, `cut`, `error` and `text_bytes` are as a tap's."""

    __slots__ = ("_codec", "_encoder", "_fold", "_reader", "_watched", "begun", "cut", "error", "finished", "_tally", "head", "text_bytes", "upstream_id", "usage")  # noqa: E501  # fmt: skip

    def __init__(self, head: Head, target: Target) -> None:
        request = head.request
        self.head = head
        self._codec = codecs.CODECS[request.dialect]
        self._reader = codecs.reader(request, target, head.reply_id)
        self._encoder = self._codec.Encoder(head)
        self._fold = None if request.stream else Fold()
        self._watched = stops.emulated(request, target)
        self.begun = self.finished = self.cut = False
        self.error: Failed | None = None
        self.text_bytes = 0
        self.upstream_id = ""
        self.usage: Usage | None = None
        self._tally = NO_TALLY

    def carry_on(self, before: "Translator") -> None:
        """Go on where an attempt ended that had sent nothing but keep-alives."""
        self._encoder = before._encoder

    def feed(self, chunk: bytes) -> bytes:
        """What to send the client; nothing when it wants the answer whole."""
        return self._send(self._reader.feed(chunk))

    def close(self) -> bytes:
        return self._send(self._reader.close())

    def _send(self, events: list[Event]) -> bytes:
        sent = []
        if not self.begun and (failed := _opened_to_fail(events)):
            self.error = failed
            return b""
        for event in events:
            if isinstance(event, Failed):
                self.error = event
                break
            self._note(event)
            if type(event) is Finish and self.usage is None:
                sent.append(
                    self._tell(UsageSeen(guessed(self.head.input_tokens, self.text_bytes)))
                )
            sent.append(self._tell(event))
        return b"".join(sent)

    def _tell(self, event: Event) -> bytes:
        if self._fold is None:
            return self._encoder.feed(event)
        self._fold.feed(event)
        return b""

    def _note(self, event: Event) -> None:
        """What the bill and the status need to know."""
        if isinstance(event, TextDelta | ReasoningDelta | ArgsDelta | RefusalDelta):
            self.text_bytes += _size(event.text)
        elif isinstance(event, UsageSeen):
            self.usage, self._tally = event.usage, event.tally
            return
        elif isinstance(event, Finish):
            self.finished = True
            self.cut = event.stop_sequence is not None and event.stop_sequence in self._watched
        if not isinstance(event, Ping):  # a ping decides nothing: until then failing is a status
            if not self.begun and isinstance(event, Start):
                self.upstream_id = event.upstream_id
            self.begun = True

    def whole(self) -> bytes:
        """The unary answer, once `finished`."""
        assert self._fold is not None
        return orjson.dumps(self._codec.encode_reply(self._fold.reply(), self.head))

    def decoded_usage(self) -> Usage | None:
        return self.usage

    def tally(self) -> Tally:
        return self._tally

    def ping(self) -> bytes:
        return self._encoder.ping()

    def fail(self, failed: Failed, request_id: str) -> bytes:
        return self._encoder.feed(failed)


def _opened_to_fail(events: list[Event]) -> Failed | None:
    """How it failed, if that is all it did: nothing has begun then, and a status can tell it."""
    last = events[-1] if events else None
    if isinstance(last, Failed) and all(isinstance(e, Start | Ping) for e in events[:-1]):
        return last
    return None


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
