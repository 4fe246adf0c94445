"""Events as Gemini's chunks, and a whole reply as one of them.

* A secret stands on the part that follows what it was made with; where none follows, on an empty
  one. It is base64, as Google's SDKs read bytes.
* A call comes whole. The last chunk says how it ended and what was used, and has a part, for there
  are SDKs that take a content without one for no answer.
* Without `alt=sse` the stream is one JSON array, a chunk an element.
"""

import base64
from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.codecs import carrier, failures, wire
from gateway.dialects.codecs.fold import replay
from gateway.dialects.codecs.gemini.usage import encode_usage
from gateway.dialects.codecs.hosted import FETCH
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
    ReasoningDelta,
    RefusalDelta,
    Reply,
    TextDelta,
    TextOpen,
    Usage,
    UsageSeen,
)

Part = dict[str, Any]

ARRAY = "array"  # the value of `stream` for a stream without `alt=sse`
_FINISH = {
    "length": "MAX_TOKENS",
    "context_window": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "cancelled": "OTHER",
}


class Parts:
    """The parts that events stand for, in their order."""

    __slots__ = ("_args", "_calls", "_gap", "_handlers", "_key", "_secrets", "_spoke", "_thought", "cited", "queries", "read", "usage")  # noqa: E501  # fmt: skip

    def __init__(self, head: Head) -> None:
        self._key = head.key
        self.usage = Usage(input=head.input_tokens)
        self.cited: dict[str, str] = {}  # titles by address
        self.queries: list[str] = []
        self.read: list[dict[str, str]] = []  # addresses of pages, and whether they were had
        self._secrets: list[Carrier] = []
        self._calls: dict[int, CallOpen] = {}
        self._args: dict[int, list[str]] = {}
        self._gap, self._spoke = "", False
        self._thought: tuple[int, int, bool] | None = None
        self._handlers: dict[type, Callable[[Any], list[Part]]] = {
            TextOpen: self._text_open,
            TextDelta: self._text,
            RefusalDelta: self._text,
            ReasoningDelta: self._reasoning,
            CarrierSeen: self._carrier,
            CallOpen: self._call,
            ArgsDelta: self._delta,
            Close: self._close,
            AnnotationSeen: self._annotation,
            HostedDone: self._hosted,
            UsageSeen: self._seen,
        }

    def feed(self, event: Event) -> list[Part]:
        handler = self._handlers.get(type(event))
        return handler(event) if handler else []

    def last(self) -> list[Part]:
        """What the last chunk has."""
        *before, last = self._signed({"text": ""})
        return [*before, last]

    def _text_open(self, event: TextOpen) -> list[Part]:
        self._gap = "\n\n" if self._spoke and not event.joined else ""
        return []

    def _text(self, event: TextDelta | RefusalDelta) -> list[Part]:
        text, self._gap, self._spoke = self._gap + event.text, "", True
        return self._signed({"text": text})

    def _reasoning(self, event: ReasoningDelta) -> list[Part]:
        part = (event.index, event.part, event.summary)
        apart = self._thought is not None and self._thought != part
        self._thought = part
        return [{"text": "\n\n" + event.text if apart else event.text, "thought": True}]

    def _carrier(self, event: CarrierSeen) -> list[Part]:
        self._secrets.append(event.carrier)
        return []

    def _call(self, event: CallOpen) -> list[Part]:
        self._calls[event.index], self._args[event.index] = event, []
        return []

    def _delta(self, event: ArgsDelta) -> list[Part]:
        self._args[event.index].append(event.text)
        return []

    def _close(self, event: Close) -> list[Part]:
        if (call := self._calls.pop(event.index, None)) is None:
            return []
        args = "".join(self._args.pop(event.index))
        given = {"args": args} if call.kind == "custom" else wire.arguments(args)
        self._secrets += call.carriers
        named = {"id": call.call_id, "name": call.name, "args": given}
        return self._signed({"functionCall": named})

    def _annotation(self, event: AnnotationSeen) -> list[Part]:
        self.cited.setdefault(event.annotation.url, event.annotation.title)
        return []

    def _hosted(self, event: HostedDone) -> list[Part]:
        call = event.call
        if call.tool == FETCH:
            had = "ERROR" if call.error else "SUCCESS"
            status = f"URL_RETRIEVAL_STATUS_{had}"
            self.read.append({"retrievedUrl": call.query, "urlRetrievalStatus": status})
            return []
        if not call.error:
            self.queries.append(call.query)
        self.cited |= {page.url: page.title for page in call.pages if page.url not in self.cited}
        return []

    def _seen(self, event: UsageSeen) -> list[Part]:
        self.usage = event.usage
        return []

    def _signed(self, part: Part) -> list[Part]:
        """The part with the secret that was made before it; others, on empty ones before."""
        if not self._secrets:
            return [part]
        *before, last = self._secrets
        self._secrets = []
        empty = [{"text": "", "thoughtSignature": self._sealed(each)} for each in before]
        return [*empty, {**part, "thoughtSignature": self._sealed(last)}]

    def _sealed(self, secret: Carrier) -> str:
        return base64.b64encode(carrier.seal(secret, self._key).encode()).decode()


