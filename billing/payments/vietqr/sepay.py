"""SePay: it watches our bank account, calls back for every transfer, and lists them.

A callback is believed if it is signed (`X-SePay-Signature: sha256=…` of timestamp, point and body,
not older than five minutes) or, where that is what was chosen there, carries our API key. See
developer.sepay.vn: sepay-webhooks/xac-thuc, sepay-api/v2/giao-dich/danh-sach.
"""

import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx
from django.conf import settings

from billing.invoices.taxes import VIETNAM
from billing.payments.vietqr.heard import (
    TOLERANCE,
    Forged,
    Heard,
    Unanswered,
    kept,
    moment,
    whole,
)
from billing.payments.vietqr.models import BankOrder
from hontoni import strict_json

GATEWAY = BankOrder.Gateway.SEPAY
PAGE, MOST_PAGES = 100, 200


def configured() -> bool:
    """Whether customers can pay to the account that SePay watches, and we would hear of it."""
    hears = settings.SEPAY_WEBHOOK_SECRET or settings.SEPAY_WEBHOOK_KEY or polled()
    return bool(settings.VIETQR_BANK and settings.VIETQR_ACCOUNT and hears)


def calls_back() -> bool:
    """Whether a callback can be told from a forged one."""
    return bool(settings.SEPAY_WEBHOOK_SECRET or settings.SEPAY_WEBHOOK_KEY)


def polled() -> bool:
    """Whether its list can be read."""
    return bool(settings.SEPAY_API_TOKEN)


# -- Callbacks -----------------------------------------------------------------------------------


def check(body: bytes, headers: Mapping[str, str]) -> None:
    """Raises Forged for a callback that is not SePay's, or an old one."""
    if settings.SEPAY_WEBHOOK_SECRET:
        _check_signature(body, headers)
    elif not _same(headers.get("Authorization", ""), f"Apikey {settings.SEPAY_WEBHOOK_KEY}"):
        raise Forged("The API key is not ours.")


def _check_signature(body: bytes, headers: Mapping[str, str]) -> None:
    stamp = headers.get("X-SePay-Timestamp", "")
    given = headers.get("X-SePay-Signature", "")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 15):
        raise Forged("No timestamp.")
    if abs(time.time() - int(stamp)) > TOLERANCE.total_seconds():
        raise Forged("The timestamp is too old, or in the future.")
    if not _same(given, signature(settings.SEPAY_WEBHOOK_SECRET, stamp, body)):
        raise Forged("The signature does not match.")


def signature(secret: str, stamp: str, body: bytes) -> str:
    """How SePay signs."""
    signed = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def heard(body: bytes) -> Heard | None:
    """The transfer that a callback tells of; None for money that left. Raises ValueError for what
    is no callback."""
    raw = kept(strict_json.parse(body))
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    if raw.get("transferType") != "in":
        return None
    try:
        return _heard(
            raw,
            id=str(raw["id"]),
            at=str(raw["transactionDate"]),
            dong=whole(raw["transferAmount"]),
            content=str(raw.get("content") or raw.get("description") or ""),
            reference=str(raw.get("referenceCode") or ""),
            account=str(raw["accountNumber"]),
            virtual=str(raw.get("subAccount") or ""),
        )
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error


def _heard(
    raw: Mapping[str, Any],
    *,
    id: str,
    at: str,
    dong: int,
    content: str,
    reference: str,
    account: str,
    virtual: str,
) -> Heard:
    return Heard(
        gateway=GATEWAY,
        gateway_id=id[:100],
        account=account[:30],
        reference=reference[:100],
        dong=dong,
        content=content[:500],
        sent_at=moment(at),
        raw=raw,
        accounts=frozenset(filter(None, (account, virtual))),
    )


# -- The list ------------------------------------------------------------------------------------


def listed(since: datetime) -> Iterator[Heard]:
    """Every transfer to the account since that moment, the oldest first. Raises Unanswered."""
    with httpx.Client(
        base_url=settings.SEPAY_API_BASE,
        headers={"Authorization": f"Bearer {settings.SEPAY_API_TOKEN}"},
        timeout=settings.VIETNAM_TIMEOUT_SECONDS,
        trust_env=False,
    ) as client:
        for number in range(1, MOST_PAGES + 1):
            page = _page(client, since, number)
            for raw in page["data"]:
                if raw["transfer_type"] == "in":
                    yield _of_list(raw)
            if not page["meta"]["pagination"]["has_more"]:
                return


def _page(client: httpx.Client, since: datetime, number: int) -> dict[str, Any]:
    params = {
        "transaction_date_from": since.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S"),
        "transfer_type": "in",
        "transaction_date_sort": "asc",
        "per_page": str(PAGE),
        "page": str(number),
    }
    try:
        found = client.get("/v2/transactions", params=params).raise_for_status().json()
        rows, _more = found["data"], found["meta"]["pagination"]["has_more"]
        if not isinstance(rows, list):
            raise TypeError("no list")
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Unanswered from error
    return dict(found)


def _of_list(raw: Mapping[str, Any]) -> Heard:
    raw = kept(raw)
    try:
        return _heard(
            raw,
            id=str(raw["id"]),
            at=str(raw["transaction_date"]),
            dong=whole(raw["amount_in"]),
            content=str(raw.get("transaction_content") or ""),
            reference=str(raw.get("reference_number") or ""),
            account=str(raw["account_number"]),
            virtual=str(raw.get("va") or ""),
        )
    except (KeyError, ValueError) as error:
        raise Unanswered from error
