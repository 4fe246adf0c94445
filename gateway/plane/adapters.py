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
from gateway.dialects.codecs import failures, hosted, leftovers, media, pages, searches, summaries
from gateway.dialects.codecs.shapes import foreign
from gateway.dialects.ir import (
    Failed,
    Head,
    HostedCall,
    Item,
    Request,
    Thinking,
)
from gateway.dialects.json_patch import patch
from gateway.dialects.rounds import Rounds
from gateway.dialects.stream_readers import Tap
from gateway.dialects.translator import Translator
from gateway.plane import compaction, end_users, our_tools, outlines, stale
from gateway.plane.inbound import InboundRequest
from gateway.plane.outlines import Outline
from gateway.vendors.manners import PLAIN
from hontoni.errors import BadRequest, PaymentRequired

logger = logging.getLogger(__name__)

# What reading JSON of the wrong shape raises.
_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError)

# What a count may say, where the vendor refuses the rest of what a request does.
_COUNTED = {
    "openai_responses": frozenset(
        (
            *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls"),
            *("reasoning", "text", "truncation"),
        )
    )
}

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

    def compact(self) -> None:
        """Ask where the vendor compacts a conversation, if it does so itself (compaction.py)."""

    def stream(self, reply_id: str, created: int) -> Stream | None:
        """What reads the reply; None when it comes whole."""

    def repair(self, failed: Failed) -> bool:
        """Change what the upstream refused, if that may help: then try once more."""


def choose(inbound: InboundRequest) -> Lane:
    """The way for this request. Raises BadRequest for what its target cannot express, and for a
    body whose members have other shapes than its dialect gives them."""
    try:
        if inbound.outline is not None:
            return PassThrough(inbound)
        native = inbound.model.dialect == inbound.dialect.name and not _needs_the_hub(inbound)
        if not native:
            return Translation(inbound)
        lane = PassThrough(inbound)
        outlines.note(inbound, lane.sifted, lane.changes, lane.path)
        return lane
    except _MISSHAPEN as error:
        logger.warning("request.misshapen %s: %r", inbound.dialect.name, error)
        raise BadRequest("The request body does not have the shape it must have.") from error


def _needs_the_hub(inbound: InboundRequest) -> bool:
    """A body in other words than its path's dialect has; or a shape of answer this model has no
    native form of there, which we force by a tool or ask for in words; or a dialect of which
    nothing passes through."""
    if inbound.dialect.tap is None:
        return True
    if foreign.speaks(inbound.dialect.name, inbound.parsed):
        return True
    if inbound.target.ours and our_tools.are_asked_for(inbound):
        return True
    if summaries.asks(inbound.parsed.get("input")) and not _compacts(inbound):
        return True
    if inbound.target.schema == "native":
        return False
    config = inbound.parsed.get("output_config")
    wanted = inbound.parsed.get("response_format")
    shaped = isinstance(config, dict) and bool(config.get("format"))
    return shaped or (isinstance(wanted, dict) and wanted.get("type") == "json_schema")


def _compacts(inbound: InboundRequest) -> bool:
    """Whether the host compacts conversations itself: OpenAI's own, and who has all of it."""
    return inbound.model.vendor == "openai" and inbound.model.manners.hosts


