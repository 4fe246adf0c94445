"""/api/subscription/reset: the reset pass, which empties all windows at once."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller, idempotency_key, valid
from accounts.keys import scopes
from accounts.teams import acting
from billing.api.serializers import CURRENCY, DollarsField, InvoiceSerializer
from billing.api.subscription_api import IDEMPOTENCY_KEY
from billing.payments import reset_orders
from billing.payments.card_throttles import OrdersByAccount
from billing.plans import terms
from billing.subscriptions import resets
from hontoni.drf import Strict, problems
from hontoni.money import nanos


class ResetSerializer(Strict):
    card = serializers.CharField(
        required=False,
        default="",
        max_length=255,
        help_text="A saved card, for what the balance is short of. Without one: the balance.",
    )
    price = serializers.DecimalField(
        required=False,
        max_digits=12,
        decimal_places=2,
        min_value=0,
        help_text="The most it may cost, as you were shown: 409 `price_changed` beyond it.",
    )


class ResetPassSerializer(serializers.Serializer[Any]):
    price = DollarsField(allow_null=True, help_text="Null: none is to be had now.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    reset_at = serializers.DateTimeField(allow_null=True, help_text="When this period's was had.")
    unavailable = serializers.CharField(
        allow_null=True,
        help_text="Why none is to be had: `not_subscribed` (pay as you go has no period), "
        "`reset_pass_not_sold`, `reset_pass_used`.",
    )
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the next one is sold.")
    paid = DollarsField(allow_null=True)
    invoice = InvoiceSerializer(allow_null=True)


class ResetPasses(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING, "POST": scopes.BUYING}

    def get_throttles(self) -> list[Any]:
        return [OrdersByAccount()] if self.request.method == "POST" else []

    @extend_schema(
        tags=["subscription"],
        operation_id="reset_pass",
        summary="The reset pass of this period",
        description="A pass is of a period that is paid: pay as you go has none, and so no pass.",
        responses={200: ResetPassSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return Response(ResetPassSerializer(_reset_pass(caller(request).pk)).data)

    @extend_schema(
        tags=["subscription"],
        operation_id="buy_reset_pass",
        summary="Empty all windows at once",
        description="Sold one time in a period of a plan, for the price that GET tells; 409 "
        "`reset_pass_used` after that. Paid from the balance; with `card`, a saved one, what the "
        "balance is short of is charged to it first and put on the balance. It works at once, for "
        "every key, and is not given back.",
        parameters=[IDEMPOTENCY_KEY],
        request=ResetSerializer,
        responses={201: ResetPassSerializer, **problems(400, 401, 402, 403, 404, 409, 503)},
    )
    def post(self, request: Request) -> Response:
        body, buyer = valid(ResetSerializer, request.data), caller(request)
        bought = reset_orders.buy(
            buyer,
            now=timezone.now(),
            key=idempotency_key(request),
            card=body["card"],
            most=nanos(body["price"]) if "price" in body else None,
            by=acting.at_door(request).person.email,
        )
        shown = _reset_pass(buyer.pk) | {"paid": bought.reset.price, "invoice": bought.invoice}
        headers = {"Idempotent-Replayed": "true"} if bought.replayed else {}
        return Response(ResetPassSerializer(shown).data, status.HTTP_201_CREATED, headers=headers)


def _reset_pass(user_id: int) -> dict[str, Any]:
    mine, now = terms.subscription_of(user_id), timezone.now()
    had = resets.last(mine)
    return {
        "price": resets.offered(mine, now) or None,
        "unavailable": resets.why_none(mine, now),
        "reset_at": had and had.reset_at,
        "next_at": mine.period_end if mine and had else None,
        "paid": None,
        "invoice": None,
    }
