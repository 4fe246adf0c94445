"""payOS: it makes an account and a code of its own for every order, and calls back when paid.

Everything said is signed by HMAC-SHA256 of `key=value` pairs in the order of their names
(payos.vn/docs/tich-hop-webhook/kiem-tra-du-lieu-voi-signature). A callback has no clock: an old
one again is the same transfer, which is booked once.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings

from billing.payments.vietqr.heard import Forged, Heard, Unanswered, kept, moment, whole
from billing.payments.vietqr.models import BankOrder
from hontoni import strict_json

GATEWAY = BankOrder.Gateway.PAYOS
DONE = "00"
CANCELED, EXPIRED = "CANCELLED", "EXPIRED"
# With these its page confirms that a callback is answered, without any money (payos.vn/docs).
PROBE = (123, "TF230204212323")


class Refused(Exception):
    """payOS will not make it: its words."""


def configured() -> bool:
    return bool(
        settings.PAYOS_CLIENT_ID and settings.PAYOS_API_KEY and settings.PAYOS_CHECKSUM_KEY
    )


def signature(data: Mapping[str, Any], key: str) -> str:
    """Of all of it, by the names of its members."""
    text = "&".join(f"{name}={_text(data[name])}" for name in sorted(data))
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _text(value: Any) -> str:
    if value is None or value in ("null", "undefined"):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return str(value)


# -- Orders --------------------------------------------------------------------------------------


def make(order: BankOrder, *, back: str) -> dict[str, Any]:
    """What payOS made of an order: `bin`, `accountNumber`, `qrCode` …; `back` is our page of it.

    Raises Unanswered, and Refused.
    """
    wanted = {
        "orderCode": order.number,
        "amount": order.dong,
        "description": order.code,
        "returnUrl": back,
        "cancelUrl": back,
    }
    expires = {"expiredAt": int(order.expires_at.timestamp())}
    signed = {"signature": signature(wanted, settings.PAYOS_CHECKSUM_KEY)}
    return _call("POST", "", {**wanted, **expires, **signed})


def found(order: BankOrder) -> dict[str, Any]:
    """An order as payOS has it, with its transfers. Raises Unanswered, and Refused."""
    return _call("GET", f"/{order.number}")


def cancel(order: BankOrder) -> dict[str, Any]:
    """Nobody can pay it any more. Raises Unanswered, and Refused."""
    return _call("POST", f"/{order.number}/cancel", {"cancellationReason": "canceled"})


def _call(method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    try:
        with httpx.Client(timeout=settings.VIETNAM_TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.request(
                method,
                f"{settings.PAYOS_API_BASE}/v2/payment-requests{quote(path)}",
                headers={
                    "x-client-id": settings.PAYOS_CLIENT_ID,
                    "x-api-key": settings.PAYOS_API_KEY,
                },
                json=body,
            )
        if answer.status_code >= 500 or answer.status_code == 429:
            answer.raise_for_status()
        parsed = answer.json()
        if parsed["code"] != DONE:
            raise Refused(f"{parsed['code']}: {parsed.get('desc', '')}"[:255])
        data = dict(parsed["data"])
        if not hmac.compare_digest(
            str(parsed["signature"]), signature(data, settings.PAYOS_CHECKSUM_KEY)
        ):
            raise ValueError("it is not signed by payOS")
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Unanswered from error
    return data


# -- What it tells -------------------------------------------------------------------------------


def heard(body: bytes) -> Heard | None:
    """The transfer that a callback tells of; None where it tells of none.

    Raises Forged for what payOS did not sign, ValueError for what is no callback.
    """
    raw = strict_json.parse(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
        raise ValueError("not a callback")
    data, given = raw["data"], str(raw.get("signature", ""))
    if not hmac.compare_digest(
        given.encode(), signature(data, settings.PAYOS_CHECKSUM_KEY).encode()
    ):
        raise Forged("The signature does not match.")
    if data.get("code", DONE) != DONE or (data.get("orderCode"), data.get("reference")) == PROBE:
        return None
    if data.get("currency", "VND") != "VND":
        raise ValueError("not dong")
    try:
        return _heard(data, int(data["orderCode"]), str(data["paymentLinkId"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{error} is missing") from error


def transfers(order: BankOrder, there: Mapping[str, Any]) -> list[Heard]:
    """What came for an order, as it is there. Raises Unanswered."""
    try:
        return [
            _heard(raw, order.number, str(there["id"])) for raw in there.get("transactions", [])
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise Unanswered from error


def _heard(raw: Mapping[str, Any], number: int, link: str) -> Heard:
    raw = kept(raw)
    account, reference = str(raw.get("accountNumber") or ""), str(raw.get("reference") or "")
    return Heard(
        gateway=GATEWAY,
        gateway_id=f"{link}:{reference}"[:100],
        account=account[:30],
        reference=reference[:100],
        dong=whole(raw["amount"]),
        content=str(raw.get("description") or "")[:500],
        sent_at=moment(str(raw["transactionDateTime"])),
        raw=dict(raw),
        number=number,
    )
