"""/api/staff/vendor-health: how every credential and model of ours is, as all gateways say."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.sign_in import factors
from gateway.vendors.routing import health
from hontoni import redis
from hontoni.drf import problems
from hontoni.errors import Unavailable


class SeesVendors(BasePermission):
    """Staff with the permission and, outside the sandbox, a second factor: as in the admin."""

    message = "This is for staff who may see how vendors are chosen."

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        return (
            isinstance(user, User)
            and user.is_staff
            and user.has_perm("gateway.view_routing")
            and factors.trusted(user)
        )


class VendorHealthSerializer(serializers.Serializer[Any]):
    """Of the last five minutes, and the worst that any gateway says of now."""

    credential = serializers.CharField()
    model = serializers.CharField()
    breaker = serializers.ChoiceField(("closed", "half-open", "open"))
    opens_in_seconds = serializers.IntegerField(help_text="until it is asked again; 0: now")
    refused = serializers.BooleanField(help_text="the vendor does not accept the credential")
    rate_limited_seconds = serializers.IntegerField(help_text="as its last 429 said; 0: not")
    requests = serializers.IntegerField()
    failed = serializers.IntegerField()
    rate_limited = serializers.IntegerField()
    success_percent = serializers.FloatField(allow_null=True)
    first_byte_ms = serializers.IntegerField(allow_null=True, help_text="of streams, on average")
    last_error = serializers.CharField(allow_blank=True)
    gateways = serializers.IntegerField(help_text="that have asked it lately")


class VendorHealthView(APIView):
    permission_classes = (SeesVendors,)

    @extend_schema(
        tags=["staff"],
        operation_id="vendor_health",
        summary="How every credential and model is",
        description="What was asked in the last minutes, by all gateways together; each says so "
        "within seconds.",
        responses={200: VendorHealthSerializer(many=True), **problems(401, 403, 503)},
    )
    def get(self, request: Request) -> Response:
        try:
            return Response(VendorHealthSerializer(health.shown(), many=True).data)
        except redis.RedisError as error:
            raise Unavailable("Valkey does not answer.") from error
