"""The JSON of billing. Amounts are decimal strings of dollars; nothing is a float."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.models import AddOn, Entry, Plan, Subscription, Transfer
from hontoni.money import dollars

CURRENCY = "USD"


@extend_schema_field({"type": "string", "format": "decimal", "example": "10.50"})
class DollarsField(serializers.Field[int, Any, str, int]):
    """Nano-dollars, shown as "10.50"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: int) -> str:
        return dollars(value)


class BalanceSerializer(serializers.Serializer[Any]):
    """`available` = `balance` - `held`."""

    balance = DollarsField()
    held = DollarsField(help_text="Set aside for requests that are running.")
    available = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)


class TransactionSerializer(serializers.ModelSerializer[Entry]):
    id = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(Transfer.Kind.choices, source="transfer.kind")
    amount = DollarsField(help_text="Negative: taken from the balance.")
    balance_after = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    reason = serializers.CharField(source="transfer.reason")
    created_at = serializers.DateTimeField(source="transfer.created_at")

    class Meta:
        model = Entry
        fields = ["id", "kind", "amount", "balance_after", "currency", "reason", "created_at"]

    def get_id(self, entry: Entry) -> str:
        return f"txn_{entry.transfer_id}"


class TransactionFilter(serializers.Serializer[Any]):
    kind = serializers.MultipleChoiceField(
        choices=Transfer.Kind.choices,
        required=False,
        help_text="Only these kinds; may be repeated.",
    )


class TopUpSerializer(serializers.Serializer[Any]):
    amount = serializers.DecimalField(
        max_digits=9, decimal_places=2, help_text='Dollars: "25", "25.50" or 25.5.'
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    email = serializers.EmailField(
        required=False, help_text="For staff: whose account. The amount may be negative then."
    )


class LimitsSerializer(serializers.Serializer[Any]):
    rpm = serializers.IntegerField(help_text="Requests in any 60 seconds.")
    five_hours = serializers.IntegerField()
    daily = serializers.IntegerField()
    weekly = serializers.IntegerField()
    monthly = serializers.IntegerField(help_text="Requests in 30 days.")
    concurrent = serializers.IntegerField(help_text="Requests at the same time.")


class PlanSerializer(serializers.ModelSerializer[Plan]):
    id = serializers.CharField(source="slug")
    price = DollarsField(help_text="A month.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    limits = LimitsSerializer(source="*")
    limits_apply_to = serializers.ChoiceField(Plan.Subject.choices, source="subject")

    class Meta:
        model = Plan
        fields = [
            "id",
            "name",
            "price",
            "currency",
            "limits",
            "limits_apply_to",
            "thinking_budget",
            "key_cap",
            "is_default",
        ]


class AddOnSerializer(serializers.ModelSerializer[AddOn]):
    id = serializers.CharField(source="slug")
    price = DollarsField(help_text="A month.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)

    class Meta:
        model = AddOn
        fields = ["id", "name", "price", "currency", "multiplier"]


class OfferSerializer(serializers.Serializer[Any]):
    plans = PlanSerializer(many=True)
    add_ons = AddOnSerializer(many=True)


class AddOnsSerializer(serializers.Serializer[Any]):
    add_ons = AddOnSerializer(many=True)
    active = serializers.CharField(allow_null=True, help_text="The id of yours, if you have one.")


class PeriodSerializer(serializers.ModelSerializer[Subscription]):
    """What is paid, until when, and what comes after."""

    status = serializers.CharField(help_text="`active`, or `past_due` while in grace.")
    next_plan = serializers.CharField(source="next_plan.slug", default=None)

    class Meta:
        model = Subscription
        fields = [
            "status",
            "payment_method",
            "period_start",
            "period_end",
            "cancel_at_period_end",
            "next_plan",
        ]


class SubscriptionSerializer(serializers.Serializer[Any]):
    """`limits` are the plan's, times the add-on. `period` is null on the default plan."""

    plan = PlanSerializer()
    add_on = AddOnSerializer(allow_null=True)
    limits = LimitsSerializer()
    period = PeriodSerializer(allow_null=True)
