"""Events as a Responses stream (protocols.md section 2.2).

* Every event has a name and a `sequence_number` without gaps; the keep-alive counts too.
* Ids are made once an item and never change; `output_index` is the place in the final output.
* Exactly one terminal event, with the whole output and integer usage: agents loop without it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gateway.dialects.codecs.fold import replay
from gateway.dialects.codecs.openai_responses.response import ended, skeleton
from gateway.dialects.codecs.openai_responses.usage import encode_usage
from gateway.dialects.codecs.openai_responses.writers import (
    CallWriter,
    CompactionWriter,
    HostedWriter,
    MessageWriter,
    ReasoningWriter,
    SearchWriter,
    Stream,
)
from gateway.dialects.ir import (
    AnnotationSeen,
    ArgsDelta,
    CallOpen,
    Carrier,
    CarrierSeen,
    Close,
    Event,
    Failed,
    Finish,
    Head,
    HostedDone,
    HostedOpen,
    ReasoningDelta,
    ReasoningOpen,
    RefusalDelta,
    Reply,
    Start,
    TextDelta,
    TextOpen,
    Usage,
    UsageSeen,
)

_SOURCES = "web_search_call.action.sources"  # a client asks to be told of them
_NO_SUMMARY = Failed(
    500, "api_error", "upstream_error", "The model wrote no summary of the conversation."
)


class Encoder:
    """`feed` every event; send what it gives. `response` is the whole, once it is over."""

    __slots__ = (
        "_calls",
        "_carriers",
        "_compaction",
        "_handlers",
        "_hosts",
        "_include",
        "_message",
        "_reasoning",
        "_refused",
        "_started",
        "_stream",
        "_summarise",
        "_usage",
        "response",
    )

    def __init__(self, head: Head) -> None:
        self.response = skeleton(head)
        self._stream = Stream(head.reply_id, head.key)
        self._usage = Usage(input=head.input_tokens)
        self._message: MessageWriter | None = None
        self._compaction: CompactionWriter | None = None
        self._reasoning: ReasoningWriter | None = None
        self._calls: dict[int, CallWriter | SearchWriter] = {}
        self._hosts: dict[int, HostedWriter] = {}
        self._include = head.body.get("include") or ()
        self._carriers: list[Carrier] = []
        self._started = self._refused = False
        # Thoughts nobody asked to have summarised are shown as what they are.
        self._summarise = bool((head.body.get("reasoning") or {}).get("summary"))
        self._handlers: dict[type, Callable[[Any], bytes]] = {
            Start: self._start,
            TextOpen: self._text_open,
            TextDelta: self._text,
            RefusalDelta: self._text,
            AnnotationSeen: self._annotation,
            ReasoningOpen: self._reasoning_open,
            ReasoningDelta: self._thought,
            CarrierSeen: self._carrier,
            CallOpen: self._call,
            ArgsDelta: self._args,
            HostedOpen: self._hosted,
            HostedDone: self._hosted_done,
            Close: self._close,
            UsageSeen: self._seen,
            Finish: self._end,
            Failed: self._end,
        }
        if head.request.compacts:
            self._handlers = {
                Start: self._start,
                TextDelta: self._summarised,
                RefusalDelta: self._summarised,
                UsageSeen: self._seen,
                Finish: self._compacted,
                Failed: self._end,
            }

    def feed(self, event: Event) -> bytes:
        handler = self._handlers.get(type(event))
        return handler(event) if handler else b""

    def ping(self) -> bytes:
        """An event with data: a comment does not reset Codex's idle timer. The SDK wants
        `response.created` before any other."""
        return self._stream.event("keepalive") if self._started else self._start(Start())

    def _start(self, _: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        created = self._stream.event("response.created", response=self.response)
        return created + self._stream.event("response.in_progress", response=self.response)

    def _text_open(self, event: TextOpen) -> bytes:
        said = b""
        if self._message is None or not event.joined:
            said = self._leave()
            self._message = MessageWriter(self._stream, event.phase)
            said += self._message.added()
        self._refused = self._refused or event.refusal
        return said + self._message.part("refusal" if event.refusal else "output_text")

    def _text(self, event: TextDelta | RefusalDelta) -> bytes:
        assert self._message is not None
        return self._message.delta(event.text)

    def _annotation(self, event: AnnotationSeen) -> bytes:
        return self._message.annotate(event.annotation) if self._message else b""

    def _leave(self) -> bytes:
        """The end of the message that more parts might have joined."""
        message, self._message = self._message, None
        return message.done() if message else b""

    def _reasoning_open(self, _: ReasoningOpen) -> bytes:
        self._reasoning, self._carriers = None, []
        return self._leave()

    def _thinker(self) -> tuple[ReasoningWriter, bytes]:
        """An item is made for the first thought or secret; there may be neither."""
        if self._reasoning is not None:
            return self._reasoning, b""
        self._reasoning = ReasoningWriter(self._stream, summarise=self._summarise)
        return self._reasoning, self._reasoning.added()

    def _thought(self, event: ReasoningDelta) -> bytes:
        writer, opening = self._thinker()
        return opening + writer.thought(event.text, (event.part, event.summary))

    def _carrier(self, event: CarrierSeen) -> bytes:
        self._carriers.append(event.carrier)
        return b""

    def _secrets(self, carriers: list[Carrier]) -> bytes:
        """One item a secret; the first belongs to the item that is open, if one is."""
        said = b""
        for each in carriers:
            writer, opening = self._thinker()
            said += opening + writer.done(each)
            self._reasoning = None
        if self._reasoning is not None:
            said += self._reasoning.done(None)
            self._reasoning = None
        return said

    def _call(self, event: CallOpen) -> bytes:
        said = self._leave() + self._secrets(list(event.carriers))
        kind = SearchWriter if event.kind == "tool_search" else CallWriter
        writer = self._calls[event.index] = kind(self._stream, event)
        return said + writer.added()

    def _args(self, event: ArgsDelta) -> bytes:
        return self._calls[event.index].delta(event.text)

    def _hosted(self, event: HostedOpen) -> bytes:
        said = self._leave() + self._secrets([])
        sources = _SOURCES in self._include
        writer = self._hosts[event.index] = HostedWriter(self._stream, event.call, sources=sources)
        return said + writer.begun()

    def _hosted_done(self, event: HostedDone) -> bytes:
        return self._hosts.pop(event.index).told(event.call)

    def _close(self, event: Close) -> bytes:
        call = self._calls.pop(event.index, None)
        if call is not None:
            return call.done()
        if self._message is not None:
            return self._message.part_done()
        carriers, self._carriers = self._carriers, []
        return self._secrets(carriers)

    def _summarised(self, event: TextDelta | RefusalDelta) -> bytes:
        said = b""
        if self._compaction is None:
            self._compaction = CompactionWriter(self._stream)
            said = self._compaction.added()
        return said + self._compaction.delta(event.text)

    def _compacted(self, event: Finish) -> bytes:
        """What is no summary takes the place of nothing; one as long as it could be is one."""
        if self._compaction is None or event.reason == "content_filter":
            return self._end(_NO_SUMMARY)
        return self._compaction.done() + self._end(replace(event, reason="stop"))

    def _seen(self, event: UsageSeen) -> bytes:
        self._usage = event.usage
        return b""

    def _end(self, event: Finish | Failed) -> bytes:
        said = self._start(Start())
        if isinstance(event, Finish):
            said += self._leave()
        open_calls = (*self._calls.values(), *self._hosts.values())
        for writer in (self._message, self._reasoning, *open_calls):
            if writer is not None:
                writer.abandon()
        self.response |= ended(event, self._refused)
        self.response["output"] = self._stream.items
        self.response["usage"] = encode_usage(self._usage)
        status = self.response["status"]
        return said + self._stream.event(f"response.{status}", response=self.response)


def encode_reply(reply: Reply, head: Head) -> dict[str, Any]:
    """A whole response: by construction what the stream's last event holds."""
    encoder = Encoder(head)
    for event in replay(reply):
        encoder.feed(event)
    return encoder.response
