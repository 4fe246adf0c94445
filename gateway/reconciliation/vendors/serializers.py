"""Vendors' bills, differences and margins as JSON: dollars as text, days as dates."""

from datetime import date, timedelta
from typing import Any

from rest_framework import serializers

from gateway.reconciliation.vendors import daily_round
from gateway.reconciliation.vendors.comparison import Difference
from gateway.reconciliation.vendors.earnings import NOBODY, Margin
from gateway.reconciliation.vendors.models import VendorBill
from gateway.usage.vendor_day import UNITS
from gateway.vendors.models import Vendor
from hontoni.drf import Query
from hontoni.money import dollars

MOST_DAYS = 400


class DaysSerializer(Query):
    """Query parameters: a range of UTC days, both included."""

    BESIDE = Query.BESIDE | {"offset"}

    to = serializers.DateField(required=False, help_text="Last day (UTC); yesterday if left out.")

    def get_fields(self) -> dict[str, Any]:
        first = serializers.DateField(
            required=False, help_text="First day (UTC); three days before the last if left out."
        )
        return {"from": first, **super().get_fields()}

    def validate(self, requested: dict[str, Any]) -> dict[str, Any]:
        first, last = daily_round.span(requested.get("from"), requested.get("to"))
        if first > last:
            raise serializers.ValidationError({"from": "It is after the last day."})
        if last - first >= timedelta(days=MOST_DAYS):
            raise serializers.ValidationError({"from": f"At most {MOST_DAYS} days at once."})
        return {**requested, "from": first, "to": last}

    @property
    def days(self) -> tuple[date, date]:
        return self.validated_data["from"], self.validated_data["to"]


class BillFilterSerializer(DaysSerializer):
    vendor = serializers.ChoiceField(Vendor.choices, required=False)


class MarginFilterSerializer(DaysSerializer):
    by = serializers.ChoiceField(["model", "day", "customer"], default="model")


class VendorBillSerializer(serializers.ModelSerializer[VendorBill]):
    dollars = serializers.SerializerMethodField(help_text="Null until costs are imported.")
    costs = serializers.SerializerMethodField(help_text="Dollars, by what they are for.")
    imported_at = serializers.SerializerMethodField()

    class Meta:
        model = VendorBill
        fields = (
            *("id", "vendor", "account", "scope", "key", "vendor_model", "day"),
            *(*UNITS, "requests", "dollars", "costs", "imported_at"),
        )

    def get_dollars(self, bill: VendorBill) -> str | None:
        return None if bill.dollars is None else dollars(bill.dollars)

    def get_costs(self, bill: VendorBill) -> dict[str, str]:
        return {name: dollars(cost) for name, cost in bill.costs.items()}

    def get_imported_at(self, bill: VendorBill) -> str | None:
        imports = [found for found in (bill.usage_import, bill.cost_import) if found]
        return max(found.created_at for found in imports).isoformat() if imports else None


class DifferenceSerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    vendor = serializers.CharField()
    credential = serializers.CharField(help_text="Empty: no credential of ours is mapped to it.")
    model = serializers.CharField(help_text="Ours; the vendor's name if we do not sell it.")
    billed = serializers.CharField(help_text="Dollars.")
    rates = serializers.CharField(
        help_text="What tokens are valued at: `bill`, `vendor_price` or `our_price`."
    )
    vendor_units = serializers.DictField(child=serializers.IntegerField())
    booked_units = serializers.DictField(child=serializers.IntegerField())
    requests = serializers.IntegerField()
    failed_attempts = serializers.IntegerField()
    revenue = serializers.CharField(help_text="Dollars charged to customers.")
    parts = serializers.DictField(
        child=serializers.CharField(), help_text="Dollars, by name; with `rest` they are `billed`."
    )
    rest = serializers.CharField(help_text="Dollars that nothing explains.")
    usage_told = serializers.BooleanField(
        help_text="Whether usage is imported: costs alone do not say what they are for."
    )
    alarming = serializers.BooleanField(help_text="Whether the rest is above both thresholds.")


class MarginSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(
        allow_null=True,
        help_text="The model, the day or the customer's id; null for what no customer used.",
    )
    requests = serializers.IntegerField()
    revenue = serializers.CharField(help_text="Dollars.")
    vendor_cost = serializers.CharField(help_text="Dollars, as far as it is known.")
    estimated = serializers.CharField(help_text="The part of it that is not billed yet.")
    margin = serializers.CharField(
        allow_null=True, help_text="Null where some of the cost is not known."
    )
    known = serializers.BooleanField()


def difference_out(found: Difference) -> dict[str, Any]:
    return {
        "day": found.place.day.isoformat(),
        "vendor": found.place.vendor,
        "credential": found.place.credential,
        "model": found.place.model,
        "billed": dollars(found.billed),
        "rates": found.rates,
        "vendor_units": found.vendor_tokens,
        "booked_units": found.booked_tokens,
        "requests": found.requests,
        "failed_attempts": found.failed_attempts,
        "revenue": dollars(found.revenue),
        "parts": {str(name): dollars(value) for name, value in found.parts.items()},
        "rest": dollars(found.rest),
        "usage_told": found.usage_told,
        "alarming": found.alarming,
    }


def margin_out(found: Margin) -> dict[str, Any]:
    return {
        "name": None if found.name == NOBODY else found.name,
        "requests": found.requests,
        "revenue": dollars(found.revenue),
        "vendor_cost": dollars(found.cost),
        "estimated": dollars(found.estimated),
        "margin": None if found.margin is None else dollars(found.margin),
        "known": found.known,
    }
