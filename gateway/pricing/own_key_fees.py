"""Fees for customers' own keys keep the rules of every price.

Always true of every way in which one is made:

1. It begins `schedule.LEAD` from now at the earliest, so that every node knows it by then.
2. A rise begins after the notice of a rise, unless it has a reason; whoever has a key there is
   told of it.
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
        return max(wanted or now, now + schedule.LEAD)
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


def before(row: OwnKeyFee, now: datetime) -> OwnKeyFee | None:
    """What is paid without it."""
    return fees.in_force(row.vendor, row.effective_at or now)


def before_it(row: OwnKeyFee) -> OwnKeyFee | None:
    """What is paid until it, of one that is kept."""
    return fees.in_force(row.vendor, row.effective_at - timedelta(microseconds=1))


def is_coming(row: OwnKeyFee, now: datetime) -> bool:
    """Whether no request can have been priced by it."""
    return row.effective_at > now + schedule.LEAD
