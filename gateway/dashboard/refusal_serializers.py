"""Refusals as /api shows them."""

from typing import Any

from rest_framework import serializers

from gateway.usage.explanations import explain
from gateway.usage.models import Refusal
from hontoni.drf import Query


class RefusalSerializer(serializers.ModelSerializer[Refusal]):
    """Equal refusals of one hour. The message and the limit are the last one's."""

    key_id = serializers.IntegerField(source="api_key_id")
    explanation = serializers.SerializerMethodField(help_text="what it means, what to do")
    limit = serializers.CharField(help_text="which limit bound, if one did")
    allowed = serializers.CharField(help_text="its number: requests, or dollars")

    class Meta:
        model = Refusal
        fields = (
            *("id", "code", "status", "message", "explanation", "limit", "allowed", "frees_at"),
            *("key_id", "model", "request_id", "count", "first_at", "last_at"),
        )

    def get_explanation(self, refusal: Refusal) -> str:
        return str(explain(refusal))


class RefusalFilterSerializer(Query):
    """What /api/usage/refusals can be narrowed to."""

    key = serializers.IntegerField(required=False, help_text="id of one of your API keys")
    member = serializers.IntegerField(required=False, help_text="id of a member of the team")


class ExplainedSerializer(serializers.Serializer[Any]):
    """Why a request was refused."""

    exact = serializers.BooleanField(help_text="whether it is the request that was asked about")
    results = RefusalSerializer(many=True)
