"""/api/auth: sessions. /api/keys: API keys."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from accounts.api.account_serializers import (
    Credentials,
    KeySerializer,
    Logout,
    NewKeySerializer,
    NewTokenSerializer,
    PrivacySerializer,
    Refresh,
    Registration,
    Rotation,
    SessionSerializer,
    TokenSerializer,
)
from accounts.api.requests import caller, valid
from accounts.api.team_serializers import WhoSerializer
from accounts.keys import api_keys, personal_tokens, scopes
from accounts.keys.restrictions import Restrictions
from accounts.legal import texts
from accounts.models import ApiKey, PersonalToken, User
from accounts.people import privacy
from accounts.sign_in import callers, devices, factors, grants, opening, throttles, tokens
from accounts.sign_on import entering
from accounts.teams import acting, memberships
from hontoni import errors, origins
from hontoni.drf import problems, takes_nothing

_ACCOUNT = {"email": "you@example.com", "password": "correct horse battery"}
_LIMITS = {
    "daily_spend_cap": "5.00",
    "monthly_spend_cap": "50.00",
    "lifetime_spend_cap": "200.00",
    "allowed_models": ["claude-sonnet-4"],
    "allowed_ips": ["203.0.113.0/24", "2001:db8::/32"],
}
_REFRESH = OpenApiExample("A refresh token", {"refresh_token": "rt-gw-…"}, request_only=True)


def _show(key: ApiKey, raw: str) -> Response:
    shown = NewKeySerializer(key, context={"key": raw})
    return Response(shown.data, status=status.HTTP_201_CREATED)


class _Door(APIView):
    # No access token is needed: the body is the credential.

    authentication_classes = ()
    permission_classes = (AllowAny,)


def _answer(session: tokens.Session, code: int = status.HTTP_200_OK) -> Response:
    return Response(SessionSerializer(session).data, status=code)


class Register(_Door):
    throttle_classes = (throttles.RegistrationsByAddress, throttles.AttemptsByEmail)

    @extend_schema(
        tags=["auth"],
        operation_id="register",
        summary="Open an account",
        description="Who opens one agrees to the [terms](/terms) and to the [privacy policy]"
        "(/privacy) that hold at this moment; the answer's `Link` header names them.",
        request=Registration,
        responses={201: SessionSerializer, **problems(400, 403, 409, 429, 503)},
        examples=[OpenApiExample("You", {**_ACCOUNT, "name": "You"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body = valid(Registration, request.data)
        entering.check_address(body["email"])
        user = opening.open_account(request._request, **body, through="api")
        answer = _answer(tokens.issue(user), status.HTTP_201_CREATED)
        answer["Link"] = ", ".join(_agreed())
        return answer


def _agreed() -> Iterator[str]:
    """What opening an account agrees to, by the relations of RFC 6903."""
    relations = {"terms": "terms-of-service", "privacy": "privacy-policy"}
    for page in texts.AGREED:
        yield f'<{origins.absolute(reverse(f"legal-{page}"))}>; rel="{relations[page]}"'


class Login(_Door):
    throttle_classes = (throttles.AttemptsByAddress, throttles.AttemptsByEmail)

    @extend_schema(
        tags=["auth"],
        operation_id="login",
        summary="Begin a session",
        request=Credentials,
        responses={200: SessionSerializer, **problems(400, 401, 429, 503)},
        examples=[OpenApiExample("You", _ACCOUNT, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body = valid(Credentials, request.data)
        # Django hashes the password of an unknown address too: the answer takes as long.
        user = authenticate(request._request, username=body["email"], password=body["password"])
        if not isinstance(user, User):
            raise errors.Unauthenticated(
                "The e-mail address or the password is wrong.", code="invalid_credentials"
            )
        factors.check(user, body["code"])
        entering.check(user)
        update_last_login(User, user)
        devices.remember(request, user.email)
        return _answer(tokens.issue(user))


class RefreshSession(_Door):
    throttle_classes = (throttles.RefreshesByAddress,)

    @extend_schema(
        tags=["auth"],
        operation_id="refresh",
        summary="Continue a session",
        description="Each refresh token is good for one use. A second use ends the session.",
        request=Refresh,
        responses={200: SessionSerializer, **problems(400, 401, 429)},
        examples=[_REFRESH],
    )
    def post(self, request: Request) -> Response:
        return _answer(tokens.rotate(valid(Refresh, request.data)["refresh_token"]))


class EndSession(_Door):
    throttle_classes = (throttles.RefreshesByAddress,)

    @extend_schema(
        tags=["auth"],
        operation_id="logout",
        summary="End a session",
        description="Access tokens of the session stop working at once.",
        request=Logout,
        responses={204: None, **problems(400, 401, 429)},
        examples=[_REFRESH],
    )
    def post(self, request: Request) -> Response:
        body = valid(Logout, request.data)
        revoke = tokens.revoke_all if body["everywhere"] else tokens.revoke_family
        revoke(body["refresh_token"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class Me(APIView):
    scopes: ClassVar = {"GET": scopes.ANY}

    @extend_schema(
        tags=["auth"],
        operation_id="me",
        summary="Who am I?",
        responses={200: WhoSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        work = acting.at_door(request)
        return Response(WhoSerializer(work.person, context={"work": work}).data)


class Privacy(APIView):
    @extend_schema(
        tags=["auth"],
        operation_id="privacy",
        summary="What vendors, and we, may do with your requests",
        responses={200: PrivacySerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return Response(PrivacySerializer(caller(request)).data)

    @extend_schema(
        tags=["auth"],
        operation_id="change_privacy",
        summary="Change what vendors, and we, may do with your requests",
        description="It holds from the next request on.",
        request=PrivacySerializer,
        responses={200: PrivacySerializer, **problems(400, 401)},
        examples=[OpenApiExample("Nothing", {"vendors_may_store": False}, request_only=True)],
    )
    def patch(self, request: Request) -> Response:
        body = valid(PrivacySerializer, request.data)
        if "vendors_may_store" in body:
            privacy.let_vendors_store(caller(request), body["vendors_may_store"])
        if "keeps_responses" in body:
            privacy.keep_responses(caller(request), body["keeps_responses"])
        return Response(PrivacySerializer(caller(request)).data)


@extend_schema(tags=["keys"])
@extend_schema_view(
    list=extend_schema(
        operation_id="list_keys",
        summary="All keys, revoked ones included",
        responses={200: KeySerializer(many=True), **problems(400, 401)},
    ),
    retrieve=extend_schema(
        operation_id="get_key",
        summary="One key",
        responses={200: KeySerializer, **problems(401, 404)},
    ),
    partial_update=extend_schema(
        operation_id="change_key",
        summary="Rename or restrict a key",
        description="It holds from the next request on, and for every key it was rotated from or "
        "to. What is not named stays as it is; null and an empty list allow everything.",
        request=KeySerializer,
        responses={200: KeySerializer, **problems(400, 401, 404, 409)},
        examples=[
            OpenApiExample("A name", {"name": "staging"}, request_only=True),
            OpenApiExample("Limits", _LIMITS, request_only=True),
        ],
    ),
)
class Keys(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet[ApiKey],
):
    queryset = ApiKey.objects.all()
    serializer_class = KeySerializer
    lookup_value_converter = "int"
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]
    scopes: ClassVar = dict.fromkeys(("GET", "POST", "PATCH", "DELETE"), scopes.KEYS)

    def get_queryset(self) -> QuerySet[ApiKey]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        work = acting.at_door(self.request)
        found = memberships.keys_of(work.account, work.membership, work.role)
        return found.select_related("member__person")

    @extend_schema(
        operation_id="create_key",
        summary="Make a key",
        description="The answer shows the key in clear, this once: store it.",
        request=KeySerializer,
        responses={201: NewKeySerializer, **problems(400, 401, 403)},
        examples=[
            OpenApiExample("A key", {"name": "my-key"}, request_only=True),
            OpenApiExample("With limits", {"name": "ci", **_LIMITS}, request_only=True),
        ],
    )
    def create(self, request: Request) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        fields = dict(body.validated_data)
        name, expires_at = fields.pop("name"), fields.pop("expires_at", None)
        if fields.pop("stopped", False):
            raise errors.BadRequest("A new key is not stopped.", param="stopped")
        restricted, ip = Restrictions(**fields), callers.address(request)
        grants.check(request.auth, restricted.scopes)
        member = acting.at_door(request).membership
        return _show(*api_keys.mint(caller(request), name, expires_at, restricted, ip, member))

    def perform_update(self, serializer: BaseSerializer[ApiKey]) -> None:
        # By its name nothing is gained, but a limit that is lifted is power given on.
        grants.check(self.request.auth, self.get_object().scopes)
        grants.check(self.request.auth, serializer.validated_data.get("scopes", ()))
        stopped = serializer.validated_data.pop("stopped", None)
        key = serializer.save()
        if stopped is not None:
            work = acting.at_door(self.request)
            work.switch([key], stopped=stopped)
            key.refresh_from_db()

    @extend_schema(
        operation_id="revoke_key",
        summary="Revoke a key",
        description="It stops working at once, for good. Revoking it again changes nothing.",
        responses={204: None, **problems(400, 401, 404)},
    )
    def destroy(self, request: Request, **_: Any) -> Response:
        takes_nothing(request)
        acting.at_door(request).revoke(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="rotate_key",
        summary="Replace a key",
        description="Makes a successor with the same name. The old key works on for the overlap "
        "(0 to 30 days); both share one allowance of requests, and count as one key.",
        request=Rotation,
        responses={201: NewKeySerializer, **problems(400, 401, 404, 409)},
        examples=[OpenApiExample("A day", {"overlap_seconds": 86400}, request_only=True)],
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, **_: Any) -> Response:
        key, body = self.get_object(), valid(Rotation, request.data)
        grants.check(request.auth, key.scopes)
        if not memberships.may_rotate(acting.at_door(request).membership, key):
            raise errors.Forbidden(
                "A key is replaced by whose it is: revoke it, and have them make another.",
                code="role_missing",
            )
        overlap = timedelta(seconds=body["overlap_seconds"])
        return _show(*api_keys.rotate(key, overlap, callers.address(request)))


@extend_schema(tags=["tokens"])
@extend_schema_view(
    list=extend_schema(
        operation_id="list_tokens",
        summary="All personal access tokens, revoked ones included",
        responses={200: TokenSerializer(many=True), **problems(400, 401, 403)},
    ),
    retrieve=extend_schema(
        operation_id="get_token",
        summary="One token",
        responses={200: TokenSerializer, **problems(401, 403, 404)},
    ),
)
class Tokens(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[PersonalToken]
):
    """No scope opens this: a token that made tokens would never end."""

    queryset = PersonalToken.objects.all()
    serializer_class = TokenSerializer
    lookup_value_converter = "int"
    http_method_names = ["get", "head", "options", "post", "delete"]

    def get_queryset(self) -> QuerySet[PersonalToken]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        work = acting.at_door(self.request)
        return personal_tokens.of(work.account, work.person)

    @extend_schema(
        operation_id="create_token",
        summary="Make a personal access token",
        description="For programs on /api, in place of a password. The answer shows it in clear, "
        "this once.",
        request=TokenSerializer,
        responses={201: NewTokenSerializer, **problems(400, 401, 403)},
        examples=[
            OpenApiExample(
                "A report", {"name": "report", "scopes": ["usage:read"]}, request_only=True
            )
        ],
    )
    def create(self, request: Request) -> Response:
        body, work = valid(TokenSerializer, request.data), acting.at_door(request)
        for scope in body["scopes"]:
            work.check(scope)
        made, raw = personal_tokens.mint(
            work.account,
            body["name"],
            body["scopes"],
            body.get("expires_at"),
            callers.address(request),
            work.person,
        )
        shown = NewTokenSerializer(made, context={"token": raw})
        return Response(shown.data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="revoke_token",
        summary="Revoke a token",
        description="It stops working at once, for good. Revoking it again changes nothing.",
        responses={204: None, **problems(400, 401, 403, 404)},
    )
    def destroy(self, request: Request, **_: Any) -> Response:
        takes_nothing(request)
        personal_tokens.revoke(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
