"""Staff accept a proposal: what it says becomes rows, with the notice that customers have."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.books import audit
from gateway.catalogue import clock
from gateway.catalogue.costs.models import MarkUp, VendorPrice
from gateway.catalogue.models import BUCKETS, Alias, Model, Price
from gateway.catalogue.prices import changes, losses, schedule
from gateway.catalogue.prices.losses import Loss
from gateway.pricing import announcements
from gateway.pricing.models import Kind, Proposal, State
from gateway.pricing.sources.listings import canonical
from gateway.vendors.models import Dialect
from hontoni.errors import BadRequest, Conflict
from hontoni.money import nanos

Words = str | Promise
_DIALECTS = {
    "anthropic": Dialect.ANTHROPIC_MESSAGES,
    "openai": Dialect.OPENAI_RESPONSES,
    "google": Dialect.GEMINI,
}
_LAST_NOTICE = timedelta(days=min(announcements.BEFORE_THE_END))
_VERSION = re.compile(r"-(\d)-(\d)(?=$|-)")
_LONG = tuple(f"long_{bucket}" for bucket in BUCKETS)


@transaction.atomic
def accept(
    proposal_id: int, *, actor: str, source: str = "", reason: str = "", request_id: str = ""
) -> str:
    """Write what it proposes; `source` chooses where sources disagree, `reason` says why customers
    whose own prices fall below cost keep them. What was written, in the reader's language; the
    audit has it in English. Raises BadRequest, and Conflict if it is decided already."""
    proposal = _open(proposal_id)
    if not reason and (lost := lost_by(proposal, source)):
        raise BadRequest(
            "Below cost with prices of their own: %(words)s. "
            "Say why they stay, or end them first.",
            param="reason",
            about={"words": losses.words(lost)},
        )
    done = _DEEDS[Kind(proposal.kind)](proposal, source, actor, reason)
    if reason:
        done = format_lazy("{}; {}", done, reason)
    with translation.override("en"):
        _decide(proposal, State.ACCEPTED, actor, request_id, str(done))
    return str(done)


@transaction.atomic
def decline(proposal_id: int, *, actor: str, request_id: str = "") -> None:
    """It is not proposed again. Raises Conflict if it is decided already."""
    _decide(_open(proposal_id), State.DECLINED, actor, request_id, "")


def _open(proposal_id: int) -> Proposal:
    proposal = Proposal.objects.select_for_update().get(pk=proposal_id)
    if proposal.state != State.OPEN:
        raise Conflict("It is %(state)s.", about={"state": proposal.get_state_display()})
    return proposal


def _decide(proposal: Proposal, state: State, actor: str, request_id: str, done: str) -> None:
    proposal.state, proposal.decided_by = state, actor
    proposal.decided_at = timezone.now()
    proposal.save()
    audit.record(
        actor=actor,
        action="accept proposal" if state == State.ACCEPTED else "decline proposal",
        subject=f"proposal:{proposal.pk}",
        before={"kind": proposal.kind, "model": proposal.model_id or proposal.name},
        after={"facts": proposal.facts, "written": done},
        request_id=request_id,
    )


# -- Costs and prices ----------------------------------------------------------------------------


def _cost(proposal: Proposal, source: str, actor: str, reason: str) -> Words:
    model = proposal.model
    assert model is not None
    given = source or _sources(proposal)
    cost = _write_cost(model, chosen(proposal, source), given, reason)
    price = marked_up(model, cost)
    price.reason = reason
    written = _announced(price, actor)
    return format_lazy(_("cost from {day}; {price}"), day=cost.since, price=written)


def lost_by(proposal: Proposal, source: str) -> list[Loss]:
    """Which customers' own prices its cost puts below cost, once the list is marked up."""
    if proposal.kind not in (Kind.COST, Kind.DISAGREEMENT) or proposal.model is None:
        return []
    cost = cost_of(proposal.model, chosen(proposal, source))
    return losses.by_cost(cost, marked_up(proposal.model, cost))


