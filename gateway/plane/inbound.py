"""What a client asks, understood: the model it means, how hard to think, what it can cost."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from gateway.catalogue import snapshot
from gateway.catalogue.features.sift import Sifted
from gateway.catalogue.snapshot import Catalogue
from gateway.catalogue.sold import Model
from gateway.catalogue.variants import PLAIN, Variant
from gateway.dialects.codecs import CLIENTS
from gateway.dialects.codecs import thinking as thoughts
from gateway.dialects.ir import UNSAID, Target, Thinking
from gateway.metering import documents, estimates, feature_holds, sound
from gateway.metering.estimates import Estimate, Hold
from gateway.plane import callers, end_users, members, outlines
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import CHAT, Dialect
from gateway.plane.outlines import Outline
from gateway.plane.upstream import Upstream
from gateway.vendors import sessions
from gateway.vendors.manners import Named
from hontoni.errors import BadRequest

_LONGER_BYTES = 16_384  # that a translation may add, unlooked at: the words of another dialect
_NOTED = ("gpt-4o",)  # the documentation has gpt-4o-1m: accepted, without effect
_UNCONDITIONAL = b"claude-cli"  # asks every model to think, whatever the user chose


Permit = Callable[[Caller, str, str], Awaitable[Caller]]


class Beside(Protocol):
    """A large request, understood in a process beside this one."""

    session: bytes
    prompt_bytes: int


class InboundRequest(NamedTuple):
    """`name` is the client's own spelling of the model; `permitted` are the models its key may
    ask, if not all."""

    dialect: Dialect
    body: bytes
    parsed: dict[str, Any]
    name: str
    account: int
    model: Model
    variant: Variant
    target: Target
    thinking: Thinking
    estimate: Estimate
    hold: Hold
    clamps: dict[str, Any]
    permitted: tuple[str, ...] = ()
    bare: Hold | None = None  # without what the features may cost
    affordable: int | None = None  # output tokens that the balance pays for, if fewer than asked
    may_store: bool = False  # the vendor, what it is sent: the account's own setting
    beside: Beside | None = None  # who has the whole of it, if `parsed` is not (large.py)
    outline: Outline | None = None  # of a plain one whose settings were seen before

    def session(self, headers: Mapping[bytes, bytes]) -> bytes:
        """What stays the same throughout a session."""
        if self.beside is not None:
            return self.beside.session
        return sessions.key(self.parsed, headers, self.account)

    def prompt_bytes(self) -> int:
        """Bytes of what the prompt says, without the JSON around it and what is attached."""
        if self.beside is not None:
            return self.beside.prompt_bytes
        return estimates.prompt_bytes(self.parsed)

    def helper(self, name: str) -> str | None:
        """What the vendor calls another model that shall help, where this caller may ask it."""
        found = self.model.sister(name)
        if found is None or found.dialect != self.model.dialect:
            return None
        return found.upstream_id if not self.permitted or found.id in self.permitted else None

    def covering(self, sifted: Sifted) -> "InboundRequest":
        """The same, with a hold that covers its features as well."""
        bare = self.bare or self.hold
        if not sifted.uses and not sifted.requested and self.bare is None:
            return self
        hold = feature_holds.covered(bare, self.model, self.estimate, sifted)
        return self._replace(hold=hold, bare=bare)

    def with_switches(self, headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The headers, with the vendor's switch for a long context if that was asked for."""
        if self.variant.long_context and (switch := self.model.long_context_beta.encode()):
            betas = [*headers.get(b"anthropic-beta", b"").split(b","), switch]
            given = dict.fromkeys(beta.strip() for beta in betas if beta.strip())
            headers[b"anthropic-beta"] = b",".join(given)
        return headers

    def at(self, named: Named) -> "InboundRequest":
        """The same of the model as another provider has it (`Model.at`)."""
        model = self.model.at(named)
        target = model.capped(self.target.thinking_cap or 0)
        return self._replace(model=model, target=target, outline=None)

    def priced(self, model: Model, sifted: Sifted) -> "InboundRequest":
        """The same at the prices by now: of `model`, the same model, and of those beside it."""
        hold = estimates.hold(model, self.estimate)
        return self._replace(model=model, hold=hold, bare=None).covering(sifted)

    def sent_as(self, size: int) -> "InboundRequest":
        """The same, held for by the body that a vendor is sent, where that is far longer than the
        one that came: whatever a translation says more often, somebody reads."""
        known = max(len(self.body), self.estimate.most)
        if (more := size - known) <= known // 4 + _LONGER_BYTES:
            return self
        estimate = self.estimate._replace(
            likely=self.estimate.likely + more // estimates.BYTES_PER_TOKEN,
            most=self.estimate.most + more,
        )
        hold = estimates.hold(self.model, estimate)
        return self._replace(estimate=estimate, hold=hold, bare=None)

    def whole(self, sifted: Sifted) -> "InboundRequest":
        """The same with all held that it may cost, through whichever key it goes."""
        full, ours = self.hold.full, self.model.ours
        if ours is not None:
            full = max(full, self.priced(ours, sifted).hold.full)
        return self._replace(hold=Hold(full, full))

    def end_user(self, given: str) -> str:
        """Our pseudonym for whom the vendor's answer is: stable, and nobody's name."""
        return end_users.pseudonym(self.account, given)

    def applied(self, sent: Thinking) -> dict[str, Any]:
        """The clamp that tells how much thinking is asked for, and what took the rest away."""
        applied = thoughts.nominal(sent)
        wanted = self.thinking.budget or thoughts.BUDGET.get(self.thinking.effort, 0) or applied
        given: dict[str, Any] = {"asked": wanted, "applied": applied}
        if sent.effort and (sent.mode != "off" or self.target.thinking == "effort"):
            given["effort"] = sent.effort
        if applied < wanted:
            given["by"] = self._culprit(applied)
        return given

    def settled(self) -> Thinking:
        """How much it thinks if nothing else in the request forbids it."""
        if not self.thinking.mode:  # nearly always
            return UNSAID
        return thoughts.settle(self.thinking, self.target, self._room())

    def _room(self) -> int:
        """What an answer may take."""
        given = (self.parsed.get(name) for name in self.dialect.limits_of(self.parsed))
        limit = next((n for n in given if isinstance(n, int)), None)
        return self.dialect.room(self.model, limit)

    def _culprit(self, applied: int) -> str:
        """Which bound took it down: the one without which more would be left."""
        if thoughts.nominal(self.settled()) > applied:
            return "tools"  # a call that is forced, or whose thinking is gone
        uncapped = replace(self.target, thinking_cap=None)
        if thoughts.nominal(thoughts.settle(self.thinking, uncapped, self._room())) > applied:
            return "plan"
        roomy = thoughts.settle(self.thinking, self.target, self.model.max_output)
        if thoughts.nominal(roomy) > applied:
            return "max_tokens"
        return "model"

    def hides(self) -> bool:
        """Whether the answer may cost output we cannot watch being produced: reasoning of any
        vendor, for none shows all of it."""
        if self.outline is not None:
            return self.outline.hides
        if "reasoning" not in self.model.capabilities:
            return False
        settled, target = self.settled(), self.target
        if not settled.mode:  # nobody said: then Claude's older models do not think
            return (
                self.model.vendor != "anthropic" or target.off != "disabled" or target.mid_system
            )
        return settled.mode != "off" and settled.effort != "none" and settled.budget != 0


