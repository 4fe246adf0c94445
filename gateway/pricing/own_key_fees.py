"""Fees for customers' own keys keep the rules of every price.

Always true of every way in which one is made:

1. It begins `schedule.LEAD` from now at the earliest, so that every node knows it by then.
2. A rise begins after the notice of a rise, unless it has a reason; whoever has a key there is
   told of it.
3. What makes a rise of a fee that follows it soon, announced as none, is refused: of one put
   before it, and of one withdrawn.
"""

from datetime import datetime, timedelta

from django.utils.translation import gettext

from gateway.catalogue.prices import changes, schedule
from gateway.vendors.own_keys import fees
from gateway.vendors.own_keys.models import OwnKeyFee
from hontoni.errors import BadRequest


def beginning(row: OwnKeyFee, now: datetime) -> datetime:
    """When it would come into force; without an `effective_at` as soon as may be. Raises
    BadRequest for a moment that is past, or a rise without notice or reason."""
    wanted = row.effective_at
    if wanted is not None and wanted < now - schedule.LEAD:
        raise BadRequest(gettext("A fee cannot begin in the past."), param="effective_at")
    earliest = now + changes.notice()
    if row.reason or not fees.is_dearer(row, before(row, now)):
        begins = max(wanted or now, now + schedule.LEAD)
        _check_next(row, begins, now)
        return begins
    if wanted is not None and wanted < earliest - timedelta(minutes=5):
        raise BadRequest(
            gettext(
                "Dearer than now. A rise is told %(days)d days before it binds: begin it then, or "
                "say why not."
            )
            % {"days": changes.notice().days},
            param="reason",
        )
    return wanted or earliest


def _check_next(row: OwnKeyFee, begins: datetime, now: datetime) -> None:
    following = _following(row.vendor, begins, now)
    present = fees.in_force(row.vendor, begins)
    if following is None or row.reason or not _rises_newly(following, row, present):
        return
    words = gettext(
        "The fee of %(day)s would be a rise after it, without its notice. Withdraw that one "
        "first, or say why not."
    )
    raise BadRequest(words % {"day": f"{following.effective_at:%Y-%m-%d}"}, param="reason")


def _following(vendor: str, since: datetime, now: datetime) -> OwnKeyFee | None:
    """The next version, if it binds before customers can have had the notice of a rise."""
    informed = now + changes.notice() - timedelta(minutes=5)
    found = OwnKeyFee.objects.filter(vendor=vendor, effective_at__gt=since)
    row = found.order_by("effective_at", "id").first()
    return None if row is None or row.reason or row.effective_at >= informed else row


def _rises_newly(row: OwnKeyFee, after: OwnKeyFee | None, before: OwnKeyFee | None) -> bool:
    """Whether it is a rise of one and was none of the other."""
    return fees.is_dearer(row, after) and not fees.is_dearer(row, before)


def before(row: OwnKeyFee, now: datetime) -> OwnKeyFee | None:
    """What is paid without it."""
    return fees.in_force(row.vendor, row.effective_at or now)


def before_it(row: OwnKeyFee) -> OwnKeyFee | None:
    """What is paid until it, of one that is kept."""
    return fees.in_force(row.vendor, row.effective_at - timedelta(microseconds=1))


def is_coming(row: OwnKeyFee, now: datetime) -> bool:
    """Whether no request can have been priced by it."""
    return row.effective_at > now + schedule.LEAD


def leaves_no_rise(row: OwnKeyFee, now: datetime) -> bool:
    """Whether what follows one that is to come is told in time where that one is withdrawn."""
    following = _following(row.vendor, row.effective_at, now)
    return following is None or not _rises_newly(following, before_it(row), row)
