"""The catalogue and the receipts as /api shows them. Money is decimal strings of dollars."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from gateway.catalogue.features import offers
from gateway.catalogue.features.models import Kind, Pricing
from gateway.catalogue.features.snapshot import Features
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.usage import summary
from gateway.usage.clients import NAMES
from gateway.usage.models import UsageEvent
from gateway.vendors.models import Vendor
from hontoni.drf import Query
from hontoni.money import dollars


class PricesSerializer(serializers.Serializer[Any]):
    """Dollars per million tokens."""

    input = serializers.CharField()
    cache_read = serializers.CharField()
    cache_write_5m = serializers.CharField()
    cache_write_1h = serializers.CharField()
    output = serializers.CharField()
    reasoning = serializers.CharField()


class ComingPriceSerializer(serializers.Serializer[Any]):
    """Prices that are announced and not in force yet."""

    effective_at = serializers.DateTimeField(help_text="from this moment on")
    prices_per_million_tokens = PricesSerializer()
    long_context_above = serializers.IntegerField(allow_null=True)
    long_context_prices_per_million_tokens = PricesSerializer(allow_null=True)


class ComingFeaturePriceSerializer(serializers.Serializer[Any]):
    """What a feature will cost, announced and not in force yet."""

    effective_at = serializers.DateTimeField(help_text="from this moment on")
    pricing = serializers.ChoiceField(Pricing.choices)
    price_per_call = serializers.CharField(required=False, help_text="dollars")
    factor = serializers.CharField(required=False, help_text="times the price of the tokens")


class FeatureSerializer(serializers.Serializer[Any]):
    """What the model can be asked for beside text, and what it costs."""

    name = serializers.CharField(help_text="the type of the tool, or member=value")
    kind = serializers.ChoiceField(Kind.choices)
    about = serializers.CharField()
    pricing = serializers.ChoiceField(Pricing.choices)
    price_per_call = serializers.CharField(required=False, help_text="dollars")
    factor = serializers.CharField(required=False, help_text="times the price of the tokens")
    coming_prices = ComingFeaturePriceSerializer(many=True, required=False)
    most_calls = serializers.IntegerField(required=False, help_text="in one request")


class ModelSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    vendor = serializers.ChoiceField(Vendor.choices)
    context_window = serializers.IntegerField(help_text="tokens")
    max_output = serializers.IntegerField(help_text="tokens")
    capabilities = serializers.ListField(child=serializers.CharField())
    aliases = serializers.ListField(child=serializers.CharField())
    currency = serializers.CharField()
    prices_per_million_tokens = PricesSerializer()
    long_context_above = serializers.IntegerField(allow_null=True)
    long_context_prices_per_million_tokens = PricesSerializer(allow_null=True)
    coming_prices = ComingPriceSerializer(many=True, help_text="announced, the next one first")
    features = FeatureSerializer(many=True)
    available_from = serializers.DateTimeField(allow_null=True, help_text="null: always")
    ends_at = serializers.DateTimeField(
        allow_null=True, help_text="from then on it is refused, or its successor answers"
    )
    successor = serializers.CharField(allow_null=True, help_text="what to ask instead")


class ModelListSerializer(serializers.Serializer[Any]):
    data = ModelSerializer(many=True)  # type: ignore[assignment]  # a field of that name


def model_out(
    model: Model,
    price: Price,
    aliases: list[str],
    coming: Sequence[Price],
    features: Features,
) -> dict[str, Any]:
    """One model with the price in effect, and those to come."""
    return {
        "id": model.id,
        "name": model.name,
        "vendor": model.vendor,
        "context_window": model.context_window,
        "max_output": model.max_output,
        "capabilities": model.capabilities,
        "aliases": aliases,
        "currency": "USD",
        **_prices(price),
        "features": offers.shapes(features.rules(model.dialect, model.id)),
        "available_from": model.available_from,
        "ends_at": model.ends_at,
        "successor": model.successor_id,
        "coming_prices": [
            {"effective_at": each.effective_at.isoformat(), **_prices(each)} for each in coming
        ],
    }


def _prices(price: Price) -> dict[str, Any]:
    long = price.long_context_above is not None
    return {
        "prices_per_million_tokens": {b: dollars(getattr(price, b)) for b in BUCKETS},
        "long_context_above": price.long_context_above,
        "long_context_prices_per_million_tokens": (
            {b: dollars(getattr(price, f"long_{b}")) for b in BUCKETS} if long else None
        ),
    }


class UsageFilterSerializer(Query):
    """What /api/usage can be narrowed to."""

    key = serializers.IntegerField(required=False, help_text="id of one of your API keys")
    member = serializers.IntegerField(
        required=False,
        help_text="id of a member of the team: of all keys of theirs, ended ones too",
    )
    model = serializers.CharField(required=False)
    tool = serializers.ChoiceField(NAMES, required=False)
    transaction = serializers.CharField(
        required=False,
        max_length=30,
        help_text="id of a usage charge of GET /api/billing/transactions: what it is the sum of",
    )
    since = serializers.DateTimeField(required=False, help_text="from this moment on")
    until = serializers.DateTimeField(required=False, help_text="before this moment")


class SummaryFilterSerializer(Query):
    """Which days, and by what they are added up."""

    group_by = serializers.ChoiceField(summary.GROUPS, default="day")
    to = serializers.DateField(required=False, help_text="the last day (UTC); today")

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name that Python lets a member have."""
        first = serializers.DateField(required=False, help_text="the first day; 30 days in all")
        return {**super().get_fields(), "from": first}


class UsageSerializer(serializers.ModelSerializer[UsageEvent]):
    """One request in the list."""

    request_id = serializers.CharField()
    key_id = serializers.IntegerField(source="api_key_id")
    cost = serializers.SerializerMethodField(help_text="dollars, as corrected")

    class Meta:
        model = UsageEvent
        fields = (
            *("request_id", "created_at", "key_id", "model", "requested_model", "dialect"),
            *("stream", "status", "error", *BUCKETS, "cost", "estimated", "aborted"),
            *("first_byte_ms", "duration_ms", "client", "tool"),
        )

    def get_cost(self, event: UsageEvent) -> str:
        return dollars(event.charged)
