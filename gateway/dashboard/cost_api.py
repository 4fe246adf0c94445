"""/api/cost: what a request would cost, before anybody asks a model."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import valid
from accounts.keys import scopes
from gateway.catalogue.models import BUCKETS
from gateway.dialects.ir import Usage
from gateway.metering import quotes
from hontoni.drf import Strict, problems

_MOST_TOKENS = 100_000_000


class CostSerializer(Strict):
    """A model and tokens, or the body of a request in any dialect."""

    model = serializers.CharField(max_length=200, required=False)
    request = serializers.DictField(required=False, help_text="As it would be sent to /v1.")

    def get_fields(self) -> dict[str, Any]:
        each = {
            f"{bucket}_tokens": serializers.IntegerField(
                min_value=0, max_value=_MOST_TOKENS, default=0
            )
            for bucket in BUCKETS
        }
        return {**super().get_fields(), **each}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("model" in attrs) == ("request" in attrs):
            raise serializers.ValidationError("Say a model and tokens, or a request.")
        return attrs


class CostView(APIView):
    """By the prices that hold now, the account's own where it has some. Nothing is charged, and
    nobody is asked."""

    scopes: ClassVar = {"POST": scopes.ANY}

    @extend_schema(
        tags=["models"],
        operation_id="cost",
        summary="What would this cost?",
        request=CostSerializer,
        responses={200: OpenApiTypes.OBJECT, **problems(400, 401, 404)},
        examples=[
            OpenApiExample(
                "A turn",
                {"model": "claude-sonnet-4", "input_tokens": 1000, "output_tokens": 500},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        body = valid(CostSerializer, request.data)
        assert request.user.pk is not None
        if "request" in body:
            return Response(quotes.of_request(request.user.pk, body["request"]))
        usage = Usage(**{bucket: body[f"{bucket}_tokens"] for bucket in BUCKETS})
        return Response(quotes.of_tokens(request.user.pk, body["model"], usage))
