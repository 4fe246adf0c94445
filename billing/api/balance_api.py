"""/api/billing: what an account has, and where it went."""

from typing import Any, ClassVar

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller, idempotency_key, valid
from accounts.keys import scopes
from accounts.models import User
from accounts.sign_in import factors
from billing.api.serializers import (
    BalanceSerializer,
    TopUpSerializer,
    TransactionFilter,
    TransactionSerializer,
)
from billing.books import adjustments, balances, ledger, transactions
from billing.books.models import Entry, LedgerAccount, Transfer
from billing.payments import funding
from hontoni import errors
from hontoni.drf import KeysetPagination, problems, request_id
from hontoni.money import nanos

_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    required=True,
    description="Yours, up to 100 characters. The same key again answers the same transaction.",
)


class Balance(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="balance",
        summary="What there is to spend, up to the last request",
        responses={200: BalanceSerializer, **problems(401)},
        examples=[
            OpenApiExample(
                "With a request running",
                {"balance": "10.00", "held": "0.12", "available": "9.88", "currency": "USD"},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        return Response(BalanceSerializer(balances.live(caller(request).pk)).data)


class NewestFirst(KeysetPagination):
    # Numbered within the account: the index that keeps the numbers unique serves the pages.
    ordering = "-account_version"


@extend_schema_view(
    get=extend_schema(
        tags=["billing"],
        operation_id="list_transactions",
        summary="Everything that changed the balance, newest first",
        description="Usage is settled in batches, one transaction each. Its `usage` says of which "
        "requests it is the sum, and where they are listed.",
        parameters=[TransactionFilter],
        responses={200: TransactionSerializer(many=True), **problems(400, 401, 503)},
    )
)
class Transactions(generics.ListAPIView[Entry]):
    scopes: ClassVar = {"GET": scopes.BILLING}
    queryset = Entry.objects.none()
    serializer_class = TransactionSerializer
    pagination_class = NewestFirst
    filters = TransactionFilter

    def get_queryset(self) -> Any:
        wanted = valid(TransactionFilter, self.request.query_params)
        kinds = frozenset(wanted.get("kind") or transactions.KINDS)
        return transactions.Transactions(_account(caller(self.request)), kinds)


class TopUp(APIView):
    scopes: ClassVar = {"POST": scopes.BUYING}

    @extend_schema(
        tags=["billing"],
        operation_id="top_up",
        summary="Add funds",
        description="In sandbox mode: credits your own account at once, $1 to $10,000. Otherwise "
        "balances are topped up by card, at `POST /api/billing/topup/checkout`, and this answers "
        "403 `checkout_required`. Staff with the permission name an account by `email`, with a "
        "`reason`; it is audited.",
        parameters=[_IDEMPOTENCY_KEY],
        request=TopUpSerializer,
        responses={201: TransactionSerializer, **problems(400, 401, 402, 403, 404, 409)},
        examples=[OpenApiExample("Twenty-five dollars", {"amount": "25"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        body, key = valid(TopUpSerializer, request.data), idempotency_key(request)
        if not key:
            raise errors.BadRequest(
                "Send an Idempotency-Key header, so that a repeated request credits once.",
                code="idempotency_key_required",
            )
        credit = _by_staff if "email" in body else _in_sandbox
        owner, transfer, created = credit(request, key, body)
        entry = Entry.objects.select_related("transfer").get(
            transfer=transfer, account=_account(owner)
        )
        headers = {} if created else {"Idempotent-Replayed": "true"}
        return Response(
            TransactionSerializer(entry).data, status=status.HTTP_201_CREATED, headers=headers
        )


def _account(user: User) -> LedgerAccount:
    ledger.wallet(user.pk)
    return LedgerAccount.objects.get(code=ledger.wallet_code(user.pk))


def _in_sandbox(request: Request, key: str, body: dict[str, Any]) -> tuple[User, Transfer, bool]:
    user = caller(request)
    transfer, created = funding.sandbox(
        key=key, user_id=user.pk, amount=nanos(body["amount"]), reason=body["reason"]
    )
    return user, transfer, created


def _by_staff(request: Request, key: str, body: dict[str, Any]) -> tuple[User, Transfer, bool]:
    staff = caller(request)
    if not (staff.is_staff and staff.has_perm("billing.adjust_balance")):
        raise errors.Forbidden("You may not credit other accounts.")
    if not factors.trusted(staff):
        raise errors.Forbidden(
            "Staff need an authenticator app or a passkey.", code="second_factor_required"
        )
    amount = nanos(body["amount"])
    adjustments.check_amount(amount)
    owner = User.objects.filter(email=body["email"].lower()).first()
    if owner is None:
        raise errors.NotFound(f"There is no account {body['email']}.", param="email")
    transfer, created = adjustments.adjust(
        key=f"staff:{staff.pk}:{key}",
        user_id=owner.pk,
        amount=amount,
        reason=body["reason"],
        actor=staff.email,
        request_id=request_id(request._request),
    )
    return owner, transfer, created
