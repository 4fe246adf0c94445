"""Gemini's stream, read.

* There is no end marker: the finish is told when the bytes end, for more may come behind it.
* Calls arrive whole and often without an id: two of one name are still two.
* A signature may sit on a call, on text or on an empty part. The ones not on a call follow the
  text as reasoning of their own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.dialects.codecs import endings, failures, tokens, wire
from gateway.dialects.codecs.gemini.usage import decode_tally, decode_usage
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
    ReasoningDelta,
    ReasoningOpen,
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
        "_called",
        "_done",
        "_finish",
        "_id",
        "_index",
        "_kind",
        "_mint",
        "_next",
        "_queries",
        "_signature",
        "_started",
        "_target",
        "_reported",
        "_usage",
    )

    def __init__(self, target: Target, mint: Callable[[], str]) -> None:
        self._target, self._mint = target, mint
        self._kind = ""  # of the open block: text or reasoning
        self._index = self._next = 0
        self._signature = ""  # to be told behind the open text
        self._usage: dict[str, Any] = {}
        self._queries: list[str] = []
        self._reported = 0  # of them
        self._finish = ""
        self._id: Any = None
        self._called = self._started = self._done = False

    @property
    def ended(self) -> bool:
        """Whether the answer said how it ended."""
        return bool(self._finish)

    def feed(self, frame: Frame) -> list[Event]:
        if self._done:
            return []
        try:
            chunk = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            return self._fail(failures.BROKEN)
        if isinstance(chunk, list) or (isinstance(chunk, dict) and "error" in chunk):
            return self._fail(failures.decode(chunk))
        return self._chunk(chunk) if isinstance(chunk, dict) else self._fail(failures.BROKEN)

    def close(self) -> list[Event]:
        """At the end of the bytes: the finish, or that there was none."""
        if self._done:
            return []
        if not self._finish:
            return self._fail(failures.CUT)
        self._done = True
        events: list[Event] = []
        self._leave(events)
        return [*events, endings.judge("gemini", self._finish, called=self._called)]

    def _chunk(self, chunk: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        if not self._started:
            self._started = True
            model, self._id = str(chunk.get("modelVersion") or ""), chunk.get("responseId")
            events.append(Start(str(self._id or ""), model))
        if self._finish and chunk.get("responseId", self._id) != self._id:
            return [*events, *self._fail(failures.BROKEN)]  # another answer's
        blocked = (chunk.get("promptFeedback") or {}).get("blockReason")
        if blocked and not chunk.get("candidates"):
            self._finish = "SAFETY"
        for candidate in (chunk.get("candidates") or ())[:1]:
            for part in (candidate.get("content") or {}).get("parts") or ():
                self._part(part, events)
            self._finish = str(candidate.get("finishReason") or self._finish)
            self._cited(candidate.get("groundingMetadata") or {}, events)
            self._searched(candidate.get("groundingMetadata") or {})
        usage = tokens.merge(self._usage, chunk.get("usageMetadata"))
        if (usage, len(self._queries)) != (self._usage, self._reported):
            self._usage, self._reported = usage, len(self._queries)
            events.append(UsageSeen(decode_usage(usage), decode_tally(self._queries, usage)))
        return events

    def _searched(self, grounding: Mapping[str, Any]) -> None:
        """Chunks tell of new queries, or of all so far."""
        queries = [str(query) for query in grounding.get("webSearchQueries") or () if query]
        if queries[: len(self._queries)] == self._queries:
            self._queries = queries
        else:
            self._queries = self._queries + queries

    def _part(self, part: Mapping[str, Any], events: list[Event]) -> None:
        signature = str(part.get("thoughtSignature") or "")
        call, text = part.get("functionCall"), part.get("text")
        if call:
            self._call(call, signature, events)
        elif text and part.get("thought"):
            events.append(ReasoningDelta(self._block("reasoning", events), text))
            if signature:
                events.append(CarrierSeen(self._index, self._carrier(signature)))
        else:
            if text:
                events.append(TextDelta(self._block("text", events), text))
            self._signature = signature or self._signature

    def _block(self, kind: str, events: list[Event]) -> int:
        if self._kind != kind:
            self._leave(events)
            self._kind, self._index, self._next = kind, self._next, self._next + 1
            opened = ReasoningOpen if kind == "reasoning" else TextOpen
            events.append(opened(self._index))
        return self._index

    def _leave(self, events: list[Event]) -> None:
        if self._kind:
            events.append(Close(self._index))
        self._kind = ""
        if self._signature:
            kept, self._signature = self._carrier(self._signature), ""
            index, self._next = self._next, self._next + 1
            events += [ReasoningOpen(index), CarrierSeen(index, kept), Close(index)]

    def _call(self, call: Mapping[str, Any], signature: str, events: list[Event]) -> None:
        self._leave(events)
        self._called = True
        index, self._next = self._next, self._next + 1
        carriers = (self._carrier(signature),) if signature else ()
        call_id = str(call.get("id") or "") or self._mint()
        name, args = str(call.get("name") or ""), wire.dump(call.get("args") or {})
        events.append(CallOpen(index, call_id, name, carriers=carriers))
        events += [ArgsDelta(index, args), Close(index)]

    def _carrier(self, data: str) -> Carrier:
        by = self._target
        return Carrier(by.vendor, by.model, "thought_signature", data, (), by.account)

    def _cited(self, grounding: Mapping[str, Any], events: list[Event]) -> None:
        if self._kind != "text":
            return
        for chunk in grounding.get("groundingChunks") or ():
            web = chunk.get("web") or {}
            if web.get("uri"):
                found = Annotation(str(web["uri"]), str(web.get("title") or ""))
                events.append(AnnotationSeen(self._index, found))

    def _fail(self, failed: Failed) -> list[Event]:
        self._done = True
        return [failed]


def decode_reply(body: Any, target: Target, mint: Callable[[], str]) -> list[Event]:
    """A whole reply as the events a stream of it would have given."""
    decoder = Decoder(target, mint)
    return decoder.feed(Frame("", orjson.dumps(body))) + decoder.close()
