"""The JSON of payments. Amounts are decimal strings of dollars."""

from typing import Any

from rest_framework import serializers

from billing.api.serializers import CURRENCY, DollarsField
from billing.payments.models import AutoTopUp, TopUp
from hontoni.drf import Strict

_AMOUNT: dict[str, Any] = {"max_digits": 9, "decimal_places": 2}


class CheckoutOrderSerializer(Strict):
    amount = serializers.DecimalField(**_AMOUNT, help_text='Dollars, before tax: "25".')
    save_card = serializers.BooleanField(
        default=False, help_text="Keep the card for later top-ups."
    )


class IntentOrderSerializer(CheckoutOrderSerializer):
    payment_method = serializers.CharField(
        required=False,
        default="",
        max_length=255,
        help_text="A saved card: it is charged at once. Without one, confirm in the browser.",
    )


class CardTopUpSerializer(serializers.ModelSerializer[TopUp]):
    amount = DollarsField(help_text="What is added to the balance.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)

    class Meta:
        model = TopUp
        fields = ["id", "route", "state", "amount", "currency", "failure", "created_at", "paid_at"]


class CheckoutSerializer(CardTopUpSerializer):
    url = serializers.CharField(allow_null=True, help_text="Send the customer's browser here.")

    class Meta(CardTopUpSerializer.Meta):
        fields = [*CardTopUpSerializer.Meta.fields, "url"]


class IntentSerializer(CardTopUpSerializer):
    status = serializers.CharField(help_text="Of the PaymentIntent, as Stripe names it.")
    client_secret = serializers.CharField(help_text="For Stripe.js, in the customer's browser.")
    publishable_key = serializers.CharField()

    class Meta(CardTopUpSerializer.Meta):
        fields = [
            *CardTopUpSerializer.Meta.fields, "status", "client_secret", "publishable_key",
        ]  # fmt: skip


class CardSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    brand = serializers.CharField()
    last4 = serializers.CharField()
    exp_month = serializers.IntegerField()
    exp_year = serializers.IntegerField()
    is_default = serializers.BooleanField()


class CardsSerializer(serializers.Serializer[Any]):
    payment_methods = CardSerializer(many=True)


class LinkSerializer(serializers.Serializer[Any]):
    url = serializers.CharField()


class AutoTopUpSerializer(serializers.ModelSerializer[AutoTopUp]):
    threshold = DollarsField(help_text="Top up when the balance falls under this.")
    amount = DollarsField()
    monthly_cap = DollarsField(help_text="At most so much in a calendar month (UTC).")
    spent_this_month = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)

    class Meta:
        model = AutoTopUp
        fields = [
            "enabled", "threshold", "amount", "monthly_cap", "spent_this_month", "currency",
            "payment_method", "failures", "last_failure",
        ]  # fmt: skip


class AutoTopUpOrderSerializer(Strict):
    enabled = serializers.BooleanField()
    threshold = serializers.DecimalField(**_AMOUNT, min_value=0)
    amount = serializers.DecimalField(**_AMOUNT)
    monthly_cap = serializers.DecimalField(**_AMOUNT)
    payment_method = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="Empty: the default card."
    )
