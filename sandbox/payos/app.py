"""payOS: orders with codes, callbacks, and somebody who pays. Shapes, codes and signatures:
payos.vn/docs/api and payos.vn/docs/tich-hop-webhook."""

import hashlib
import hmac
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.bank_codes import make

Object = dict[str, Any]
VIETNAM = timezone(timedelta(hours=7))
BANK, HOLDER = "970422", "CONG TY HONTONI"
SIGNED = ("amount", "cancelUrl", "description", "orderCode", "returnUrl")
MOST_DESCRIPTION = 25
PROBE = {
    **{"orderCode": 123, "amount": 3000, "description": "VQRIO123", "currency": "VND"},
    **{"accountNumber": "12345678", "reference": "TF230204212323", "code": "00"},
    **{"transactionDateTime": "2023-02-04 18:25:00", "desc": "Thành công"},
    "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18",
}


class Refusal(Exception):
    """An answer with a code of payOS's."""

    def __init__(self, code: str, desc: str, status: int = 200) -> None:
        super().__init__(desc)
        self.code, self.status = code, status


@dataclass
class Channel:
    """One payment channel: orders by number. `down`: answers 500; `loses`: makes the next order
    and does not say so."""

    client_id: str
    api_key: str
    checksum_key: str
    webhook_url: str
    account: str = "VQRQ0001abcd"
    orders: dict[int, Object] = field(default_factory=dict)
    down: bool = False
    loses: bool = False

    def sign(self, data: Object) -> str:
        said = "&".join(f"{k}={'' if data[k] is None else data[k]}" for k in sorted(data))
        return hmac.new(self.checksum_key.encode(), said.encode(), hashlib.sha256).hexdigest()

    def create(self, given: Object, base: str) -> Object:
        for name in SIGNED:
            if name not in given:
                raise Refusal("20", f"{name} is required")
        number, amount = given["orderCode"], given["amount"]
        if type(number) is not int or not 0 < number <= 2**53 - 1 or type(amount) is not int:
            raise Refusal("20", "orderCode and amount are whole numbers")
        if amount < 1 or not 1 <= len(given["description"]) <= MOST_DESCRIPTION:
            raise Refusal("20", "amount or description")
        if given.get("signature") != self.sign({name: given[name] for name in SIGNED}):
            raise Refusal("201", "Mã kiểm tra(signature) không hợp lệ")
        if given.get("expiredAt", 2**31) <= time.time():
            raise Refusal("20", "expiredAt is in the past")
        if number in self.orders:
            raise Refusal("231", "Đơn thanh toán đã tồn tại")
        link, said = uuid.uuid4().hex, f"CS{len(self.orders):05d} {given['description']}"
        self.orders[number] = {
            **{"id": link, "orderCode": number, "amount": amount, "amountPaid": 0},
            **{"amountRemaining": amount, "status": "PENDING", "transactions": []},
            **{"createdAt": _now().isoformat(), "cancellationReason": None, "canceledAt": None},
        }
        self.orders[number]["said"] = said
        return {
            **{"bin": BANK, "accountNumber": self.account, "accountName": HOLDER},
            **{"amount": amount, "description": said, "orderCode": number, "currency": "VND"},
            **{"paymentLinkId": link, "status": "PENDING", "checkoutUrl": f"{base}web/{link}"},
            "qrCode": make(BANK, self.account, amount, said[:25]),
        }

    def find(self, id: str) -> Object:
        found = self.orders.get(int(id)) if id.isdecimal() else None
        found = found or next((o for o in self.orders.values() if o["id"] == id), None)
        if found is None:
            raise Refusal("101", "Mã thanh toán không tồn tại")
        return found

    def cancel(self, id: str, reason: Any) -> Object:
        order = self.find(id)
        if order["status"] == "PAID":
            raise Refusal("232", "Đơn thanh toán đã thanh toán")
        order["status"], order["cancellationReason"] = "CANCELLED", reason
        order["canceledAt"] = _now().isoformat()
        return order

    def pay(self, given: Object) -> Object:
        """{orderCode, amount?, reference?, at?}: a transfer to its account."""
        order = self.find(str(given["orderCode"]))
        amount = given.get("amount", order["amount"])
        told = {
            "reference": given.get("reference", f"FT{uuid.uuid4().int % 10**12:012d}"),
            "amount": amount,
            "accountNumber": given.get("account", self.account),
            "description": order["said"],
            "transactionDateTime": given.get("at", _now().strftime("%Y-%m-%d %H:%M:%S")),
            **dict.fromkeys(_COUNTER),
        }
        order["transactions"].append(told)
        order["amountPaid"] += amount
        order["amountRemaining"] = max(0, order["amount"] - order["amountPaid"])
        if not order["amountRemaining"]:
            order["status"] = "PAID"
        data = {**told, "orderCode": order["orderCode"], "paymentLinkId": order["id"]}
        return data | {"currency": "VND", "code": "00", "desc": "success"}

    def callback(self, data: Object, signature: str = "") -> bytes:
        """What is sent for a transfer."""
        said = {"code": "00", "desc": "success", "success": True, "data": data}
        return orjson.dumps(said | {"signature": signature or self.sign(data)})

    async def tell(self, data: Object, signature: str = "") -> int:
        body = self.callback(data, signature)
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            headers = {"Content-Type": "application/json"}
            answer = await client.post(self.webhook_url, content=body, headers=headers)
        return answer.status_code