def chosen(proposal: Proposal, source: str) -> dict[str, Any]:
    """The cost that is accepted. Raises BadRequest where a source is to be chosen."""
    facts: dict[str, Any] = proposal.facts
    if "cost" in facts:
        found: dict[str, Any] = facts["cost"]
        return found
    choices: dict[str, dict[str, Any]] = facts["choices"]
    if source not in choices:
        named = " or ".join(sorted(choices))
        raise BadRequest(
            "The sources disagree. Choose %(named)s.", param="source", about={"named": named}
        )
    return choices[source]


def _sources(proposal: Proposal) -> str:
    return ", ".join(proposal.listings)[:200]


def _write_cost(
    model: Model, facts: Mapping[str, Any], source: str, reason: str = ""
) -> VendorPrice:
    """The version from today on; what was noted earlier today was not the last word."""
    cost = cost_of(model, facts)
    cost.source, cost.reason = source, reason
    cost.save()
    return cost


def cost_of(model: Model, facts: Mapping[str, Any]) -> VendorPrice:
    """The version that these facts would make, not saved."""
    today = clock.now().astimezone(UTC).date()
    return VendorPrice(model=model, since=today, **_columns(facts))


def _columns(facts: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: nanos(facts[name]) for name in BUCKETS}
    found["long_context_above"] = facts.get("long_context_above")
    for name in _LONG:
        found[name] = nanos(facts[name]) if name in facts else None
    return found


def marked_up(model: Model, cost: VendorPrice) -> Price:
    """The price that the vendor's mark-up makes of a cost, from after the notice on."""
    rule = mark_up(model.vendor)
    rates = {name: rule.price(cost.rate(name)) for name in BUCKETS}
    price = Price(model=model, effective_at=clock.now() + changes.notice(), **rates)
    if cost.long_context_above is not None:
        price.long_context_above = cost.long_context_above
        for name in _LONG:
            setattr(price, name, rule.price(cost.rate(name)))
    return price


def mark_up(vendor: str) -> MarkUp:
    """The rule of a vendor, or what holds where staff made none."""
    return MarkUp.objects.filter(vendor=vendor).first() or MarkUp(vendor=vendor)


def raised(model: Model, cost: VendorPrice, price: Price) -> Price:
    """The price in force, with what is below cost marked up."""
    rule = mark_up(model.vendor)
    found = Price(model=model, effective_at=clock.now() + changes.notice())
    for name in BUCKETS:
        now, least = getattr(price, name), cost.rate(name)
        setattr(found, name, now if now >= least else rule.price(least))
    if cost.long_context_above is None and price.long_context_above is None:
        return found
    found.long_context_above = cost.long_context_above or price.long_context_above
    for name in _LONG:
        now, least = changes.rate(price, name), cost.rate(name)
        setattr(found, name, now if now >= least else rule.price(least))
    return found


def _announced(price: Price, actor: str) -> Words:
    before = schedule.in_force(price.model_id, price.effective_at)
    if before and not any(s.before != s.after for s in changes.steps(before, price)):
        return format_lazy(_("the price stays"))
    given = announcements.announce(price, actor)
    since = f"{price.effective_at:%Y-%m-%d %H:%M}"
    return format_lazy(_("price from {since}, {count} customers told"), since=since, count=given)


def _below_cost(proposal: Proposal, source: str, actor: str, reason: str) -> Words:
    model = proposal.model
    assert model is not None
    now = clock.now()
    price = schedule.in_force(model.pk, now)
    cost = VendorPrice.objects.filter(model=model, since__lte=now.date()).first()
    if price is None or cost is None:
        raise BadRequest(gettext("Its price or its cost is no longer known."))
    made = raised(model, cost, price)
    made.reason = reason
    return _announced(made, actor)


# -- Models --------------------------------------------------------------------------------------


def _new_model(proposal: Proposal, source: str, actor: str, reason: str) -> Words:
    facts = proposal.facts
    model = new_model(proposal)
    if Model.objects.filter(pk=model.pk).exists():
        raise BadRequest("There is a model %(pk)s already.", about={"pk": model.pk})
    model.save(force_insert=True)
    cost = _write_cost(model, chosen(proposal, source), source or _sources(proposal))
    price = marked_up(model, cost)
    price.effective_at = clock.now()
    schedule.announce(price, actor=actor)
    names = _named(model)
    proposal.model = model
    what = f"{model.pk}, {facts['title']}"
    also = ", ".join(names) or "–"
    return format_lazy(_("{what}, on sale; also as {names}"), what=what, names=also)


