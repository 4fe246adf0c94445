"""Running it: what the doctor and the start say, what accountants export, what months close."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.payments import closing, exports
from billing.payments.vietqr import refunds
from billing.payments.vietqr.models import BankTransfer, ExchangeRate
from hontoni.money import nanos
from hontoni.vietnam_checks import vietnam as checks
from operations.doctor.checks import examine
from operations.doctor.findings import Level
from sandbox.sepay.invoice_lint import ACCOUNT
from tests.billing.payments.vietqr.conftest import RATE, Vietnam

NAMES = ["bank transfers", "e-invoices"]


def found() -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for _, finding in examine(NAMES)]


def bad() -> list[str]:
    return [text for level, text in found() if level != Level.OK]


def test_nothing_is_wrong_where_nothing_is_set_up(db: None) -> None:
    assert bad() == [] and len(found()) == 2


def test_the_doctor_asks_everybody(vietnam: Vietnam, settings: Settings) -> None:
    settings.EINVOICE_CLIENT_ID, settings.EINVOICE_CLIENT_SECRET = "einvoice", "einvoice-secret"
    settings.EINVOICE_API_BASE, settings.EINVOICE_ACCOUNT = vietnam.sepay, ACCOUNT["id"]
    settings.EINVOICE_SERIES, settings.EINVOICE_SINCE = "C26THT", "2026-01-01"
    cache.clear()
    vietnam.poll()
    assert bad() == [] and len(found()) == 4
    settings.EINVOICE_ACCOUNT = "another"
    vietnam.channel.down = True
    vietnam.bank.token = "another"
    vietnam.poll()
    assert len(bad()) == 5, "the list, payOS, both that were not read, and the e-invoices"
    vietnam.channel.down, vietnam.channel.api_key = False, "another"
    assert any("PAYOS_CLIENT_ID" in text for text in bad())


def test_the_doctor_looks_at_the_rate_and_what_waits(vietnam: Vietnam, settings: Settings) -> None:
    vietnam.transfer(amount=5_000, content="?")
    BankTransfer.objects.update(heard_at=timezone.now() - timedelta(days=3))
    ExchangeRate.objects.create(dong=27_000, state="proposed", source="https://x")
    settings.SEPAY_API_TOKEN = ""
    said = " ".join(bad())
    assert "quarantine" in said and "proposes 27,000" in said and "SEPAY_API_TOKEN" in said
    ExchangeRate.objects.update(decided_at=timezone.now() - timedelta(days=60))
    assert any("older than 30 days" in text for text in bad())
    ExchangeRate.objects.all().delete()
    assert any("nobody has set" in text for text in bad())


@pytest.mark.parametrize(
    ("changed", "id"),
    [
        ({"VIETQR_BANK": "97043"}, "E040"),
        ({"VIETQR_ACCOUNT": ""}, "E040"),
        ({"SEPAY_WEBHOOK_KEY": "short"}, "E041"),
        ({"VIETQR_ACCOUNT": "", "VIETQR_BANK": ""}, "E042"),
        ({"PAYOS_CHECKSUM_KEY": ""}, "E043"),
        ({"EINVOICE_SERIES": "C26THT"}, "E044"),
        ({"SEPAY_API_BASE": "http://sepay.example"}, "E045"),
        ({"SANDBOX": False}, "E046"),
        ({"PAYOS_API_BASE": "https://api-merchant.payos.vn"}, "E046"),
        ({"EINVOICE_SINCE": "soon"}, "E047"),
        ({"VIETQR_MINUTES": 0}, "E048"),
    ],
)
def test_what_must_not_run_does_not(
    vietnam: Vietnam, settings: Settings, changed: dict[str, Any], id: str
) -> None:
    assert checks() == []
    for name, value in changed.items():
        setattr(settings, name, value)
    assert f"hontoni.{id}" in [each.id for each in checks()]


def rows(name: str) -> list[dict[str, str]]:
    today = timezone.now().date()
    span = (today - timedelta(days=1), today + timedelta(days=1))
    text = "".join(exports.lines(exports.EXPORTS[name], *span))
    return list(csv.DictReader(io.StringIO(text)))


def test_accountants_get_every_dong(vietnam: Vietnam, bob: User, finance: User) -> None:
    order = vietnam.order(bob)
    vietnam.scan(order)
    vietnam.transfer(amount=5_000, content="=1+1")
    paid = BankTransfer.objects.get(state="booked")
    cashier = User.objects.create_user("cashier@example.com", is_staff=True)
    note = refunds.request(paid.pk, key="1", dong=1_000, to="VCB 1", reason="wrong", staff=finance)
    refunds.sent(note.pk, reference="OUT", staff=cashier)
    came = rows("bank-transfers")
    assert sum(int(row["dong"]) for row in came) == order.dong + 5_000
    assert [row["state"] for row in came] == ["booked", "quarantined"]
    assert came[0]["amount"] == "25.00" and came[0]["rate"] == str(RATE)
    assert came[1]["content"] == "'=1+1"
    (back,) = rows("bank-refunds")
    assert (back["dong"], back["state"], back["reference"]) == ("1000", "sent", "OUT")
    kinds = {row["kind"] for row in rows("transfers")}
    assert {"bank_topup", "bank_refund"} <= kinds
    (refunded,) = rows("refunds")
    assert refunded["kind"] == "bank_refund" and refunded["credit_note"].startswith("CN-")


def test_a_month_closes_with_what_banks_paid(vietnam: Vietnam, bob: User) -> None:
    vietnam.scan(vietnam.order(bob))
    now = timezone.now()
    month = datetime(now.year, now.month, 1, tzinfo=UTC)
    figures = closing.figures(month, None)
    assert figures["accounts"]["bank:clearing"]["moved"] == {"bank_topup": -nanos("25")}
    assert figures["transfers"]["bank_topup"] == {"count": 1, "wallets": nanos("25")}
    assert ledger.balance(bob.pk) == nanos("25")


@pytest.mark.parametrize(("language", "price"), [("en", "≈ 79,050 ₫"), ("vi", "≈ 79.050 ₫")])
def test_prices_are_in_both_currencies_where_the_reader_wants(
    vietnam: Vietnam, settings: Settings, language: str, price: str
) -> None:
    from gateway.catalogue.seed import seed

    seed()
    client = Client()
    client.cookies["django_language"] = language
    plain = client.get("/models").content.decode()
    assert 'name="currency"' in plain and "≈" not in plain
    client.post("/preferences", {"currency": "both", "next": "/models"})
    assert price in client.get("/models").content.decode()
    settings.DONG_RATE_DAYS = -1
    assert "≈" not in client.get("/models").content.decode(), "nothing is sold at an old rate"
    settings.VIETQR_ACCOUNT = settings.PAYOS_CLIENT_ID = ""
    assert 'name="currency"' not in client.get("/models").content.decode()


def test_the_receipt_and_the_list_say_the_dong(vietnam: Vietnam, bob: User) -> None:
    from django.core import mail

    from billing.tasks import send_due_mails

    bob.language = "vi"
    bob.save()
    order = vietnam.order(bob)
    vietnam.scan(order)
    send_due_mails()
    from billing.mails import sending

    for pk in sending.due(timezone.now()):
        sending.send(pk, timezone.now())
    assert any("658.750 ₫, với tỷ giá 26.350 ₫" in each.body for each in mail.outbox)
    client = Client()
    client.force_login(bob)
    client.cookies["django_language"] = "vi"
    shown = client.get("/billing/invoices").content.decode()
    assert "INV-" in shown
