"""The account that SePay watches: its list (API v2), its callbacks, and somebody who pays.

Shapes and refusals: developer.sepay.vn, sepay-api/v2 and sepay-webhooks.
"""

import hashlib
import hmac
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.bank_codes import scan

Object = dict[str, Any]
VIETNAM = timezone(timedelta(hours=7))
FORMAT = "%Y-%m-%d %H:%M:%S"
MOST_A_PAGE = 100


@dataclass
class Bank:
    """What there is. `transfers` are in the shape of the list, in the order in which they came."""

    account: str
    token: str
    secret: str
    key: str
    webhook_url: str
    calls_a_second: int = 0
    transfers: list[Object] = field(default_factory=list)
    calls: deque[float] = field(default_factory=deque)

    def take(self, given: Object) -> Object:
        """Somebody transfers {qr} or {amount, content}. Raises ValueError."""
        account, dong, content = self.account, given.get("amount"), given.get("content", "")
        if "qr" in given:
            read = scan(given["qr"])
            account, dong, content = read.account, read.dong, read.content
        if type(dong) is not int or dong < 1:
            raise ValueError("amount: whole dong")
        now = datetime.now(VIETNAM)
        number = len(self.transfers) + 1
        is_in = given.get("type", "in") == "in"
        row = {
            "id": str(uuid.uuid4()),
            "transaction_date": given.get("at", now.strftime(FORMAT)),
            "account_number": given.get("account", account),
            "va": given.get("va", ""),
            "transfer_type": "in" if is_in else "out",
            "amount_in": dong if is_in else 0,
            "amount_out": 0 if is_in else dong,
            "accumulated": 0,
            "transaction_content": given.get("said", content),
            "reference_number": given.get("reference", f"FT{now:%y%j}{number:09d}"),
            "code": None,
            "bank_brand_name": "Vietcombank",
            "bank_account_id": str(uuid.UUID(int=1)),
            "va_id": None,
        }
        self.transfers.append(row)
        return row

    def callback(self, row: Object) -> bytes:
        """What is sent for it: other names, and a number of its own."""
        said = {
            "id": 90_000 + self.transfers.index(row),
            "gateway": row["bank_brand_name"],
            "transactionDate": row["transaction_date"],
            "accountNumber": row["account_number"],
            "subAccount": row["va"] or None,
            "code": row["code"],
            "content": row["transaction_content"],
            "transferType": row["transfer_type"],
            "description": f"BankAPINotify {row['transaction_content']}",
            "transferAmount": row["amount_in"] or row["amount_out"],
            "referenceCode": row["reference_number"],
            "accumulated": row["accumulated"],
        }
        return orjson.dumps(said)

    def headers(self, body: bytes) -> dict[str, str]:
        known = {"Content-Type": "application/json"}
        if self.secret:
            stamp = str(int(time.time()))
            signed = hmac.new(self.secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
            known |= {
                "X-SePay-Timestamp": stamp,
                "X-SePay-Signature": f"sha256={signed.hexdigest()}",
            }
        elif self.key:
            known["Authorization"] = f"Apikey {self.key}"
        return known

    async def tell(self, row: Object) -> int:
        """Call back; the status of the answer, which is 200 and `success` where it was taken."""
        body = self.callback(row)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            answer = await client.post(self.webhook_url, content=body, headers=self.headers(body))
        taken = answer.status_code in (200, 201) and answer.json().get("success") is True
        return answer.status_code if taken or answer.status_code >= 300 else 500


def _json(body: Object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json({"status": "error", "message": message}, status, headers)


def _refusal(bank: Bank, request: Request) -> Response | None:
    if request.headers.get("authorization") != f"Bearer {bank.token}":
        return _error(401, "Unauthorized")
    if bank.calls_a_second:
        now = time.monotonic()
        while bank.calls and bank.calls[0] <= now - 1:
            bank.calls.popleft()
        if len(bank.calls) >= bank.calls_a_second:
            return _error(429, "Too Many Requests", {"Retry-After": "1"})
        bank.calls.append(now)
    return None


def _listed(bank: Bank, request: Request) -> Response:
    """GET /v2/transactions, with the filters that matter here."""
    wanted = request.query_params
    try:
        since = wanted.get("transaction_date_from", "")
        if since:
            datetime.strptime(since, FORMAT)  # noqa: DTZ007  Vietnam's, as the list is
        page, size = int(wanted.get("page", "1")), int(wanted.get("per_page", "20"))
        if page < 1 or not 1 <= size <= MOST_A_PAGE:
            raise ValueError("page and per_page")
        if wanted.get("transfer_type", "in") not in ("in", "out"):
            raise ValueError("transfer_type")
    except ValueError as error:
        return _error(422, str(error))
    rows = [
        row
        for row in bank.transfers
        if row["transaction_date"] >= since
        and row["transfer_type"] == wanted.get("transfer_type", row["transfer_type"])
    ]
    newest_first = wanted.get("transaction_date_sort", "desc") == "desc"
    rows.sort(key=lambda row: str(row["transaction_date"]), reverse=newest_first)
    last = max(1, -(-len(rows) // size))
    pagination = {
        **{"total": len(rows), "per_page": size, "current_page": page, "last_page": last},
        "has_more": page < last,
    }
    shown = rows[(page - 1) * size : page * size]
    return _json({"status": "success", "data": shown, "meta": {"pagination": pagination}})


def routes(bank: Bank) -> list[Route]:
    """SePay's, and the controls: a transfer (told of unless `quiet`), and telling of it again."""

    async def listed(request: Request) -> Response:
        return _refusal(bank, request) or _listed(bank, request)

    async def transfer(request: Request) -> Response:
        given = orjson.loads(await request.body())
        try:
            row = bank.take(given)
        except (ValueError, KeyError) as error:
            return _error(422, str(error))
        times = 0 if given.get("quiet") or not bank.webhook_url else given.get("times", 1)
        return _json({"transfer": row, "told": [await bank.tell(row) for _ in range(times)]})

    async def again(request: Request) -> Response:
        given = orjson.loads(await request.body())
        row = next((each for each in bank.transfers if each["id"] == given.get("id")), None)
        return _json({"told": [await bank.tell(row)]}) if row else _error(404, "no such transfer")

    return [
        Route("/v2/transactions", listed),
        Route("/__control/transfer", transfer, methods=["POST"]),
        Route("/__control/again", again, methods=["POST"]),
    ]