def new_model(proposal: Proposal) -> Model:
    """As it would be sold, not saved. Its id is the vendor's, in the spelling of the others."""
    facts = proposal.facts
    name = proposal.name
    pk = _VERSION.sub(r"-\1.\2", name) if proposal.vendor == "anthropic" else name
    last = Model.objects.order_by("-sort_order").first()
    released = facts.get("released")
    model = Model(
        id=pk,
        name=facts["title"],
        vendor=proposal.vendor,
        upstream_id=name,
        dialect=_DIALECTS.get(proposal.vendor, Dialect.OPENAI_CHAT),
        context_window=facts["context_window"] or 128_000,
        max_output=facts["max_output"] or 8_192,
        capabilities=[*facts["capabilities"], "code", "chat"],
        sort_order=min(32_767, (last.sort_order if last else 0) + 1),
    )
    if released:
        model.released_at = _midnight(released)
    return model


def _named(model: Model) -> list[str]:
    """Its own names mean it, and no longer the nearest of what was sold before."""
    mine = canonical(model.upstream_id)
    known = [a.name for a in Alias.objects.all() if canonical(a.name) == mine]
    names = sorted({*known, model.upstream_id} - {model.pk})
    for name in names:
        Alias.objects.update_or_create(name=name, defaults={"model": model, "alternative": None})
    return names


def _end(proposal: Proposal, source: str, actor: str, reason: str) -> Words:
    model = proposal.model
    assert model is not None
    now = clock.now()
    model.ends_at = max(_midnight(proposal.facts["ends"]), now + _LAST_NOTICE)
    model.deprecated_at = now
    model.vendor_notice = model.vendor_notice or _sources(proposal)
    if successor := proposal.facts.get("successor"):
        model.successor = Model.objects.filter(pk=successor).first() or model.successor
    if not model.successor_id:
        model.redirects = False
    model.save()
    notified = announcements.ends(now)
    day = f"{model.ends_at:%Y-%m-%d}"
    words = _("{model} ends on {day}, {count} customers told")
    return format_lazy(words, model=model.pk, day=day, count=notified)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)


def _capability(proposal: Proposal, source: str, actor: str, reason: str) -> Words:
    model, facts = proposal.model, proposal.facts
    assert model is not None
    for name in ("context_window", "max_output"):
        if name in facts:
            setattr(model, name, facts[name][1])
    if model.long_context_window and "context_window" in facts:
        model.long_context_window = max(model.context_window, facts["context_window"][1])
    if "capabilities" in facts:
        before, after = facts["capabilities"]
        model.capabilities = [*after, *(c for c in model.capabilities if c not in before)]
    model.save()
    return ", ".join(f"{name}: {pair[0]} → {pair[1]}" for name, pair in facts.items())


_DEEDS = {
    Kind.COST: _cost,
    Kind.DISAGREEMENT: _cost,
    Kind.BELOW_COST: _below_cost,
    Kind.NEW_MODEL: _new_model,
    Kind.END: _end,
    Kind.CAPABILITY: _capability,
}


def preview(proposal: Proposal, source: str = "") -> tuple[Price | None, Price] | None:
    """The price there is and the one that accepting it would announce; None where it announces
    none, or a source is to be chosen first."""
    try:
        if proposal.kind == Kind.NEW_MODEL:
            model = new_model(proposal)
            return None, marked_up(model, cost_of(model, chosen(proposal, source)))
        if proposal.model is None:
            return None
        before = schedule.in_force(proposal.model_id or "", clock.now())
        if proposal.kind in (Kind.COST, Kind.DISAGREEMENT):
            cost = cost_of(proposal.model, chosen(proposal, source))
            return before, marked_up(proposal.model, cost)
        latest = VendorPrice.objects.filter(model=proposal.model).first()
        if proposal.kind == Kind.BELOW_COST and before and latest:
            return before, raised(proposal.model, latest, before)
    except BadRequest:
        pass
    return None
