"""One package a wire dialect, the same names in each: pure functions and two small machines.

    body  ->  decode_request  ->  ir.Request  ->  encode_request  ->  the upstream's body
    bytes <-  Encoder.feed    <-  ir.Event    <-  Decoder.feed    <-  the upstream's bytes

No codec knows another; they meet in `gateway.dialects.ir`. Start with `decode_request`,
`Reader` and `encoder` below. The three laws in tests/gateway/dialects/codecs/test_laws.py hold
for each of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Protocol

from gateway.dialects.codecs import (
    anthropic_messages,
    converse,
    gemini,
    openai_chat,
    openai_responses,
)
from gateway.dialects.codecs.reader import Reader
from gateway.dialects.ir import Event, Failed, Head, Reply, Request, Tally, Target, Thinking, Usage
from gateway.dialects.sse import Frame

Mint = Callable[[], str]


class Decoder(Protocol):
    """An upstream's frames to events; ends in exactly one `Finish` or `Failed`."""

    @property
    def ended(self) -> bool: ...
    def feed(self, frame: Frame) -> list[Event]: ...
    def close(self) -> list[Event]: ...


class Encoder(Protocol):
    """Events to the client's bytes; `ping` is the dialect's keep-alive."""

    def feed(self, event: Event) -> bytes: ...
    def ping(self) -> bytes: ...


class Upstream(Protocol):
    """What a dialect must know to be spoken to a model."""

    def encode_request(self, request: Request, target: Target) -> dict[str, Any]: ...
    def decode_thinking(self, body: Mapping[str, Any]) -> Thinking: ...
    def decode_reply(self, body: Any, target: Target, mint: Mint) -> list[Event]: ...
    def decode_usage(self, wire: Mapping[str, Any]) -> Usage: ...
    def encode_usage(self, usage: Usage) -> dict[str, Any]: ...
    def Decoder(self, target: Target, mint: Mint) -> Decoder: ...


class Codec(Upstream, Protocol):
    """What a dialect must know to be spoken by a client as well."""

    def decode_request(self, body: dict[str, Any]) -> Request: ...
    def refuse_impossible(self, body: Mapping[str, Any]) -> None: ...
    def decode_tally(self, reply: Mapping[str, Any]) -> Tally: ...
    def patch_request(
        self, body: dict[str, Any], target: Target, requested: Thinking
    ) -> dict[str, Any]: ...
    def encode_reply(self, reply: Reply, head: Head) -> dict[str, Any]: ...
    def encode_error(self, failed: Failed) -> dict[str, Any]: ...
    def Encoder(self, head: Head) -> Encoder: ...


CODECS: dict[str, Codec] = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic_messages": anthropic_messages,
}
UPSTREAMS: dict[str, Upstream] = {**CODECS, "gemini": gemini, "converse": converse}


def decode_request(dialect: str, body: dict[str, Any]) -> Request:
    """A client's body. Cursor posts Responses bodies to Chat's path: told by their content, read
    as what they are, and answered as Chat. BadRequest for what is malformed."""
    if dialect == "openai_chat" and body.get("input") and not body.get("messages"):
        return replace(openai_responses.decode_request(body), dialect="openai_chat")
    return CODECS[dialect].decode_request(body)


def reader(request: Request, target: Target, reply_id: str) -> Reader:
    """The upstream's bytes to the client's events; `reply_id` makes the ids of its calls."""
    decoder = UPSTREAMS[target.dialect].Decoder(target, minting(reply_id))
    return Reader(decoder, request, target)


def minting(reply_id: str) -> Mint:
    """Call ids, unique to this reply, for upstreams that give none."""
    numbers = count()
    return lambda: f"call_{reply_id[-24:]}_{next(numbers)}"
