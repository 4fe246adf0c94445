"""The JSON of promo codes and referrals."""

from typing import Any

from rest_framework import serializers

from billing.api.serializers import CURRENCY, DollarsField
from billing.rewards.models import PromoCode
from hontoni.drf import Strict


class CodeSerializer(Strict):
    code = serializers.CharField(max_length=40)


class ApplySerializer(CodeSerializer):
    apply = serializers.BooleanField(
        default=False, help_text="Redeem it; otherwise only say what it would give."
    )


class PromoSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    kind = serializers.ChoiceField(PromoCode.Kind.choices)
    description = serializers.CharField()
    status = serializers.CharField(
        help_text="`valid`, `applied`, or `waiting`: redeemed, and given with your next top-up."
    )
    granted = DollarsField(help_text="On your balance now.")
    minimum_top_up = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    valid_until = serializers.DateTimeField(allow_null=True)


class ReferralSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    link = serializers.CharField(help_text="Signing up behind it, the code is filled in.")
    invited = serializers.IntegerField(help_text="Accounts that accepted your code.")
    pending = DollarsField(help_text="Earned, and on hold until it has stood long enough.")
    earned = DollarsField(help_text="Paid to your balance.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    percent = serializers.IntegerField(help_text="Of what the accounts you invite pay.")
    hold_days = serializers.IntegerField()


class SignupCreditSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(
        help_text="`given`, or `due`: it comes at once. `none`: there is none. `unconfirmed`: it "
        "waits for your address to be confirmed. `taken`: the same person had it under another "
        "account. `late`: it was not confirmed within 30 days.",
    )
    amount = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    message = serializers.CharField(allow_null=True, help_text="Why not, for people.")


class AcceptedSerializer(serializers.Serializer[Any]):
    status = serializers.CharField(help_text="`accepted`")
