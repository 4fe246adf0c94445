"""Our own invoices: gapless, frozen, the same bytes for ever."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone, translation
from pypdf import PdfReader
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.invoices import invoice_pdf, issuing, taxes
from billing.invoices.issuing import Line
from billing.invoices.models import Invoice
from billing.invoices.spoken import spoken
from billing.plans.models import Plan
from billing.subscriptions import balance_changes
from hontoni.money import nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import client

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


def charge(user: User, key: str, amount: str = "0.10") -> Transfer:
    return ledger.post(key=key, kind="subscription", user_id=user.pk, amount=-nanos(amount))[0]


def issue(user: User, key: str = "k", now: datetime = NOW) -> Invoice:
    with transaction.atomic():
        paid = charge(user, key)
        return issuing.issue(
            transfer=paid, user=user, lines=[Line("Something", nanos("0.10"))], now=now
        )


def test_it_freezes_seller_and_buyer(alice: User, settings: Settings) -> None:
    settings.SELLER_NAME, settings.SELLER_TAX_ID = "Hontoni Ltd", "VN-1"
    invoice = issue(alice)
    settings.SELLER_NAME = "Another"
    User.objects.filter(pk=alice.pk).update(name="Alicia")
    kept = Invoice.objects.get()
    assert kept.seller["name"] == "Hontoni Ltd"
    assert kept.buyer == {"name": "Alice", "email": "alice@example.com", "account": alice.pk}
    assert bytes(kept.pdf) == invoice.pdf


def test_who_it_is_made_out_to_can_be_changed_by_api(alice: User) -> None:
    mine = client(alice)
    empty = {"name": "", "address": "", "tax_id": "", "country": ""}
    assert mine.get("/api/billing/details").json() == empty
    company = {"name": "Alice Ltd", "address": "1 Wonderland Road; Oxford"}
    company |= {"tax_id": "GB 123", "country": "GB"}
    assert mine.put("/api/billing/details", company, format="json").json() == company
    issue(alice)
    mine.put("/api/billing/details", empty, format="json")
    rest = {"email": "alice@example.com", "account": alice.pk}
    assert Invoice.objects.get().buyer == company | rest
    assert issue(alice, "later").buyer["name"] == "Alice"


@pytest.mark.parametrize("country", ["ZZ", "XX", "EN", "UK"])
def test_a_country_that_does_not_exist_is_nobodys(
    alice: User, settings: Settings, country: str
) -> None:
    company = {"name": "Alice Ltd", "address": "", "tax_id": "1", "country": country}
    answer = client(alice).put("/api/billing/details", company, format="json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "country")
    settings.SELLER_COUNTRY = "VN"
    assert not taxes.is_business_abroad(company)  # whatever was written down before
    assert not taxes.is_business_abroad(company | {"country": "GB"})
    assert taxes.is_business_abroad(company | {"country": "GB", "tax_id": "GB 980 7806 84"})


def test_the_pdf_is_stored_with_its_hash_and_drawn_the_same_each_time(alice: User) -> None:
    issue(alice)
    kept = Invoice.objects.get()
    assert bytes(kept.pdf).startswith(b"%PDF-")
    assert kept.sha256 == hashlib.sha256(kept.pdf).hexdigest()
    assert hashlib.sha256(invoice_pdf.draw(kept)).hexdigest() == kept.sha256


@pytest.mark.parametrize("name", ["Nguyễn Thị Ánh", "<b>&amp;", "", "Пётр " * 40])
def test_any_name_can_be_printed(alice: User, name: str) -> None:
    alice.name = name[:200]
    assert bytes(issue(alice).pdf).startswith(b"%PDF-")


def test_numbers_are_counted_by_year_and_kind(alice: User) -> None:
    next_year = datetime(2027, 1, 1, tzinfo=UTC)
    issued = [issue(alice, "a"), issue(alice, "b"), issue(alice, "c", next_year)]
    with transaction.atomic():
        credit, _ = ledger.post(
            key="d", kind="subscription", user_id=alice.pk, amount=nanos("0.1")
        )
        issued.append(
            issuing.issue(
                transfer=credit, user=alice, lines=[Line("Back", -nanos("0.1"))], now=NOW
            )
        )
    assert [invoice.number for invoice in issued] == [
        "INV-2026-000001",
        "INV-2026-000002",
        "INV-2027-000001",
        "CN-2026-000001",
    ]


def test_fifty_at_once_have_no_gap(alice: User, at_once: AtOnce) -> None:
    def once(number: int) -> bool:
        """Every fifth fails after it took its number."""
        try:
            with transaction.atomic():
                issue(alice, f"k{number}")
                if number % 5 == 0:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return False
        return True

    assert sum(at_once(once, 50)) == 40
    numbers = Invoice.objects.order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, 41))


def test_it_says_what_the_ledger_says(alice: User) -> None:
    with pytest.raises(ValueError, match="add up to 1"), transaction.atomic():
        issuing.issue(
            transfer=charge(alice, "k"), user=alice, lines=[Line("Something", 1)], now=NOW
        )
    assert not Transfer.objects.filter(key="k").exists()


def test_every_paid_change_has_its_invoice(alice: User) -> None:
    balance_changes.subscribe(alice.pk, Plan.objects.get(slug="basic"), now=NOW)
    invoice = Invoice.objects.get()
    assert invoice.lines == [{"text": "Basic, 22 Nov 2026 to 22 Dec 2026", "amount": nanos("6")}]
    assert invoice.total == nanos("6")
    assert Transfer.objects.get(invoice=invoice).amount == nanos("6")


# -- /api/billing/invoices -----------------------------------------------------------------------


def test_ones_own_are_listed_newest_first(alice: User, bob: User) -> None:
    issue(alice, "a")
    newest = issue(alice, "b")
    page = client(alice).get("/api/billing/invoices").json()
    assert [row["number"] for row in page["results"]] == ["INV-2026-000002", "INV-2026-000001"]
    assert page["results"][0] == {
        "id": f"inv_{newest.pk}",
        "number": "INV-2026-000002",
        "kind": "invoice",
        "issued_at": "2026-11-22T12:00:00Z",
        "total": "0.10",
        "currency": "USD",
        "lines": [{"text": "Something", "amount": "0.10"}],
        "credits": [],
        "status": "paid",
        "net": "0.10",
        "tax": "0.00",
        "note": "Any tax on it was charged when the balance was topped up.",
        "paid_by": "Prepaid balance",
        "paid_at": "2026-11-22T12:00:00Z",
    }
    assert client(bob).get("/api/billing/invoices").json()["results"] == []


def test_a_list_does_not_read_the_pdfs(
    alice: User, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for number in range(3):
        issue(alice, str(number))
    mine = client(alice)
    with django_assert_num_queries(3) as seen:
        mine.get("/api/billing/invoices")
    assert not any('"billing_invoice"."pdf"' in query["sql"] for query in seen.captured_queries)


def test_the_link_serves_the_bytes_that_were_issued(alice: User) -> None:
    invoice = issue(alice)
    shown = client(alice).get(f"/api/billing/invoices/inv_{invoice.pk}/pdf").json()
    response = APIClient().get(shown["url"])
    assert (response.status_code, response["Content-Type"]) == (200, "application/pdf")
    assert response.content == invoice.pdf
    assert hashlib.sha256(response.content).hexdigest() == shown["sha256"]
    assert "INV-2026-000001.pdf" in response["Content-Disposition"]
    assert datetime.fromisoformat(shown["expires_at"]) > timezone.now()


def test_others_invoices_are_not_there(alice: User, bob: User) -> None:
    invoice = issue(alice)
    response = client(bob).get(f"/api/billing/invoices/inv_{invoice.pk}/pdf")
    assert error(response) == (404, "not_found")


@pytest.mark.parametrize("name", ["inv_0", "inv_x", "inv_²", "inv_" + "9" * 30, "1' OR 1=1"])
def test_what_is_no_invoice_is_not_there(alice: User, name: str) -> None:
    assert client(alice).get(f"/api/billing/invoices/{name}/pdf").status_code == 404


def test_a_link_cannot_be_made_up_and_does_not_last(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = issue(alice)
    assert APIClient().get(f"/invoices/{invoice.pk}:x:y").status_code == 404
    url = client(alice).get(f"/api/billing/invoices/inv_{invoice.pk}/pdf").json()["url"]
    monkeypatch.setattr(
        "django.core.signing.time.time", lambda: datetime.now(UTC).timestamp() + 301
    )
    assert APIClient().get(url).status_code == 404


@pytest.mark.parametrize("path", ["invoices", "invoices/inv_1/pdf"])
def test_invoices_need_a_session(path: str) -> None:
    assert APIClient().get(f"/api/billing/{path}").status_code == 401


def _words(pdf: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            ("Invoice", "Paid by", "Prepaid balance", "Total in USD", "nothing is due", "$0.10"),
        ),
        ("vi", ("Hoá đơn", "Thanh toán bằng", "Số dư trả trước", "Tổng cộng bằng USD", "$0,10")),
    ],
)
def test_it_is_printed_in_its_buyers_language(
    alice: User, language: str, said: tuple[str, ...]
) -> None:
    """Whatever is spoken where it is issued: a worker's language is nobody's."""
    alice.language = language
    alice.save()
    with translation.override("vi" if language == "en" else "en"):
        words = _words(bytes(issue(alice).pdf))
    assert [word for word in said if word not in words] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Unused time on Premium", "Thời gian chưa dùng của Premium"),
        ("Premium until 31 Dec 2026", "Premium đến"),
        ("Premium, 01 Dec 2026 to 31 Dec 2026", "Premium, từ"),
        ("Back to your card: invoice X-1", "Hoàn về thẻ của bạn: hoá đơn X-1"),
        ("Visa ending in 4242", "Visa có số cuối 4242"),
        ("Hontoni balance", "Số dư Hontoni"),
        ("for the party", "for the party"),
        ("", ""),
    ],
)
def test_lines_are_read_in_the_readers_language(text: str, said: str) -> None:
    with translation.override("vi"):
        assert spoken(text).startswith(said) and "Dec" not in spoken(text)
    with translation.override("en"):
        assert spoken(text).split()[:1] == text.split()[:1]


class _Undone(Exception):
    """What happens to a transaction now and then."""


def test_both_series_have_no_gap_however_many_issue_at_once(alice: User, at_once: AtOnce) -> None:
    """A connection each, as processes have; every third is undone, and gives its number back."""

    ledger.post(key="before", kind="subscription", user_id=alice.pk, amount=-nanos("5"))

    def document(n: int) -> None:
        try:
            with transaction.atomic():
                amount = nanos("0.10") if n % 2 else -nanos("0.10")
                moved, _ = ledger.post(
                    key=f"n{n}", kind="subscription", user_id=alice.pk, amount=-amount
                )
                lines = [Line("Something", amount)]
                issuing.issue(transfer=moved, user=alice, lines=lines, now=NOW)
                if n % 3 == 0:
                    raise _Undone
        except _Undone:
            pass

    at_once(document, 36)
    for kind in ("invoice", "credit_note"):
        numbers = Invoice.objects.filter(kind=kind).values_list("sequence", flat=True)
        assert sorted(numbers) == list(range(1, 13))
