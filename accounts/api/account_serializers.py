"""What /api/auth and /api/keys take and answer."""

from decimal import Decimal
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.keys import api_keys, personal_tokens, restrictions, scopes
from accounts.models import ApiKey, PersonalToken, User
from hontoni.drf import Strict
from hontoni.money import DOLLAR, dollars, nanos

STATUSES = ("active", "revoked", "expired")  # of a key, and of an access token


class PasswordField(serializers.CharField):
    """As typed, spaces included. The limit bounds the work of hashing it."""

    def __init__(self, **options: Any) -> None:
        options = {"max_length": 256, "trim_whitespace": False, "write_only": True, **options}
        super().__init__(style={"input_type": "password"}, **options)


class UserSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "email", "name", "created_at"]
        read_only_fields = fields


class PrivacySerializer(Strict):
    vendors_may_store = serializers.BooleanField(
        help_text="Whether OpenAI may keep a request that says `store: true`. Off: it is sent "
        "`store: false`, whatever the request says.",
        required=False,
    )
    keeps_responses = serializers.BooleanField(
        help_text="Whether we keep answers of `/v1/responses`, sealed and for a day, for "
        "`previous_response_id`, `item_reference` and `GET /v1/responses/{id}`.",
        required=False,
    )


class Registration(Strict):
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            validate_password(attrs["password"], User(email=attrs["email"], name=attrs["name"]))
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return attrs


class Credentials(Strict):
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    code = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        default="",
        help_text="Of an account with a second factor: from the app, or a recovery code.",
    )


class Refresh(Strict):
    refresh_token = serializers.CharField(max_length=200)


class Logout(Refresh):
    everywhere = serializers.BooleanField(
        default=False, help_text="End all sessions of the account, not only this one."
    )


class SessionSerializer(serializers.Serializer[Any]):
    user = UserSerializer()
    access_token = serializers.CharField(help_text="For `Authorization: Bearer` on /api.")
    refresh_token = serializers.CharField(help_text="Good for one use of /api/auth/refresh.")
    token_type = serializers.ChoiceField(["Bearer"], default="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds the access token lasts.")


class CapField(serializers.DecimalField):
    """Dollars as a decimal string; nano-dollars inside."""

    def __init__(self, **options: Any) -> None:
        fixed: dict[str, Any] = {
            "max_digits": 9,
            "decimal_places": 2,
            "min_value": Decimal("0.01"),
        }
        super().__init__(**{"required": False, "allow_null": True, **fixed, **options})

    def to_internal_value(self, data: Any) -> Any:
        return nanos(super().to_internal_value(data))

    def to_representation(self, value: Any) -> Any:
        return dollars(value)

    def run_validators(self, value: Any) -> None:
        """The bounds are dollars'."""
        super().run_validators(Decimal(value) / DOLLAR)


