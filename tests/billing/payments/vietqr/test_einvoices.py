"""Our invoices at the tax office: made, issued, replaced and adjusted, with numbers and files."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books.models import AuditEntry
from billing.invoices.models import BillingDetails, Invoice
from billing.payments.einvoice import handing_over, paper
from billing.payments.einvoice.models import EInvoice
from billing.payments.vietqr import bank_refunds, rates
from billing.payments.vietqr.models import BankTransfer, ExchangeRate
from hontoni import errors
from hontoni.money import nanos
from sandbox.sepay.invoice_lint import ACCOUNT
from tests.billing.payments.vietqr.conftest import Vietnam
from tests.billing.shop import Shop
from tests.gateway.usage.test_quarantine import staff

Office = Callable[[], None]


@pytest.fixture
def office(vietnam: Vietnam, settings: Settings) -> Office:
    """The tax is 10 %; each call does everything that can be done, as if time had passed."""
    settings.SELLER_TAX_RATE, settings.SELLER_COUNTRY = "10", "VN"
    settings.EINVOICE_CLIENT_ID, settings.EINVOICE_CLIENT_SECRET = "einvoice", "einvoice-secret"
    settings.EINVOICE_API_BASE, settings.EINVOICE_ACCOUNT = vietnam.sepay, ACCOUNT["id"]
    settings.EINVOICE_SERIES, settings.EINVOICE_SINCE = "C26THT", "2020-01-01"
    cache.clear()

    def work() -> None:
        for _ in range(14):  # six steps of an invoice, and of what takes of it away
            EInvoice.objects.update(next_at=timezone.now())
            handing_over.hand_over(timezone.now())

    return work


def buy(vietnam: Vietnam, user: User, amount: str = "110") -> BankTransfer:
    order = vietnam.order(user, amount)
    vietnam.scan(order)
    return BankTransfer.objects.get(order=order)


def one(**wanted: Any) -> EInvoice:
    found = EInvoice.objects.get(**wanted)
    assert (found.state, found.error) == ("issued", "")
    return found


def back(found: BankTransfer, dong: int, key: str = "1") -> None:
    """One member of staff notes it, another sends it."""
    names = ("clerk@example.com", "cashier@example.com")
    clerk, cashier = (User.objects.get_or_create(email=name)[0] for name in names)
    note = bank_refunds.request(
        found.pk, key=key, dong=dong, to="VCB 1", reason="He asked.", staff=clerk
    )
    bank_refunds.sent(note.pk, reference="OUT", staff=cashier)


def test_an_invoice_is_issued_and_its_files_are_kept(
    vietnam: Vietnam, office: Office, bob: User
) -> None:
    BillingDetails.objects.create(
        user=bob, name="CONG TY BOB", address="1 Le Loi; Hue", tax_id="0100109106", country="VN"
    )
    paid = buy(vietnam, bob)
    office()
    found = one()
    assert (found.total, found.tax_percent, found.kind) == (paid.dong, "10", "invoice")
    assert found.net + found.tax == found.total and found.tax == round(paid.dong / 11)
    there = vietnam.office.invoices[found.reference_code]
    assert (there["total_amount"], there["tax_amount"]) == (found.total, found.tax)
    assert there["buyer"]["tax_code"] == "0100109106"
    assert there["buyer"]["address"] == "1 Le Loi, Hue"
    assert found.number == there["invoice_number"] == "1"
    assert bytes(found.pdf or b"").startswith(b"%PDF") and b"<HDon>" in bytes(found.xml or b"")
    office()
    assert EInvoice.objects.count() == 1 and len(vietnam.office.invoices) == 1


def test_its_customer_and_staff_see_it_and_nobody_else(
    vietnam: Vietnam, office: Office, alice: User, bob: User
) -> None:
    buy(vietnam, bob)
    office()
    found = one()
    page = Client()
    page.force_login(bob)
    shown = page.get(f"/billing/invoices/inv_{found.invoice_id}").content.decode()
    assert "C26THT-1" in shown and f"/billing/e-invoices/{found.pk}.xml" in shown
    for ending, start in (("pdf", b"%PDF"), ("xml", b"<HDon>")):
        file = page.get(f"/billing/e-invoices/{found.pk}.{ending}")
        assert file.content.startswith(start) and "C26THT-1" in file["Content-Disposition"]
    other = Client()
    other.force_login(alice)
    assert other.get(f"/billing/e-invoices/{found.pk}.pdf").status_code == 404
    desk = staff("finance")
    assert desk.get(f"/admin/payments/einvoice/{found.pk}/change/").status_code == 200
    assert desk.get(f"/admin/payments/einvoice/{found.pk}/file/xml").content.startswith(b"<HDon>")


def test_a_refund_adjusts_it_to_the_dong(vietnam: Vietnam, office: Office, bob: User) -> None:
    paid = buy(vietnam, bob)
    back(paid, paid.dong // 3)
    office()
    back(paid, paid.dong - paid.dong // 3, key="2")
    office()
    origin = one(kind="invoice")
    adjusted = EInvoice.objects.filter(kind="adjustment", state="issued", about=origin)
    assert [each.total for each in adjusted.order_by("pk")] == [
        -(paid.dong // 3),
        -(paid.dong - paid.dong // 3),
    ]
    assert sum(each.total for each in adjusted) == -origin.total
    assert sum(each.tax for each in adjusted) == -origin.tax
    assert sum(each.net for each in adjusted) == -origin.net
    assert vietnam.office.invoices[origin.reference_code]["adjusted"] == -origin.total


def test_it_is_replaced_for_the_buyer_of_today(
    vietnam: Vietnam, office: Office, bob: User
) -> None:
    paid = buy(vietnam, bob)
    office()
    first = one()
    BillingDetails.objects.create(user=bob, name="CONG TY BOB", tax_id="0100109106", country="VN")
    desk = staff("finance")
    url = f"/admin/payments/einvoice/{first.pk}/replace/"
    assert desk.post(url, {"reason": ""}).status_code == 200
    assert desk.post(url, {"reason": "The buyer is a company."}).status_code == 302
    assert "Only what is issued" in desk.post(url, {"reason": "x"}).content.decode()
    office()
    first.refresh_from_db()
    second = one(kind="replacement")
    assert first.state == "replaced" and second.about == first and second.number == "2"
    assert (second.total, second.tax) == (first.total, first.tax)
    assert vietnam.office.invoices[second.reference_code]["buyer"]["name"] == "CONG TY BOB"
    assert vietnam.office.invoices[first.reference_code]["status"] == "replaced"
    assert AuditEntry.objects.filter(action="replace e-invoice").count() == 1
    assert desk.post(url, {"reason": "x"}).status_code == 403
    back(paid, paid.dong)
    office()
    assert one(kind="adjustment").about == second, "of what is in force"


def test_sepay_away_loses_and_doubles_nothing(vietnam: Vietnam, office: Office, bob: User) -> None:
    buy(vietnam, bob)
    vietnam.office.down = True
    office()
    found = EInvoice.objects.get()
    assert found.state == "waiting" and found.error
    vietnam.office.down = False
    vietnam.office.token = "another"  # the old one has ended
    office()
    one()
    assert len(vietnam.office.invoices) == 1


def test_an_answer_that_was_lost_makes_no_second_one(
    vietnam: Vietnam, office: Office, bob: User
) -> None:
    buy(vietnam, bob)
    office()
    EInvoice.objects.update(state="waiting", number="", tracking_code="", next_at=timezone.now())
    office()
    assert one().number == "1" and len(vietnam.office.invoices) == 1


def test_what_is_refused_waits_for_staff_and_is_tried_again(
    vietnam: Vietnam, office: Office, bob: User, settings: Settings
) -> None:
    settings.EINVOICE_SERIES = "WRONG"
    buy(vietnam, bob)
    office()
    found = EInvoice.objects.get()
    assert found.state == "failed" and "invoice_series" in found.error
    settings.EINVOICE_SERIES = "C26THT"
    desk = staff("finance")
    url = f"/admin/payments/einvoice/{found.pk}/retry/"
    assert desk.post(url, {"reason": "Mended."}).status_code == 302
    vietnam.office.fails = "The tax office is closed."
    office()
    found.refresh_from_db()
    assert (found.state, found.error) == ("failed", "The tax office is closed.")
    desk.post(url, {"reason": "It is open."})
    office()
    one()


def test_only_what_was_paid_in_since_the_day_is_handed_over(
    vietnam: Vietnam, office: Office, alice: User, bob: User, settings: Settings
) -> None:
    buy(vietnam, bob)
    settings.EINVOICE_SINCE = "2099-01-01"
    office()
    assert not EInvoice.objects.exists()
    settings.EINVOICE_SINCE = ""
    office()
    assert not EInvoice.objects.exists(), "it is off"


@pytest.mark.parametrize("rate", ["0", "8"])
def test_other_rates_of_the_tax(
    vietnam: Vietnam, office: Office, bob: User, settings: Settings, rate: str
) -> None:
    settings.SELLER_TAX_RATE = rate
    paid = buy(vietnam, bob, "108")
    office()
    found = one()
    assert found.tax_percent == {"0": "-2", "8": "8"}[rate]
    assert found.tax == {"0": 0, "8": round(paid.dong * 8 / 108)}[rate]
    assert Invoice.objects.get().tax == {"0": 0, "8": nanos("8")}[rate]


# -- What comes back after all -------------------------------------------------------------------


def adjustments(**of: Any) -> list[tuple[int, str]]:
    """Dong, and as what SePay was told of them."""
    rows = EInvoice.objects.filter(kind="adjustment", state="issued", **of).order_by("pk")
    return [(each.total, paper.body(each, timezone.now())["adjustment_type"]) for each in rows]


def test_a_dispute_that_is_won_adds_what_it_took_away(
    shop: Shop, vietnam: Vietnam, office: Office, bob: User
) -> None:
    order = shop.top_up(bob, "20")
    shop.refund(order, 700)
    shop.deliver()
    office()
    origin = one(kind="invoice")
    kept = origin.total - origin.total * 7 // 20
    assert adjustments() == [(kept - origin.total, "decrease")]
    dispute = shop.dispute(order)
    shop.deliver()
    office()
    assert adjustments()[1:] == [(-kept, "decrease")]
    shop.close_dispute(dispute, "won")
    shop.deliver()
    office()
    assert adjustments()[2:] == [(kept, "increase")]
    assert vietnam.office.invoices[origin.reference_code]["adjusted"] == kept - origin.total
    taken = EInvoice.objects.filter(kind="adjustment")
    assert {each.about for each in taken} == {origin}
    for each in taken:
        assert each.net + each.tax == each.total and each.tax * each.total > 0
    assert EInvoice.objects.count() == Invoice.objects.count() == 4


def test_a_refund_that_fails_adds_what_it_took_away(
    shop: Shop, vietnam: Vietnam, office: Office, bob: User
) -> None:
    order = shop.top_up(bob, "20", "pm_card_refundFail")
    shop.refund(order, 333)
    shop.deliver()
    shop.stripe.advance(days=1)
    shop.deliver()
    office()
    [(taken, _), (added, how)] = adjustments()
    assert (added, how) == (-taken, "increase") and taken < 0
    assert sum(each.tax for each in EInvoice.objects.filter(kind="adjustment")) == 0


def test_what_can_never_be_handed_over_holds_up_nothing(
    vietnam: Vietnam,
    office: Office,
    bob: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Notes about invoices of before the day, more than are begun at once."""
    monkeypatch.setattr(handing_over, "BATCH", 2)
    old = [buy(vietnam, bob, "11") for _ in range(3)]
    day = timezone.now()
    monkeypatch.setattr(handing_over, "since", lambda: day)
    for number, each in enumerate(old):
        back(each, each.dong, key=str(number))
    paid = buy(vietnam, bob)
    back(paid, paid.dong, key="new")
    office()
    assert one(kind="invoice").total == paid.dong
    assert one(kind="adjustment").total == -paid.dong


