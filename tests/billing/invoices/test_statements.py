"""A month adds up to the cent, and follows from the month before it."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from rest_framework.test import APIClient

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from billing.books import ledger
from billing.books.models import Transfer
from billing.books.transfer_names import KIND_NAMES
from billing.invoices import statements
from billing.invoices.statement_files import _moved
from billing.invoices.statements import Line
from billing.payments import funding
from gateway.usage.models import UsageHour
from hontoni.money import CENT, dollars, nanos, whole_cents

At = Callable[[datetime], None]
OCTOBER = datetime(2026, 10, 20, 8, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)


def client(user: User) -> APIClient:
    """Speaks to /api as this user, whatever time it is made to be."""
    made = APIClient()
    made.force_authenticate(user)
    return made


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Let it be that moment from now on."""

    def move(moment: datetime) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: moment)

    return move


@pytest.fixture
def key(bob: User) -> ApiKey:
    return api_keys.mint(bob, "laptop")[0]


def use(
    key: ApiKey,
    model: str,
    cost: int,
    *,
    sent: datetime,
    charged: datetime,
    at: At,
    times: int = 1,
) -> None:
    """A request as the gateway records it: an hour's sum, and its charge."""
    hour = sent.replace(minute=0, second=0, microsecond=0)
    UsageHour.objects.update_or_create(
        user=key.user,
        hour=hour,
        api_key=key,
        model=model,
        defaults={"requests": times, "input": 1000, "output": 500, "cost": cost},
    )
    at(charged)
    with transaction.atomic():
        ledger.charge_usage(key=f"usage:{model}:{sent}", user_id=key.user_id, amount=cost)


def put(user: User, kind: str, amount: str, moment: datetime, at: At) -> Transfer:
    at(moment)
    name = f"{kind}:{moment.isoformat()}"
    return ledger.post(
        key=name, kind=kind, user_id=user.pk, amount=nanos(amount), reason=f"A {kind}"
    )[0]


def months(user: User) -> dict[str, dict[str, Any]]:
    mine = client(user)
    names = mine.get("/api/billing/statements").json()["results"]
    return {name: mine.get(f"/api/billing/statements/{name}").json() for name in names}


def adds_up(shown: dict[str, Any]) -> None:
    """Opening and all amounts are closing: exactly, and in the cents that are shown."""
    sections = ("payments", "refunds", "credits", "purchases", "usage")
    rows = [row for section in sections for row in shown[section]]
    total = sum(Decimal(row["amount"]) for row in rows)
    assert Decimal(shown["opening"]) + total == Decimal(shown["closing"])
    exact = sum(Decimal(row["exact"]) for row in rows)
    assert Decimal(shown["exact_opening"]) + exact == Decimal(shown["exact_closing"])
    for section in sections:
        told = sum(Decimal(row["amount"]) for row in shown[section])
        assert told == Decimal(shown["totals"][section])
    for row in rows:
        assert Decimal(row["amount"]) == round(Decimal(row["amount"]), 2)
        assert abs(Decimal(row["amount"]) - Decimal(row["exact"])) < Decimal("0.01")


def a_quarter(bob: User, key: ApiKey, at: At) -> dict[str, int]:
    """Three months of a life; what the wallet had at the end of each."""
    stood = {}
    put(bob, "topup", "25", OCTOBER, at)
    use(key, "gpt-5.2", 333_333_333, sent=OCTOBER, charged=OCTOBER, at=at, times=3)
    use(key, "claude-opus-4.5", 1_004_999_999, sent=OCTOBER, charged=OCTOBER, at=at)
    late = MIDNIGHT - timedelta(seconds=1)
    put(bob, "subscription", "-6", late, at)
    stood["2026-10"] = ledger.balance(bob.pk)
    use(key, "gemini-3", 7_654_321, sent=late, charged=MIDNIGHT, at=at)  # settled after midnight
    put(bob, "refund", "-3.21", MIDNIGHT + timedelta(days=3), at)
    put(bob, "adjustment", "1", MIDNIGHT + timedelta(days=4), at)
    use(key, "gpt-5.2", 1, sent=MIDNIGHT, charged=MIDNIGHT + timedelta(days=9), at=at)
    stood["2026-11"] = ledger.balance(bob.pk)
    put(bob, "sandbox", "10", DECEMBER, at)
    stood["2026-12"] = ledger.balance(bob.pk)
    return stood


def test_months_follow_from_each_other_and_from_the_wallet(bob: User, key: ApiKey, at: At) -> None:
    stood = a_quarter(bob, key, at)
    told = months(bob)
    assert list(told) == ["2026-12", "2026-11", "2026-10"]
    opening = "0.00"
    for month in reversed(told):
        shown = told[month]
        adds_up(shown)
        assert shown["exact_opening"] == opening
        opening = shown["exact_closing"]
        assert opening == dollars(stood[month])
        assert shown["closing"] == dollars(whole_cents(stood[month]))
    assert [told[month]["is_over"] for month in told] == [False, True, True]


