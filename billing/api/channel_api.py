"""/api/webhooks: an account's webhooks. /api/channels: one's own Slack, Telegram and mail."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.requests import valid
from accounts.keys import scopes
from accounts.teams import acting
from billing.api.channel_serializers import (
    ChannelChange,
    ChannelSerializer,
    ChannelsSerializer,
    ChatLinkSerializer,
    DeliveriesSerializer,
    DeliverySerializer,
    NewChannel,
    NewWebhook,
    WebhookWithSecretSerializer,
)
from billing.channels import deliveries, events, keeping, telegram
from billing.channels.keeping import SendsByAccount
from billing.channels.models import Channel
from hontoni import errors, outbound
from hontoni.drf import problems, takes_nothing

Kind = Channel.Kind
_PAGE = 100


class _Doors(APIView):
    kinds: ClassVar[tuple[str, ...]] = (Kind.WEBHOOK,)

    def mine(self, request: Request) -> QuerySet[Channel]:
        return keeping.of(acting.at_door(request)).filter(kind__in=self.kinds)

    def one(self, request: Request, pk: int) -> Channel:
        found = self.mine(request).filter(pk=pk).first()
        if found is None:
            raise errors.NotFound("There is no such channel.")
        return found

    def sending(self, request: Request) -> list[BaseThrottle]:
        return [SendsByAccount()] if request.method == "POST" else []


_WEBHOOKS: dict[str, Any] = {"tags": ["webhooks"]}
_OWN: dict[str, Any] = {"tags": ["channels"]}
_MINE = dict.fromkeys(("GET", "POST", "PATCH", "DELETE"), scopes.WEBHOOKS)


def _listed(found: QuerySet[Channel]) -> Response:
    types = [{"type": name, "about": str(each.about)} for name, each in events.TYPES.items()]
    return Response({"data": ChannelSerializer(found, many=True).data, "events": types})


class Webhooks(_Doors):
    scopes: ClassVar = _MINE

    @extend_schema(
        **_WEBHOOKS,
        operation_id="list_webhooks",
        summary="Your webhooks, and the types of events",
        responses={200: ChannelsSerializer, **problems(401, 403)},
    )
    def get(self, request: Request) -> Response:
        return _listed(self.mine(request))

    @extend_schema(
        **_WEBHOOKS,
        operation_id="create_webhook",
        summary="Have events sent to a program of yours",
        description="Signed as standardwebhooks.com describes. The secret is shown this once.",
        request=NewWebhook,
        responses={201: WebhookWithSecretSerializer, **problems(400, 401, 403, 409)},
        examples=[
            OpenApiExample(
                "Money",
                {"url": "https://example.com/hook", "events": ["balance.low", "payment.failed"]},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        body = valid(NewWebhook, request.data)
        made, secret = keeping.add(
            acting.at_door(request),
            Kind.WEBHOOK,
            body["name"],
            url=body["url"],
            chosen=body.get("events", ()),
        )
        shown = WebhookWithSecretSerializer(made, context={"secret": secret})
        return Response(shown.data, status=status.HTTP_201_CREATED)


class _One(_Doors):
    def show(self, request: Request, pk: int) -> Response:
        return Response(ChannelSerializer(self.one(request, pk)).data)

    def alter(self, request: Request, pk: int) -> Response:
        body, found = valid(ChannelChange, request.data), self.one(request, pk)
        chosen = body.pop("events", None)
        keeping.change(found, chosen=chosen, **body)
        return Response(ChannelSerializer(found).data)

    def drop(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        keeping.remove(self.one(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Webhook(_One):
    scopes: ClassVar = _MINE

    @extend_schema(
        **_WEBHOOKS,
        operation_id="get_webhook",
        summary="One webhook",
        responses={200: ChannelSerializer, **problems(401, 403, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return self.show(request, pk)

    @extend_schema(
        **_WEBHOOKS,
        operation_id="change_webhook",
        summary="Change a webhook",
        description="What is not named stays. Switched on again it begins without a past.",
        request=ChannelChange,
        responses={200: ChannelSerializer, **problems(400, 401, 403, 404)},
        examples=[OpenApiExample("On", {"active": True}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        return self.alter(request, pk)

    @extend_schema(
        **_WEBHOOKS,
        operation_id="delete_webhook",
        summary="Remove a webhook, and what was delivered",
        responses={204: None, **problems(400, 401, 403, 404)},
    )
    def delete(self, request: Request, pk: int) -> Response:
        return self.drop(request, pk)


class WebhookSecret(_Doors):
    scopes: ClassVar = _MINE

    @extend_schema(
        **_WEBHOOKS,
        operation_id="rotate_webhook_secret",
        summary="A new secret",
        description="It signs at once; for 24 hours the one before signs, too.",
        request=None,
        responses={200: WebhookWithSecretSerializer, **problems(400, 401, 403, 404)},
    )
    def post(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        found = self.one(request, pk)
        secret = keeping.rotate(found, timezone.now())
        return Response(WebhookWithSecretSerializer(found, context={"secret": secret}).data)


class _Test(_Doors):
    def get_throttles(self) -> list[BaseThrottle]:
        return self.sending(self.request)

    def run(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        found = self.one(request, pk)
        if found.kind == Kind.TELEGRAM and not found.chat:
            raise errors.Conflict("Link a chat first.", code="chat_unlinked")
        return Response(DeliverySerializer(deliveries.test(found, timezone.now())).data)


class WebhookTest(_Test):
    scopes: ClassVar = _MINE

    @extend_schema(
        **_WEBHOOKS,
        operation_id="test_webhook",
        summary="Send `webhook.test` now",
        request=None,
        responses={200: DeliverySerializer, **problems(400, 401, 403, 404, 429)},
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.run(request, pk)


class _Log(_Doors):
    def log(self, request: Request, pk: int) -> Response:
        rows = self.one(request, pk).deliveries.select_related("notice").order_by("-pk")[:_PAGE]
        return Response({"data": DeliverySerializer(rows, many=True).data})


class WebhookDeliveries(_Log):
    scopes: ClassVar = _MINE

    @extend_schema(
        **_WEBHOOKS,
        operation_id="list_webhook_deliveries",
        summary="The newest 100 messages, and what came of each",
        responses={200: DeliveriesSerializer, **problems(401, 403, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return self.log(request, pk)


class _Replay(_Doors):
    def get_throttles(self) -> list[BaseThrottle]:
        return self.sending(self.request)

    def again(self, request: Request, pk: int, delivery: int) -> Response:
        takes_nothing(request)
        row = self.one(request, pk).deliveries.select_related("notice").filter(pk=delivery).first()
        if row is None:
            raise errors.NotFound("There is no such delivery.")
        deliveries.replay(row, timezone.now())
        row.refresh_from_db()
        return Response(DeliverySerializer(row).data)


class WebhookReplay(_Replay):
    scopes: ClassVar = _MINE

    @extend_schema(
        **_WEBHOOKS,
        operation_id="replay_webhook_delivery",
        summary="Send a message again, with the same id",
        request=None,
        responses={200: DeliverySerializer, **problems(400, 401, 403, 404, 429)},
    )
    def post(self, request: Request, pk: int, delivery: int) -> Response:
        return self.again(request, pk, delivery)


# -- One's own ------------------------------------------------------------------------------------


class OwnChannels(_Doors):
    kinds = keeping.PERSONAL

    @extend_schema(
        **_OWN,
        operation_id="list_channels",
        summary="Where you hear of this account, and the types of events",
        responses={200: ChannelsSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return _listed(self.mine(request))

    @extend_schema(
        **_OWN,
        operation_id="create_channel",
        summary="Hear of events by Slack, Telegram or mail",
        description="A chat of Telegram is then linked by /api/channels/{id}/link.",
        request=NewChannel,
        responses={201: ChannelSerializer, **problems(400, 401, 404, 409)},
        examples=[OpenApiExample("Mail", {"kind": "mail"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body = valid(NewChannel, request.data)
        kind = body["kind"]
        made, _ = keeping.add(
            acting.at_door(request),
            kind,
            body.get("name") or str(Kind(kind).label),
            url=body.get("url", ""),
            chosen=body.get("events", ()),
        )
        return Response(ChannelSerializer(made).data, status=status.HTTP_201_CREATED)


class OwnChannel(_One):
    kinds = keeping.PERSONAL

    @extend_schema(
        **_OWN,
        operation_id="get_channel",
        summary="One of your channels",
        responses={200: ChannelSerializer, **problems(401, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return self.show(request, pk)

    @extend_schema(
        **_OWN,
        operation_id="change_channel",
        summary="Change one of your channels",
        request=ChannelChange,
        responses={200: ChannelSerializer, **problems(400, 401, 404, 409)},
        examples=[OpenApiExample("Off", {"active": False}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        return self.alter(request, pk)

    @extend_schema(
        **_OWN,
        operation_id="delete_channel",
        summary="Remove one of your channels",
        responses={204: None, **problems(400, 401, 404)},
    )
    def delete(self, request: Request, pk: int) -> Response:
        return self.drop(request, pk)


class OwnChannelLink(_Doors):
    kinds = (Kind.TELEGRAM,)

    @extend_schema(
        **_OWN,
        operation_id="link_channel",
        summary="The code that links a chat of Telegram",
        request=None,
        responses={200: ChatLinkSerializer, **problems(400, 401, 404, 503)},
    )
    def post(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        found = self.one(request, pk)
        try:
            bot = telegram.bot()
        except (telegram.Refused, outbound.Failed) as error:
            raise errors.Unavailable("Telegram does not answer. Try again later.") from error
        code = keeping.linking(found, timezone.now())
        url = f"https://t.me/{bot}?start={code}"
        shown = {"url": url, "code": code, "expires_at": found.code_until}
        return Response(ChatLinkSerializer(shown).data)


class OwnChannelTest(_Test):
    kinds = keeping.PERSONAL

    @extend_schema(
        **_OWN,
        operation_id="test_channel",
        summary="Send a test now",
        request=None,
        responses={200: DeliverySerializer, **problems(400, 401, 404, 409, 429)},
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.run(request, pk)


class OwnChannelDeliveries(_Log):
    kinds = keeping.PERSONAL

    @extend_schema(
        **_OWN,
        operation_id="list_channel_deliveries",
        summary="The newest 100 messages, and what came of each",
        responses={200: DeliveriesSerializer, **problems(401, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return self.log(request, pk)


class OwnChannelReplay(_Replay):
    kinds = keeping.PERSONAL

    @extend_schema(
        **_OWN,
        operation_id="replay_channel_delivery",
        summary="Send a message again",
        request=None,
        responses={200: DeliverySerializer, **problems(400, 401, 404, 429)},
    )
    def post(self, request: Request, pk: int, delivery: int) -> Response:
        return self.again(request, pk, delivery)
