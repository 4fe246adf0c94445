"""What a receipt says, and why it comes to what it comes to."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gateway.catalogue.models import BUCKETS
from gateway.dashboard.serializers import UsageSerializer
from gateway.metering import bill
from gateway.usage import receipts
from gateway.usage.models import UsageEvent
from hontoni.money import dollars


class FeatureVersionSerializer(serializers.Serializer[Any]):
    feature = serializers.IntegerField()
    version = serializers.IntegerField(allow_null=True, help_text="null: its first price")


class ReceiptLineSerializer(serializers.Serializer[Any]):
    """One line of a receipt: tokens x price x factor, or calls x price. Exact; only the total is
    rounded. Where other models helped, or the conversation was summarised, each of these
    samplings has lines of its own."""

    kind = serializers.CharField(help_text="message, compaction, advisor_message, ... or calls")
    model = serializers.CharField(required=False)
    bucket = serializers.ChoiceField(BUCKETS, required=False)
    tokens = serializers.IntegerField(required=False)
    price_per_million_tokens = serializers.CharField(required=False)
    long_context = serializers.BooleanField(required=False)
    factor = serializers.CharField(required=False, help_text="service tier, region and speed")
    name = serializers.CharField(required=False, help_text="the tool that was called")
    calls = serializers.IntegerField(required=False)
    price_per_call = serializers.CharField(required=False)
    price_versions = FeatureVersionSerializer(
        many=True, help_text="of what the call, or the factor, costs"
    )
    cost = serializers.CharField()


class OwnPriceSerializer(serializers.Serializer[Any]):
    """What was agreed with you in place of the list's price."""

    id = serializers.IntegerField()
    multiplier = serializers.CharField(allow_null=True, help_text="null: rates of your own")


class PriceVersionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    effective_at = serializers.DateTimeField(help_text="in force since")
    read_at = serializers.DateTimeField(
        allow_null=True, help_text="when the gateway had last read the price list"
    )
    long_context = serializers.BooleanField()
    own = OwnPriceSerializer(allow_null=True, help_text="of your own prices, if they held")


class SettlementSerializer(serializers.Serializer[Any]):
    held = serializers.CharField()
    charged = serializers.CharField()
    released = serializers.CharField()


class CorrectionSerializer(serializers.Serializer[Any]):
    """A correction of what one request cost. Lines and total are as it was charged at first."""

    id = serializers.IntegerField()
    corrected_at = serializers.DateTimeField()
    reason = serializers.CharField()
    price_version = serializers.IntegerField(help_text="id of the version it was priced anew at")
    effective_at = serializers.DateTimeField(help_text="since when that version is in force")
    charged_before = serializers.CharField()
    charged = serializers.CharField()


class InsteadOfSerializer(serializers.Serializer[Any]):
    """The retired model that a successor answered for."""

    model = serializers.CharField()
    ended = serializers.DateField()
    price = serializers.ChoiceField(
        ("same", "lower", "higher"), help_text="of the successor; higher: in some bucket"
    )


class OverflowSerializer(serializers.Serializer[Any]):
    """Past a full window of the plan (docs/20-authentication.md)."""

    window = serializers.ChoiceField(("5h", "daily", "weekly", "monthly"))
    surcharge_percent = serializers.CharField(help_text="in the price of every line")


class OwnKeyFeeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    per_million_tokens = serializers.CharField(help_text="dollars, for tokens of any kind")
    per_request = serializers.CharField(help_text="dollars")


class OwnKeyReceiptSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    fell_back = serializers.CharField(help_text="why another key answered, if one did")
    fee = OwnKeyFeeSerializer(allow_null=True)
    vendor_cost = serializers.CharField(
        allow_null=True, help_text="dollars that the vendor lists for these tokens; no charge"
    )


