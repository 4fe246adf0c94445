"""What /api/teams takes and answers."""

from typing import Any

from rest_framework import serializers

from accounts.api.account_serializers import CapField, PasswordField, Places, UserSerializer
from accounts.models import Invitation, Membership, Role, TeamEvent, User
from hontoni.drf import Strict

GIVEN = [role for role in Role.choices if role[0] != Role.OWNER]


class TeamSerializer(serializers.Serializer[Any]):
    """An account as one of its members has it."""

    id = serializers.IntegerField(source="account_id", help_text="For the header X-Account.")
    name = serializers.CharField(source="account.name")
    role = serializers.ChoiceField(Role.choices)
    is_team = serializers.BooleanField(source="account.is_team")
    billing_email = serializers.EmailField(source="account.billing_email")
    joined_at = serializers.DateTimeField()


class NewTeam(Strict):
    name = serializers.CharField(max_length=200)
    of_this_account = serializers.BooleanField(
        default=False,
        help_text="Make a team of your own account: balance, plan, keys and invoices stay with "
        "it, and you get a new account of your own. Refresh the session afterwards.",
    )


class TeamChange(Strict):
    name = serializers.CharField(max_length=200, required=False)
    billing_email = serializers.EmailField(
        required=False, allow_blank=True, help_text="Empty: the owner and billing members."
    )


class Confirmation(Strict):
    password = PasswordField(help_text="Yours, once more.")
    code = serializers.CharField(
        max_length=40, required=False, allow_blank=True, default="", help_text="As at login."
    )


class Transfer(Confirmation):
    member = serializers.IntegerField(help_text="The id of who becomes the owner.")


class Deletion(Confirmation):
    name = serializers.CharField(max_length=200, help_text="The team's name, to confirm.")


class JoinSerializer(Strict):
    token = serializers.CharField(max_length=100, help_text="The last part of the link.")


class MemberSerializer(Places, Strict, serializers.ModelSerializer[Membership]):
    email = serializers.EmailField(source="person.email", read_only=True)
    name = serializers.CharField(source="person.name", read_only=True)
    role = serializers.ChoiceField(Role.choices)
    daily_spend_cap = CapField(
        source="daily_cap", help_text="Dollars that all their keys may spend in a UTC day."
    )
    monthly_spend_cap = CapField(source="monthly_cap", help_text="In a UTC month.")
    lifetime_spend_cap = CapField(source="lifetime_cap", help_text="In all.")
    stopped = serializers.BooleanField(
        required=False,
        help_text="The kill switch: their keys are refused, and they make no new ones. false "
        "starts every key of theirs that somebody else stopped.",
    )

    class Meta:
        model = Membership
        fields = [
            *("id", "email", "name", "role", "joined_at", "provisioned"),
            *("daily_spend_cap", "monthly_spend_cap", "lifetime_spend_cap"),
            *("allowed_models", "allowed_ips", "stopped"),
        ]
        read_only_fields = ["id", "joined_at", "provisioned"]


class InvitationSerializer(Strict, serializers.ModelSerializer[Invitation]):
    role = serializers.ChoiceField(GIVEN)
    invited_by = serializers.EmailField(source="invited_by.email", read_only=True)

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "invited_by", "created_at", "expires_at"]
        read_only_fields = ["id", "created_at", "expires_at"]


class EventSerializer(serializers.ModelSerializer[TeamEvent]):
    actor = serializers.CharField(source="actor_email", help_text="Empty: the directory.")

    class Meta:
        model = TeamEvent
        fields = ["id", "at", "actor", "action", "subject", "facts", "ip"]
        read_only_fields = fields


class ActedFor(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="account.pk")
    name = serializers.CharField(source="account.name")
    role = serializers.ChoiceField(Role.choices)


class WhoSerializer(UserSerializer):
    """Who is signed in and, in a team, for which account the request was."""

    account = ActedFor(required=False, read_only=True)

    class Meta(UserSerializer.Meta):
        fields = [*UserSerializer.Meta.fields, "account"]
        read_only_fields = fields

    def to_representation(self, instance: User) -> dict[str, Any]:
        work = self.context["work"]
        instance.account = work if work.membership else None  # type: ignore[attr-defined]
        found: dict[str, Any] = super().to_representation(instance)
        return found if work.membership else {k: v for k, v in found.items() if k != "account"}
