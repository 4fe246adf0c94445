"""/api/models: the catalogue, public. /api/usage: what was used, with a receipt a request."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import valid
from accounts.keys import scopes
from gateway.archive import archived_receipts as archived
from gateway.archive.archived_log import Log, Narrowing
from gateway.catalogue import clock
from gateway.catalogue.features import snapshot
from gateway.catalogue.models import Model, Price, living
from gateway.dashboard import signed_receipts
from gateway.dashboard.receipt_serializers import ReceiptSerializer
from gateway.dashboard.refusal_serializers import (
    ExplainedSerializer,
    RefusalFilterSerializer,
    RefusalSerializer,
)
from gateway.dashboard.serializers import (
    ModelListSerializer,
    SummaryFilterSerializer,
    UsageFilterSerializer,
    UsageSerializer,
    model_out,
)
from gateway.usage import charges, log, member_usage, refusals, summary
from gateway.usage.corrections.models import corrected
from gateway.usage.models import Refusal, UsageEvent
from gateway.usage.request_ids import first_id
from hontoni.drf import KeysetPagination, problems
from hontoni.errors import BadRequest, NotFound


class ModelsView(APIView):
    """Every model on offer, with its capabilities, the prices in effect and those announced."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(tags=["models"], summary="List models", auth=[], responses=ModelListSerializer)
    def get(self, request: Request) -> Response:
        prices: dict[str, Price] = {}
        coming: defaultdict[str, list[Price]] = defaultdict(list)
        now = timezone.now()
        for price in Price.objects.reverse():
            if price.effective_at <= now:
                prices[price.model_id] = price
            else:
                coming[price.model_id].append(price)
        features = snapshot.load().at(clock.of(now))
        models = Model.objects.filter(living(now), active=True).prefetch_related("aliases")
        known = {model.id: model for model in models}
        data = [
            model_out(
                model,
                prices[sold],
                [alias.name for alias in model.aliases.all()],
                coming[sold],
                features,
            )
            for model in models
            if (sold := _answers(model, known, now)) in prices
        ]
        return Response({"data": data})


def _answers(model: Model, known: Mapping[str, Model], now: datetime) -> str:
    """The model whose price is paid: itself, or once it has ended who answers for it."""
    seen: set[str] = set()
    while model.ends_at and model.ends_at <= now:
        successor = known.get(model.successor_id or "")
        if not model.redirects or successor is None or model.id in seen:
            return ""
        seen.add(model.id)
        model = successor
    return model.id


class LatestFirst(KeysetPagination):
    ordering = "-last_at"


class UsageListView(ListAPIView[UsageEvent]):
    """Your requests, newest first."""

    scopes: ClassVar = {"GET": scopes.USAGE}

    serializer_class = UsageSerializer
    filters = UsageFilterSerializer
    queryset = UsageEvent.objects.none()

    @extend_schema(tags=["usage"], summary="List requests", parameters=[UsageFilterSerializer])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        query = UsageFilterSerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        requested = query.validated_data
        assert self.request.user.pk is not None
        return _log(self.request.user.pk, requested)


def _log(user_id: int, requested: Mapping[str, Any]) -> Log:
    """What was requested of the log. The id is a UUIDv7: a range of time is a range of ids."""
    columns = {"key": "api_key_id", "model": "model", "tool": "tool"}
    wanted = {columns[name]: requested[name] for name in columns if name in requested}
    if "member" in requested:
        wanted["api_key_id__in"] = member_usage.keys_of(user_id, requested["member"])
    of = Narrowing(
        user_id, {name: value for name, value in wanted.items() if value not in (None, "")}
    )
    events = UsageEvent.objects.filter(user_id=user_id)
    if "transaction" in requested:
        charge = _charge(user_id, requested["transaction"])
        events, of = charge.events(), of.charged_with(charge)
    events = log.narrowed(corrected(events), user_id, wanted)
    if "since" in requested:
        since = first_id(requested["since"].timestamp())
        events, of = events.filter(id__gte=since), of.between(since, None)
    if "until" in requested:
        until = first_id(requested["until"].timestamp())
        events, of = events.filter(id__lt=until), of.between(None, until)
    return Log(events, of)