class Encoder:
    """`feed` every event; send what it gives."""

    __slots__ = ("_array", "_begun", "_head", "_parts")

    def __init__(self, head: Head) -> None:
        self._head, self._parts = head, Parts(head)
        self._array, self._begun = head.body.get("stream") == ARRAY, False

    def feed(self, event: Event) -> bytes:
        if isinstance(event, Failed):
            return self._framed(encode_error(event), last=True)
        if isinstance(event, Finish):
            return self._framed(_finished(self._parts, event, self._head), last=True)
        parts = self._parts.feed(event)
        return self._framed(_chunk(parts, self._head)) if parts else b""

    def ping(self) -> bytes:
        """An empty text: a comment is no JSON to Google's SDKs, who read every line. In an array,
        a space."""
        return b"\n" if self._array else self._framed(_chunk([{"text": ""}], self._head))

    def _framed(self, chunk: dict[str, Any], *, last: bool = False) -> bytes:
        data = orjson.dumps(chunk)
        if not self._array:
            return b"data: " + data + b"\r\n\r\n"
        opening = b",\r\n" if self._begun else b"["
        self._begun = True
        return opening + data + (b"]" if last else b"")


def _chunk(parts: list[Part], head: Head) -> dict[str, Any]:
    content = {"role": "model", "parts": parts}
    return {
        "candidates": [{"content": content, "index": 0}],
        "modelVersion": head.model,
        "responseId": head.reply_id,
    }


def _finished(parts: Parts, finish: Finish, head: Head) -> dict[str, Any]:
    """The last chunk."""
    chunk = _chunk(parts.last(), head)
    candidate = chunk["candidates"][0]
    candidate["finishReason"] = _FINISH.get(finish.reason, "STOP")
    if parts.cited or parts.queries:
        pages = [{"web": {"uri": url, "title": title}} for url, title in parts.cited.items()]
        candidate["groundingMetadata"] = {"groundingChunks": pages} | wire.only(
            webSearchQueries=tuple(parts.queries)
        )
    if parts.read:
        candidate["urlContextMetadata"] = {"urlMetadata": parts.read}
    return {**chunk, "usageMetadata": encode_usage(parts.usage)}


def encode_reply(reply: Reply, head: Head) -> dict[str, Any]:
    """Call it with a reply that ended well; an error is answered by its status instead."""
    parts, said = Parts(head), list[Part]()
    for event in replay(reply):
        for part in parts.feed(event):
            _add(said, part)
    finish = reply.end if isinstance(reply.end, Finish) else Finish("stop")
    whole = _finished(parts, finish, head)
    content = whole["candidates"][0]["content"]
    rest = [part for part in content["parts"] if part != {"text": ""} or not said]
    content["parts"] = [*said, *rest]
    return whole


def _add(said: list[Part], part: Part) -> None:
    """What continues a text is one with it."""
    before = said[-1] if said else {}
    joins = "text" in part and "text" in before and "thoughtSignature" not in part
    if joins and part.get("thought") == before.get("thought") and before["text"]:
        said[-1] = {**before, "text": before["text"] + part["text"]}
    else:
        said.append(part)


def encode_error(failed: Failed) -> dict[str, Any]:
    """As Google's."""
    return failures.google(failed.status, failed.code, failed.message, failed.retry_after)
