"""How one call travels. Chosen once a call; whatever runs the call does not ask which it is.

* `PassThrough`: client and upstream speak the same dialect. Its bytes go as they came, but for
  what must be changed; the reply's come back as the vendor sent them.
* `Translation`: they do not, or this model cannot do in its own dialect what is asked. The
  request goes through the hub, the upstream always streams.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import orjson

from gateway.catalogue.features.models import Pricing
from gateway.catalogue.features.sift import Sifted, Use, sift
from gateway.catalogue.features.switches import headers
from gateway.dialects import codecs
from gateway.dialects.codecs import failures, hosted, leftovers, media
from gateway.dialects.codecs.shapes import foreign
from gateway.dialects.ir import Failed, Head, Reasoning, Request, Thinking, ToolCall
from gateway.dialects.json_patch import patch
from gateway.dialects.stream_readers import Tap
from gateway.dialects.translator import Translator
from gateway.plane import end_users
from gateway.plane.inbound import InboundRequest
from gateway.vendors.manners import PLAIN
from hontoni.errors import BadRequest

logger = logging.getLogger(__name__)

_SECRETS = ("thinking", "redacted_thinking", "reasoning")

# What reading JSON of the wrong shape raises.
_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError)

Stream = Tap | Translator


class Lane(Protocol):
    """`streams`: whether the upstream is asked to. `body` is what it is sent, to `path`, in its
    `dialect`; `thinks` is what it says about thinking, None while there is no body yet;
    `sifted` what was left out of what was asked, and what of the rest costs money of its own."""

    dialect: str
    path: str
    streams: bool
    body: bytes
    thinks: Thinking | None
    sifted: Sifted

    def headers(self, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Those of the client's headers that the upstream shall see."""

    def limit_output(self, tokens: int) -> None:
        """Ask for no more output than that."""

    def spare(self, calls: int) -> None:
        """Let the tools that cost money of their own be used no more often than that, each; 0
        leaves them out: BadRequest where one is forced."""

    def let_store(self, allowed: bool) -> None:
        """Whether the vendor may keep it, if it asks for that."""

    def stream(self, reply_id: str, created: int) -> Stream | None:
        """What reads the reply; None when it comes whole."""

    def repair(self, failed: Failed) -> bool:
        """Change what the upstream refused, if that may help: then try once more."""


def choose(inbound: InboundRequest) -> Lane:
    """The way for this request. Raises BadRequest for what its target cannot express, and for a
    body whose members have other shapes than its dialect gives them."""
    try:
        native = inbound.model.dialect == inbound.dialect.name and not _needs_the_hub(inbound)
        return PassThrough(inbound) if native else Translation(inbound)
    except _MISSHAPEN as error:
        logger.warning("request.misshapen %s: %r", inbound.dialect.name, error)
        raise BadRequest("The request body does not have the shape it must have.") from error


def _needs_the_hub(inbound: InboundRequest) -> bool:
    """A body in other words than its path's dialect has; or a shape of answer this model has no
    native form of there, which we force by a tool or ask for in words."""
    if foreign.speaks(inbound.dialect.name, inbound.parsed):
        return True
    if inbound.target.schema == "native":
        return False
    config = inbound.parsed.get("output_config")
    wanted = inbound.parsed.get("response_format")
    shaped = isinstance(config, dict) and bool(config.get("format"))
    return shaped or (isinstance(wanted, dict) and wanted.get("type") == "json_schema")


