"""Staff and bank transfers: rates, the quarantine, and what goes back by two."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import AuditEntry
from billing.invoices.models import Invoice, TaxRate
from billing.payments.vietqr import proof, rates
from billing.payments.vietqr.models import BankRefund, BankTransfer, ExchangeRate
from hontoni.money import DOLLAR, nanos
from tests.billing.payments.vietqr.conftest import RATE, Vietnam, balance, waiting
from tests.gateway.usage.test_quarantine import staff

TRANSFER = "/admin/payments/banktransfer/{}/{}/"
REFUND = "/admin/payments/bankrefund/{}/{}/"
RATES = "/admin/payments/exchangerate/"
ONCE = "00000000-0000-4000-8000-{:012d}"


@pytest.fixture
def finance_desk(db: None) -> Client:
    return staff("finance")


@pytest.fixture
def cashier(finance_desk: Client) -> Client:
    """A second person who may do the same."""
    from django.contrib.auth.models import Group

    user = User.objects.create_user("cashier@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="finance"))
    from allauth.mfa.totp.internal.auth import TOTP

    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    made = Client()
    made.force_login(user)
    return made


def back(client: Client, found: BankTransfer, dong: int, once: int = 1) -> Any:
    form = {"dong": dong, "to": "VCB 1 NGUYEN VAN BOB", "reason": "He asked."}
    url = TRANSFER.format(found.pk, "back")
    return client.post(url, {**form, "once": ONCE.format(once)}, follow=True)


def test_what_fitted_no_order_is_booked_at_one_click(
    vietnam: Vietnam, bob: User, finance_desk: Client
) -> None:
    order = vietnam.order(bob)
    vietnam.transfer(amount=order.dong - 1_000, content=order.code)
    found = BankTransfer.objects.get()
    page = finance_desk.get(TRANSFER.format(found.pk, "book"))
    form = page.context["form"].initial
    assert (form["email"], form["rate"]) == (bob.email, RATE)
    assert finance_desk.post(TRANSFER.format(found.pk, "book"), form).status_code == 302
    assert balance(bob) == (order.dong - 1_000) * DOLLAR // RATE
    assert vietnam.state(order) == "paid" and waiting() == []
    assert AuditEntry.objects.get(action="book transfer").after["user"] == bob.pk
    assert finance_desk.post(TRANSFER.format(found.pk, "book"), form).status_code == 403
    vietnam.scan(order)
    assert waiting() == [("double", order.dong)], "its order is paid"


def test_many_are_booked_at_once_for_the_orders_they_name(
    vietnam: Vietnam, alice: User, bob: User, finance_desk: Client
) -> None:
    for user in (alice, bob):
        order = vietnam.order(user)
        vietnam.transfer(amount=order.dong + 7, content=order.code)
    vietnam.transfer(amount=5_000, content="?")
    rows = list(BankTransfer.objects.values_list("pk", flat=True))
    asked = {"action": "book_for_orders", "_selected_action": rows}
    page = finance_desk.post("/admin/payments/banktransfer/", asked, follow=True)
    assert "2 booked." in page.content.decode()
    assert waiting() == [("unknown", 5_000)]
    worth = 658_757 * DOLLAR // RATE
    assert balance(bob) == worth and balance(alice) == nanos("10") + worth


def test_who_may_not_book_does_not(vietnam: Vietnam, bob: User) -> None:
    vietnam.transfer(amount=5_000, content="?")
    found = BankTransfer.objects.get()
    support = staff("support")
    assert support.get(f"/admin/payments/banktransfer/{found.pk}/change/").status_code == 200
    form = {"email": bob.email, "rate": RATE, "reason": "x"}
    assert support.post(TRANSFER.format(found.pk, "book"), form).status_code == 403
    assert back(support, found, 5_000).status_code == 403
    assert support.post(f"{RATES}set/", {"dong": 25_000}).status_code == 403
    assert balance(bob) == 0 and rates.current() == RATE


def test_money_of_nobody_goes_back_by_two_persons(
    vietnam: Vietnam, finance_desk: Client, cashier: Client
) -> None:
    vietnam.transfer(amount=70_000, content="tien nha")
    found = BankTransfer.objects.get()
    assert "All of it goes back" in back(finance_desk, found, 1).content.decode()
    back(finance_desk, found, 70_000)
    back(finance_desk, found, 70_000)  # the same form again
    note = BankRefund.objects.get()
    found.refresh_from_db()
    assert (found.state, note.amount) == ("returning", 0)
    sent = {"reference": "OUT1"}
    assert finance_desk.post(REFUND.format(note.pk, "sent"), sent).status_code == 403
    assert cashier.post(REFUND.format(note.pk, "sent"), {"reference": ""}).status_code == 200
    assert cashier.post(REFUND.format(note.pk, "sent"), sent).status_code == 302
    found.refresh_from_db()
    note.refresh_from_db()
    assert (found.state, note.state, note.reference) == ("returned", "sent", "OUT1")
    assert proof.sums()["sent back"] == 70_000
    assert cashier.post(REFUND.format(note.pk, "decline")).status_code == 403


def test_what_was_booked_goes_back_with_a_credit_note_and_its_tax(
    vietnam: Vietnam, bob: User, finance_desk: Client, cashier: Client, settings: Settings
) -> None:
    settings.SELLER_TAX_RATE = "10"
    order = vietnam.order(bob, "110")
    vietnam.scan(order)
    paid = Invoice.objects.get()
    assert paid.tax == nanos("10") and paid.tax_name == "VAT 10 %"
    found = BankTransfer.objects.get()
    third = order.dong // 3
    back(finance_desk, found, third)
    assert balance(bob) == nanos("110") - nanos("110") * third // order.dong
    assert "Up to" in back(finance_desk, found, order.dong, once=2).content.decode()
    back(finance_desk, found, order.dong - third, once=3)
    assert balance(bob) == 0
    for note in BankRefund.objects.all():
        cashier.post(REFUND.format(note.pk, "sent"), {"reference": f"OUT{note.pk}"})
    notes = Invoice.objects.filter(kind="credit_note")
    assert sum(each.total for each in notes) == -paid.total
    assert sum(each.tax for each in notes) == -paid.tax
    assert all(each.credits == [paid.number] for each in notes)
    assert balance(bob) == 0 and proof.sums()["on balances"] == 0


def test_a_note_that_is_declined_leaves_everything_as_it_was(
    vietnam: Vietnam, bob: User, finance_desk: Client, cashier: Client
) -> None:
    vietnam.scan(vietnam.order(bob))
    vietnam.transfer(amount=9_000, content="?")
    booked, lost = BankTransfer.objects.order_by("pk")
    back(finance_desk, booked, 1_000)
    back(finance_desk, lost, 9_000, once=2)
    for note in BankRefund.objects.all():
        assert cashier.post(REFUND.format(note.pk, "decline")).status_code == 302
    assert balance(bob) == nanos("25") and waiting() == [("unknown", 9_000)]
    assert Invoice.objects.count() == 1
    back(finance_desk, lost, 9_000, once=3)
    assert BankTransfer.objects.get(pk=lost.pk).state == "returning"


def test_a_dollar_costs_what_staff_say(db: None, finance_desk: Client) -> None:
    assert rates.current() is None
    assert finance_desk.post(f"{RATES}set/", {"dong": "26"}).status_code == 200
    assert rates.current() is None, "that is no rate"
    assert finance_desk.post(f"{RATES}set/", {"dong": "26400"}).status_code == 302
    assert rates.current() == 26_400
    assert AuditEntry.objects.get(action="set rate").after["dong"] == 26_400


VIETCOMBANK = b"""\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><!-- fair use -->
<ExrateList><DateTime>11/30/2026 8:30:00 AM</DateTime>
<Exrate CurrencyCode="EUR" Buy="29,000.00" Transfer="29,100.00" Sell="30,000.00"/>
<Exrate CurrencyCode="USD" Buy="26,090.00" Transfer="26,120.00" Sell="26,380.50"/>
</ExrateList>"""


@pytest.mark.parametrize(
    ("answer", "dong"),
    [
        (VIETCOMBANK, 26_381),
        (b'{"base": "USD", "rates": {"EUR": 0.9, "VND": 26123.4567}}', 26_123),
        (b'{"base_code": "USD", "rates": {"VND": 26123}}', 26_123),
    ],
)
def test_what_a_source_says(answer: bytes, dong: int) -> None:
    assert rates.read(answer) == dong


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>busy</html>",
        b'{"base": "EUR", "rates": {"VND": 30000}}',
        b'{"rates": {"VND": 0.00004}}',
        b'{"rates": {"VND": "NaN"}}',
        b'{"rates": {"VND": null}}',
        b"[]",
        b'<!DOCTYPE x [<!ENTITY a "1">]><ExrateList><Exrate CurrencyCode="USD" Sell="26000"/>'
        b"</ExrateList>",
        VIETCOMBANK.replace(b"USD", b"AUD"),
    ],
)
def test_what_cannot_be_a_rate_is_none(answer: bytes) -> None:
    with pytest.raises(ValueError):
        rates.read(answer)


def test_a_source_only_proposes(
    vietnam: Vietnam, finance_desk: Client, settings: Settings
) -> None:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    said = {"body": VIETCOMBANK}
    app = Starlette(routes=[Route("/rates", lambda request: Response(said["body"]))])
    from tests.sandbox.stripe.running import Running

    with Running(app, vietnam.loop) as source:
        settings.DONG_RATE_SOURCE = f"{source.url}/rates"
        made = rates.propose()
        assert made is not None and (made.dong, made.state) == (26_381, "proposed")
        assert rates.current() == RATE, "nobody has said yes"
        assert rates.propose() is None, "it is no news"
        assert finance_desk.post(f"{RATES}{made.pk}/accept/").status_code == 302
        assert rates.current() == 26_381
        said["body"] = b"<html>down</html>"
        assert rates.propose() is None and rates.current() == 26_381
        said["body"] = b'{"rates": {"VND": 27000}}'
        second = rates.propose()
        assert second is not None
        assert finance_desk.post(f"{RATES}{second.pk}/decline/").status_code == 302
        assert finance_desk.post(f"{RATES}{second.pk}/accept/").status_code == 403
        assert rates.current() == 26_381
        assert ExchangeRate.objects.filter(state="proposed").count() == 0


def test_the_tax_is_that_of_its_day(vietnam: Vietnam, bob: User, settings: Settings) -> None:
    settings.SELLER_TAX_RATE, settings.SELLER_COUNTRY = "10", "VN"
    TaxRate.objects.create(since="2025-07-01", percent="8")
    TaxRate.objects.create(since="2099-01-01", percent="10")
    vietnam.scan(vietnam.order(bob, "108"))
    invoice = Invoice.objects.get()
    assert (invoice.tax, invoice.tax_name) == (nanos("8"), "VAT 8 %")


def test_a_bonus_that_came_with_it_goes_back_with_it(
    vietnam: Vietnam, bob: User, finance_desk: Client
) -> None:
    from django.utils import timezone

    from billing.rewards import promos
    from billing.rewards.models import PromoCode

    PromoCode.objects.create(
        code="TET", kind="percent", percent=10, active=True, valid_from=timezone.now()
    )
    promos.redeem(bob.pk, "TET", timezone.now())
    order = vietnam.order(bob, "100")
    vietnam.scan(order)
    assert balance(bob) == nanos("110")
    back(finance_desk, BankTransfer.objects.get(), order.dong)
    assert balance(bob) == 0
    assert ledger.wallet(bob.pk).balance == 0
