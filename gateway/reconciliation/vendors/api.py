"""/api/staff: vendors' bills, what they differ in from our books, and margins. For staff who may
see vendors' bills; as JSON in pages, or with `format=csv` whole."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.sign_in import factors
from gateway.reconciliation.vendors.alarms import PERMISSION
from gateway.reconciliation.vendors.comparison import differences
from gateway.reconciliation.vendors.earnings import margins
from gateway.reconciliation.vendors.models import VendorBill
from gateway.reconciliation.vendors.serializers import (
    BillFilterSerializer,
    DaysSerializer,
    DifferenceSerializer,
    MarginFilterSerializer,
    MarginSerializer,
    VendorBillSerializer,
    difference_out,
    margin_out,
)
from hontoni.drf import KeysetPagination, problems

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class SeesVendorBills(BasePermission):
    """Staff with the permission and, outside the sandbox, a second factor: as in the admin."""

    message = "This is for staff who may see vendors' bills."

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        return (
            isinstance(user, User)
            and user.is_staff
            and user.has_perm(PERMISSION)
            and factors.trusted(user)
        )


class CsvRenderer(BaseRenderer):
    """A list as a spreadsheet; an error stays JSON. What is an object becomes columns of its own:
    `parts.charged`."""

    media_type, format = "text/csv", "csv"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        if not isinstance(data, list):
            return orjson.dumps(data)
        rows = [dict(_flat(row)) for row in data]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, restval="")
        writer.writeheader()
        writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
        return out.getvalue().encode()


def _flat(row: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _safe(value: Any) -> Any:
    """A spreadsheet would run a name that begins like a formula. Amounts are no names."""
    if not isinstance(value, str) or not value.startswith(_FORMULAS):
        return value
    return value if value.removeprefix("-").replace(".", "", 1).isdigit() else f"'{value}"


class _Pages(LimitOffsetPagination):
    default_limit, max_limit = 50, 200


class _Staff(GenericAPIView[Any]):
    permission_classes = (SeesVendorBills,)
    renderer_classes = (JSONRenderer, CsvRenderer)

    def whole(self) -> bool:
        """A spreadsheet has no pages."""
        renderer = self.request.accepted_renderer
        return renderer is not None and renderer.format == "csv"

    def listed(self, rows: list[dict[str, Any]]) -> Response:
        if self.whole():
            return Response(rows)
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(page)


class VendorBillsView(_Staff, ListAPIView[VendorBill]):
    """What vendors bill, as it was imported, the newest import first."""

    serializer_class = VendorBillSerializer
    queryset = VendorBill.objects.none()
    pagination_class = KeysetPagination
    filters = BillFilterSerializer

    @extend_schema(
        tags=["staff"],
        summary="List vendors' bills",
        parameters=[BillFilterSerializer],
        responses={200: VendorBillSerializer(many=True), **problems(400, 401, 403)},
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        if self.whole():
            return Response(list(self.get_serializer(self.get_queryset(), many=True).data))
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[VendorBill]:
        requested = BillFilterSerializer(data=self.request.query_params)
        requested.is_valid(raise_exception=True)
        found = VendorBill.objects.filter(day__range=requested.days)
        if "vendor" in requested.validated_data:
            found = found.filter(vendor=requested.validated_data["vendor"])
        return found.select_related("usage_import", "cost_import")


class DifferencesView(_Staff):
    """What vendors bill beside what was booked, in named parts, and the rest."""

    serializer_class = DifferenceSerializer
    filters = DaysSerializer
    pagination_class = _Pages

    @extend_schema(
        tags=["staff"],
        operation_id="staff_vendor_bill_differences",
        summary="Compare vendors' bills with the books",
        parameters=[DaysSerializer],
        responses={200: DifferenceSerializer(many=True), **problems(400, 401, 403)},
    )
    def get(self, request: Request) -> Response:
        requested = DaysSerializer(data=request.query_params)
        requested.is_valid(raise_exception=True)
        return self.listed([difference_out(each) for each in differences(*requested.days)])


class MarginsView(_Staff):
    """Revenue less the vendors' bills, by model, day or customer."""

    serializer_class = MarginSerializer
    filters = MarginFilterSerializer
    pagination_class = _Pages

    @extend_schema(
        tags=["staff"],
        operation_id="staff_margins",
        summary="Read margins",
        parameters=[MarginFilterSerializer],
        responses={200: MarginSerializer(many=True), **problems(400, 401, 403)},
    )
    def get(self, request: Request) -> Response:
        requested = MarginFilterSerializer(data=request.query_params)
        requested.is_valid(raise_exception=True)
        found = margins(requested.validated_data["by"], *requested.days)
        return self.listed([margin_out(each) for each in found])
