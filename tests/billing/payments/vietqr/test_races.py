"""Callbacks, the list and staff at the same moment: an order is credited once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.payments.vietqr import quarantine, rates, settling
from billing.payments.vietqr.heard import CALLBACK, POLL, Heard
from billing.payments.vietqr.models import BankOrder, BankTransfer
from hontoni import errors
from hontoni.asgi import django
from hontoni.money import nanos
from sandbox.sepay import create_app
from tests.billing.conftest import client, committed
from tests.billing.payments.vietqr.conftest import ACCOUNT, RATE, WHOLE, balance, configure
from tests.sandbox.stripe.running import Loop, Running

pytestmark = committed
AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


@pytest.fixture
def order(bob: User, settings: Settings) -> BankOrder:
    configure(settings, "http://127.0.0.1:9", "http://127.0.0.1:9")
    return BankOrder.objects.create(
        user=bob,
        gateway="sepay",
        code="HT2345678",
        number=1,
        dong=658_750,
        rate=RATE,
        amount=nanos("25"),
        expires_at=timezone.now() + timedelta(minutes=30),
    )


def told(order: BankOrder, reference: str, **other: Any) -> Heard:
    said: dict[str, Any] = {
        **{"gateway": "sepay", "gateway_id": reference, "account": ACCOUNT},
        **{"reference": reference, "dong": order.dong, "content": order.code},
        **{"sent_at": timezone.now(), "raw": {}, "accounts": frozenset({ACCOUNT})},
    }
    return Heard(**said | other)


def test_the_callback_and_the_list_tell_of_it_at_once(
    order: BankOrder, bob: User, at_once: AtOnce
) -> None:
    heard = told(order, "FT1")
    at_once(lambda n: settling.receive(heard, CALLBACK if n % 2 else POLL), 8)
    assert BankTransfer.objects.count() == 1 and balance(bob) == nanos("25")


def test_two_transfers_for_one_order_at_once(order: BankOrder, bob: User, at_once: AtOnce) -> None:
    at_once(lambda n: settling.receive(told(order, f"FT{n}"), CALLBACK), 6)
    states = list(BankTransfer.objects.order_by("state").values_list("state", "problem"))
    assert states == [("booked", "")] + [("quarantined", "double")] * 5
    assert balance(bob) == nanos("25")


def test_staff_book_it_twice_while_it_is_paid(
    order: BankOrder, bob: User, at_once: AtOnce
) -> None:
    wrong = settling.receive(told(order, "FT0", dong=order.dong - 1), CALLBACK)
    assert wrong is not None

    def deed(n: int) -> Any:
        if n == 0:
            return settling.receive(told(order, "FT1"), CALLBACK)
        try:
            return quarantine.book(wrong.pk, user_id=bob.pk, rate=RATE, note="x", actor="f")
        except errors.Conflict as error:
            return error

    answers = at_once(deed, 5)
    assert sum(isinstance(each, errors.Conflict) for each in answers) == 3
    right = BankTransfer.objects.get(reference="FT1")
    worth = (order.dong - 1) * 10**9 // RATE
    expected = worth + (nanos("25") if right.state == "booked" else 0)
    assert balance(bob) == expected and right.state in ("booked", "quarantined")


def test_the_whole_way_over_http(
    loop: Loop, bob: User, settings: Settings, transactional_db: None
) -> None:
    """SePay's own process calls the product's own server."""
    app: Any = django
    with Running(app, loop) as ours:
        bank = create_app(
            account=ACCOUNT, secret="whisper", webhook_url=f"{ours.url}/webhooks/sepay"
        )
        with Running(bank, loop) as sepay:
            configure(settings, sepay.url, "http://127.0.0.1:9")
            rates.set_by("staff@example.com", RATE)
            wanted = {"amount": "25", "gateway": "sepay"}
            made = client(bob).post(WHOLE, wanted, format="json").json()
            given = {"qr": made["qr"], "times": 2}
            paid = httpx.post(
                f"{sepay.url}/__control/transfer", json=given, timeout=60, trust_env=False
            )
            assert paid.json()["told"] == [200, 200] and balance(bob) == nanos("25")
