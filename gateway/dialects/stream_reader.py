"""What every dialect's tap has in common: whole events, counted as they pass."""

import re
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import orjson

from gateway.dialects import sse
from gateway.dialects.codecs import failures
from gateway.dialects.envelope import LESSONS, Envelope, last_event
from gateway.dialects.ir import Failed, Finish, Head, Tally, Usage

# Text and tool arguments of both dialects, and reasoning. A quote inside is escaped, so the match
# ends where the string ends; only its length is used.
STRING = rb'\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"'
_TEXT = re.compile(rb'"(?:content|text|arguments|partial_json)"' + STRING)
_THOUGHTS = re.compile(rb'"(?:thinking|reasoning_content)"' + STRING)
REASONS = re.compile(rb'"type"\s*:\s*"response\.reasoning_')  # and its `delta` is no text
_MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_DATA = re.compile(rb"(?:^|[\r\n])data:([^\r\n]*)")
# Whatever any tap looks for in an event beside its text: one that has none of it only speaks.
_SAYS_MORE = re.compile(
    rb'"usage"\s*:\s*\{|"(?:error|stop_reason)"(?!\s*:\s*null)|"finish_reason"\s*:\s*"|\[DONE\]'
    rb'|_calls?"(?!\s*:\s*(?:null|\[\]))|"refusal"\s*:\s*"|message_|content_block_st'
    rb'|"compaction"|"server_tool_use"|response\.(?!\w+\.delta\b)'
)
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_PING = ("ping",)
_OPENINGS = (*_PING, "message_start", "response.created", "response.in_progress")
_LARGEST_EVENT = 32 * 1024 * 1024


def text_bytes(wire: bytes) -> int:
    """How many bytes of text and tool arguments a reply (or a part of it) carries."""
    return sum(map(len, _TEXT.findall(wire)))


