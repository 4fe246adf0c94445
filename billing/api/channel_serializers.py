"""What /api/webhooks and /api/channels take and answer."""

from typing import Any

from rest_framework import serializers

from billing.channels import events, keeping
from billing.channels.models import Channel, Delivery
from hontoni.drf import Strict

Kind = Channel.Kind


class ChannelSerializer(serializers.ModelSerializer[Channel]):
    linked = serializers.SerializerMethodField(help_text="Telegram: whether it has a chat.")

    class Meta:
        model = Channel
        fields = (
            *("id", "kind", "name", "url", "events", "active", "linked"),
            *("failing_since", "disabled_at", "created_at"),
        )

    def get_linked(self, channel: Channel) -> bool:
        return channel.kind != Kind.TELEGRAM or bool(channel.chat)


class WebhookWithSecretSerializer(ChannelSerializer):
    secret = serializers.SerializerMethodField(help_text="`whsec_…`, shown this once.")

    class Meta(ChannelSerializer.Meta):
        fields = ("secret", *ChannelSerializer.Meta.fields)  # type: ignore[assignment]

    def get_secret(self, _: Channel) -> str:
        return str(self.context["secret"])


class EventTypeSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    about = serializers.CharField()


class ChannelsSerializer(serializers.Serializer[Any]):
    data = ChannelSerializer(many=True)  # type: ignore[assignment]  # a field of that name
    events = EventTypeSerializer(many=True, help_text="All types there are.")


class _Events(Strict):
    events = serializers.ListField(
        child=serializers.ChoiceField(tuple(events.TYPES)),
        required=False,
        help_text="What to hear of. An empty list: everything.",
    )


class NewWebhook(_Events):
    name = serializers.CharField(max_length=100, required=False, default="Webhook")
    url = serializers.CharField(max_length=500)


class NewChannel(_Events):
    kind = serializers.ChoiceField(keeping.PERSONAL)
    name = serializers.CharField(max_length=100, required=False)
    url = serializers.CharField(
        max_length=500, required=False, help_text="Slack: of its incoming webhook."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["kind"] == Kind.SLACK) != ("url" in attrs):
            raise serializers.ValidationError({"url": "Slack needs an address, and only Slack."})
        return attrs


class ChannelChange(_Events):
    name = serializers.CharField(max_length=100, required=False)
    url = serializers.CharField(max_length=500, required=False)
    active = serializers.BooleanField(required=False)


class TrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(help_text="0: no answer.")
    problem = serializers.CharField(allow_blank=True)


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    type = serializers.SerializerMethodField()
    message_id = serializers.CharField(help_text="`webhook-id`: the same whenever it is sent.")
    tries = TrySerializer(many=True)

    class Meta:
        model = Delivery
        fields = (
            *("id", "type", "message_id", "status", "attempts", "created_at", "due_at"),
            *("ended_at", "tries"),
        )

    def get_type(self, delivery: Delivery) -> str:
        return events.type_of(delivery.notice)


class DeliveriesSerializer(serializers.Serializer[Any]):
    data = DeliverySerializer(many=True)  # type: ignore[assignment]


class ChatLinkSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="Opens the bot; Start links the chat.")
    code = serializers.CharField(help_text="Or send the bot `/start` and this.")
    expires_at = serializers.DateTimeField()
