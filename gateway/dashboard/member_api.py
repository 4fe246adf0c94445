"""/api/teams/{id}/usage: what each member used and was refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.team_api import work_in
from accounts.keys import scopes
from gateway.usage import member_usage
from hontoni.drf import Strict, problems
from hontoni.money import dollars


class SpanQuery(Strict):
    since = serializers.DateField(required=False, help_text="The first day (UTC).")
    until = serializers.DateField(required=False, help_text="The last day; else today.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        last = attrs.get("until") or datetime.now(UTC).date()
        first = attrs.get("since") or last - timedelta(days=29)
        if not timedelta(0) <= last - first < timedelta(days=366):
            raise serializers.ValidationError({"since": "From 1 to 366 days."})
        return {"since": first, "until": last}


class MemberUsageSerializer(serializers.Serializer[Any]):
    member = serializers.CharField(source="name", help_text="Empty: keys of nobody.")
    role = serializers.SerializerMethodField()
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    tokens = serializers.IntegerField()
    cost = serializers.SerializerMethodField(help_text="Dollars.")
    refusals = serializers.IntegerField(help_text="Of the last month.")

    def get_role(self, row: member_usage.MemberUsage) -> str | None:
        return row.member.role if row.member else None

    def get_cost(self, row: member_usage.MemberUsage) -> str:
        return dollars(row.cost)


class MembersUsage(APIView):
    filters = SpanQuery

    @extend_schema(
        tags=["teams"],
        operation_id="team_usage",
        summary="What each member used",
        parameters=[SpanQuery],
        responses={200: MemberUsageSerializer(many=True), **problems(400, 401, 403, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        query = SpanQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        work = work_in(request, pk, scopes.USAGE)
        span = query.validated_data
        rows = member_usage.used(work.account.pk, span["since"], span["until"])
        return Response(MemberUsageSerializer(rows, many=True).data)