_COUNTER = (
    *("counterAccountBankId", "counterAccountBankName", "counterAccountName"),
    *("counterAccountNumber", "virtualAccountName", "virtualAccountNumber"),
)


def _now() -> datetime:
    return datetime.now(VIETNAM)


def _json(body: Object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def create_app(
    *,
    client_id: str = "payos-client",
    api_key: str = "payos-key",
    checksum_key: str = "payos-checksum",
    webhook_url: str = "",
) -> Starlette:
    """One payment channel, and where its callbacks go."""
    channel = Channel(client_id, api_key, checksum_key, webhook_url)
    app = Starlette(routes=[*_doors(channel), *_controls(channel)])
    app.state.channel = channel
    return app


def _doors(channel: Channel) -> list[Route]:
    """payOS's own."""

    async def asked(request: Request, deed: Any) -> Response:
        keys = (request.headers.get("x-client-id"), request.headers.get("x-api-key"))
        if channel.down:
            return _json({"code": "500", "desc": "Internal Server Error"}, 500)
        if keys != (channel.client_id, channel.api_key):
            return _json({"code": "401", "desc": "Unauthorized"}, 401)
        body = await request.body()
        try:
            data = deed(orjson.loads(body) if body else {})
        except Refusal as refusal:
            return _json({"code": refusal.code, "desc": str(refusal)}, refusal.status)
        if channel.loses:
            channel.loses = False
            return _json({"code": "500", "desc": "Internal Server Error"}, 500)
        shown = {name: value for name, value in data.items() if name != "said"}
        signed = {"code": "00", "desc": "success", "data": shown}
        return _json(signed | {"signature": _signature(channel, shown)})

    async def create(request: Request) -> Response:
        return await asked(request, lambda given: channel.create(given, str(request.base_url)))

    async def one(request: Request) -> Response:
        return await asked(request, lambda _: channel.find(request.path_params["id"]))

    async def cancel(request: Request) -> Response:
        id = request.path_params["id"]
        return await asked(
            request, lambda given: channel.cancel(id, given.get("cancellationReason"))
        )

    async def page(request: Request) -> Response:
        return HTMLResponse("<h1>payOS</h1><p>Scan the code on the shop's page.</p>")

    return [
        Route("/v2/payment-requests", create, methods=["POST"]),
        Route("/v2/payment-requests/{id}", one),
        Route("/v2/payment-requests/{id}/cancel", cancel, methods=["POST"]),
        Route("/web/{id}", page),
    ]


def _controls(channel: Channel) -> list[Route]:
    """What somebody at a bank does, and what goes wrong."""

    async def pay(request: Request) -> Response:
        given = orjson.loads(await request.body())
        data = channel.pay(given)
        times = 0 if given.get("quiet") else given.get("times", 1)
        told = [await channel.tell(data, given.get("signature", "")) for _ in range(times)]
        return _json({"data": data, "told": told})

    async def confirm(request: Request) -> Response:
        """POST /confirm-webhook {webhookUrl}: it is asked without money, and must answer 200."""
        channel.webhook_url = orjson.loads(await request.body())["webhookUrl"]
        status = await channel.tell(PROBE)
        return _json({"code": "00" if status == 200 else "20", "desc": str(status)}, status)

    async def control(request: Request) -> Response:
        given = orjson.loads(await request.body())
        channel.down, channel.loses = bool(given.get("down")), bool(given.get("loses"))
        return _json({"down": channel.down})

    return [
        Route("/confirm-webhook", confirm, methods=["POST"]),
        Route("/__control/pay", pay, methods=["POST"]),
        Route("/__control", control, methods=["POST"]),
    ]


def _signature(channel: Channel, data: Object) -> str:
    """Lists are signed as JSON, each member by the names of what it has."""
    flat = {
        name: orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        if isinstance(value, list)
        else value
        for name, value in data.items()
    }
    return channel.sign(flat)
