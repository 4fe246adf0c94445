"""/api/own-keys: a customer's own keys at vendors."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.requests import caller, valid
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import fees, keeping, parts, testing
from gateway.vendors.own_keys.keeping import TriesByAccount
from gateway.vendors.own_keys.models import OwnKey
from hontoni.drf import Strict, problems, takes_nothing
from hontoni.errors import NotFound
from hontoni.money import dollars


class OwnKeySerializer(serializers.ModelSerializer[OwnKey]):
    provider = serializers.CharField(source="provider.name")
    vendor = serializers.CharField(source="provider.vendor")
    usable = serializers.SerializerMethodField(
        help_text="false: it must be entered again, or own keys are no longer offered there"
    )

    class Meta:
        model = OwnKey
        fields = (
            *("id", "provider", "vendor", "prefix", "active", "falls_back", "usable"),
            *("refused_at", "refusal", "tested_at", "created_at"),
        )

    def get_usable(self, row: OwnKey) -> bool:
        return row.is_at_home and row.provider.own_keys and row.provider.active


class OfferedSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    vendor = serializers.CharField()
    parts = serializers.ListField(
        child=serializers.CharField(), help_text="what a key there is entered in"
    )
    fee_per_million_tokens = serializers.CharField(allow_null=True, help_text="dollars")
    fee_per_request = serializers.CharField(allow_null=True, help_text="dollars")


class OwnKeysSerializer(serializers.Serializer[Any]):
    data = OwnKeySerializer(many=True)  # type: ignore[assignment]  # a field of that name
    offered = OfferedSerializer(many=True)


class _Parts(Strict):
    """A key of one line is `secret`; others have the parts that `offered` names."""

    secret = serializers.CharField(max_length=parts.LONGEST, required=False)
    resource = serializers.CharField(
        max_length=64, required=False, help_text="Azure: the name of your resource"
    )
    access_key_id = serializers.CharField(max_length=200, required=False, help_text="AWS")
    secret_access_key = serializers.CharField(max_length=400, required=False, help_text="AWS")
    session_token = serializers.CharField(max_length=4_000, required=False, help_text="AWS")
    service_account = serializers.CharField(
        max_length=parts.MOST_FILE,
        required=False,
        help_text="Google: the JSON file of a service account's key, as it is",
    )


def _entered(body: dict[str, Any]) -> dict[str, str]:
    """The parts of a key that a request names."""
    names = {name for each in parts.NAMES.values() for name in each}
    return {name: value for name, value in body.items() if name in names}


class NewOwnKey(_Parts):
    provider = serializers.CharField(max_length=40)
    falls_back = serializers.BooleanField(default=False)


class OwnKeyChange(_Parts):
    active = serializers.BooleanField(required=False)
    falls_back = serializers.BooleanField(required=False)


class OwnKeyTest(serializers.Serializer[Any]):
    works = serializers.BooleanField()
    problem = serializers.CharField(allow_blank=True, help_text="in the vendor's words")


_NEW = {"provider": "anthropic", "secret": "sk-ant-…", "falls_back": False}
_TAGS = ["own keys"]


def _throttled(request: Request, methods: tuple[str, ...]) -> list[BaseThrottle]:
    return [TriesByAccount()] if request.method in methods else []


class OwnKeysView(APIView):
    def get_throttles(self) -> list[BaseThrottle]:
        return _throttled(self.request, ("POST",))

    @extend_schema(
        tags=_TAGS,
        operation_id="list_own_keys",
        summary="Your own keys at vendors, and where they are offered at which fee",
        responses={200: OwnKeysSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        rows = keeping.of(caller(request))
        offered = [_offer(each) for each in keeping.offered()]
        return Response({"data": OwnKeySerializer(rows, many=True).data, "offered": offered})

    @extend_schema(
        tags=_TAGS,
        operation_id="create_own_key",
        summary="Use a key of your own for a vendor",
        description="It holds from the next request on. The secret is sealed, and never shown.",
        request=NewOwnKey,
        responses={201: OwnKeySerializer, **problems(400, 401, 404, 409, 429)},
        examples=[OpenApiExample("A key", _NEW, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body = valid(NewOwnKey, request.data)
        made = keeping.add(
            caller(request), body["provider"], _entered(body), falls_back=body["falls_back"]
        )
        return Response(OwnKeySerializer(made).data, status=status.HTTP_201_CREATED)


class OwnKeyView(APIView):
    def get_throttles(self) -> list[BaseThrottle]:
        return _throttled(self.request, ("PATCH",))

    @extend_schema(
        tags=_TAGS,
        operation_id="get_own_key",
        summary="One own key",
        responses={200: OwnKeySerializer, **problems(401, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(OwnKeySerializer(_mine(request, pk)).data)

    @extend_schema(
        tags=_TAGS,
        operation_id="change_own_key",
        summary="Replace or switch an own key",
        description="It holds from the next request on. What is not named stays as it is.",
        request=OwnKeyChange,
        responses={200: OwnKeySerializer, **problems(400, 401, 404, 409, 429)},
        examples=[OpenApiExample("Off", {"active": False}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        body = valid(OwnKeyChange, request.data)
        switched = {name: body[name] for name in ("active", "falls_back") if name in body}
        row = keeping.change(_mine(request, pk), secret=_entered(body) or None, **switched)
        return Response(OwnKeySerializer(row).data)

    @extend_schema(
        tags=_TAGS,
        operation_id="delete_own_key",
        summary="Forget an own key",
        description="Requests go through our accounts then, at the list price.",
        responses={204: None, **problems(400, 401, 404)},
    )
    def delete(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        keeping.remove(_mine(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnKeyTestView(APIView):
    throttle_classes = (TriesByAccount,)

    @extend_schema(
        tags=_TAGS,
        operation_id="test_own_key",
        summary="Ask the vendor whether an own key works",
        description="It is asked for its list of models, which costs nothing.",
        request=None,
        responses={200: OwnKeyTest, **problems(400, 401, 404, 429)},
    )
    def post(self, request: Request, pk: int) -> Response:
        takes_nothing(request)
        problem = testing.test(_mine(request, pk))
        return Response({"works": not problem, "problem": problem})


def _mine(request: Request, pk: int) -> OwnKey:
    found = keeping.of(caller(request)).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such own key.")
    return found


def _offer(provider: Provider) -> dict[str, Any]:
    fee = fees.in_force(provider.vendor, timezone.now())
    return {
        "provider": provider.name,
        "vendor": provider.vendor,
        "parts": parts.NAMES[parts.kind(provider)],
        "fee_per_million_tokens": dollars(fee.per_million) if fee else None,
        "fee_per_request": dollars(fee.per_request) if fee else None,
    }
