"""A month of the books, by its ids: what is exported of it, and what is taken out."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from billing.books import brought_forward, checkpoints
from billing.books.models import Entry, Transfer
from billing.books.monthly import first_number
from gateway.usage.corrections.models import CorrectedRequest
from gateway.usage.models import UsageEvent
from gateway.usage.monthly import first_of
from gateway.usage.quarantine.models import UsageQuarantine
from hontoni import months


@dataclass(frozen=True, slots=True)
class Span:
    """From where the last checkpoint ended to before these ids; and what came late, after its own
    month was gone."""

    month: datetime
    usage_since: uuid.UUID
    usage_until: uuid.UUID
    transfers_since: int
    transfers_until: int

    def events(self) -> QuerySet[UsageEvent]:
        """All there are, and those that came late."""
        mine = Q(pk__gte=self.usage_since) | ~referred_to()
        return UsageEvent.objects.filter(mine, pk__lt=self.usage_until)

    def transfers(self) -> QuerySet[Transfer]:
        """All there are, and the charges that came late."""
        mine = Q(pk__gte=self.transfers_since) | Q(kind=Transfer.Kind.USAGE)
        return Transfer.objects.filter(mine, pk__lt=self.transfers_until)

    def entries(self) -> QuerySet[Entry]:
        """Of its transfers."""
        mine = Q(transfer__gte=self.transfers_since) | Q(transfer__kind=Transfer.Kind.USAGE)
        mine &= Q(transfer__lt=self.transfers_until)
        return Entry.objects.filter(mine, pk__lt=first_number(self.end))

    @property
    def end(self) -> datetime:
        """When the month is over."""
        return months.shifted(self.month, 1)

    def charges(self) -> tuple[QuerySet[Transfer], QuerySet[Entry]]:
        """The charges for usage, and their entries, that are taken out."""
        return brought_forward.usage_below(self.transfers_until, first_number(self.end))

    def leaving(self) -> QuerySet[UsageEvent]:
        """The events that are taken out: all but those that a correction or staff refer to."""
        return UsageEvent.objects.filter(~referred_to(), pk__lt=self.usage_until).order_by()


def referred_to() -> Q:
    """Events that stay, however old they are."""
    corrected = CorrectedRequest.objects.order_by().values("event")
    return Q(pk__in=corrected) | Q(pk__in=UsageQuarantine.objects.order_by().values("event"))


def of(month: datetime) -> Span:
    """The span of a month, of which all before is in the archive."""
    since = checkpoints.transfers_floor()
    return Span(
        month,
        checkpoints.usage_floor(),
        first_of(months.shifted(month, 1)),
        since,
        brought_forward.until(month, since),
    )
