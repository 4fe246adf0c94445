"""Everything we keep about a customer, in one file."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, cast

import orjson
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe

from accounts.api.account_serializers import KeySerializer, TokenSerializer, UserSerializer
from accounts.models import ApiKey, Consent, KeyPlace, PersonalToken, User
from accounts.pages.visitors import customer, reauthenticated
from billing.api.serializers import ListedInvoiceSerializer, TransactionSerializer
from billing.books import archived, ledger
from billing.books.models import LedgerAccount
from billing.books.transactions import Transactions
from billing.invoices.models import BillingDetails, Invoice
from billing.payments import invoice_list
from billing.plans.models import Subscription
from billing.rewards.models import Mark
from gateway.archive.archived_log import Log, Narrowing
from gateway.batches import files, sealing, wording
from gateway.batches.models import Batch, BatchRequest, StoredFile
from gateway.dashboard.models import SavedView
from gateway.dashboard.own_key_api import OwnKeySerializer
from gateway.dashboard.refusal_serializers import RefusalSerializer
from gateway.dashboard.serializers import UsageSerializer
from gateway.state import records
from gateway.usage.corrections.models import corrected
from gateway.usage.models import Refusal, UsageEvent
from gateway.vendors.own_keys import keeping
from hontoni.db import in_thread
from hontoni.money import dollars

_CHUNK = 1000
Chunk = Callable[[Any], list[tuple[Any, dict[str, Any]]]]


@login_required
@reauthenticated
@require_safe
def data_export(request: HttpRequest) -> StreamingHttpResponse:
    """Account, keys, plans, invoices, transactions and requests as JSON, streamed."""
    return exported(customer(request))


def exported(user: User) -> StreamingHttpResponse:
    """The file of that account's. Raises Unavailable where the archive is needed and away."""
    archived.check()
    response = StreamingHttpResponse(_document(user), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="hontoni-data.json"'
    return response


async def _document(user: User) -> AsyncIterator[bytes]:
    account = {
        **UserSerializer(user).data,
        "language": user.language,
        "vendors_may_store": user.vendors_may_store,
        "keeps_responses": user.keeps_responses,
    }
    yield b'{"account":' + orjson.dumps(account)
    yield b',"billing_details":' + orjson.dumps(await in_thread(_billing_details, user))
    yield b',"known_by":' + orjson.dumps(await in_thread(_marks, user))
    yield b',"used_from":' + orjson.dumps(await in_thread(_places, user))
    yield b',"agreed_to":' + orjson.dumps(await in_thread(_consents, user))
    lists = {
        "keys": _keys,
        "own_keys": _own_keys,
        "personal_tokens": _tokens,
        "subscriptions": _subscriptions,
        "invoices": _invoices,
        "transactions": _entries,
        "requests": _events,
        "refusals": _refusals,
        "kept_responses": _kept,
        "batches": _batches,
        "batch_requests": _requests,
        "saved_views": _views,
    }
    for name, chunk in lists.items():
        yield f',"{name}":['.encode()
        async for part in _all(user, cast(Any, chunk)):
            yield part
        yield b"]"
    yield b',"files":['
    async for part in _files(user):
        yield part
    yield b"]}"


async def _all(user: User, chunk: Callable[[User, Any], Any]) -> AsyncIterator[bytes]:
    """Every row of a list, read a keyset page at a time."""
    after, first = None, True
    while True:
        rows = await in_thread(chunk, user, after)
        for _, row in rows:
            yield (b"" if first else b",") + orjson.dumps(row)
            first = False
        if len(rows) < _CHUNK:
            return
        after = rows[-1][0]


def _billing_details(user: User) -> Any:
    return (
        BillingDetails.objects.filter(pk=user.pk)
        .values("name", "address", "tax_id", "country")
        .first()
    )


def _marks(user: User) -> list[dict[str, str]]:
    """By what one person's accounts are told apart: fingerprints (billing/rewards/gifts.py)."""
    found = Mark.objects.filter(user=user).order_by("pk")
    return [{"kind": mark.kind, "fingerprint": mark.digest} for mark in found]


def _places(user: User) -> list[dict[str, Any]]:
    """From where keys were used, as long as that is kept (accounts/keys/places.py)."""
    found = KeyPlace.objects.filter(user=user).order_by("pk")
    return [dict(row) for row in found.values("day", "network", "key_id")]


def _consents(user: User) -> list[dict[str, Any]]:
    found = Consent.objects.filter(user=user).order_by("pk")
    return [dict(row) for row in found.values("page", "version", "through", "agreed_at")]


def _subscriptions(user: User, after: int | None) -> list[tuple[int, Any]]:
    found = Subscription.objects.filter(user=user, pk__gt=after or 0).order_by("pk")
    rows = found.select_related("plan", "add_on")[:_CHUNK]
    return [(mine.pk, _subscription(mine)) for mine in rows]


def _subscription(mine: Subscription) -> dict[str, Any]:
    return {
        "plan": mine.plan.slug,
        "add_on": mine.add_on and mine.add_on.slug,
        "status": mine.status,
        "payment_method": mine.payment_method,
        "period_start": mine.period_start,
        "period_end": mine.period_end,
        "ended_at": mine.ended_at,
    }


def _invoices(user: User, after: int | None) -> list[tuple[int, Any]]:
    """Ours, as they were issued; Stripe keeps its own."""
    found = Invoice.objects.filter(user=user, pk__gt=after or 0).order_by("pk").defer("pdf")
    return [
        (each.pk, ListedInvoiceSerializer(invoice_list.row(each)).data) for each in found[:_CHUNK]
    ]


def _keys(user: User, after: int | None) -> list[tuple[int, Any]]:
    found = ApiKey.objects.filter(user=user, pk__gt=after or 0).order_by("pk")
    return [
        (key.pk, {**KeySerializer(key).data, "made_from": key.made_from}) for key in found[:_CHUNK]
    ]


def _own_keys(user: User, after: int | None) -> list[tuple[int, Any]]:
    """By their beginnings; the secrets are nobody's to read."""
    found = keeping.of(user).filter(pk__gt=after or 0).order_by("pk")
    return [(row.pk, OwnKeySerializer(row).data) for row in found[:_CHUNK]]


def _tokens(user: User, after: int | None) -> list[tuple[int, Any]]:
    found = PersonalToken.objects.filter(user=user, pk__gt=after or 0).order_by("pk")
    return [
        (each.pk, {**TokenSerializer(each).data, "made_from": each.made_from})
        for each in found[:_CHUNK]
    ]


def _entries(user: User, after: int | None) -> list[tuple[int, Any]]:
    wallet = LedgerAccount.objects.filter(code=ledger.wallet_code(user.pk)).first()
    if wallet is None:
        return []
    rows = Transactions(wallet, first=(after or 0) + 1, ascending=True)[:_CHUNK]
    return [(entry.account_version, TransactionSerializer(entry).data) for entry in rows]


def _events(user: User, after: Any) -> list[tuple[Any, Any]]:
    events = corrected(UsageEvent.objects.filter(user=user))
    found = Log(events, Narrowing(user.pk)).order_by("pk")
    if after is not None:
        found = found.filter(pk__gt=after)
    return [(event.pk, UsageSerializer(event).data) for event in found[:_CHUNK]]


def _kept(user: User, after: int | None) -> list[tuple[int, Any]]:
    """Answers of /v1/responses that are kept at the moment, and what was asked; all at once is
    bounded (STATE_ACCOUNT_BYTES)."""
    if after is not None:
        return []
    found = (records.read(user.pk, name) for name in records.identities(user.pk))
    rows = [{"input": each.input, "response": each.response} for each in found if each is not None]
    return list(enumerate(rows))


def _batches(user: User, after: datetime | None) -> list[tuple[datetime, Any]]:
    found = Batch.objects.filter(user=user).order_by("created_at").prefetch_related("files")
    rows = found.filter(created_at__gt=after) if after else found
    return [
        (row.created_at, wording.batch(row, list(row.files.all())) | {"cost": dollars(row.cost)})
        for row in rows[:_CHUNK]
    ]


def _requests(user: User, after: int | None) -> list[tuple[int, Any]]:
    """What was sent in batches and is waiting, and what was answered, as long as it is kept."""
    found = BatchRequest.objects.filter(batch__user=user, pk__gt=after or 0).order_by("pk")
    return [(row.pk, _request(row)) for row in found[:_CHUNK]]


def _request(row: BatchRequest) -> dict[str, Any]:
    stored = {name: bytes(getattr(row, name)) for name in ("body", "answer")}
    texts = {
        name: sealing.opened(kept).decode("utf-8", "replace")
        for name, kept in stored.items()
        if kept
    }
    return {"batch": row.batch_id, "custom_id": row.custom_id, "status": row.status, **texts}


async def _files(user: User) -> AsyncIterator[bytes]:
    """Each with its content; one at a time, for one may be large."""
    for number, file in enumerate(await in_thread(list, files.of(user.pk))):
        yield (b"," if number else b"") + orjson.dumps(await in_thread(_file, file))


def _file(file: StoredFile) -> dict[str, Any]:
    """Of results there is no copy: they are the answers of a batch."""
    content = None if file.batch_id else b"".join(files.content(file)).decode("utf-8", "replace")
    return {**wording.file(file), "content": content}


def _refusals(user: User, after: int | None) -> list[tuple[int, Any]]:
    found = Refusal.objects.filter(user=user, pk__gt=after or 0).order_by("pk")
    return [(each.pk, RefusalSerializer(each).data) for each in found[:_CHUNK]]


def _views(user: User, after: int | None) -> list[tuple[int, Any]]:
    found = SavedView.objects.filter(user=user, pk__gt=after or 0).order_by("pk")
    return [(each.pk, {"name": each.name, "query": each.query}) for each in found[:_CHUNK]]