def outlined(
    dialect: Dialect,
    body: bytes,
    parsed: dict[str, Any],
    caller: Caller,
    upstream: Upstream,
    sent: Mapping[bytes, bytes],
) -> InboundRequest | None:
    """As `understand`, of a plain request whose settings were seen before (outlines.py); None for
    any other. Raises BadRequest."""
    found = _at_hand(parsed, upstream, caller)
    if found is None or b"anthropic-beta" in sent or caller.models:
        return None
    model = found[0]
    outline: Outline | None = model.outlines.get(outlines.settings(dialect.name, parsed))
    if outline is None:
        return None
    plain, escapes = members.spelling(body, parsed)
    if not plain:
        return None
    model = model.owned(caller.account)
    spelled = escapes and documents.spelled(body)
    estimate = estimates.estimate(model, body, outline.most, spelled=spelled)
    return InboundRequest(
        dialect, body, parsed, parsed["model"], caller.account, model, PLAIN,
        model.capped(caller.thinking_budget), UNSAID, estimate, estimates.hold(model, estimate),
        {}, may_store=caller.may_store, outline=outline,
    )  # fmt: skip


async def understand(
    dialect: Dialect,
    body: bytes,
    parsed: dict[str, Any],
    caller: Caller,
    upstream: Upstream,
    sent: Mapping[bytes, bytes],
    address: str,
    *,
    known: Catalogue | None = None,
    permit: Permit = callers.permit,
) -> InboundRequest:
    """`sent` are the headers; `known` is the catalogue to go by, if not this process's own. Raises
    BadRequest, Forbidden, or NotFound (404 model_not_found)."""
    dialect.check(parsed)
    members.look(parsed)
    plain, escapes = members.spelling(body, parsed)
    if not plain:
        await members.check(body)
    if known is None:
        model, variant = _at_hand(parsed, upstream, caller) or await model_of(
            parsed, upstream, caller
        )
    else:
        model, variant = _model_of(known, _name(parsed), upstream, caller)
    if b"anthropic-beta" in sent:
        variant = _switched(variant, model, sent[b"anthropic-beta"])
    if caller.models and (needed := permission(model, variant, caller)) not in caller.models:
        caller = await permit(caller, address, needed)
    if not model.chats:
        raise BadRequest(
            f"{model.id} answers no prompts. GET /v1/models says what a model is for.",
            code="model_not_supported",
            param="model",
        )
    model = model.owned(caller.account)
    target = model.capped(caller.thinking_budget)
    said = _said(dialect, parsed)
    thinking = wanted(said, variant, target, sent) if variant.effort else said
    limit = dialect.limit(parsed)
    most = dialect.most_output(model, parsed, limit)
    attached, spoken = documents.NOTHING, sound.is_spoken(parsed)
    spelled = escapes and documents.spelled(body)
    if spoken or not documents.attaches_nothing(body, spelled):
        window = model.window(variant.long_context)
        attached = await documents.survey(dialect.name, model, window, body, parsed)
    estimate = estimates.estimate(model, body, most, attached, spelled=spelled, spoken=spoken)
    requested = InboundRequest(
        dialect=dialect,
        body=body,
        parsed=parsed,
        name=parsed["model"],
        account=caller.account,
        model=model,
        variant=variant,
        target=target,
        thinking=thinking,
        estimate=estimate,
        hold=estimates.hold(model, estimate),
        clamps={},
        permitted=tuple(caller.models or ()),
        may_store=caller.may_store,
    )
    if thinking.mode or variant is not PLAIN or (limit or 0) > model.max_output:
        requested.clamps.update(_clamps(requested, limit or 0))
    return requested


