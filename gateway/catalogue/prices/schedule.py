"""Prices are announced before they bind, so that every node knows them at their instant.

Always true, where prices are made and withdrawn here:

1. A model's next price begins at least LEAD from now, by Redis's clock; LEAD is longer than a
   node's snapshot lives. Only the first price of a model, which nobody can have paid, may begin
   at any time.
2. A price that is in force, was, or will be within LEAD, stays: a receipt may name it.
3. What makes a rise of a price that follows it soon, announced as none, is refused: of a price
   put before it, and of one withdrawn.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import formats, timezone

from billing.books import audit
from gateway.catalogue import clock
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import changes
from hontoni.errors import BadRequest, Conflict
from hontoni.money import dollars

LEAD = timedelta(seconds=10)


def beginning(model_id: str, wanted: datetime | None, price: Price | None = None) -> datetime:
    """When a price made now for this model would come into force. None asks for as soon as may
    be: a rise (of `price`) after its notice, unless it has a reason, all else at once.

    Raises BadRequest for a moment that is past.
    """
    now = clock.now()
    if not Price.objects.filter(model_id=model_id).exists():
        return wanted or now
    unhurried = wanted is None and price is not None and not price.reason
    if unhurried and price and changes.rises(in_force(model_id, now), price):
        return now + changes.notice()
    if wanted is not None and wanted < now - LEAD:
        raise BadRequest(
            "A price cannot begin in the past. Make one from now on, and correct the requests.",
            param="effective_at",
        )
    return max(wanted or now, now + LEAD)


def announce(price: Price, *, actor: str, request_id: str = "") -> Price:
    """Save a new version, to be in force from its `effective_at`, and audit it. Raises BadRequest
    (changes.py)."""
    with transaction.atomic():
        now = clock.now()
        price.effective_at = beginning(price.model_id, price.effective_at)
        before = in_force(price.model_id, price.effective_at)
        check(price, now)
        price.save(force_insert=True)
        audit.record(
            actor=actor,
            action="add price",
            subject=f"price:{price.pk}",
            before=as_dict(before) if before else {},
            after=as_dict(price) | changed(before, price),
            request_id=request_id,
        )
    return price


def check(price: Price, now: datetime) -> None:
    """Raises BadRequest for a version that breaks a rule of changes.py, or the third above."""
    before = in_force(price.model_id, price.effective_at)
    changes.check(before, price, now)
    if not price.reason and (risen := _rises_soon(before, price, price.effective_at, now)):
        raise BadRequest(
            f"The price of {_shown(risen.effective_at)} would be a rise after it, without its "
            "notice. Withdraw that one first, or say why not.",
            param="reason",
        )


def _rises_soon(
    before: Price | None, after: Price, since: datetime, now: datetime
) -> Price | None:
    """The first version after `since`, if it is a rise of `after`, was none of `before`, and
    binds before its customers can have had their notice."""
    later = Price.objects.filter(model_id=after.model_id, effective_at__gt=since)
    found = later.order_by("effective_at", "id").first()
    informed = now + changes.notice() - timedelta(minutes=5)
    if found is None or found.reason or found.effective_at >= informed:
        return None
    return found if changes.rises(after, found) and not changes.rises(before, found) else None


def withdraw(price_id: int, *, actor: str, request_id: str = "") -> None:
    """Delete a price that is to come. Raises Conflict if it is too late for that."""
    with transaction.atomic():
        price = Price.objects.select_for_update().get(pk=price_id)
        if not is_coming(price):
            raise Conflict(
                f"It has been in force since {_shown(price.effective_at)}, or is about to be: "
                "announce another one."
            )
        if not leaves_no_rise(price):
            raise Conflict("The next one would be a rise without its notice: withdraw that first.")
        before = as_dict(price)
        price.delete()
        audit.record(
            actor=actor,
            action="withdraw price",
            subject=f"price:{price_id}",
            before=before,
            after={},
            request_id=request_id,
        )


def is_coming(price: Price) -> bool:
    """Whether no node can price by it before it has heard that it is gone."""
    return price.effective_at > clock.now() + LEAD


def leaves_no_rise(price: Price) -> bool:
    """Whether what follows a price that is to come is told in time where that one is withdrawn."""
    earlier = Price.objects.filter(model=price.model_id, effective_at__lt=price.effective_at)
    before = earlier.order_by("-effective_at", "-id").first()
    now = clock.now()
    return before is None or not _rises_soon(price, before, price.effective_at, now)


def in_force(model_id: str, now: datetime) -> Price | None:
    """The version a request admitted now pays."""
    begun = Price.objects.filter(model_id=model_id, effective_at__lte=now)
    return begun.order_by("-effective_at", "-id").first()


def changed(before: Price | None, after: Price) -> dict[str, Any]:
    """By how much each bucket changes, for the audit."""
    found = {s.bucket: s.percent for s in changes.steps(before, after) if s.before != s.after}
    return {"changed": found} if before and found else {}


def as_dict(price: Price) -> dict[str, Any]:
    """A version in words and dollars per million tokens, for people and for the audit."""
    names = [*BUCKETS]
    if price.long_context_above is not None:
        names += [f"long_{bucket}" for bucket in BUCKETS]
    facts = {"version": price.pk, "model": price.model_id}
    facts["effective_at"] = price.effective_at.isoformat()
    if price.long_context_above is not None:
        facts["long_context_above"] = price.long_context_above
    if price.reason:
        facts["reason"] = price.reason
    return facts | {name: dollars(getattr(price, name)) for name in names}


def _shown(moment: datetime) -> str:
    return formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT")