def forwarded(inbound: InboundRequest, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Those of a client's headers that its own dialect's vendor shall see."""
    return inbound.with_switches(headers(sent, inbound.model.rules())[0])


def counted(inbound: InboundRequest, parsed: dict[str, Any]) -> bytes:
    """The body of a count: as it would be sent, but for limits, which a count has none of."""
    try:
        inbound.dialect.codec.refuse_impossible(parsed)
        kept = sift(parsed, inbound.model.rules(), inbound.helper).body
        sent = inbound.dialect.codec.patch_request(kept, inbound.target, Thinking())
        sent = inbound.model.manners.applied(sent)
    except _MISSHAPEN as error:
        raise BadRequest("The request body does not have the shape it must have.") from error
    return patch(inbound.body, parsed, _changes(parsed, sent))


class PassThrough:
    """Same dialect on both sides."""

    def __init__(self, inbound: InboundRequest) -> None:
        self._inbound = inbound
        # Of the client's own body: what is missing in the sifted one nobody could refuse.
        inbound.dialect.codec.refuse_impossible(inbound.parsed)
        self.sifted = sift(inbound.parsed, inbound.model.rules(), inbound.helper)
        self._wanted = self.sifted.body
        self.dialect = inbound.model.dialect
        self.streams = bool(inbound.parsed.get("stream"))
        self.path = inbound.model.path(streams=self.streams)
        self.thinks: Thinking | None = None
        self.body = self._patched()

    def _patched(self) -> bytes:
        """The client's bytes, changed in the members the codec would change."""
        inbound = self._inbound
        sent = inbound.dialect.codec.patch_request(self._wanted, inbound.target, inbound.thinking)
        store = inbound.may_store and inbound.parsed.get("store") is True
        manners = inbound.model.manners
        if manners is PLAIN:
            front = end_users.front(sent, self.dialect, inbound.account, store=store)
        else:
            end_users.introduce(sent, self.dialect, inbound.account, store=store)
            sent, front = manners.applied(sent), b""
        if inbound.thinking.mode:
            self.thinks = inbound.dialect.codec.decode_thinking(sent)
        return patch(inbound.body, inbound.parsed, _changes(inbound.parsed, sent), front)

    def headers(self, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        kept, left = headers(sent, self._inbound.model.rules())
        if left:
            given = dict.fromkeys((*self.sifted.left_out, *left))
            self.sifted = self.sifted._replace(left_out=tuple(given))
        return self._inbound.with_switches(kept)

    def limit_output(self, tokens: int) -> None:
        self._wanted = {**self._wanted, **self._inbound.dialect.limit_output(self._wanted, tokens)}
        self.body = self._patched()

    def spare(self, calls: int) -> None:
        inbound = self._inbound
        self.sifted = sift(inbound.parsed, inbound.model.rules(), inbound.helper, most=calls)
        self._wanted = self.sifted.body
        self.body = self._patched()

    def let_store(self, allowed: bool) -> None:
        self._inbound = self._inbound._replace(may_store=allowed)
        self.body = self._patched()

    def stream(self, reply_id: str, created: int) -> Stream | None:
        if not self.streams:
            return None
        inbound = self._inbound
        request = Request(inbound.dialect.name, inbound.name, ())
        likely = inbound.estimate.likely
        return inbound.dialect.tap(
            Head(request, reply_id, inbound.name, created, likely, body=inbound.parsed)
        )

    def repair(self, failed: Failed) -> bool:
        if failed.vendor_code != failures.STALE:
            return False
        name = self._inbound.dialect.prompts[0]
        self._wanted = {**self._wanted, name: _without_secrets(self._wanted.get(name))}
        before, self.body = self.body, self._patched()
        return self.body != before


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The members that differ; None for one that is gone."""
    changes = {
        name: new
        for name, new in after.items()
        if new is not (old := before.get(name)) and new != old
    }
    for name in before:
        if name not in after and before[name] is not None:
            changes[name] = None
    return changes


def _without_secrets(items: Any) -> Any:
    """A conversation without what the vendor calls stale: its own reasoning."""
    if not isinstance(items, list):
        return items
    kept = [item for item in items if not _is_secret(item)]
    return [
        {**item, "content": [b for b in item["content"] if not _is_secret(b)]}
        if isinstance(item, dict) and isinstance(item.get("content"), list)
        else item
        for item in kept
    ]


def _is_secret(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") in _SECRETS


class Translation:
    """Through the hub."""

    streams = True

    def __init__(self, inbound: InboundRequest) -> None:
        self._inbound = inbound
        request = codecs.decode_request(inbound.dialect.name, inbound.parsed)
        self.request = replace(request, thinking=inbound.thinking)
        self.target = replace(inbound.target, end_user=inbound.end_user(request.end_user))
        self.sifted = self._sifted()
        self.dialect = self.target.dialect
        self.path = inbound.model.path(streams=True)
        self.thinks: Thinking | None = None
        self.body = b"" if self.to_fetch() else self._encoded()

    def _sifted(self, why: str = "") -> Sifted:
        """What another dialect has no words for; and what its vendor will do of its own."""
        inbound = self._inbound
        left = leftovers.left_out(
            inbound.dialect.name, inbound.parsed, self.request, self.target, why
        )
        rules = inbound.model.rules()
        uses = (
            Use(row, row.most_calls, {})
            for name in hosted.run(self.request, self.target)
            if (row := rules.tools.find(name)) is not None and row.pricing != Pricing.INCLUDED
        )
        return Sifted(inbound.parsed, left, tuple(uses))

    def _encoded(self) -> bytes:
        upstream = codecs.UPSTREAMS[self.target.dialect]
        sent = upstream.encode_request(self.request, self.target)
        if self.request.thinking.mode:
            self.thinks = upstream.decode_thinking(sent)
        end_users.introduce(sent, self.dialect, self._inbound.account)
        return orjson.dumps(self._inbound.model.manners.applied(sent))

    def _send(self, request: Request) -> None:
        self.request = request
        self.body = self._encoded()

    def to_fetch(self) -> list[str]:
        """What the request only points at and this upstream takes only as bytes."""
        return media.to_fetch(self.request, self.target)

    def inline(self, fetched: Mapping[str, tuple[str, str]]) -> None:
        """Put what was fetched in its place: URL to (media type, base64)."""
        self._send(media.inlined(self.request, fetched))

    def headers(self, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        return self._inbound.with_switches({})

    def limit_output(self, tokens: int) -> None:
        most = min(tokens, self.request.max_output_tokens or tokens)
        self._send(replace(self.request, max_output_tokens=most))

    def spare(self, calls: int) -> None:
        if calls:
            return  # Gemini cannot be told how often
        self.target = replace(self.target, hosts=frozenset())
        self.sifted = self._sifted(" (balance)")
        self._send(self.request)

    def let_store(self, allowed: bool) -> None:
        pass  # what is translated is never stored

    def stream(self, reply_id: str, created: int) -> Translator:
        inbound = self._inbound
        head = Head(
            request=self.request,
            reply_id=reply_id,
            model=inbound.name,
            created=created,
            input_tokens=inbound.estimate.likely,
            key=self.target.key,
            body=inbound.parsed,
        )
        return Translator(head, self.target)

    def repair(self, failed: Failed) -> bool:
        if failed.vendor_code == failures.STALE:
            before = self.body
            items = tuple(map(_without_carriers, self.request.items))
            self._send(replace(self.request, items=items))
            return self.body != before
        return failed.message == failures.malformed("").message


def _without_carriers(item: Any) -> Any:
    return replace(item, carriers=()) if isinstance(item, Reasoning | ToolCall) else item