def test_a_month_says_what_was_used_of_which_model_and_when_it_was_charged(
    bob: User, key: ApiKey, at: At
) -> None:
    a_quarter(bob, key, at)
    told = months(bob)
    october, november = told["2026-10"]["usage"], told["2026-11"]["usage"]
    assert [(row["model"], row["requests"], row["exact"]) for row in october] == [
        ("claude-opus-4.5", 1, "-1.004999999"),
        ("gpt-5.2", 3, "-0.333333333"),
        ("gemini-3", 1, "-0.007654321"),
        (None, 0, "0.007654321"),
    ]
    assert [(row["model"], row["exact"]) for row in november] == [
        ("gpt-5.2", "-0.000000001"),
        (None, "-0.007654321"),
    ]
    assert [row["text"] for row in told["2026-10"]["purchases"]] == ["A subscription"]
    assert told["2026-11"]["totals"] | {"usage": ""} == {
        "payments": "0.00",
        "refunds": "-3.21",
        "credits": "1.00",
        "purchases": "0.00",
        "corrections": "0.00",
        "usage": "",
    }


def test_a_month_is_a_pdf_and_a_csv_that_adds_up(bob: User, key: ApiKey, at: At) -> None:
    a_quarter(bob, key, at)
    mine = client(bob)
    for month in months(bob):
        pdf = mine.get(
            f"/api/billing/statements/{month}.pdf", headers={"accept": "application/pdf"}
        )
        assert (pdf.status_code, pdf["Content-Type"]) == (200, "application/pdf")
        assert pdf.content.startswith(b"%PDF-")
        text = mine.get(f"/api/billing/statements/{month}.csv").content.decode()
        opening, *rows, closing = csv.DictReader(io.StringIO(text))
        for column in ("amount", "exact_amount"):
            total = sum(Decimal(row[column]) for row in rows)
            assert Decimal(opening[column]) + total == Decimal(closing[column])


def printed(answer: Any) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)


def test_a_pdf_speaks_its_readers_language(bob: User, key: ApiKey, at: At) -> None:
    a_quarter(bob, key, at)
    path = "/api/billing/statements/2026-11.pdf"
    english = printed(client(bob).get(path))
    assert "Opening balance" in english and "Số dư" not in english
    assert re.findall(r"\$[\d,]+\.\d\d", english) and not re.search(r"\d,\d\d\b", english)
    bob.language = "vi"
    vietnamese = printed(client(bob).get(path))
    assert "Sao kê" in vietnamese and "Số dư đầu kỳ" in vietnamese
    amounts = re.findall(r"\$[\d.]*\d,\d\d", vietnamese)
    assert len(amounts) == len(re.findall(r"\$[\d,]+\.\d\d", english))
    assert not re.search(r"\d\.\d\d\b", vietnamese)
    for word in ("Opening", "Closing", "Summary", "Payments", "Usage", "Requests", "Until"):
        assert word not in vietnamese
    shop = Browser()
    shop.force_login(bob)
    shop.cookies[settings.LANGUAGE_COOKIE_NAME] = "vi"
    assert "Số dư đầu kỳ" in printed(shop.get("/billing/statements/2026-11.pdf"))


def test_a_description_is_no_formula(bob: User, at: At) -> None:
    at(OCTOBER)
    ledger.post(
        key="k", kind="adjustment", user_id=bob.pk, amount=nanos("1"), reason='=HYPERLINK("x")'
    )
    text = client(bob).get("/api/billing/statements/2026-10.csv").content.decode()
    assert '"\'=HYPERLINK(""x"")"' in text


@pytest.mark.parametrize("month", ["2026-09", "2026-12", "2026-1", "x", "2026-11-01", "2026-13"])
@pytest.mark.parametrize("ending", ["", ".pdf", ".csv"])
def test_there_is_no_statement_of_another_time(bob: User, at: At, month: str, ending: str) -> None:
    put(bob, "sandbox", "5", OCTOBER, at)
    at(MIDNIGHT)
    assert client(bob).get(f"/api/billing/statements/{month}{ending}").status_code == 404


def test_statements_are_ones_own(alice: User, bob: User) -> None:
    month = timezone.now().strftime("%Y-%m")
    assert client(alice).get("/api/billing/statements").json() == {"results": [month]}
    assert client(bob).get("/api/billing/statements").json() == {"results": []}
    assert client(bob).get(f"/api/billing/statements/{month}.pdf").status_code == 404
    assert APIClient().get(f"/api/billing/statements/{month}.pdf").status_code == 401


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(-(10**11), 10**11), max_size=8))
def test_cents_add_up_whatever_was_moved(opening: int, moved: list[int]) -> None:
    closing = opening + sum(moved)
    lines = [Line("usage", "", amount) for amount in moved]
    cents = statements._in_cents(lines, whole_cents(closing) - whole_cents(opening))
    shown = sum(line.shown for line in cents)
    assert whole_cents(opening) + shown == whole_cents(closing)
    for line in cents:
        assert line.shown % CENT == 0 and abs(line.shown - line.exact) < CENT
        assert line.shown == line.exact or line.exact % CENT


def test_play_money_says_what_it_is(alice: User) -> None:
    funding.sandbox(key="x", user_id=alice.pk, amount=nanos("5"))
    mine, month = client(alice), f"{timezone.now():%Y-%m}"
    told = mine.get(f"/api/billing/statements/{month}").json()
    assert {line["text"] for line in told["payments"]} == {"Sandbox funds"}
    rows = mine.get(f"/api/billing/statements/{month}.csv").content.decode()
    assert "Sandbox funds" in rows
    with translation.override("vi"):
        assert _moved(statements.of(alice.pk, month, timezone.now()).of("payments")[0]).endswith(
            str(KIND_NAMES["sandbox"])
        )
