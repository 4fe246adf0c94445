"""The catalogue and the receipts as /api shows them. Money is decimal strings of dollars."""

from typing import Any

from rest_framework import serializers

from gateway.catalogue import price_of
from gateway.explanations import explain
from gateway.models import BUCKETS, Model, Price, Refusal, UsageEvent, Vendor
from gateway.tools import NAMES
from hontoni.drf import Query
from hontoni.money import MILLION, dollars


class PricesSerializer(serializers.Serializer[Any]):
    """Dollars per million tokens."""

    input = serializers.CharField()
    cache_read = serializers.CharField()
    cache_write_5m = serializers.CharField()
    cache_write_1h = serializers.CharField()
    output = serializers.CharField()
    reasoning = serializers.CharField()


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


class ModelListSerializer(serializers.Serializer[Any]):
    data = ModelSerializer(many=True)  # type: ignore[assignment]  # a field of that name


def model_out(model: Model, price: Price, aliases: list[str]) -> dict[str, Any]:
    """One model with the price in effect."""
    long = price.long_context_above is not None
    return {
        "id": model.id,
        "name": model.name,
        "vendor": model.vendor,
        "context_window": model.context_window,
        "max_output": model.max_output,
        "capabilities": model.capabilities,
        "aliases": aliases,
        "currency": "USD",
        "prices_per_million_tokens": {b: dollars(getattr(price, b)) for b in BUCKETS},
        "long_context_above": price.long_context_above,
        "long_context_prices_per_million_tokens": (
            {b: dollars(getattr(price, f"long_{b}")) for b in BUCKETS} if long else None
        ),
    }


class UsageFilterSerializer(Query):
    """What /api/usage can be narrowed to."""

    key = serializers.IntegerField(required=False, help_text="id of one of your API keys")
    model = serializers.CharField(required=False)
    tool = serializers.ChoiceField(NAMES, required=False)
    transaction = serializers.CharField(
        required=False,
        max_length=30,
        help_text="id of a usage charge of GET /api/billing/transactions: what it is the sum of",
    )
    since = serializers.DateTimeField(required=False, help_text="from this moment on")
    until = serializers.DateTimeField(required=False, help_text="before this moment")


class UsageSerializer(serializers.ModelSerializer[UsageEvent]):
    """One request in the list."""

    request_id = serializers.CharField()
    key_id = serializers.IntegerField(source="api_key_id")
    cost = serializers.SerializerMethodField(help_text="dollars")

    class Meta:
        model = UsageEvent
        fields = (
            *("request_id", "created_at", "key_id", "model", "requested_model", "dialect"),
            *("stream", "status", "error", *BUCKETS, "cost", "estimated", "aborted"),
            *("first_byte_ms", "duration_ms", "client", "tool"),
        )

    def get_cost(self, event: UsageEvent) -> str:
        return dollars(event.cost)


class RefusalSerializer(serializers.ModelSerializer[Refusal]):
    """Equal refusals of one hour. The message and the limit are the last one's."""

    key_id = serializers.IntegerField(source="api_key_id")
    explanation = serializers.SerializerMethodField(help_text="what it means, what to do")
    limit = serializers.CharField(help_text="which limit bound, if one did")
    allowed = serializers.CharField(help_text="its number: requests, or dollars")

    class Meta:
        model = Refusal
        fields = (
            *("id", "code", "status", "message", "explanation", "limit", "allowed", "frees_at"),
            *("key_id", "model", "request_id", "count", "first_at", "last_at"),
        )

    def get_explanation(self, refusal: Refusal) -> str:
        return str(explain(refusal))


class LineSerializer(serializers.Serializer[Any]):
    """One line of a receipt: tokens x price. Exact; only the total is rounded."""

    bucket = serializers.ChoiceField(BUCKETS)
    tokens = serializers.IntegerField()
    price_per_million_tokens = serializers.CharField()
    cost = serializers.CharField()


class PriceVersionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    effective_at = serializers.DateTimeField()
    long_context = serializers.BooleanField()


class SettlementSerializer(serializers.Serializer[Any]):
    held = serializers.CharField()
    charged = serializers.CharField()
    released = serializers.CharField()


class ReceiptSerializer(UsageSerializer):
    """The receipt: buckets x price = cost, line by line, and how it came about."""

    lines = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField(help_text="of the lines, rounded half up once")
    charged = serializers.SerializerMethodField(
        help_text="the total, or 0 by the fair-bill policy"
    )
    price_version = serializers.SerializerMethodField()
    settlement = serializers.SerializerMethodField()
    windows = serializers.SerializerMethodField()
    clamps = serializers.SerializerMethodField()
    attempts = serializers.SerializerMethodField(
        help_text="each try to have it answered: the vendor's status (null: none came), the error "
        "and how long it took; only what was answered is charged"
    )

    class Meta(UsageSerializer.Meta):
        fields: tuple[str, ...] = (  # type: ignore[assignment]
            *UsageSerializer.Meta.fields,
            *("lines", "total", "charged", "price_version", "settlement", "windows", "clamps"),
            *("attempts", "upstream_status", "upstream_request_id"),
        )

    def get_lines(self, event: UsageEvent) -> list[dict[str, Any]]:
        rates = price_of(event.price).rates_for(event.usage)
        return [
            {
                "bucket": bucket,
                "tokens": (tokens := getattr(event, bucket)),
                "price_per_million_tokens": dollars(rate),
                "cost": _exact(tokens * rate),
            }
            for bucket, rate in zip(BUCKETS, rates, strict=True)
        ]

    def get_total(self, event: UsageEvent) -> str:
        return dollars(price_of(event.price).cost(event.usage))

    def get_charged(self, event: UsageEvent) -> str:
        return dollars(event.cost)

    def get_price_version(self, event: UsageEvent) -> dict[str, Any]:
        price = price_of(event.price)
        return {
            "id": event.price_id,
            "effective_at": event.price.effective_at,
            "long_context": price.rates_for(event.usage) is not price.rates,
        }

    def get_settlement(self, event: UsageEvent) -> dict[str, str]:
        return {
            "held": dollars(event.hold),
            "charged": dollars(event.cost),
            "released": dollars(max(0, event.hold - event.cost)),
        }

    def get_windows(self, event: UsageEvent) -> dict[str, Any]:
        """Where each window stood when the request ended."""
        return {
            name: {"limit": limit, "used": used, "reset_ms": reset_ms}
            for name, limit, used, reset_ms in event.details.get("windows", ())
        }

    def get_clamps(self, event: UsageEvent) -> dict[str, Any]:
        clamps: dict[str, Any] = event.details.get("clamps", {})
        return clamps

    def get_attempts(self, event: UsageEvent) -> list[dict[str, Any]]:
        """Which of our credentials it was is staff's business."""
        return [
            {"status": told["status"], "error": told.get("error"), "ms": told["ms"]}
            for told in event.details.get("attempts", ())
        ]


def _exact(weighted: int) -> str:
    """tokens x nano-dollars per million, in dollars, unrounded (15 decimals at most)."""
    whole, fraction = divmod(weighted, 10**9 * MILLION)
    return f"{whole}.{f'{fraction:015d}'.rstrip('0').ljust(2, '0')}"
