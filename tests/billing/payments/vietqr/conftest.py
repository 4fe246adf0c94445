"""A shop in Vietnam: the product's own server, SePay and payOS, all over real HTTP."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from billing.books import ledger
from billing.payments.vietqr import polling, rates
from billing.payments.vietqr.models import BankOrder, BankTransfer
from sandbox.payos import create_app as payos_app
from sandbox.sepay import create_app as sepay_app
from tests.billing.conftest import client
from tests.sandbox.stripe.conftest import loop as loop
from tests.sandbox.stripe.running import Loop, Running

ACCOUNT, RATE = "0011001932418", 26_350
WHOLE = "/api/billing/topup/vietqr"


class Vietnam:
    """What customers, their banks and the gateways do. Gateways are asked over real HTTP; what
    they call back is handed to the product as they sent it, in the test's own transaction."""

    def __init__(self, sepay: str, payos: str, apps: tuple[Any, Any], loop: Loop) -> None:
        self.sepay, self.payos, self.loop = sepay, payos, loop
        self.bank, self.office = apps[0].state.bank, apps[0].state.office
        self.channel = apps[1].state.channel
        self.nobody = APIClient()

    def api(self, user: User) -> APIClient:
        made = client(user)
        made.default_format = "json"
        return made

    def order(self, user: User, amount: str = "25", **wanted: Any) -> BankOrder:
        answer = self.api(user).post(WHOLE, {"amount": amount, **wanted})
        assert answer.status_code == 201, answer.content
        return BankOrder.objects.get(pk=answer.json()["id"])

    def transfer(self, *, quiet: bool = False, times: int = 1, **given: Any) -> list[int]:
        """Somebody transfers to the account that SePay watches; SePay calls back unless it is
        `quiet`. What it was answered."""
        row = self.bank.take(given)
        body = self.bank.callback(row)
        return [
            self.hear("sepay", body, self.bank.headers(body)) for _ in range(times * (not quiet))
        ]

    def scan(self, order: BankOrder, **given: Any) -> list[int]:
        """Pay what the code says, with a bank's app."""
        return self.transfer(qr=order.qr, **given)

    def pay(
        self,
        order: BankOrder,
        *,
        quiet: bool = False,
        times: int = 1,
        signature: str = "",
        **given: Any,
    ) -> list[int]:
        """The same at payOS."""
        data = self.channel.pay({"orderCode": order.number, **given})
        body = self.channel.callback(data, signature)
        return [self.hear("payos", body, {}) for _ in range(times * (not quiet))]

    def hear(self, gateway: str, body: bytes, headers: dict[str, str]) -> int:
        answer = self.nobody.generic(
            "POST", f"/webhooks/{gateway}", cast(Any, body), "application/json", headers=headers
        )
        assert answer.json()["success"] is (answer.status_code == 200)
        return answer.status_code

    def poll(self) -> None:
        polling.poll(timezone.now())

    def state(self, order: BankOrder) -> str:
        order.refresh_from_db()
        return order.state


def balance(user: User) -> int:
    return ledger.balance(user.pk)


def waiting() -> list[tuple[str, int]]:
    """What is in quarantine: why, and how many dong."""
    found = BankTransfer.objects.filter(state="quarantined").order_by("pk")
    return list(found.values_list("problem", "dong"))


@pytest.fixture
def vietnam(loop: Loop, settings: Settings, db: None) -> Iterator[Vietnam]:
    sepay, payos = sepay_app(account=ACCOUNT, secret="whisper"), payos_app()
    with Running(sepay, loop) as one, Running(payos, loop) as other:
        configure(settings, one.url, other.url)
        rates.set_by("staff@example.com", RATE)
        yield Vietnam(one.url, other.url, (sepay, payos), loop)


def configure(settings: Settings, sepay: str, payos: str) -> None:
    settings.VIETQR_BANK, settings.VIETQR_ACCOUNT = "970436", ACCOUNT
    settings.VIETQR_HOLDER = "CONG TY HONTONI"
    settings.SEPAY_API_TOKEN, settings.SEPAY_API_BASE = "sepay-token", sepay
    settings.SEPAY_WEBHOOK_SECRET, settings.SEPAY_WEBHOOK_KEY = "whisper", ""
    settings.PAYOS_CLIENT_ID, settings.PAYOS_API_KEY = "payos-client", "payos-key"
    settings.PAYOS_CHECKSUM_KEY, settings.PAYOS_API_BASE = "payos-checksum", payos
