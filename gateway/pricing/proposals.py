"""What the sources say that differs from the catalogue, as proposals. Nothing applies itself.

Always true:

1. The same difference is proposed once, however often the sources are read. One that is no longer
   there is gone; one that was declined comes back only when something else is said.
2. Where sources whose prices are the vendor's own disagree, that is what is proposed: each price
   with its source, for staff to choose from.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from gateway.catalogue import clock
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.margins import Known
from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.prices import schedule
from gateway.pricing.models import Kind, Proposal, State
from gateway.pricing.sources import source_reading
from gateway.pricing.sources.listings import Listing, canonical
from gateway.vendors.models import Provider
from hontoni.money import dollars

NEW_WITHIN = timedelta(days=365)
_COMPARED = ("reasoning", "tools", "vision")  # the sources know no other capabilities


@dataclass(frozen=True, slots=True)
class Round:
    """What one reading of the sources came to."""

    new: int
    open: int
    gone: int
    problems: list[str]

    def __str__(self) -> str:
        said = gettext("%(new)d new proposals, %(open)d open, %(gone)d no longer so")
        listings = said % {"new": self.new, "open": self.open, "gone": self.gone}
        return "; ".join([listings, *self.problems])


def sync(*, offline: bool) -> Round:
    """Read all sources and propose what differs."""
    listings, problems = source_reading.read(offline=offline)
    found = list(_found(listings, timezone.now()))
    with transaction.atomic():
        new = sum(_keep(each) for each in found)
        keys = [each.key for each in found]
        stale = Proposal.objects.filter(state=State.OPEN).exclude(key__in=keys)
        # What a missing source said last may still be so.
        gone = 0 if problems else stale.update(state=State.GONE)
    return Round(new, Proposal.objects.filter(state=State.OPEN).count(), gone, problems)


def _keep(proposal: Proposal) -> bool:
    """Whether it is news."""
    known = Proposal.objects.filter(key=proposal.key).first()
    if known is None:
        proposal.save()
        return True
    if known.state in (State.OPEN, State.GONE):
        Proposal.objects.filter(pk=known.pk).update(
            state=State.OPEN, seen_at=proposal.seen_at, listings=proposal.listings
        )
    return False


# -- Comparing -----------------------------------------------------------------------------------


def _found(listings: Iterable[Listing], now: datetime) -> Iterator[Proposal]:
    by_model: defaultdict[tuple[str, str], list[Listing]] = defaultdict(list)
    for each in listings:
        by_model[each.vendor, each.canonical].append(each)
    known = {(row.vendor, canonical(row.upstream_id)): row for row in Model.objects.all()}
    costs, sold_by = margins.known(), _vendors()
    for place, them in by_model.items():
        model = known.get(place)
        ones = list(_one_a_source(them, model.upstream_id if model else ""))
        if model is None:
            if place[0] in sold_by:
                yield from _new(ones, now)
        elif model.active:
            yield from _cost(model, ones, costs, now)
            yield from _end(model, ones)
            yield from _capability(model, ones)
    for model in known.values():
        if model.active and not (model.ends_at and model.ends_at <= now):
            yield from _below_cost(model, costs, now)


def _vendors() -> set[str]:
    """Whose models are sold here, or can be: a provider of theirs is switched on."""
    sold = Model.objects.filter(active=True).order_by().values_list("vendor", flat=True)
    reached = Provider.objects.filter(active=True).order_by().values_list("vendor", flat=True)
    return {*sold, *reached}


def _one_a_source(listings: list[Listing], name: str) -> Iterator[Listing]:
    """Of the spellings that a source has, the one we ask by, else the shortest."""
    by_source: defaultdict[str, list[Listing]] = defaultdict(list)
    for each in listings:
        by_source[each.source].append(each)
    for them in by_source.values():
        yield min(them, key=lambda one: (one.name != name, len(one.name)))


def _priced(listings: Iterable[Listing]) -> list[Listing]:
    return [each for each in listings if each.trusted and each.rates]


def _cost(
    model: Model, listings: list[Listing], costs: Known, now: datetime
) -> Iterator[Proposal]:
    priced = _priced(listings)
    if not priced:
        return
    cost = costs.latest(model.pk)
    present = cost_facts(cost) if cost else {}
    given = {each.source: facts_of(each) for each in priced}
    if all(_same(facts, present) for facts in given.values()):
        return
    kind = Kind.COST if _agree(given.values()) else Kind.DISAGREEMENT
    facts = {"cost": _together(given)} if kind == Kind.COST else {"choices": given}
    yield _proposal(kind, model, model.upstream_id, facts | {"present": present}, listings, now)


def _same(given: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """As far as it is said: not every source tells of tiers."""
    return bool(present) and all(present.get(name) == value for name, value in given.items())


def _agree(given: Iterable[Mapping[str, Any]]) -> bool:
    """Whether no two of them say different things of one bucket."""
    first: dict[str, Any] = {}
    for facts in given:
        for name, value in facts.items():
            if first.setdefault(name, value) != value:
                return False
    return True


def _together(given: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What sources that agree say, each what it knows: not every one has tiers."""
    found: dict[str, Any] = {}
    for facts in given.values():
        found |= facts
    return found