def _charge(user_id: int, transaction: str) -> charges.Charge:
    found = charges.find(user_id, transaction)
    if found is None:
        raise BadRequest("transaction: not a usage charge of yours.", param="transaction")
    return found


class RefusalsView(ListAPIView[Refusal]):
    """Why your requests were refused: equal refusals of an hour together, the latest first."""

    scopes: ClassVar = {"GET": scopes.USAGE}

    serializer_class = RefusalSerializer
    filters = RefusalFilterSerializer
    queryset = Refusal.objects.none()
    pagination_class = LatestFirst

    @extend_schema(
        tags=["usage"],
        operation_id="list_refusals",
        summary="List refusals",
        parameters=[RefusalFilterSerializer],
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Refusal]:
        user_id, query = (
            self.request.user.pk,
            RefusalFilterSerializer(data=self.request.query_params),
        )
        assert user_id is not None
        query.is_valid(raise_exception=True)
        requested = query.validated_data
        found = Refusal.objects.filter(user_id=user_id)
        if "member" in requested:
            found = found.filter(api_key_id__in=member_usage.keys_of(user_id, requested["member"]))
        return found.filter(api_key_id=requested["key"]) if "key" in requested else found


class SummaryView(APIView):
    """What the account used in some days, added up by day, model, key or member."""

    scopes: ClassVar = {"GET": scopes.USAGE}
    filters = SummaryFilterSerializer

    @extend_schema(
        tags=["usage"],
        operation_id="usage_summary",
        summary="Add up usage",
        parameters=[SummaryFilterSerializer],
        responses={200: OpenApiTypes.OBJECT, **problems(400, 401, 403)},
    )
    def get(self, request: Request) -> Response:
        query = valid(SummaryFilterSerializer, request.query_params)
        assert request.user.pk is not None
        span = query.get("from"), query.get("to")
        return Response(summary.answer(request.user.pk, *span, query["group_by"]))


class RefusalView(APIView):
    """Why one request was refused. Of equal refusals in an hour only the last is named by its id:
    of another, `exact` is false, and `results` are those of its moment."""

    scopes: ClassVar = {"GET": scopes.USAGE}

    @extend_schema(
        tags=["usage"],
        operation_id="refusal",
        summary="Why was this refused?",
        responses={200: ExplainedSerializer, **problems(401, 403, 404)},
    )
    def get(self, request: Request, request_id: str) -> Response:
        assert request.user.pk is not None
        found = refusals.explaining(request.user.pk, request_id)
        if not found:
            raise NotFound("There is no such refusal.")
        exact = found[0].request_id == request_id
        return Response(ExplainedSerializer({"exact": exact, "results": found}).data)


class ReceiptView(APIView):
    """One request's receipt: buckets x price = cost line by line, and how it came about."""

    scopes: ClassVar = {"GET": scopes.USAGE}

    @extend_schema(tags=["usage"], summary="Read a receipt", responses=ReceiptSerializer)
    def get(self, request: Request, request_id: str) -> Response:
        return Response(ReceiptSerializer(_event(request, request_id)).data)


class SignedReceiptView(APIView):
    """The receipt as a document that anybody can verify: signed (Ed25519), with its path to a
    published root of the ledger once there is one. Keys: /.well-known/hontoni-receipts.json."""

    scopes: ClassVar = {"GET": scopes.USAGE}

    @extend_schema(
        tags=["usage"],
        operation_id="signed_receipt",
        summary="Read a signed receipt",
        responses={200: OpenApiTypes.OBJECT, **problems(401, 404, 503)},
    )
    def get(self, request: Request, request_id: str) -> Response:
        return Response(signed_receipts.document(_event(request, request_id), timezone.now()))


def _event(request: Request, request_id: str) -> UsageEvent:
    """A request of the caller's. Raises NotFound."""
    try:
        pk = uuid.UUID(hex=request_id.removeprefix("req_"))
    except ValueError:
        raise NotFound("There is no such request.") from None
    assert request.user.pk is not None
    events = UsageEvent.objects.select_related("price").filter(user_id=request.user.pk, pk=pk)
    event = events.first() or archived.find(request.user.pk, pk)
    if event is None:
        raise NotFound("There is no such request.")
    return event
