"""/api/billing: topping up by card, saved cards, automatic top-ups, Stripe's invoices."""

from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller, idempotency_key, valid
from accounts.keys import scopes
from accounts.models import User
from billing.api.card_serializers import (
    AutoTopUpOrderSerializer,
    AutoTopUpSerializer,
    CardsSerializer,
    CardTopUpSerializer,
    CheckoutOrderSerializer,
    CheckoutSerializer,
    IntentOrderSerializer,
    IntentSerializer,
    LinkSerializer,
)
from billing.payments import autotopup, orders
from billing.payments.card_throttles import OrdersByAccount
from billing.payments.models import TopUp
from billing.stripe import customers, stripe_api
from billing.stripe.stripe_api import Object
from hontoni.drf import KeysetPagination, problems, takes_nothing

_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="Yours, up to 100 characters. The same key again answers the same top-up.",
)


def _buy(request: Request, body: dict[str, Any], route: str) -> tuple[TopUp, Object]:
    return orders.buy(
        user=caller(request),
        route=route,
        client_key=idempotency_key(request),
        return_url=request.build_absolute_uri(reverse("topup-done")),
        **body,
    )


class Checkout(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}
    throttle_classes = (OrdersByAccount,)

    @extend_schema(
        tags=["billing"],
        operation_id="top_up_by_checkout",
        summary="Add funds on Stripe's page",
        description="Answers the address of the page. The balance rises when Stripe confirms the "
        "payment, and the customer comes back to us.",
        parameters=[_KEY],
        request=CheckoutOrderSerializer,
        responses={201: CheckoutSerializer, **problems(400, 401, 409, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        body = valid(CheckoutOrderSerializer, request.data)
        order, session = _buy(request, body, TopUp.Route.CHECKOUT)
        shown = CardTopUpSerializer(order).data | {"url": session["url"]}
        return Response(shown, status=status.HTTP_201_CREATED)


class Intent(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}
    throttle_classes = (OrdersByAccount,)

    @extend_schema(
        tags=["billing"],
        operation_id="top_up_by_intent",
        summary="Add funds with a saved card, or with a form of your own",
        description="With `payment_method` the saved card is charged at once; where its bank asks "
        "for more, `status` is `requires_action`. Without one, confirm with Stripe.js.",
        parameters=[_KEY],
        request=IntentOrderSerializer,
        responses={201: IntentSerializer, **problems(400, 401, 402, 403, 404, 409, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        body = valid(IntentOrderSerializer, request.data)
        order, intent = _buy(request, body, TopUp.Route.INTENT)
        shown = CardTopUpSerializer(order).data | {
            "status": intent["status"],
            "client_secret": intent["client_secret"],
            "publishable_key": settings.STRIPE_PUBLISHABLE_KEY,
        }
        return Response(shown, status=status.HTTP_201_CREATED)


class NewestOrdersFirst(KeysetPagination):
    ordering = "-created_at"


class Mine(generics.GenericAPIView[TopUp]):
    scopes: ClassVar = {"GET": scopes.BILLING}
    queryset = TopUp.objects.all()
    serializer_class = CardTopUpSerializer
    pagination_class = NewestOrdersFirst

    def get_queryset(self) -> QuerySet[TopUp]:
        return super().get_queryset().filter(user=caller(self.request))


@extend_schema_view(
    get=extend_schema(
        tags=["billing"],
        operation_id="list_topups",
        summary="Top-ups by card, newest first",
        responses={200: CardTopUpSerializer(many=True), **problems(400, 401)},
    )
)
class TopUps(Mine, generics.ListAPIView[TopUp]):
    pass


@extend_schema_view(
    get=extend_schema(
        tags=["billing"],
        operation_id="topup_state",
        summary="How a top-up stands",
        responses={200: CardTopUpSerializer, **problems(401, 404)},
    )
)
class OneTopUp(Mine, generics.RetrieveAPIView[TopUp]):
    pass


class Cards(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="list_payment_methods",
        summary="Your saved cards",
        responses={200: CardsSerializer, **problems(401, 503)},
    )
    def get(self, request: Request) -> Response:
        return Response({"payment_methods": customers.cards(caller(request).pk)})


class OneCard(APIView):
    @extend_schema(
        tags=["billing"],
        operation_id="remove_payment_method",
        summary="Forget a saved card",
        responses={204: None, **problems(400, 401, 404, 503)},
    )
    def delete(self, request: Request, pk: str) -> Response:
        takes_nothing(request)
        customers.remove_card(caller(request).pk, pk)
        return Response(status=status.HTTP_204_NO_CONTENT)


class DefaultCard(APIView):
    @extend_schema(
        tags=["billing"],
        operation_id="choose_payment_method",
        summary="Charge this card where none is named",
        request=None,
        responses={204: None, **problems(400, 401, 404, 503)},
    )
    def post(self, request: Request, pk: str) -> Response:
        takes_nothing(request)
        customers.make_default(caller(request).pk, pk)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Portal(APIView):
    throttle_classes = (OrdersByAccount,)

    @extend_schema(
        tags=["billing"],
        operation_id="billing_portal",
        summary="A link to Stripe's page for your cards and invoices",
        request=None,
        responses={201: LinkSerializer, **problems(400, 401, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        takes_nothing(request)
        made = stripe_api.portal(customers.of(caller(request)), request.build_absolute_uri("/"))
        return Response({"url": made["url"]}, status=status.HTTP_201_CREATED)


class Automatic(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING, "PUT": scopes.BUYING}

    @extend_schema(
        tags=["billing"],
        operation_id="auto_topup",
        summary="Your automatic top-up",
        responses={200: AutoTopUpSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return Response(_automatic(caller(request)))

    @extend_schema(
        tags=["billing"],
        operation_id="set_auto_topup",
        summary="Switch the automatic top-up on or off",
        description="It charges a saved card when the balance falls under `threshold`, and "
        "switches itself off after three failures in a row.",
        request=AutoTopUpOrderSerializer,
        responses={200: AutoTopUpSerializer, **problems(400, 401, 403, 404, 503)},
    )
    def put(self, request: Request) -> Response:
        body = valid(AutoTopUpOrderSerializer, request.data)
        autotopup.change(caller(request), **body)
        return Response(_automatic(caller(request)))


def _automatic(user: User) -> Any:
    mine = autotopup.of(user)
    mine.spent_this_month = autotopup.spent(user.pk, timezone.now())  # type: ignore[attr-defined]
    return AutoTopUpSerializer(mine).data
