"""/api/leaks/github: GitHub's secret scanning reports keys that were pushed there."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.leaks import ended, github
from accounts.leaks.ended import Report
from hontoni import errors
from hontoni.drf import problems
from ratelimits.throttle import AddressThrottle

_MOST = 1000  # in one report


class ReportsByAddress(AddressThrottle):
    """GitHub has many machines and much to report; this bounds what others make us verify."""

    scope, limit, seconds = "leaks-github", 600, 60


class Found(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=1000)
    type = serializers.CharField(max_length=200, allow_blank=True)
    url = serializers.CharField(max_length=4000, allow_blank=True, required=False, default="")
    source = serializers.CharField(  # type: ignore[assignment]  # GitHub's name for it
        max_length=200, allow_blank=True, required=False, default=""
    )


class Label(serializers.Serializer[Any]):
    token_raw = serializers.CharField()
    token_type = serializers.CharField()
    label = serializers.ChoiceField(  # type: ignore[assignment]  # GitHub's name for it
        ["true_positive", "false_positive"]
    )


class GitHub(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ReportsByAddress,)

    @extend_schema(
        tags=["leaks"],
        operation_id="leaks_github",
        summary="Keys that GitHub found",
        description="GitHub's secret scanning partner format. Signed by GitHub; each key is "
        "revoked at once and its owner told.",
        request=Found(many=True),
        responses={200: Label(many=True), **problems(400, 401, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        body = request._request.body
        identifier = request.headers.get("Github-Public-Key-Identifier", "")
        signature = request.headers.get("Github-Public-Key-Signature", "")
        if not (identifier and signature and github.is_signed(body, identifier, signature)):
            raise errors.Unauthenticated("GitHub did not sign this.", code="invalid_signature")
        if not isinstance(request.data, list) or len(request.data) > _MOST:
            raise errors.BadRequest(f"A list of up to {_MOST} is expected.")
        found = Found(data=request.data, many=True)
        found.is_valid(raise_exception=True)
        return Response([_label(each) for each in found.validated_data], status.HTTP_200_OK)


def _label(found: dict[str, str]) -> dict[str, str]:
    report = Report("github", found["source"], found["url"])
    true = ended.end(found["token"], report)
    return {
        "token_raw": found["token"],
        "token_type": found["type"],
        "label": "true_positive" if true else "false_positive",
    }