def permission(model: Model, variant: Variant, caller: Caller) -> str:
    """Which model a key must be allowed to ask: for what answers in place of a retired one, that
    one is enough where it costs no more."""
    gone = variant.instead_of
    if gone is None or gone.id not in caller.models:
        return model.id
    return model.id if snapshot.stand(model, gone, caller.account).price == "higher" else gone.id


def _at_hand(
    parsed: dict[str, Any], upstream: Upstream, caller: Caller
) -> tuple[Model, Variant] | None:
    """As `model_of` for a model's own name, without waiting: nearly always."""
    name, known = parsed.get("model"), snapshot.at_hand()
    model = known.models.get(name) if known is not None and isinstance(name, str) else None
    return (model, PLAIN) if model is not None and upstream.serves(model, caller) else None


async def model_of(
    parsed: dict[str, Any], upstream: Upstream, caller: Caller
) -> tuple[Model, Variant]:
    """The model a body names, and its variant. Raises BadRequest or NotFound."""
    name = _name(parsed)
    return await snapshot.found(lambda known: _model_of(known, name, upstream, caller))


def _name(parsed: dict[str, Any]) -> str:
    name = parsed.get("model")
    if not isinstance(name, str) or not name:
        raise BadRequest("model is required and must be a string.", param="model")
    return name


def _switched(variant: Variant, model: Model, betas: bytes) -> Variant:
    """A client may say the vendor's own switch in place of our suffix: whatever its date is."""
    switch = model.long_context_beta.rstrip("-0123456789").encode()
    requested = switch and any(flag.strip().startswith(switch) for flag in betas.split(b","))
    return replace(variant, long_context=True) if requested else variant


def _model_of(
    known: Catalogue, name: str, upstream: Upstream, caller: Caller
) -> tuple[Model, Variant]:
    model, variant = known.resolve(name)
    if not upstream.serves(model, caller):
        raise BadRequest(f"{model.id} is not available here.", code="model_not_supported")
    if variant.long_context and not model.long_context_window and model.id not in _NOTED:
        having = ", ".join(m.id for m in known.models.values() if m.long_context_window)
        raise BadRequest(
            f"{model.id} has no long context. These models have one: {having}.",
            code="unsupported_parameter",
            param="model",
        )
    return model, variant


def _said(dialect: Dialect, parsed: dict[str, Any]) -> Thinking:
    """What the body says about thinking, whichever dialect it is really in."""
    said = CLIENTS[dialect.name].decode_thinking(parsed)
    if not said.mode and dialect is CHAT and not parsed.get("messages"):
        return CLIENTS["openai_responses"].decode_thinking(parsed)
    return said


def wanted(
    said: Thinking, variant: Variant, target: Target, sent: Mapping[bytes, bytes]
) -> Thinking:
    """Explicit parameters win over the suffix, except what one agent says on every request."""
    agent = sent.get(b"user-agent", b"")
    unconditional = agent.startswith(_UNCONDITIONAL) and said.mode != "off"
    if said.mode and not unconditional:
        return said
    return replace(variant.thinking(target), display=said.display)


def _clamps(requested: InboundRequest, limit: int) -> dict[str, Any]:
    """What is applied of what was asked, and what took the rest away."""
    clamps: dict[str, Any] = {}
    model = requested.model
    if limit > model.max_output:
        clamps["max_tokens"] = {"asked": limit, "applied": model.max_output, "by": "model"}
    if requested.thinking.mode or requested.variant.effort:
        clamps["thinking"] = requested.applied(requested.settled())
    if requested.variant.long_context and not model.long_context_window:
        clamps["context"] = {"asked": "1m", "applied": model.context_window, "by": "model"}
    return clamps
