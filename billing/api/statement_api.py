"""/api/billing/statements: a month of a balance, as JSON, PDF and CSV."""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone, translation
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller
from accounts.keys import scopes
from accounts.models import User
from billing.api.serializers import CURRENCY, DollarsField
from billing.books.transfer_names import SECTION_NAMES
from billing.invoices import statements
from billing.invoices.statements import Line, Statement
from hontoni.drf import problems

MONTH = [OpenApiParameter("month", str, OpenApiParameter.PATH, description="Such as 2026-11.")]


class StatementLineSerializer(serializers.Serializer[Any]):
    """`amount` is whole cents, and the amounts add up; `exact` is what the ledger moved."""

    kind = serializers.CharField(help_text="As in your transactions.")
    at = serializers.DateTimeField()
    text = serializers.CharField()
    number = serializers.CharField(help_text="Of the invoice or credit note, if it is ours.")
    amount = DollarsField(source="shown", help_text="Negative: taken from the balance.")
    exact = DollarsField()


class StatementUsageSerializer(serializers.Serializer[Any]):
    """A model; or, with a null one, what was charged in another month than it was sent."""

    model = serializers.CharField(source="used.model", default=None, allow_null=True)
    text = serializers.CharField()
    requests = serializers.IntegerField(source="used.requests", default=0)
    prompt_tokens = serializers.IntegerField(source="used.prompt", default=0)
    output_tokens = serializers.IntegerField(source="used.output", default=0)
    amount = DollarsField(source="shown", help_text="Negative: taken from the balance.")
    exact = DollarsField()


class StatementTotalsSerializer(serializers.Serializer[Any]):
    payments = DollarsField()
    refunds = DollarsField()
    credits = DollarsField()
    purchases = DollarsField()
    corrections = DollarsField()
    usage = DollarsField()


class StatementSerializer(serializers.Serializer[Any]):
    """Opening + every amount = closing, to the cent."""

    month = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    is_over = serializers.BooleanField(help_text="Nothing in it changes any more.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    opening = DollarsField()
    payments = StatementLineSerializer(many=True)
    refunds = StatementLineSerializer(many=True)
    credits = StatementLineSerializer(many=True)
    purchases = StatementLineSerializer(many=True)
    corrections = StatementLineSerializer(many=True)
    usage = StatementUsageSerializer(many=True)
    totals = StatementTotalsSerializer()
    closing = DollarsField()
    exact_opening = DollarsField()
    exact_closing = DollarsField()


class StatementMonthsSerializer(serializers.Serializer[Any]):
    results = serializers.ListField(child=serializers.CharField())


def shown(statement: Statement) -> dict[str, Any]:
    """As JSON."""
    sections: dict[str, list[Line]] = {name: statement.of(name) for name in SECTION_NAMES}
    totals = {name: statement.total(name) for name in sections}
    names = ("month", "since", "until", "is_over")
    amounts = ("opening", "closing", "exact_opening", "exact_closing")
    said = {name: getattr(statement, name) for name in (*names, *amounts)}
    return dict(
        StatementSerializer({**said, **sections, "totals": totals, "currency": CURRENCY}).data
    )


class Statements(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="list_statements",
        summary="The months there is a statement of, newest first",
        description="Months are UTC. The one that is running has a statement so far.",
        responses={200: StatementMonthsSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return Response({"results": statements.months(caller(request).pk, timezone.now())})


class OneStatement(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="statement",
        summary="What your balance did in a month",
        parameters=MONTH,
        responses={200: StatementSerializer, **problems(401, 404)},
    )
    def get(self, request: Request, month: str) -> Response:
        return Response(shown(statements.of(caller(request).pk, month, timezone.now())))


class AnyType(BaseContentNegotiation):
    """A file is what it is, whatever the caller accepts; errors are JSON."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class StatementPdf(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}
    content_negotiation_class = AnyType

    @extend_schema(
        tags=["billing"],
        operation_id="statement_pdf",
        summary="A month's statement as PDF",
        description="In the language of your mails.",
        parameters=MONTH,
        responses={(200, "application/pdf"): OpenApiTypes.BINARY, **problems(401, 404)},
    )
    def get(self, request: Request, month: str) -> HttpResponse:
        with translation.override(caller(request).language):
            return _download(caller(request), month, "pdf")


class StatementCsv(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}
    content_negotiation_class = AnyType

    @extend_schema(
        tags=["billing"],
        operation_id="statement_csv",
        summary="A month's statement as CSV",
        parameters=MONTH,
        responses={(200, "text/csv"): OpenApiTypes.STR, **problems(401, 404)},
    )
    def get(self, request: Request, month: str) -> HttpResponse:
        return _download(caller(request), month, "csv")


def _download(user: User, month: str, ending: str) -> HttpResponse:
    from billing.invoices import statement_files  # what prints it, only for who prints

    return statement_files.download(user, month, ending)
