"""What every dialect module provides, and what they share."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sandbox.vendors.conversation import Ask, Json, Sent
from sandbox.vendors.hosted import found
from sandbox.vendors.meter import Work
from sandbox.vendors.script import Turn
from sandbox.vendors.usage import CacheUse, PromptCache, Tokens, count, total
from sandbox.vendors.vendors import Vendor, VendorError
from sandbox.vendors.wire import Frame


class Dialect(Protocol):
    """A dialect module: pure functions, no state."""

    VENDOR: Vendor

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        """The key presented. Raises VendorError where there is none."""

    def wrong_key(self) -> VendorError:
        """What a key that is not ours is told."""

    def unknown_model(self, model: str) -> VendorError:
        """What an id that is not sold is told."""

    def check(self, sent: Sent) -> None:
        """Raise the vendor's own 400 for what the vendor would refuse."""

    def fits(self, sent: Sent, used: int) -> None:
        """Raise the vendor's 400 if a prompt of so many tokens is too long for the model."""

    def read(self, sent: Sent) -> Ask:
        """What is asked of the model."""

    def cached(self, cache: PromptCache, ask: Ask) -> CacheUse:
        """What of the prompt comes from the cache or goes into it."""

    def tokens(self, ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
        """What the answer costs."""

    def work(self, sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Work:
        """What its vendor bills for it, if it is heard to its end."""

    def whole(self, sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Any:
        """The unary answer."""

    def events(self, sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterable[Frame]:
        """The stream."""

    def broken(self, sent: Sent, turn: Turn, frames: list[Frame]) -> Frame:
        """The event that ends a stream which fails after these frames."""

    def error(self, error: VendorError, request_id: str) -> Json:
        """The body of a refusal."""

    def headers(self, request_id: str) -> dict[str, str]:
        """What the vendor adds to every answer."""


def fresh(prefix: str, length: int = 24) -> str:
    """A new id. Ids are never repeated: clients merge messages that share one."""
    return prefix + secrets.token_hex(length)[:length]


def bearer(headers: Mapping[str, str]) -> str:
    """The key of `Authorization: Bearer`, or nothing."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def metered(ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
    """What was counted, in disjoint buckets."""
    return Tokens(
        input=total(ask.prompt) - use.read - use.write_5m - use.write_1h + found(turn.uses),
        read=use.read,
        write_5m=use.write_5m,
        write_1h=use.write_1h,
        output=ask.choices * (count(turn.text) + sum(call.tokens for call in turn.calls)),
        reasoning=ask.choices * turn.thought,
    )


def scripted(turn: Turn, counted: Tokens, *, nested: bool, reasoning_inside: bool) -> Tokens:
    """[[usage]] in place of what was counted: its numbers are the vendor's own fields.

    `nested`: the vendor counts the cache inside the prompt.
    """
    if not turn.usage:
        return counted
    given, out, read, reasoning, w5, w1 = turn.usage
    read, w5, w1, out = read or 0, w5 or 0, w1 or 0, out or 0
    thoughts = counted.reasoning if reasoning is None else reasoning
    if reasoning_inside and reasoning is None:
        thoughts = min(thoughts, out)
    return Tokens(
        input=(given or 0) - (read + w5 + w1 if nested else 0),
        read=read,
        write_5m=w5,
        write_1h=w1,
        output=out - (thoughts if reasoning_inside else 0),
        reasoning=thoughts,
    )


def texts(content: Any, *kinds: str) -> str:
    """The text of a content field: a string, or the parts of these types joined by lines."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    found = [p.get("text") for p in parts if isinstance(p, dict) and p.get("type") in kinds]
    return "\n".join(text for text in found if isinstance(text, str))
