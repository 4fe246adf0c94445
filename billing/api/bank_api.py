"""/api/billing/topup/vietqr: topping up by bank transfer from Vietnam."""

from decimal import Decimal
from typing import Any, ClassVar

from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller, idempotency_key, valid
from accounts.keys import scopes
from billing.payments.card_throttles import OrdersByAccount
from billing.payments.vietqr import bank_orders
from billing.payments.vietqr.models import BankOrder
from hontoni.drf import Strict, problems, takes_nothing
from hontoni.money import dollars

_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="Yours, up to 100 characters. The same key again answers the same order.",
)


class BankOrderWanted(Strict):
    amount = serializers.DecimalField(
        max_digits=15, decimal_places=2, help_text="Dollars; whole dong where `currency` is VND."
    )
    currency = serializers.ChoiceField(choices=["USD", "VND"], default="USD")
    gateway = serializers.ChoiceField(
        choices=[*BankOrder.Gateway.values], required=False, help_text="Default: the first."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        amount: Decimal = attrs["amount"]
        if attrs["currency"] == "VND" and amount != amount.to_integral_value():
            raise serializers.ValidationError({"amount": "Whole dong."})
        return attrs


class BankOrderSerializer(serializers.ModelSerializer[BankOrder]):
    amount = serializers.SerializerMethodField(help_text="Dollars that it buys.")
    dong = serializers.IntegerField(help_text="To be transferred, exactly.")
    rate = serializers.IntegerField(help_text="Dong for a dollar, frozen.")
    content = serializers.CharField(help_text="What the transfer must say.")
    qr = serializers.CharField(help_text="What a VietQR code of it says.")
    page = serializers.SerializerMethodField(help_text="Ours, with the code.")

    class Meta:
        model = BankOrder
        fields = (
            *("id", "state", "gateway", "amount", "dong", "rate", "bank", "account", "holder"),
            *("content", "qr", "link_url", "page", "created_at", "expires_at"),
        )

    def get_amount(self, order: BankOrder) -> str:
        return dollars(order.amount)

    def get_page(self, order: BankOrder) -> str:
        request: Request = self.context["request"]
        return request.build_absolute_uri(reverse("billing-vietqr", args=[order.pk]))


def back(request: Any) -> str:
    """The address of our page of an order, with `{}` for its id."""
    path = reverse("billing-vietqr", args=["00000000-0000-0000-0000-000000000000"])
    address: str = request.build_absolute_uri(path)
    return address.replace("00000000-0000-0000-0000-000000000000", "{}")


class BankOrders(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}
    throttle_classes = (OrdersByAccount,)

    @extend_schema(
        tags=["billing"],
        operation_id="top_up_by_vietqr",
        summary="Add funds by a bank transfer from Vietnam",
        description="Answers what to transfer, and what a VietQR code of it says. The balance "
        "rises when exactly that arrives; anything else that arrives is looked at by a person.",
        parameters=[_KEY],
        request=BankOrderWanted,
        responses={201: BankOrderSerializer, **problems(400, 401, 403, 409, 429, 503)},
        examples=[OpenApiExample("Half a million dong", {"amount": "500000", "currency": "VND"})],
    )
    def post(self, request: Request) -> Response:
        body = valid(BankOrderWanted, request.data)
        in_dong = body["currency"] == "VND"
        order = bank_orders.place(
            user=caller(request),
            amount=None if in_dong else body["amount"],
            in_dong=int(body["amount"]) if in_dong else None,
            gateway=body.get("gateway", ""),
            client_key=idempotency_key(request),
            back=back(request),
        )
        shown = BankOrderSerializer(order, context={"request": request}).data
        return Response(shown, status=status.HTTP_201_CREATED)


class OneBankOrder(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING, "DELETE": scopes.BUYING}

    @extend_schema(
        tags=["billing"],
        operation_id="retrieve_vietqr",
        summary="An order by bank transfer",
        responses={200: BankOrderSerializer, **problems(401, 404)},
    )
    def get(self, request: Request, pk: str) -> Response:
        order = bank_orders.own(caller(request).pk, pk)
        return Response(BankOrderSerializer(order, context={"request": request}).data)

    @extend_schema(
        tags=["billing"],
        operation_id="cancel_vietqr",
        summary="Cancel it: nobody will pay it",
        request=None,
        responses={200: BankOrderSerializer, **problems(401, 404)},
    )
    def delete(self, request: Request, pk: str) -> Response:
        takes_nothing(request)
        order = bank_orders.cancel(bank_orders.own(caller(request).pk, pk))
        return Response(BankOrderSerializer(order, context={"request": request}).data)
