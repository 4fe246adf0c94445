"""What a request through a customer's own key costs, at a moment. Pure but for `read`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from gateway.vendors.own_keys.models import OwnKeyFee

REQUEST_LINE = "own_key_request"  # on receipts


class Fee(NamedTuple):
    """Of one version. Nano-dollars: a million tokens of whatever kind, and a request."""

    id: int
    per_million: int
    per_request: int


Fees = Mapping[str, Fee]  # by vendor; "" is every other one


class Version(NamedTuple):
    """A row, as the snapshot keeps it. `since` in microseconds."""

    vendor: str
    since: int
    fee: Fee


def of(row: OwnKeyFee) -> Fee:
    return Fee(row.pk, row.per_million, row.per_request)


def at(versions: Iterable[Version], micros: int) -> Fees:
    """Which hold at a moment: of each vendor the one that began last."""
    begun = [each for each in versions if each.since <= micros]
    return {each.vendor: each.fee for each in sorted(begun, key=lambda one: one.since)}


def for_vendor(fees: Fees, vendor: str) -> Fee | None:
    """None: own keys are not offered for it."""
    found = fees.get(vendor)
    return fees.get("") if found is None else found


def in_force(vendor: str, moment: datetime) -> OwnKeyFee | None:
    """The version that a request of that moment pays."""
    begun = OwnKeyFee.objects.filter(effective_at__lte=moment)
    own = begun.filter(vendor=vendor).order_by("-effective_at", "-id").first()
    return own or begun.filter(vendor="").order_by("-effective_at", "-id").first()


def is_dearer(fee: OwnKeyFee, before: OwnKeyFee | None) -> bool:
    """In any part of it."""
    return before is not None and (
        fee.per_million > before.per_million or fee.per_request > before.per_request
    )


def kept(now: datetime) -> list[OwnKeyFee]:
    """Those in force, and those to come."""
    coming = list(OwnKeyFee.objects.filter(Q(effective_at__gt=now)))
    vendors = OwnKeyFee.objects.order_by().values_list("vendor", flat=True).distinct()
    begun = OwnKeyFee.objects.filter(effective_at__lte=now).order_by("-effective_at", "-id")
    present = [begun.filter(vendor=vendor).first() for vendor in vendors]
    return [row for row in present if row is not None] + coming
