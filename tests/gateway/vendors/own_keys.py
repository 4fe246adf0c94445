"""Customers may bring keys of their own, and what that costs them."""

from typing import Any

from django.utils import timezone

from gateway.catalogue import snapshot
from gateway.vendors.models import Provider
from gateway.vendors.own_keys.models import OwnKeyFee
from hontoni.money import nanos
from tests.vendors import Vendors

SECRET, BOBS = "sk-alice-at-openai-0123456789", "sk-bob-at-openai-0123456789"


def offer(at: Vendors, name: str = "openai", vendor: str = "", **fields: Any) -> Provider:
    """Customers may bring a key for the vendor that is at that address."""
    made: Provider = Provider.objects.create(
        name=name, vendor=vendor or name, base_url=at.url, own_keys=True, **fields
    )
    snapshot.forget()
    return made


def charge(per_million: str = "0.10", per_request: str = "0", **fields: Any) -> OwnKeyFee:
    made: OwnKeyFee = OwnKeyFee.objects.create(
        per_million=nanos(per_million),
        per_request=nanos(per_request),
        effective_at=timezone.now(),
        **fields,
    )
    snapshot.forget()
    return made
