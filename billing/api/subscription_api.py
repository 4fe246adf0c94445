"""/api/subscription and /api/addons: what is sold, what is mine, and every change of it."""

from datetime import datetime
from typing import Any, ClassVar

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller, idempotency_key, valid
from accounts.keys import scopes
from billing.api.serializers import (
    AddOnChoiceSerializer,
    AddOnsSerializer,
    AddSerializer,
    ChangeSerializer,
    OfferSerializer,
    PaymentMethodSerializer,
    PlanChoiceSerializer,
    QuoteSerializer,
    SubscribeSerializer,
    SubscriptionSerializer,
)
from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.subscriptions import changes
from billing.subscriptions.balance_changes import Outcome
from hontoni import errors
from hontoni.drf import problems, takes_nothing

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="Yours, up to 100 characters. The same key again pays nothing more and answers "
    "what it bought, with `Idempotent-Replayed: true`.",
)
_STRIPE = (
    "By Stripe: with `card`, a saved one, it is charged at once, or 402. Without one the answer "
    "is 202, and the customer pays at `payment_url`; the plan holds when Stripe confirms it."
)
_PLAN = OpenApiExample("Standard", {"plan": "standard"}, request_only=True)


def _plan(slug: str) -> Plan:
    plan = Plan.objects.filter(slug=slug).first()
    if plan is None:
        raise errors.NotFound(f"There is no plan {slug}.", param="plan")
    return plan


def _add_on(slug: str) -> AddOn:
    add_on = AddOn.objects.filter(slug=slug).first()
    if add_on is None:
        raise errors.NotFound(f"There is no add-on {slug}.", param="add_on")
    return add_on


def _shown(user_id: int) -> dict[str, Any]:
    """What an account is on, for SubscriptionSerializer."""
    plan, multiplier = terms.plan_of(user_id)
    mine = terms.subscription_of(user_id)
    return {
        "plan": plan,
        "add_on": mine and mine.add_on,
        "limits": terms.limits(plan, multiplier),
        "period": mine,
    }


def _end_of_add_on(mine: Subscription) -> datetime | None:
    coming = quotes.next_period(mine)
    ends = mine.add_on is not None and (coming is None or coming[1] != mine.add_on)
    return mine.period_end if ends else None


def _arranged(user_id: int) -> Response:
    return Response(SubscriptionSerializer(_shown(user_id)).data)


def _bought(user_id: int, outcome: Outcome) -> Response:
    shown = {
        "subscription": _shown(user_id),
        "paid": outcome.paid,
        "invoice": outcome.invoice,
        "payment_url": outcome.payment_url or None,
    }
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    code = status.HTTP_202_ACCEPTED if outcome.payment_url else status.HTTP_201_CREATED
    return Response(ChangeSerializer(shown).data, code, headers=headers)


def _paying(request: Request, body: dict[str, Any]) -> dict[str, str]:
    """How it is to be paid, once, and where Stripe's page leads back to."""
    return {
        "key": idempotency_key(request),
        "method": body["payment_method"],
        "card": body["card"],
        "return_url": request.build_absolute_uri(reverse("plan-done")),
    }


class Plans(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        tags=["subscription"],
        operation_id="list_plans",
        summary="The plans and add-ons on sale",
        responses={200: OfferSerializer},
    )
    def get(self, request: Request) -> Response:
        offer = {
            "plans": Plan.objects.filter(active=True),
            "add_ons": AddOn.objects.filter(active=True),
        }
        return Response(OfferSerializer(offer).data)


