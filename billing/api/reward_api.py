"""/api/billing/promo-code and /api/billing/referral."""

from typing import ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.requests import caller, valid
from accounts.keys import scopes
from billing.api.reward_serializers import (
    AcceptedSerializer,
    ApplySerializer,
    CodeSerializer,
    PromoSerializer,
    ReferralSerializer,
    SignupCreditSerializer,
)
from billing.rewards import gifts, promos, referrals
from billing.rewards.code_throttles import GuessesByAccount, GuessesByAddress
from billing.rewards.models import PromoCode
from billing.subscriptions import changes
from hontoni.drf import problems
from ratelimits.throttle import AddressThrottle


class Promo(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}
    throttle_classes = (GuessesByAddress, GuessesByAccount)

    @extend_schema(
        tags=["billing"],
        operation_id="promo_code",
        summary="Validate a promo code, or redeem it",
        description="With `apply: true` it is redeemed: credit is on the balance at once, a plan "
        "begins, and a bonus waits for the next top-up. Without, it only says what it would give. "
        "409 names why you cannot use it: `promo_code_expired`, `promo_code_used_up`, "
        "`promo_code_already_used`, `promo_code_first_time_only`, `promo_code_has_plan`; "
        "`email_unconfirmed`; `gift_taken_by_mailbox`, `gift_taken_by_card` or "
        "`gift_taken_by_browser`, if another account of yours used it; "
        "`payment_pending` while a plan of yours is being paid.",
        request=ApplySerializer,
        responses={200: PromoSerializer, **problems(400, 401, 404, 409, 429, 503)},
        examples=[OpenApiExample("Redeem", {"code": "WELCOME", "apply": True}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body, user_id, now = (
            valid(ApplySerializer, request.data),
            caller(request).pk,
            timezone.now(),
        )
        if not body["apply"]:
            return _show(promos.check(user_id, body["code"], now), "valid", 0)
        redeemed = changes.redeem(user_id, body["code"], now=now)
        became = "waiting" if redeemed.waits_for_top_up else "applied"
        return _show(redeemed.redemption.code, became, redeemed.granted)


def _show(code: PromoCode, became: str, granted: int) -> Response:
    shown = {
        "code": code.code,
        "kind": code.kind,
        "description": promos.describe(code),
        "status": became,
        "granted": granted,
        "minimum_top_up": code.minimum_top_up,
        "valid_until": code.valid_until,
    }
    return Response(PromoSerializer(shown).data)


class SignupCredit(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="signup_credit",
        summary="What has become of your sign-up credit",
        description="It comes when your e-mail address is confirmed, once a person: accounts that "
        "share a mailbox, a card or a browser are one.",
        responses={200: SignupCreditSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        found = gifts.standing(caller(request).pk)
        shown = {
            "status": found.status,
            "amount": found.amount,
            "message": found.why and str(found.why),
        }
        return Response(SignupCreditSerializer(shown).data)


class MyReferrals(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING, "POST": scopes.BUYING}

    def get_throttles(self) -> list[BaseThrottle]:
        """Looking at one's own is no guess."""
        guesses = (GuessesByAddress(), GuessesByAccount())
        return list(guesses) if self.request.method == "POST" else []

    @extend_schema(
        tags=["billing"],
        operation_id="referral",
        summary="Your referral code, and what it has earned",
        responses={200: ReferralSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        mine, program = referrals.standing(caller(request).pk), referrals.program()
        shown = {
            "code": mine.code,
            "link": mine.link,
            "invited": mine.invited,
            "pending": mine.pending,
            "earned": mine.earned,
            "percent": program.percent,
            "hold_days": program.hold_days,
        }
        return Response(ReferralSerializer(shown).data)

    @extend_schema(
        tags=["billing"],
        operation_id="accept_referral",
        summary="Say who invited you",
        description="Once a person, within 30 days of signing up, with a confirmed e-mail "
        "address. 409 names why not, as for promo codes.",
        request=CodeSerializer,
        responses={201: AcceptedSerializer, **problems(400, 401, 404, 409, 429)},
        examples=[OpenApiExample("A friend's", {"code": "KXR7M2QT"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        code = valid(CodeSerializer, request.data)["code"]
        address = AddressThrottle().identify(request) or ""
        referrals.accept(caller(request), code, address=address, now=timezone.now())
        # Whether staff will look at it first is not told: it would teach how to pass.
        return Response({"status": "accepted"}, status=status.HTTP_201_CREATED)
