"""Prices are announced before they bind, so that every node knows them at their instant.

Always true, where prices are made and withdrawn here:

1. The next price of a model, or of a feature, begins at least LEAD from now, by Redis's clock;
   LEAD is longer than a node's snapshot lives. Only the first price of a model, which nobody can
   have paid, may begin at any time.
2. A price that is in force, was, or will be within LEAD, stays: a receipt may name it.
3. What makes a rise of a price that follows it soon, announced as none, is refused: of a price
   put before it, and of one withdrawn.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import formats, timezone
from django.utils.translation import gettext

from billing.books import audit
from gateway.catalogue import clock
from gateway.catalogue.features.models import FeaturePrice, times
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import changes
from gateway.catalogue.prices.changes import Priced
from hontoni.errors import BadRequest, Conflict
from hontoni.money import dollars

LEAD = timedelta(seconds=10)


def beginning(wanted: datetime | None, price: Priced) -> datetime:
    """When a version made now would come into force. None asks for as soon as may be: a rise
    after its notice, unless it has a reason, all else at once.

    Raises BadRequest for a moment that is past.
    """
    now = clock.now()
    present = price.current(now)
    if present is None and not price.kin().exists():
        return wanted or now
    if wanted is None and not price.reason and changes.rises(present, price):
        return now + changes.notice()
    if wanted is not None and wanted < now - LEAD:
        raise BadRequest(
            gettext(
                "A price cannot begin in the past. Make one from now on, and correct the requests."
            ),
            param="effective_at",
        )
    return max(wanted or now, now + LEAD)


def announce(price: Priced, *, actor: str, request_id: str = "") -> None:
    """Save a new version, to be in force from its `effective_at`, and audit it. Raises BadRequest
    (changes.py)."""
    with transaction.atomic():
        now = clock.now()
        price.effective_at = beginning(price.effective_at, price)
        before = price.current(price.effective_at)
        check(price, now)
        price.save(force_insert=True)
        audit.record(
            actor=actor,
            action=f"add {_word(price)}",
            subject=subject(price),
            before=as_dict(before) if before else {},
            after=as_dict(price) | changed(before, price),
            request_id=request_id,
        )


def check(price: Priced, now: datetime) -> None:
    """Raises BadRequest for a version that breaks a rule of changes.py, or the third above."""
    before = price.current(price.effective_at)
    changes.check(before, price, now)
    if not price.reason and (risen := _rises_soon(before, price, price.effective_at, now)):
        raise BadRequest(
            "The price of %(shown)s would be a rise after it, without its notice. "
            "Withdraw that one first, or say why not.",
            param="reason",
            about={"shown": _shown(risen.effective_at)},
        )


def _rises_soon(
    before: Priced | None, after: Priced, since: datetime, now: datetime
) -> Priced | None:
    """The first version after `since`, if it is a rise of `after`, was none of `before`, and
    binds before its customers can have had their notice."""
    found = after.following(since)
    informed = now + changes.notice() - timedelta(minutes=5)
    if found is None or found.reason or found.effective_at >= informed:
        return None
    return found if changes.rises(after, found) and not changes.rises(before, found) else None


def withdraw(price: Priced, *, actor: str, request_id: str = "") -> None:
    """Delete a price that is to come. Raises Conflict if it is too late for that."""
    with transaction.atomic():
        price = type(price)._default_manager.select_for_update().get(pk=price.pk)
        if not is_coming(price):
            raise Conflict(
                "It has been in force since %(shown)s, or is about to be: announce another one.",
                about={"shown": _shown(price.effective_at)},
            )
        if not leaves_no_rise(price):
            raise Conflict(
                gettext("The next one would be a rise without its notice: withdraw that first.")
            )
        before, about = as_dict(price), subject(price)
        price.delete()
        audit.record(
            actor=actor,
            action=f"withdraw {_word(price)}",
            subject=about,
            before=before,
            after={},
            request_id=request_id,
        )


def _word(price: Priced) -> str:
    return "price" if isinstance(price, Price) else "feature price"


def subject(price: Priced) -> str:
    """What the audit calls it."""
    return f"{_word(price).replace(' ', '_')}:{price.pk}"


def is_coming(price: Priced) -> bool:
    """Whether no node can price by it before it has heard that it is gone."""
    return price.effective_at > clock.now() + LEAD


def leaves_no_rise(price: Priced) -> bool:
    """Whether what follows a price that is to come is told in time where that one is withdrawn."""
    before = price.previous()
    now = clock.now()
    return before is None or not _rises_soon(price, before, price.effective_at, now)


def in_force(model_id: str, now: datetime) -> Price | None:
    """The version a request admitted now pays."""
    return Price(model_id=model_id).current(now)


def changed(before: Priced | None, after: Priced) -> dict[str, Any]:
    """By how much each bucket changes, for the audit."""
    if before is None:
        return {}
    found = {s.bucket: s.percent for s in changes.steps(before, after) if s.before != s.after}
    return {"changed": found} if found else {}


def as_dict(price: Priced) -> dict[str, Any]:
    """A version in words and dollars per million tokens, for people and for the audit."""
    facts: dict[str, Any] = {"version": price.pk, "effective_at": price.effective_at.isoformat()}
    if price.reason:
        facts["reason"] = price.reason
    if isinstance(price, FeaturePrice):
        facts |= {"feature": str(price.feature), "pricing": price.pricing}
        return facts | {"per_call": dollars(price.per_call), "factor": times(price.times)}
    names = [*BUCKETS]
    if price.long_context_above is not None:
        names += [f"long_{bucket}" for bucket in BUCKETS]
        facts["long_context_above"] = price.long_context_above
    facts["model"] = price.model_id
    return facts | {name: dollars(getattr(price, name)) for name in names}


def _shown(moment: datetime) -> str:
    return formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT")