class ReceiptSerializer(UsageSerializer):
    """The receipt: buckets x price = cost, line by line, and how it came about."""

    lines = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField(help_text="of the lines, rounded half up once")
    charged = serializers.SerializerMethodField(
        help_text="the total, or 0 by the fair-bill policy; after the last correction, if any"
    )
    rule = serializers.SerializerMethodField(
        help_text="which fair-billing rule made the bill something else than the vendor's numbers "
        "of a whole answer: drained, left, estimated, stop, given, bound, capped or quarantined; "
        "empty: none"
    )
    price_version = serializers.SerializerMethodField()
    corrections = serializers.SerializerMethodField(
        help_text="by which it was priced anew, the first one first"
    )
    settlement = serializers.SerializerMethodField()
    windows = serializers.SerializerMethodField()
    instead_of = serializers.SerializerMethodField(
        help_text="the retired model that was asked for, if this one answered in its place"
    )
    own_key = serializers.SerializerMethodField(
        help_text="where the account has a key of its own there: whether that answered, at which "
        "fee, and what the vendor bills its owner, as far as that is known"
    )
    overflow = serializers.SerializerMethodField(
        help_text="the full window that it went past, as its key may, and the plan's surcharge"
    )
    clamps = serializers.SerializerMethodField()
    left_out = serializers.SerializerMethodField(
        help_text="what was asked for and not sent to the vendor, as kind:name"
    )
    attempts = serializers.SerializerMethodField(
        help_text="each try to have it answered: the vendor's status (null: none came), the error "
        "and how long it took; only what was answered is charged"
    )

    class Meta(UsageSerializer.Meta):
        fields: tuple[str, ...] = (  # type: ignore[assignment]
            *UsageSerializer.Meta.fields,
            *("lines", "total", "charged", "rule", "price_version", "corrections"),
            *("settlement", "windows", "instead_of", "own_key", "overflow", "clamps"),
            *("left_out", "attempts"),
            *("upstream_status", "upstream_request_id"),
        )

    @extend_schema_field(ReceiptLineSerializer(many=True))
    def get_lines(self, event: UsageEvent) -> list[dict[str, Any]]:
        return [each for line in receipts.lines(event) for each in receipts.shown(line)]

    def get_total(self, event: UsageEvent) -> str:
        return dollars(bill.cost(receipts.lines(event)))

    def get_left_out(self, event: UsageEvent) -> list[str]:
        return list(event.details.get("left_out", ()))

    def get_charged(self, event: UsageEvent) -> str:
        return dollars(event.charged)

    @extend_schema_field(CorrectionSerializer(many=True))
    def get_corrections(self, event: UsageEvent) -> list[dict[str, Any]]:
        return [
            {
                "id": each.correction_id,
                "corrected_at": each.correction.created_at,
                "reason": each.correction.reason,
                "price_version": each.correction.price_id,
                "effective_at": each.correction.price.effective_at,
                "charged_before": dollars(each.old_cost),
                "charged": dollars(each.new_cost),
            }
            for each in event.corrections.select_related("correction__price")
        ]

    @extend_schema_field(OwnKeyReceiptSerializer(allow_null=True))
    def get_own_key(self, event: UsageEvent) -> dict[str, Any] | None:
        return receipts.own_key(event)

    @extend_schema_field(OverflowSerializer(allow_null=True))
    def get_overflow(self, event: UsageEvent) -> dict[str, str] | None:
        return receipts.overflow(event)

    def get_rule(self, event: UsageEvent) -> str:
        return str(event.details.get("rule", ""))

    @extend_schema_field(PriceVersionSerializer)
    def get_price_version(self, event: UsageEvent) -> dict[str, Any]:
        return {
            "id": event.price_id,
            "effective_at": event.price.effective_at,
            "read_at": event.price_read_at,
            "long_context": any(map(bill.is_long, receipts.lines(event))),
            "own": receipts.own(event),
        }

    @extend_schema_field(SettlementSerializer)
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

    @extend_schema_field(InsteadOfSerializer(allow_null=True))
    def get_instead_of(self, event: UsageEvent) -> dict[str, str] | None:
        instead: dict[str, str] | None = event.details.get("instead_of")
        return instead

    def get_clamps(self, event: UsageEvent) -> dict[str, Any]:
        clamps: dict[str, Any] = event.details.get("clamps", {})
        return clamps

    def get_attempts(self, event: UsageEvent) -> list[dict[str, Any]]:
        """Which of our credentials it was is staff's business."""
        return [
            {"status": attempt["status"], "error": attempt.get("error"), "ms": attempt["ms"]}
            for attempt in event.details.get("attempts", ())
        ]