class Places(serializers.Serializer[Any]):
    """Where from, and for which models: of a key, and of all keys of a member."""

    allowed_models = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        help_text="Ids of models. None: all of them.",
    )
    allowed_ips = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        help_text="Addresses or CIDR ranges, v4 or v6. None: everywhere.",
    )

    def validate_allowed_models(self, value: list[str]) -> list[str]:
        on_offer = restrictions.models()
        if unknown := [name for name in value if name not in on_offer]:
            raise serializers.ValidationError(
                f"There is no model {unknown[0]}. There are: {', '.join(on_offer)}."
            )
        return list(dict.fromkeys(value))

    def validate_allowed_ips(self, value: list[str]) -> list[str]:
        try:
            return restrictions.normalised(value)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class KeySerializer(Places, Strict, serializers.ModelSerializer[ApiKey]):
    """A key without what makes it one: that is shown once, when it is made."""

    status = serializers.SerializerMethodField()
    daily_spend_cap = CapField(
        source="daily_cap", help_text="Dollars this key may spend in a UTC day. null: no cap."
    )
    monthly_spend_cap = CapField(
        source="monthly_cap", help_text="Dollars this key may spend in a UTC month."
    )
    lifetime_spend_cap = CapField(
        source="lifetime_cap",
        help_text="Dollars this key may spend in all, with what it was rotated from and to.",
    )
    brake_spend = CapField(
        help_text="The brake: dollars this key may spend in any ten minutes. null: none."
    )
    brake_times = serializers.IntegerField(
        min_value=1,
        max_value=restrictions.MOST_TIMES,
        required=False,
        allow_null=True,
        help_text="The same as so many times ten minutes of its busiest hour in the last 7 days, "
        "but at least $1. Of both the lower holds.",
    )
    brake_loop = serializers.IntegerField(
        min_value=2,
        max_value=restrictions.MOST_SAME,
        required=False,
        allow_null=True,
        help_text="How often the very same prompt is served within ten minutes.",
    )
    session_budget = CapField(help_text="Dollars a session may spend (`x-session-id`).")
    overflow_cap = CapField(
        help_text="Overflow: dollars this key may spend past its plan's windows in a UTC month, "
        "at the plan's surcharge. null: it stops at them."
    )
    stopped = serializers.BooleanField(
        required=False,
        help_text="The kill switch: a stopped key is refused until it is started again.",
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(scopes.OF_KEYS),
        required=False,
        allow_empty=False,
        help_text="What the key may do. Without a word: inference and usage:read.",
    )

    member = serializers.SerializerMethodField(
        help_text="Whose it is in a team, by their address; null: the account's."
    )

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "last4",
            "status",
            "created_at",
            "expires_at",
            "revoked_at",
            "replaced_by",
            "last_used_at",
            "last_used_ip",
            "daily_spend_cap",
            "monthly_spend_cap",
            "lifetime_spend_cap",
            "allowed_models",
            "allowed_ips",
            *restrictions.GUARD,
            "overflow_cap",
            "stopped",
            "scopes",
            "member",
        ]
        read_only_fields = [
            *("id", "prefix", "last4", "status", "created_at", "revoked_at", "replaced_by"),
            *("last_used_at", "last_used_ip"),
        ]

    def get_member(self, key: ApiKey) -> str | None:
        return key.member.person.email if key.member else None

    @extend_schema_field(serializers.ChoiceField(STATUSES))
    def get_status(self, key: ApiKey) -> str:
        return key.status(timezone.now())

    def validate_expires_at(self, value: Any) -> Any:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This is in the past.")
        return value

    def validate_scopes(self, value: list[str]) -> list[str]:
        return scopes.in_order(value)

    def to_representation(self, instance: ApiKey) -> dict[str, Any]:
        instance.stopped = instance.stopped_at is not None  # type: ignore[attr-defined]
        return super().to_representation(instance)

    def update(self, instance: ApiKey, validated_data: dict[str, Any]) -> ApiKey:
        if validated_data:
            api_keys.change(instance, **validated_data)
        return instance


class NewKeySerializer(KeySerializer):
    key = serializers.SerializerMethodField(help_text="The key in clear, shown this once.")

    class Meta(KeySerializer.Meta):
        fields = ["key", *KeySerializer.Meta.fields]
        read_only_fields = fields

    def get_key(self, _: ApiKey) -> str:
        return str(self.context["key"])


class Rotation(Strict):
    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=int(api_keys.MAX_OVERLAP.total_seconds()),
        help_text="How long the old key keeps working.",
    )


class TokenSerializer(Strict, serializers.ModelSerializer[PersonalToken]):
    """A personal access token without what makes it one."""

    status = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(
        required=False,
        help_text=f"At most {personal_tokens.LONGEST.days} days ahead; without a word "
        f"{personal_tokens.BY_DEFAULT.days} days.",
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(scopes.OF_TOKENS), allow_empty=False
    )

    class Meta:
        model = PersonalToken
        fields = [
            *("id", "name", "prefix", "last4", "status", "scopes", "created_at", "expires_at"),
            *("revoked_at", "last_used_at", "last_used_ip"),
        ]
        read_only_fields = [
            *("id", "prefix", "last4", "status", "created_at", "revoked_at"),
            *("last_used_at", "last_used_ip"),
        ]

    @extend_schema_field(serializers.ChoiceField(STATUSES))
    def get_status(self, token: PersonalToken) -> str:
        return token.status(timezone.now())


class NewTokenSerializer(TokenSerializer):
    token = serializers.SerializerMethodField(help_text="The token in clear, shown this once.")

    class Meta(TokenSerializer.Meta):
        fields = ["token", *TokenSerializer.Meta.fields]
        read_only_fields = fields

    def get_token(self, _: PersonalToken) -> str:
        return str(self.context["token"])