class MySubscription(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING, "POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="subscription",
        summary="Your plan, your add-on, and the limits they make",
        responses={200: SubscriptionSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return _arranged(caller(request).pk)

    @extend_schema(
        tags=["subscription"],
        operation_id="subscribe",
        summary="Subscribe to a plan",
        description="Pays the first month and starts at once; so does the plan you have on trial, "
        "whose trial ends then; by card, any plan takes its place. Money that running requests "
        f"hold is not spent: 402 `balance_on_hold` then.\n\n{_STRIPE}",
        parameters=[IDEMPOTENCY_KEY],
        request=SubscribeSerializer,
        responses={
            201: ChangeSerializer,
            202: ChangeSerializer,
            **problems(400, 401, 402, 404, 409, 503),
        },
        examples=[_PLAN],
    )
    def post(self, request: Request) -> Response:
        body = valid(SubscribeSerializer, request.data)
        plan, user_id = _plan(body["plan"]), caller(request).pk
        outcome = changes.subscribe(user_id, plan, now=timezone.now(), **_paying(request, body))
        return _bought(user_id, outcome)


class PreviewPlan(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}
    filters = PlanChoiceSerializer

    @extend_schema(
        tags=["subscription"],
        operation_id="preview_plan",
        summary="What going to a plan would cost",
        description="Subscribing, upgrading or downgrading, whichever it would be. A second "
        "later the rest of the period is a second shorter, and so is what it costs.",
        parameters=[PlanChoiceSerializer],
        responses={200: QuoteSerializer, **problems(400, 401, 402, 404, 409)},
    )
    def get(self, request: Request) -> Response:
        body = valid(PlanChoiceSerializer, request.query_params)
        plan, now = _plan(body["plan"]), timezone.now()
        return Response(
            QuoteSerializer(changes.preview_plan(caller(request).pk, plan, now=now)).data
        )


class Upgrade(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="upgrade",
        summary="Go to a dearer plan now",
        description="Pays the difference for the rest of the period, by the second.",
        parameters=[IDEMPOTENCY_KEY],
        request=PlanChoiceSerializer,
        responses={
            201: ChangeSerializer,
            202: ChangeSerializer,
            **problems(400, 401, 402, 404, 409, 503),
        },
        examples=[_PLAN],
    )
    def post(self, request: Request) -> Response:
        body = valid(PlanChoiceSerializer, request.data)
        user_id, plan = caller(request).pk, _plan(body["plan"])
        outcome = changes.upgrade(user_id, plan, now=timezone.now(), key=idempotency_key(request))
        return _bought(user_id, outcome)


class Downgrade(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="downgrade",
        summary="Go to a cheaper plan when the period ends",
        request=PlanChoiceSerializer,
        responses={200: SubscriptionSerializer, **problems(400, 401, 404, 409)},
        examples=[_PLAN],
    )
    def post(self, request: Request) -> Response:
        body = valid(PlanChoiceSerializer, request.data)
        user_id = caller(request).pk
        changes.downgrade(user_id, _plan(body["plan"]), now=timezone.now())
        return _arranged(user_id)


class Cancel(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="cancel",
        summary="Let plan and add-on end with the period",
        description="Until then nothing changes. In grace, because a renewal is unpaid, they end "
        "at once.",
        request=None,
        responses={200: SubscriptionSerializer, **problems(400, 401, 409)},
    )
    def post(self, request: Request) -> Response:
        takes_nothing(request)
        user_id = caller(request).pk
        changes.cancel(user_id, now=timezone.now())
        return _arranged(user_id)


class Resume(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="resume",
        summary="Go on as it is",
        description="Undoes whatever was to happen when the period ends: a cancellation, a "
        "downgrade, the end of the add-on.",
        request=None,
        responses={200: SubscriptionSerializer, **problems(400, 401, 409)},
    )
    def post(self, request: Request) -> Response:
        takes_nothing(request)
        user_id = caller(request).pk
        changes.resume(user_id, now=timezone.now())
        return _arranged(user_id)


class PaymentMethod(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="pay_subscription_by",
        summary="Pay the next period another way",
        description="From the balance or by a saved card. While a renewal is unpaid it is tried "
        "at once. The way it is paid now takes back a change that waits.",
        request=PaymentMethodSerializer,
        responses={200: SubscriptionSerializer, **problems(400, 401, 403, 409, 503)},
    )
    def post(self, request: Request) -> Response:
        body = valid(PaymentMethodSerializer, request.data)
        user_id, method = caller(request).pk, body["payment_method"]
        changes.pay_by(user_id, method, now=timezone.now())
        return _arranged(user_id)


class AddOns(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING, "POST": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="list_add_ons",
        summary="The add-ons on sale, and which is yours",
        responses={200: AddOnsSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        mine = terms.subscription_of(caller(request).pk)
        shown = {
            "add_ons": AddOn.objects.filter(active=True),
            "active": mine.add_on.slug if mine and mine.add_on else None,
            "ends_at": _end_of_add_on(mine) if mine else None,
        }
        return Response(AddOnsSerializer(shown).data)

    @extend_schema(
        tags=["subscription"],
        operation_id="add_add_on",
        summary="Take an add-on, in place of the one you have",
        description="Multiplies every rate limit of your plan at once, never the thinking budget. "
        "In the middle of a period you pay the difference for the rest of it. A cheaper one than "
        "yours begins when the period ends, and nothing is credited. The one you have: 409 "
        "`add_on_active`, or, if it was to end or to change, it goes on. It is "
        f"paid as your plan is; without one, as you say.\n\n{_STRIPE}",
        parameters=[IDEMPOTENCY_KEY],
        request=AddSerializer,
        responses={
            201: ChangeSerializer,
            202: ChangeSerializer,
            **problems(400, 401, 402, 404, 409, 503),
        },
        examples=[OpenApiExample("Double", {"add_on": "rate-limit-2x"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body = valid(AddSerializer, request.data)
        user_id, add_on = caller(request).pk, _add_on(body["add_on"])
        outcome = changes.add(user_id, add_on, now=timezone.now(), **_paying(request, body))
        return _bought(user_id, outcome)


class PreviewAddOn(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}
    filters = AddOnChoiceSerializer

    @extend_schema(
        tags=["subscription"],
        operation_id="preview_add_on",
        summary="What taking an add-on would cost",
        parameters=[AddOnChoiceSerializer],
        responses={200: QuoteSerializer, **problems(400, 401, 402, 404, 409)},
    )
    def get(self, request: Request) -> Response:
        body = valid(AddOnChoiceSerializer, request.query_params)
        add_on, now = _add_on(body["add_on"]), timezone.now()
        return Response(
            QuoteSerializer(changes.preview_add_on(caller(request).pk, add_on, now=now)).data
        )


class MyAddOn(APIView):
    scopes: ClassVar = {"DELETE": scopes.BUYING}

    @extend_schema(
        tags=["subscription"],
        operation_id="remove_add_on",
        summary="Let the add-on end with the period",
        responses={200: SubscriptionSerializer, **problems(400, 401, 404, 409)},
    )
    def delete(self, request: Request, slug: str) -> Response:
        takes_nothing(request)
        user_id = caller(request).pk
        changes.remove(user_id, _add_on(slug), now=timezone.now())
        return _arranged(user_id)
