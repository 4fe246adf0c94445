"""/api/auth/me/notifications: which mails an account wants."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller, valid
from billing.mails.letters import LETTERS
from billing.mails.models import Preferences
from hontoni import money
from hontoni.drf import Strict, problems

_MOST = 1_000_000


class KindSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    about = serializers.CharField()
    on = serializers.BooleanField()
    locked = serializers.BooleanField(help_text="Cannot be switched off.")


class NotificationsSerializer(serializers.Serializer[Any]):
    low_balance = serializers.CharField(help_text="Dollars. Down to it, you get a mail.")
    mails = KindSerializer(many=True)


class NotificationsPatch(Strict):
    low_balance = serializers.DecimalField(
        max_digits=9, decimal_places=2, min_value=0, max_value=_MOST, required=False
    )
    mails = serializers.DictField(
        child=serializers.BooleanField(), required=False, help_text='`{"low_balance": false}`'
    )

    def validate_mails(self, switched: dict[str, bool]) -> dict[str, bool]:
        for kind, on in switched.items():
            if kind not in LETTERS:
                raise serializers.ValidationError(f"There is no kind {kind}.")
            if not on and LETTERS[kind].required:
                raise serializers.ValidationError(f"{kind} cannot be switched off.")
        return switched


class Notifications(APIView):
    @extend_schema(
        tags=["auth"],
        operation_id="notifications",
        summary="Which mails you get",
        responses={200: NotificationsSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return _show(_mine(request))

    @extend_schema(
        tags=["auth"],
        operation_id="change_notifications",
        summary="Choose which mails you get",
        request=NotificationsPatch,
        responses={200: NotificationsSerializer, **problems(400, 401)},
        examples=[
            OpenApiExample(
                "At $5, and nothing about promo codes",
                {"low_balance": "5", "mails": {"promo": False}},
                request_only=True,
            )
        ],
    )
    def patch(self, request: Request) -> Response:
        body = valid(NotificationsPatch, request.data)
        mine = _mine(request)
        mine.change(low_balance=body.get("low_balance"), switched=body.get("mails", {}))
        return _show(mine)


def _mine(request: Request) -> Preferences:
    return Preferences.of(caller(request))


def _show(mine: Preferences) -> Response:
    mails = [
        {
            "kind": kind,
            "about": letter.about,
            "on": kind not in mine.unwanted,
            "locked": letter.required,
        }
        for kind, letter in LETTERS.items()
    ]
    shown = {"low_balance": money.dollars(mine.low_balance), "mails": mails}
    return Response(NotificationsSerializer(shown).data)