def _below_cost(model: Model, costs: Known, now: datetime) -> Iterator[Proposal]:
    price = schedule.in_force(model.pk, clock.now())
    if price is None or price.reason:
        return
    lost = margins.below(costs.of(price))
    later = Price.objects.filter(model=model.pk, effective_at__gt=price.effective_at)
    if not lost or any(not margins.below(costs.of(each)) for each in later):
        return  # it is being mended
    facts = {
        "lost": {each.bucket: [dollars(each.price), dollars(each.cost)] for each in lost},
        "version": price.pk,
    }
    yield _proposal(Kind.BELOW_COST, model, model.upstream_id, facts, [], now)


def _end(model: Model, listings: list[Listing]) -> Iterator[Proposal]:
    days = sorted({each.ends for each in listings if each.ends})
    present = model.ends_at.date() if model.ends_at else None
    if not days or present in days and len(days) == 1:
        return
    if present is not None and present == days[0]:
        return  # the earliest is what is known
    if present is not None and days[0] <= timezone.now().date():
        return  # it is past; here it ends when customers have been told
    successor = next((each.successor for each in listings if each.successor), "")
    facts = {"ends": days[0].isoformat(), "present": present.isoformat() if present else None}
    if successor:
        facts["successor"] = successor
    yield _proposal(Kind.END, model, model.upstream_id, facts, listings, timezone.now())


def _capability(model: Model, listings: list[Listing]) -> Iterator[Proposal]:
    facts: dict[str, Any] = {}
    window = _agreed({each.context for each in listings if each.trusted and each.context})
    output = _agreed({each.max_output for each in listings if each.trusted and each.max_output})
    can = _agreed({each.capabilities for each in listings if each.capabilities})
    ours = max(model.context_window, model.long_context_window or 0)
    if window and window < ours:
        facts["context_window"] = [model.context_window, window]
    if output and output != model.max_output:
        facts["max_output"] = [model.max_output, output]
    if can is not None:
        have = {name for name in model.capabilities if name in _COMPARED}
        if have != set(can):
            facts["capabilities"] = [sorted(have), sorted(can)]
    if facts:
        yield _proposal(Kind.CAPABILITY, model, model.upstream_id, facts, listings, timezone.now())


def _agreed(found: set[Any]) -> Any:
    return next(iter(found)) if len(found) == 1 else None


def _new(listings: list[Listing], now: datetime) -> Iterator[Proposal]:
    priced = _priced(listings)
    released = max((each.released for each in listings if each.released), default=None)
    if not priced or any(each.ends and each.ends <= now.date() for each in listings):
        return
    if released is not None and released < (now - NEW_WITHIN).date():
        return
    given = {each.source: facts_of(each) for each in priced}
    name = min((each.name for each in listings), key=len)
    facts: dict[str, Any] = {
        "title": next((each.title for each in listings if each.title), name),
        "context_window": max(each.context for each in listings),
        "max_output": max(each.max_output for each in listings),
        "capabilities": sorted(frozenset().union(*(each.capabilities for each in listings))),
    }
    facts |= {"cost": _together(given)} if _agree(given.values()) else {"choices": given}
    if released:
        facts["released"] = released.isoformat()
    yield _proposal(Kind.NEW_MODEL, None, name, facts, listings, now, priced[0].vendor)


# -- Spelling ------------------------------------------------------------------------------------


def _proposal(
    kind: Kind,
    model: Model | None,
    name: str,
    facts: dict[str, Any],
    listings: list[Listing],
    now: datetime,
    vendor: str = "",
) -> Proposal:
    vendor = model.vendor if model else vendor
    what = json.dumps([kind, vendor, canonical(name), facts], sort_keys=True)
    return Proposal(
        kind=kind,
        vendor=vendor,
        model=model,
        name=name,
        facts=facts,
        listings={each.source: _told(each) for each in listings},
        key=hashlib.sha256(what.encode()).hexdigest(),
        created_at=now,
        seen_at=now,
    )


def _told(each: Listing) -> dict[str, Any]:
    """One source's word, for people."""
    given: dict[str, Any] = dict(facts_of(each))
    for name, value in (("ends", each.ends), ("released", each.released)):
        if value:
            given[name] = value.isoformat()
    for name, count in (("context", each.context), ("max_output", each.max_output)):
        if count:
            given[name] = count
    return given


def facts_of(each: Listing) -> dict[str, Any]:
    """The price a source says, in dollars per million tokens."""
    given: dict[str, Any] = {name: dollars(rate) for name, rate in each.rates.items()}
    if each.rates and each.long_above and each.long_rates:
        given["long_context_above"] = each.long_above
        given |= {f"long_{name}": dollars(rate) for name, rate in each.long_rates.items()}
    return given


def cost_facts(cost: VendorPrice) -> dict[str, Any]:
    """A version of ours, as sources' words are spelled."""
    given: dict[str, Any] = {name: dollars(cost.rate(name)) for name in BUCKETS}
    if cost.long_context_above is not None:
        given["long_context_above"] = cost.long_context_above
        given |= {f"long_{name}": dollars(cost.rate(f"long_{name}")) for name in BUCKETS}
    return given