def forwarded(inbound: InboundRequest, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Those of a client's headers that its own dialect's vendor shall see."""
    return inbound.with_switches(headers(sent, inbound.model.rules())[0])


def counted(inbound: InboundRequest, parsed: dict[str, Any]) -> bytes:
    """The body of a count: as it would be sent, but for limits, which a count has none of."""
    codec = codecs.CODECS[inbound.dialect.name]
    try:
        codec.refuse_impossible(parsed)
        kept = sift(parsed, inbound.model.rules(), inbound.helper).body
        sent = codec.patch_request(kept, inbound.target, Thinking())
        sent = inbound.model.manners.applied(sent)
    except _MISSHAPEN as error:
        raise BadRequest("The request body does not have the shape it must have.") from error
    changes = _changes(parsed, sent)
    if (counted := _COUNTED.get(inbound.dialect.name)) is not None:
        changes = {name: value for name, value in changes.items() if name in counted}
        changes |= dict.fromkeys(parsed.keys() - counted)
    return patch(inbound.body, parsed, changes)


class PassThrough:
    """Same dialect on both sides."""

    def __init__(self, inbound: InboundRequest) -> None:
        self._inbound = inbound
        self.dialect = inbound.model.dialect
        self.streams = bool(inbound.parsed.get("stream"))
        self.thinks: Thinking | None = None
        self.changes: dict[str, Any] = {}
        self._compacts = False
        if (outline := inbound.outline) is None:
            # Of the client's own body: what is missing in the sifted one nobody could refuse.
            codecs.CODECS[inbound.dialect.name].refuse_impossible(inbound.parsed)
            self.sifted = sift(inbound.parsed, inbound.model.rules(), inbound.helper)
            self._wanted = self.sifted.body
            self.path = inbound.model.path(streams=self.streams)
            self.body = self._patched()
        else:
            self.sifted, self._wanted = Sifted(inbound.parsed), inbound.parsed
            self.path = outline.path
            self.body = self._outlined(outline)

    def compact(self) -> None:
        self._compacts = True
        path, mark, query = self._inbound.model.path(streams=False).partition("?")
        self.path = f"{path}/compact{mark}{query}"
        self.body = self._patched()

    def _patched(self) -> bytes:
        """The client's bytes, changed in the members the codec would change."""
        inbound = self._inbound
        if self._compacts:
            native = compaction.native(self._wanted, inbound.target)
            return orjson.dumps(inbound.model.manners.applied(native))
        codec = codecs.CODECS[inbound.dialect.name]
        sent = codec.patch_request(self._wanted, inbound.target, inbound.thinking)
        store = inbound.may_store and inbound.parsed.get("store") is True
        manners = inbound.model.manners
        if manners is PLAIN:
            front = end_users.front(sent, self.dialect, inbound.account, store=store)
        else:
            end_users.introduce(sent, self.dialect, inbound.account, store=store)
            sent, front = manners.applied(sent), b""
        if inbound.thinking.mode:
            self.thinks = codec.decode_thinking(sent)
        self.changes = _changes(inbound.parsed, sent)
        return patch(inbound.body, inbound.parsed, self.changes, front)

    def _outlined(self, outline: Outline) -> bytes:
        """As `_patched`, where it is known what that changes."""
        inbound, self.changes = self._inbound, outline.changes
        front = end_users.front({}, self.dialect, inbound.account)
        return patch(inbound.body, inbound.parsed, outline.changes, front)

    def headers(self, sent: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        kept, left = headers(sent, self._inbound.model.rules())
        if left:
            given = dict.fromkeys((*self.sifted.left_out, *left))
            self.sifted = self.sifted._replace(left_out=tuple(given))
        return self._inbound.with_switches(kept)

    def limit_output(self, tokens: int) -> None:
        if self._compacts:  # the vendor takes no limit there
            raise PaymentRequired("Your balance does not cover what compacting may cost.")
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
        likely, tap = inbound.estimate.likely, inbound.dialect.tap
        assert tap is not None
        return tap(Head(request, reply_id, inbound.name, created, likely, body=inbound.parsed))

    def repair(self, failed: Failed) -> bool:
        if failed.vendor_code != failures.STALE:
            return False
        name = self._inbound.dialect.prompts[0]
        self._wanted = {**self._wanted, name: stale.without_secrets(self._wanted.get(name))}
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


class Translation:
    """Through the hub."""

    streams = True

    def __init__(self, inbound: InboundRequest) -> None:
        self._inbound = inbound
        request = codecs.decode_request(inbound.dialect.name, inbound.parsed)
        self.target = replace(inbound.target, end_user=inbound.end_user(request.end_user))
        request = replace(request, thinking=inbound.thinking)
        self._requested = searches.recalled(request, self.target.key)
        self._most: int | None = None  # uses of each of our tools, if the balance covers no more
        self._offer()
        self.dialect = self.target.dialect
        self.path = inbound.model.path(streams=True)
        self.thinks: Thinking | None = None
        self.body = b"" if self.to_fetch() else self._encoded(self.request)

    def _offer(self, why: str = "") -> None:
        """The tools that this upstream is offered: its own, and those that we run in its place."""
        self.helped = hosted.helped(self._requested, self.target)
        self.request = hosted.offered(self._requested, self.helped)
        self.mentioned = (
            pages.mentioned(self.request)
            if any(each.tool == hosted.FETCH for each in self.helped.values())
            else frozenset()
        )
        self.sifted = self._sifted(why)

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
        return Sifted(
            inbound.parsed, left, (*uses, *our_tools.uses(inbound, self.helped, self._most))
        )

    def declared(self, call: HostedCall) -> dict[str, Any]:
        """What the client said of the tool that is called."""
        known = self.helped.values()
        of_it = (e.declared for e in known if (e.tool, e.name) == (call.tool, call.name))
        return dict(next(of_it, {}))

    def _encoded(self, request: Request) -> bytes:
        upstream = codecs.UPSTREAMS[self.target.dialect]
        sent = upstream.encode_request(request, self.target)
        if request.thinking.mode:
            self.thinks = upstream.decode_thinking(sent)
        end_users.introduce(sent, self.dialect, self._inbound.account)
        return orjson.dumps(self._inbound.model.manners.applied(sent))

    def _send(self, request: Request) -> None:
        self.request = request
        self.body = self._encoded(request)

    def onward(self, said: tuple[Item, ...], most: int, spent: bool) -> None:
        """Ask for what follows what was said up to now, in at most so many tokens; with nothing
        said, ask from the beginning. `spent`: the tools that we run may be used no more."""
        request = self.request
        if said:
            request = hosted.onward(request, self.helped, spent=spent)
            items = (*request.items, *said)
            request = replace(request, items=items, max_output_tokens=most)
        self.body = self._encoded(request)

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
        self._most = calls
        if calls:  # Gemini cannot be told how often
            self.sifted = self._sifted()
            return
        before = self.request
        self.target = replace(self.target, hosts=frozenset(), ours=frozenset())
        self._offer(" (balance)")
        self._send(replace(before, tools=self.request.tools, tool_choice=self.request.tool_choice))

    def let_store(self, allowed: bool) -> None:
        pass  # what is translated is never stored

    def compact(self) -> None:
        pass  # the trigger in it does (codecs/summaries.py)

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
        if self.helped:
            return Rounds(head, self.target, self.helped)
        return Translator(head, self.target)

    def repair(self, failed: Failed) -> bool:
        if failed.vendor_code == failures.STALE:
            before = self.body
            items = tuple(map(stale.without_carriers, self.request.items))
            self._send(replace(self.request, items=items))
            return self.body != before
        return failed.message == failures.malformed("").message
