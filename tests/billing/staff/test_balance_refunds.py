"""What the balance paid for goes back to it: whole or in part, once, and said as what it is."""

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.books import ledger
from billing.books.models import AuditEntry, Transfer
from billing.invoices import statements
from billing.invoices.models import Invoice
from billing.payments import balance_refunds
from billing.payments.exports import EXPORTS
from billing.plans.models import Plan
from billing.subscriptions import balance_changes
from hontoni import months
from hontoni.money import nanos
from tests.billing.conftest import client
from tests.billing.shop import balance

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(finance: User) -> Client:
    names = ["refund_topup", "view_customer"]
    finance.user_permissions.add(*Permission.objects.filter(codename__in=names))
    browser = Client()
    browser.force_login(finance)
    return browser


@pytest.fixture
def invoice(alice: User) -> Invoice:
    """Of alice's plan, from her balance: $6."""
    balance_changes.subscribe(alice.pk, Plan.objects.get(slug="basic"), now=timezone.now())
    return Invoice.objects.get(user=alice)


def page(user: User) -> str:
    return f"/admin/billing/customer/{user.pk}/refund-to-balance/"


def filled(staff: Client, user: User, **given: str) -> dict[str, str]:
    form = staff.get(page(user)).context["form"]
    return {"once": str(form["once"].value()), "reason": "It did not work", **given}


def send(staff: Client, user: User, **given: str) -> str:
    return staff.post(page(user), filled(staff, user, **given), follow=True).content.decode()


def test_a_part_and_then_the_rest_of_a_plan_go_back_and_no_more(
    staff: Client, alice: User, invoice: Invoice
) -> None:
    before = balance(alice)
    said = send(staff, alice, of=invoice.number, amount="2")
    assert "Refunded $2.00 to the balance." in said
    assert balance(alice) == before + nanos("2")
    assert "Up to $4.00 can go back." in send(staff, alice, of=invoice.number, amount="4.01")
    for nothing in ("0", "-1"):
        assert "can go back" in send(staff, alice, of=invoice.number, amount=nothing)
    send(staff, alice, of=invoice.number, amount="4")
    assert balance(alice) == before + nanos("6")
    assert balance_refunds.refundable(alice.pk) == {}
    assert staff.get(page(alice)).status_code == 403, "nothing is left to give back"
    notes = Invoice.objects.filter(kind="credit_note").order_by("pk")
    assert [(n.total, n.credits) for n in notes] == [
        (-nanos("2"), [invoice.number]),
        (-nanos("4"), [invoice.number]),
    ]
    entry = AuditEntry.objects.order_by("pk")[0]
    assert (entry.action, entry.actor) == ("refund", "finance@example.com")
    assert entry.after["reason"] == "It did not work" and entry.after["of"] == invoice.number


def test_a_form_sent_twice_gives_back_once(staff: Client, alice: User, invoice: Invoice) -> None:
    before, given = balance(alice), filled(staff, alice, of=invoice.number, amount="6")
    for _ in range(2):
        staff.post(page(alice), given)
    assert balance(alice) == before + nanos("6")
    assert Transfer.objects.filter(kind="balance_refund").count() == 1


def test_usage_goes_back_up_to_what_was_used(staff: Client, alice: User) -> None:
    with transaction.atomic():
        ledger.charge_usage(key="used", user_id=alice.pk, amount=nanos("3.505"))
    assert balance_refunds.refundable(alice.pk) == {"usage": nanos("3.505")}
    assert "Up to $3.50" in send(staff, alice, of="usage", amount="3.51")
    send(staff, alice, of="usage", amount="3.50")
    assert balance(alice) == nanos("9.995")
    assert not Invoice.objects.exists(), "usage has no invoice, and so no credit note"
    assert balance_refunds.refundable(alice.pk) == {}, "of half a cent nothing goes back"


def test_it_is_told_as_a_refund_everywhere(staff: Client, alice: User, invoice: Invoice) -> None:
    send(staff, alice, of=invoice.number, amount="2")
    now = timezone.now()
    statement = statements.of(alice.pk, months.name(now), now=now)
    lines = [(line.text, line.exact) for line in statement.lines if line.section == "refunds"]
    assert lines == [("It did not work", nanos("2"))]
    moved = client(alice).get("/api/billing/transactions").json()["results"][0]
    assert moved["kind"] == "balance_refund"
    rows = list(EXPORTS["refunds"].rows(months.begin(now), now))
    assert [(row[1], row[3], row[8]) for row in rows] == [
        ("balance_refund", "-2.00", Invoice.objects.get(kind="credit_note").number)
    ]
    alice_page = Client()
    alice_page.force_login(alice)
    assert "Refund to your balance" in alice_page.get("/billing").content.decode()


def test_who_may_not_refund_sees_no_such_deed(
    finance: User, alice: User, invoice: Invoice
) -> None:
    browser = Client()
    browser.force_login(finance)
    assert browser.get(page(alice)).status_code == 403
    assert balance(alice) == nanos("4")