def test_without_a_rate_cards_wait_and_banks_do_not(
    shop: Shop, vietnam: Vietnam, office: Office, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_over, "BATCH", 1)
    shop.top_up(bob, "20")
    paid = buy(vietnam, bob)
    ExchangeRate.objects.update(decided_at=timezone.now() - timedelta(days=4000))
    office()
    assert one().total == paid.dong
    rates.set_by("staff@example.com", 25_000)
    office()
    assert one(rate=25_000).total == 500_000


# -- What is between two steps -------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["create", "issue", "replace", "adjust"])
def test_whichever_answer_is_lost_there_is_one_of_it(
    vietnam: Vietnam, office: Office, bob: User, lost: str
) -> None:
    paid = buy(vietnam, bob)
    if lost in ("replace", "adjust"):
        office()
    if lost == "replace":
        handing_over.replace(one().pk, reason="Name.", actor="a@b.example", now=timezone.now())
    if lost == "adjust":
        back(paid, paid.dong)
    vietnam.office.loses = lost
    office()
    assert not vietnam.office.loses
    wanted = {"create": 1, "issue": 1}.get(lost, 2)
    found = EInvoice.objects.order_by("pk")
    assert {each.state for each in found} <= {"issued", "replaced"}
    assert [each.number for each in found] == [str(n) for n in range(1, wanted + 1)]
    assert len(vietnam.office.invoices) == vietnam.office.numbers == wanted


def test_what_goes_back_while_another_form_is_made_adjusts_that(
    vietnam: Vietnam, office: Office, bob: User
) -> None:
    paid = buy(vietnam, bob)
    office()
    second = handing_over.replace(
        one().pk, reason="Name.", actor="a@b.example", now=timezone.now()
    )
    back(paid, paid.dong)
    office()
    assert one(kind="adjustment").about == second


def test_a_form_that_was_refused_is_not_made_once_it_would_lose_what_was_adjusted(
    vietnam: Vietnam, office: Office, bob: User
) -> None:
    paid = buy(vietnam, bob)
    office()
    first = one()
    made = handing_over.replace(first.pk, reason="Name.", actor="a@b.example", now=timezone.now())
    vietnam.office.fails = "The tax office is closed."
    office()
    back(paid, paid.dong)
    office()
    assert one(kind="adjustment").about == first
    with pytest.raises(errors.Conflict):
        handing_over.retry(made.pk, actor="a@b.example", now=timezone.now())
    made.refresh_from_db()
    assert made.state == "failed"