class Tap:
    """One streamed reply. Subclasses say where their dialect keeps usage, errors and its end.

    `begun` once something was said that is no failure; `ended` is how the answer says it ended
    (`codecs.endings`), `called` whether it calls something; `finished` once it is whole, and `cut`
    if it is so for the client only, while the vendor goes on. `told` once the vendor's numbers are
    its last word. `spoke_at` is when the first text came, and `reasoned` whether reasoning, as far
    as anybody can see, has ended: there is text, or a block of it was closed.
    """

    telling: ClassVar[re.Pattern[bytes]]  # where an answer may end, fail, or be another
    text: ClassVar[re.Pattern[bytes]] = _TEXT
    edges: ClassVar[tuple[bytes, ...]] = ()  # what opens or closes a block
    cut: ClassVar[bool] = False
    stopped: ClassVar[bool] = False  # by a stop sequence of ours
    runs: ClassVar[bool] = False  # its numbers are running totals
    upstream_id: ClassVar[str] = ""  # the vendor's headers have it

    __slots__ = (
        "_envelope",
        "_lessons",
        "_newest",
        "_pending",
        "_prelude",
        "_rename_to",
        "_renamed",
        "_thinks",
        "begun",
        "called",
        "ended",
        "error",
        "finished",
        "head",
        "reasoned",
        "spoke_at",
        "text_bytes",
        "thought_bytes",
        "reported",
        "usage",
    )

    def __init__(self, head: Head) -> None:
        self.head = head
        self._rename_to = b'"model":' + orjson.dumps(head.model)
        self._renamed: bytes | None = None
        self._pending = b""
        self._prelude = b""
        self._envelope: Envelope | None = None
        self._thinks = False  # what is in it
        self._lessons = LESSONS
        self._newest = b""  # of what was passed on
        self.begun = False
        self.usage: dict[str, Any] | None = None
        self.text_bytes = self.thought_bytes = 0
        self.finished = self.reported = self.reasoned = self.called = False
        self.ended: Finish | None = None
        self.spoke_at = 0.0
        self.error: Failed | None = None

    @property
    def complete(self) -> bool:
        """Whether it said how it ended: then it is whole, whatever becomes of the connection."""
        return self.ended is not None

    @property
    def said(self) -> int:
        """Bytes of text that the vendor made; all of it was passed on."""
        return self.text_bytes

    @property
    def made(self) -> int:
        """Bytes of text and reasoning that came."""
        return self.text_bytes + self.thought_bytes

    def feed(self, chunk: bytes) -> bytes:
        """Whole events, ready to be sent on; the rest is kept until its end arrives."""
        data, self._pending = self._pending + chunk if self._pending else chunk, b""
        if (spoken := self.speak(data)) is not None:
            return spoken
        if not data.endswith(b"\n\n"):  # seldom: a vendor writes whole events
            end = 0
            for boundary in _BOUNDARY.finditer(data):
                end = boundary.end()
            data, self._pending = data[:end], data[end:]
            if len(self._pending) > _LARGEST_EVENT:
                self.error = failures.BROKEN  # an event without an end
        return self._read(data) if data else b""

    def speak(self, data: bytes) -> bytes | None:
        """As `feed`, of events that differ from an earlier one in their text alone: nearly all.
        None, and nothing is done, for what is anything else."""
        if self._pending or self._envelope is None or not (texts := self._envelope.texts(data)):
            return None
        self._lessons = LESSONS
        said = sum([end - start for start, end in texts])
        if self._thinks:
            self.thought_bytes += said
        else:
            self.text_bytes += said
        self._newest = data = self._rename(data)
        return data

    def _learn(self, block: bytes) -> None:
        """The next event may be like the last of these."""
        self._lessons -= 1
        event = last_event(block)
        said, thought = any(self.text.findall(event)), any(_THOUGHTS.findall(event))
        if said == thought:  # it says nothing, or both
            return
        envelope = Envelope.of(event, self.text if said else _THOUGHTS)
        if envelope is not None and _SAYS_MORE.search(envelope.around) is None:
            self._envelope = envelope
            self._thinks = thought or REASONS.search(envelope.around) is not None

    def close(self) -> bytes:
        """What was left when the stream ended without a blank line; and what its vendor left out
        behind an answer that said how it ended."""
        data, self._pending = self._pending, b""
        rest = self._read(data + b"\n\n") if data.strip() else b""
        if self.finished or self.ended is None or self.error is not None:
            return rest
        return rest + self._read(self._terminator())

    def _terminator(self) -> bytes:
        """The event that should have come last; b"" where the end is in it."""
        return b""

    def _read(self, block: bytes) -> bytes:
        if not block:
            return b""
        if self.telling.search(block):
            block = self._judged(block)
        self._hear(block)
        if self._lessons and self.begun:
            self._learn(block)
        block = self._rename(self._observe(block))
        if self.begun:
            return block
        # Comments and pings decide nothing: until a real event, failing is a status code. Nor does
        # an opening that the vendor's own failure follows at once: others may do better. What is
        # the client's fault stays as it came: agents know `response.failed` with its code.
        self._prelude += block
        theirs = self.error is not None and self.error.status >= 500
        nothing = _OPENINGS if theirs else _PING
        if all(data.get("type") in nothing for data in data_of(block)):
            return b""
        self.begun = True
        return self._prelude

    def _hear(self, block: bytes) -> None:
        """Count what is said, and notice when reasoning begins and ends."""
        for edge in self.edges:
            if edge in block:
                self._look(block, edge)
        if b"reasoning" in block or b'"thinking"' in block:
            self.thought_bytes += sum(map(len, _THOUGHTS.findall(block)))
        if text := sum(map(len, self.text.findall(block))):
            self._spoke(text)

    def _spoke(self, text: int) -> None:
        self.text_bytes += text
        if not self.spoke_at:
            self.spoke_at, self.reasoned = time.time(), True

    def _look(self, block: bytes, edge: bytes) -> None:
        for line in _DATA.finditer(block):
            if edge in line[1]:
                for data in data_of(line[0]):
                    opened = self._opens_reasoning(data)
                    self.reasoned = self.reasoned if opened is None else not opened

    def _opens_reasoning(self, data: dict[str, Any]) -> bool | None:
        """Whether an event opens reasoning, or (False) closes it; None if it does neither."""
        return None

    def ending(self) -> str:
        """Why the answer ended, in the hub's words (`ir.Finish`); "" if it did not say."""
        return self.ended.reason if self.ended is not None else ""

    def _judged(self, block: bytes) -> bytes:
        """The events up to one that fails the answer (that is told by us, in our words) or begins
        another; one whose word for the end means another has that one."""
        good: list[bytes] = []
        for event in events_of(block):
            for data in data_of(event):
                verdict = self._verdict(data)
                if isinstance(verdict, Failed):
                    self.error = verdict
                    return b"".join(good)
                if verdict is not None:
                    self.ended = verdict
                    event = self._corrected(event, data, verdict)
            good.append(event)
        return b"".join(good)

    def _verdict(self, data: dict[str, Any]) -> Finish | Failed | None:
        """What an event says about the end; None if nothing."""
        raise NotImplementedError

    def _corrected(self, event: bytes, data: dict[str, Any], finish: Finish) -> bytes:
        """The event, with the word for the end that its dialect has."""
        return event

    def _rename(self, block: bytes) -> bytes:
        if self._renamed is None:
            found = _MODEL.search(block)
            if found is None:
                return block
            self._renamed = found.group()
        return block.replace(self._renamed, self._rename_to)

    def _observe(self, block: bytes) -> bytes:
        """Read usage and the end; may leave out what the client did not ask for, and puts our
        estimate where numbers belong and the vendor gave none: agents loop without them."""
        raise NotImplementedError

    def _supplied(self, block: bytes) -> bytes:
        """The same bytes, but for the events that lack numbers."""
        raw = []
        for event in events_of(block):
            for data in data_of(event):
                if (lacking := self._lacking(data)) is not None:
                    event = sse.encode(str(data["type"]), orjson.dumps(data | lacking))
            raw.append(event)
        return b"".join(raw)

    def _lacking(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """The members of an event that tell numbers, where it has none."""
        return None

    def decoded_usage(self) -> Usage | None:
        """The vendor's own numbers, or None if it never said."""
        raise NotImplementedError

    def tally(self) -> Tally:
        """What it counted beside them, up to now."""
        raise NotImplementedError

    def ping(self) -> bytes:
        """The dialect's keep-alive."""
        return b": keep-alive\n\n"

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """How the dialect tells of a failure once the stream has begun."""
        raise NotImplementedError


def within(data: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name; empty where there is none."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def data_of(block: bytes) -> Iterator[dict[str, Any]]:
    """The JSON of each event in a block of whole events; what is not a JSON object is skipped."""
    for line in _DATA.finditer(block):
        try:
            value = orjson.loads(line[1])
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            yield value


def events_of(block: bytes) -> list[bytes]:
    ends = [0, *(boundary.end() for boundary in _BOUNDARY.finditer(block))]
    return [block[a:b] for a, b in zip(ends, ends[1:], strict=False)]
