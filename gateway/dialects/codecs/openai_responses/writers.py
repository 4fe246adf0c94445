"""One writer an output item: each says its lifecycle and keeps the item as it will be in the end.

item added · part added · deltas · text done · part done · item done
"""

from typing import Any

import orjson

from gateway.dialects import sse
from gateway.dialects.codecs import carrier, summaries, wire
from gateway.dialects.codecs.hosted import FETCH
from gateway.dialects.ir import Annotation, CallOpen, Carrier, HostedCall

_CALLS = {
    "function": ("fc", "function_call", "arguments", "response.function_call_arguments"),
    "custom": ("ctc", "custom_tool_call", "input", "response.custom_tool_call_input"),
}


class Stream:
    """The numbered events of one response, and its output."""

    __slots__ = ("items", "key", "reply_id", "sequence")

    def __init__(self, reply_id: str, key: bytes) -> None:
        self.reply_id, self.key = reply_id, key
        self.sequence = -1
        self.items: list[dict[str, Any]] = []

    def event(self, name: str, **fields: Any) -> bytes:
        self.sequence += 1
        raw = {"type": name, "sequence_number": self.sequence, **fields}
        return sse.encode(name, orjson.dumps(raw))

    def item(self, prefix: str, **fields: Any) -> dict[str, Any]:
        """A new item at the end of the output."""
        item_id = f"{prefix}_{self.reply_id}{len(self.items):02x}"
        self.items.append({"id": item_id, "status": "in_progress", **fields})
        return self.items[-1]


class _Growing:
    """A text while its deltas come: the fast way through `Stream.event`."""

    __slots__ = ("_after", "_before", "_stream", "pieces", "place")

    def __init__(self, stream: Stream, name: str, place: dict[str, Any], extra: bytes) -> None:
        self._stream, self.place = stream, place
        self.pieces: list[str] = []
        raw = orjson.dumps({"type": name, **place})
        self._before = b"event: " + name.encode() + b"\ndata: " + raw[:-1] + b',"delta":'
        self._after = extra + b',"sequence_number":%d}\n\n'

    def delta(self, text: str) -> bytes:
        self.pieces.append(text)
        self._stream.sequence += 1
        return self._before + orjson.dumps(text) + self._after % self._stream.sequence

    def text(self) -> str:
        return "".join(self.pieces)


class Writer:
    """What all three have: an item, its place, and a text that grows."""

    __slots__ = ("_growing", "_index", "_stream", "item")

    def __init__(self, stream: Stream, item: dict[str, Any]) -> None:
        self._stream, self.item = stream, item
        self._index = len(stream.items) - 1
        self._growing: _Growing | None = None

    def added(self) -> bytes:
        return self._stream.event(
            "response.output_item.added", output_index=self._index, item=self.item
        )

    def delta(self, text: str) -> bytes:
        assert self._growing is not None
        return self._growing.delta(text)

    def _grow(self, name: str, extra: bytes = b"", **place: int) -> dict[str, Any]:
        where = {"item_id": self.item["id"], "output_index": self._index, **place}
        self._growing = _Growing(self._stream, name, where, extra)
        return where

    def _fill(self, text: str) -> None:
        """Put what has grown where the finished item has it."""

    def abandon(self) -> None:
        """The stream failed: the item keeps what it had, and is never said to be done."""
        self.item["status"] = "incomplete"
        if self._growing is not None:
            self._fill(self._growing.text())

    def _finish(self) -> bytes:
        self.item["status"] = "completed"
        return self._stream.event(
            "response.output_item.done", output_index=self._index, item=self.item
        )


