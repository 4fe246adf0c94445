"""Where customers may bring keys of their own, and at which fee, before staff say otherwise.

Idempotent: once there is a fee, staff have had their say, and nothing is made here any more.
"""

from django.db import transaction
from django.utils import timezone

from gateway.vendors.models import Provider, Vendor
from gateway.vendors.own_keys.models import OwnKeyFee
from hontoni.money import nanos

_HOMES = {
    Vendor.ANTHROPIC: "https://api.anthropic.com",
    Vendor.OPENAI: "https://api.openai.com",
    Vendor.GOOGLE: "https://generativelanguage.googleapis.com",
}
_PER_MILLION = "0.10"


@transaction.atomic
def seed() -> None:
    """The three vendors at their own addresses, and one fee for all of them."""
    if OwnKeyFee.objects.exists():
        return
    known = set(Provider.objects.values_list("name", flat=True))
    for vendor, home in _HOMES.items():
        if vendor.value not in known:
            Provider.objects.create(name=vendor.value, vendor=vendor, base_url=home, own_keys=True)
    OwnKeyFee.objects.create(
        per_million=nanos(_PER_MILLION), effective_at=timezone.now(), reason="the first"
    )
