"""A bank transfer from Vietnam in a browser: a code, and a page that turns green by itself."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django import Settings

from billing.payments.vietqr import settling
from billing.payments.vietqr.heard import CALLBACK, Heard
from billing.payments.vietqr.models import BankOrder, ExchangeRate
from tests.billing.payments.vietqr.conftest import ACCOUNT, RATE, configure
from tests.gateway_server import Gateway
from tests.web.conftest import Open
from tests.web.test_every_page import _accessible, _small, _vietnamese
from tests.world import Person

pytestmark = pytest.mark.any_database
PHONE = {"viewport": {"width": 320, "height": 640}, "locale": "vi-VN"}


@pytest.fixture
def offered(site: Gateway, settings: Settings) -> None:
    """SePay watches an account, and staff have set a rate."""
    configure(settings, "http://127.0.0.1:9", "http://127.0.0.1:9")
    settings.PAYOS_CLIENT_ID = ""
    ExchangeRate.objects.create(dong=RATE, state="set", decided_at=timezone.now())


def meanwhile(work: Callable[[], object]) -> None:
    """What commits, which the thread of the browser may not."""

    def run() -> None:
        work()
        connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result()


def arrive(order: BankOrder, dong: int) -> None:
    told: dict[str, Any] = {
        **{"gateway": "sepay", "gateway_id": str(dong), "account": ACCOUNT, "raw": {}},
        **{"reference": f"FT{dong}{order.code}", "dong": dong, "content": order.code},
        **{"sent_at": timezone.now(), "accounts": frozenset({ACCOUNT})},
    }
    settling.receive(Heard(**told), CALLBACK)


def test_the_page_turns_green_by_itself(
    open_page: Open, offered: None, alice: Person, settings: Settings
) -> None:
    page = open_page("/billing/topup", alice, viewport={"width": 1280, "height": 800})
    form = page.locator("#vietqr form")
    form.locator("[name=amount]").fill("500000")
    form.locator("[name=currency]").select_option("VND")
    form.get_by_role("button").click()
    expect(page.get_by_role("img", name="VietQR code")).to_be_visible()
    order = BankOrder.objects.get()
    expect(page.locator("dl.facts")).to_contain_text("500,000 ₫")
    expect(page.locator("dl.facts")).to_contain_text(order.code)
    meanwhile(lambda: arrive(order, 499_999))
    expect(page.locator("#transfer-state")).to_contain_text("499,999 ₫ came")
    meanwhile(lambda: arrive(order, 500_000))
    expect(page.locator("#transfer-state .success")).to_contain_text("is on your balance")
    expect(page.get_by_role("img", name="VietQR code")).to_have_count(0)


def test_its_pages_fit_a_phone_are_accessible_and_speak_vietnamese(
    open_page: Open, offered: None, alice: Person
) -> None:
    page = open_page("/billing/topup", alice, **PHONE)
    page.locator("footer button[name=currency][value=both]").click()
    expect(page.locator(".head .dong")).to_contain_text("≈ 0 ₫")
    page.locator("#vietqr form button").click()
    expect(page.locator(".qr svg")).to_be_visible()
    order = BankOrder.objects.get()
    states: list[dict[str, Any]] = [
        {},
        {"expires_at": timezone.now() - timedelta(minutes=1)},
        {"state": "expired"},
        {"state": "canceled"},
        {"state": "failed"},
        {"state": "open", "expires_at": timezone.now() + timedelta(minutes=30)},
    ]
    for changed in states:
        if changed:
            meanwhile(lambda to=changed: BankOrder.objects.update(**to))  # type: ignore[misc]
        page.goto(f"/billing/topup/vietqr/{order.pk}")
        for check in (_small, _vietnamese, _accessible):
            check(page)
    meanwhile(lambda: arrive(order, order.dong))
    for path in (f"/billing/topup/vietqr/{order.pk}", "/billing/invoices"):
        page.goto(path)
        for check in (_small, _vietnamese, _accessible):
            check(page)
    for path in ("/billing/topup", "/models", "/pricing", "/billing/plans", "/billing"):
        page.goto(path)
        expect(page.locator(".dong").first).to_contain_text("₫")
        for check in (_small, _vietnamese, _accessible):
            check(page)
