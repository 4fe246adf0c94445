"""What /api/auth and /api/keys take and answer."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import keys
from accounts.models import ApiKey, User


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


class Registration(serializers.Serializer[User]):
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            validate_password(attrs["password"], User(email=attrs["email"], name=attrs["name"]))
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return attrs


class Credentials(serializers.Serializer[User]):
    email = serializers.EmailField(max_length=254)
    password = PasswordField()
    code = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        default="",
        help_text="Of an account with a second factor: from the app, or a recovery code.",
    )


class Refresh(serializers.Serializer[Any]):
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


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key without what makes it one: that is shown once, when it is made."""

    status = serializers.SerializerMethodField()

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
        ]
        read_only_fields = [field for field in fields if field not in ("name", "expires_at")]

    @extend_schema_field(serializers.ChoiceField(["active", "revoked", "expired"]))
    def get_status(self, key: ApiKey) -> str:
        return key.status(timezone.now())

    def validate_expires_at(self, value: Any) -> Any:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This is in the past.")
        return value


class RenameSerializer(KeySerializer):
    """Of a key only the name can be changed."""

    class Meta(KeySerializer.Meta):
        read_only_fields = [field for field in KeySerializer.Meta.fields if field != "name"]


class NewKeySerializer(KeySerializer):
    key = serializers.SerializerMethodField(help_text="The key in clear, shown this once.")

    class Meta(KeySerializer.Meta):
        fields = ["key", *KeySerializer.Meta.fields]
        read_only_fields = fields

    def get_key(self, _: ApiKey) -> str:
        return str(self.context["key"])


class Rotation(serializers.Serializer[Any]):
    overlap_seconds = serializers.IntegerField(
        min_value=0,
        max_value=int(keys.MAX_OVERLAP.total_seconds()),
        help_text="How long the old key keeps working.",
    )