class CompactionWriter(Writer):
    """A summary in the place of what was said: nothing of it is shown while it grows."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, stream.item("cmp", type="compaction", encrypted_content=""))
        self._pieces: list[str] = []

    def delta(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._stream.event(
            "response.compaction.compacting",
            item_id=self.item["id"],
            output_index=self._index,
        )

    def done(self) -> bytes:
        self.item["encrypted_content"] = summaries.spelled("".join(self._pieces))
        return self._finish()


class MessageWriter(Writer):
    __slots__ = ("_kind",)

    def __init__(self, stream: Stream, phase: str) -> None:
        raw = {"type": "message", "role": "assistant", "content": []} | wire.only(phase=phase)
        super().__init__(stream, stream.item("msg", **raw))
        self._kind = ""

    def part(self, kind: str) -> bytes:
        """Open an `output_text` or a `refusal`."""
        self._kind = kind
        content = self.item["content"]
        content.append(_content(kind))
        extra = b',"logprobs":[]' if kind == "output_text" else b""
        place = self._grow(f"response.{kind}.delta", extra, content_index=len(content) - 1)
        return self._stream.event("response.content_part.added", **place, part=content[-1])

    def annotate(self, note: Annotation) -> bytes:
        notes = self.item["content"][-1]["annotations"]
        cited = {"url": note.url, "title": note.title}
        span = {"start_index": note.start, "end_index": note.end}
        notes.append({"type": "url_citation", **cited, **span})
        assert self._growing is not None
        return self._stream.event(
            "response.output_text.annotation.added",
            **self._growing.place,
            annotation_index=len(notes) - 1,
            annotation=notes[-1],
        )

    def part_done(self) -> bytes:
        growing, self._growing = self._growing, None
        if growing is None:
            return b""
        self._fill(growing.text())
        part = self.item["content"][-1]
        raw = {name: part[name] for name in ("text", "refusal", "logprobs") if name in part}
        done = self._stream.event(f"response.{self._kind}.done", **growing.place, **raw)
        return done + self._stream.event("response.content_part.done", **growing.place, part=part)

    def _fill(self, text: str) -> None:
        name = "text" if self._kind == "output_text" else "refusal"
        self.item["content"][-1][name] = text

    def done(self) -> bytes:
        return self.part_done() + self._finish()


def _content(kind: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": ""}
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


class ReasoningWriter(Writer):
    """`summarise` says where thoughts are shown: in the summary, or in the content."""

    __slots__ = ("_part", "_summarise")

    def __init__(self, stream: Stream, *, summarise: bool) -> None:
        super().__init__(stream, stream.item("rs", type="reasoning", summary=[]))
        self._summarise = summarise
        self._part: tuple[int, bool] | None = None

    def thought(self, text: str, part: tuple[int, bool]) -> bytes:
        """`part` names the piece of thought that `text` belongs to."""
        opening = b""
        if part != self._part:
            opening = self.part_done() + self._open()
            self._part = part
        return opening + self.delta(text)

    def _open(self) -> bytes:
        if not self._summarise:
            content = self.item.setdefault("content", [])
            content.append({"type": "reasoning_text", "text": ""})
            place = self._grow("response.reasoning_text.delta", content_index=len(content) - 1)
            return self._stream.event("response.content_part.added", **place, part=content[-1])
        summary = self.item["summary"]
        summary.append({"type": "summary_text", "text": ""})
        place = self._grow("response.reasoning_summary_text.delta", summary_index=len(summary) - 1)
        return self._stream.event(
            "response.reasoning_summary_part.added", **place, part=summary[-1]
        )

    def part_done(self) -> bytes:
        growing, self._growing = self._growing, None
        if growing is None:
            return b""
        self._fill(growing.text())
        text_done, whole_done = (
            ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done")
            if self._summarise
            else ("response.reasoning_text.done", "response.content_part.done")
        )
        done = self._stream.event(text_done, **growing.place, text=growing.text())
        return done + self._stream.event(whole_done, **growing.place, part=self._parts()[-1])

    def _parts(self) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = self.item["summary" if self._summarise else "content"]
        return parts

    def _fill(self, text: str) -> None:
        self._parts()[-1]["text"] = text

    def done(self, secret: Carrier | None) -> bytes:
        ending = self.part_done()
        if secret is not None:
            own = secret.vendor == "openai" and secret.form == "encrypted_content"
            sealed = secret.data if own else carrier.seal(secret, self._stream.key)
            self.item["encrypted_content"] = sealed
        return ending + self._finish()


class CallWriter(Writer):
    """A function's or a custom tool's call."""

    __slots__ = ("_event", "_field")

    def __init__(self, stream: Stream, opened: CallOpen) -> None:
        prefix, kind, self._field, self._event = _CALLS[opened.kind]
        named = {"call_id": opened.call_id, "name": opened.name}
        named |= wire.only(namespace=opened.namespace)
        item = stream.item(prefix, type=kind, **named, **{self._field: ""})
        super().__init__(stream, item)
        self._grow(f"{self._event}.delta")

    def done(self) -> bytes:
        growing, said = self._growing, b""
        assert growing is not None
        if not growing.pieces and self._field == "arguments":
            said = growing.delta("{}")
        self._fill(growing.text())
        raw = {self._field: growing.text()}
        return (
            said
            + self._stream.event(f"{self._event}.done", **growing.place, **raw)
            + (self._finish())
        )

    def _fill(self, text: str) -> None:
        self.item[self._field] = text


class SearchWriter(Writer):
    """A client's tool search: its arguments are an object, so nothing of them is streamed."""

    __slots__ = ("_pieces",)

    def __init__(self, stream: Stream, opened: CallOpen) -> None:
        raw = {"type": "tool_search_call", "execution": "client", "arguments": {}}
        super().__init__(stream, stream.item("tsc", call_id=opened.call_id, **raw))
        self._pieces: list[str] = []

    def delta(self, text: str) -> bytes:
        self._pieces.append(text)
        return b""

    def done(self) -> bytes:
        self.item["arguments"] = wire.arguments("".join(self._pieces))
        return self._finish()


class HostedWriter(Writer):
    """A search of the web, or a page that was opened, run on the way."""

    __slots__ = ("_sources",)

    def __init__(self, stream: Stream, call: HostedCall, *, sources: bool) -> None:
        action = {"type": "search", "query": call.query}
        if call.tool == FETCH:
            action = {"type": "open_page", "url": call.query}
        super().__init__(stream, stream.item("ws", type="web_search_call", action=action))
        self._sources = sources

    def begun(self) -> bytes:
        return self.added() + self._said("in_progress") + self._said("searching")

    def _said(self, stage: str) -> bytes:
        place = {"item_id": self.item["id"], "output_index": self._index}
        return self._stream.event(f"response.web_search_call.{stage}", **place)

    def told(self, call: HostedCall) -> bytes:
        """What came of it: one that failed says so as its status alone."""
        if self._sources and call.tool != FETCH:
            found = [{"type": "url", "url": page.url} for page in call.pages]
            self.item["action"]["sources"] = found
        if not call.error:
            return self._said("completed") + self._finish()
        self.item["status"] = "failed"
        return self._stream.event(
            "response.output_item.done", output_index=self._index, item=self.item
        )
