"""The vendors' names of models and keys, as ours. Asked when bills are read, so that a name that
staff map today is understood on yesterday's bills."""

import re
from collections.abc import Iterable
from datetime import date

from django.conf import settings

from gateway.catalogue.models import Model
from gateway.reconciliation.vendors.models import VendorName
from gateway.usage.vendor_day import OWN, UsageVendorDay
from gateway.vendors.models import Credential, Offering, Vendor

# The day of a snapshot, which vendors put behind the name that is asked for.
_SNAPSHOT = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


class Names:
    """What is known of names when bills of these days are read."""

    def __init__(self, first: date, last: date) -> None:
        self._models = {
            _plain(name): model
            for model, names in _model_names()
            for name in names
            if name  # a model's first name wins, for it is read last
        }
        self._mapped = {
            (row.vendor, row.name): row.label
            for row in VendorName.objects.select_related("credential__provider")
        }
        self._served = _served(first, last)

    def model(self, vendor_model: str) -> str:
        """Our id of it; empty if we do not sell it.

        Aliases are not asked: they also lead from one model of a vendor's to another.
        """
        name = _plain(vendor_model)
        return self._models.get(name) or self._models.get(_SNAPSHOT.sub("", name), "")

    def mapped(self, vendor: str, *names: str) -> str:
        """The credential that staff say one of these is; empty if none is mapped."""
        for name in names:
            if name and (vendor, name) in self._mapped:
                return self._mapped[vendor, name]
        return ""

    def credential(self, vendor: str, *names: str) -> str:
        """The credential one of these is: the vendor's only one, where there is one only."""
        return self.mapped(vendor, *names) or self._served.get(vendor, "")


def _plain(name: str) -> str:
    return re.sub(r"[ ._]+", "-", name.strip().lower())


def _model_names() -> Iterable[tuple[str, list[str]]]:
    for model, upstream_id in Offering.objects.values_list("model_id", "upstream_id"):
        yield model, [upstream_id]
    for pk, name, upstream_id in Model.objects.values_list("pk", "name", "upstream_id"):
        yield pk, [name, pk, upstream_id]


def _served(first: date, last: date) -> dict[str, str]:
    """The one credential of each vendor that has one only: that served, else that there is."""
    found: dict[str, set[str]] = {}
    days = UsageVendorDay.objects.filter(day__gte=first, day__lte=last).exclude(credential="")
    days = days.exclude(vendor=OWN)
    for vendor, label in days.order_by().values_list("vendor", "credential").distinct():
        found.setdefault(vendor, set()).add(label)
    kept: dict[str, set[str]] = {}
    for credential in Credential.objects.select_related("provider"):
        kept.setdefault(credential.provider.vendor, set()).add(str(credential))
    for vendor in Vendor.values:
        usual = {"sandbox"} if settings.SANDBOX else {f"{vendor}/environment"}
        found.setdefault(vendor, (not settings.SANDBOX and kept.get(vendor)) or usual)
    return {vendor: labels.pop() for vendor, labels in found.items() if len(labels) == 1}
