"""Finance at the money desk: disputes answered, payouts explained, months closed, exports."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.utils import quote
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.books import ledger
from billing.books.models import AuditEntry, ClosedMonth
from billing.payments import closing, payouts, reconcile
from billing.payments.models import Dispute, Payout, TopUp
from billing.staff import month_admin
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine
from hontoni import errors, months
from hontoni.money import dollars, nanos
from operations.backups import postgres_copy
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance
from tests.gateway.usage.test_quarantine import staff

pytestmark = committed
DISPUTE = "/admin/payments/dispute/{}/{}/"


@pytest.fixture
def finance(db: None) -> Client:
    return staff("finance")


def answer(client: Client, id: str, **fields: str) -> Any:
    return client.post(DISPUTE.format(id, "answer"), fields, follow=True)


# -- Disputes ------------------------------------------------------------------------------------


def test_a_dispute_says_what_it_is_about_and_is_answered_from_our_records(
    shop: Shop, bob: User, finance: Client
) -> None:
    order = shop.top_up(bob)
    ApiKey.objects.create(
        user=bob, name="x", digest=b"x", prefix="sk-gw-bob", slot=0, made_from="203.0.113.9"
    )
    id = shop.dispute(order)
    shop.deliver()
    found = Dispute.objects.get()
    assert (found.reason, found.cents, found.intent_id) == ("fraudulent", 2500, order.intent_id)
    assert found.due_at is not None and found.due_at > timezone.now() + timedelta(days=8)
    listed = finance.get("/admin/payments/dispute/").content.decode()
    assert "$25.00" in listed and "fraudulent" in listed and "bob@example.com" in listed
    page = finance.get(f"/admin/payments/dispute/{quote(id)}/change/").content.decode()
    assert f"/{quote(id)}/answer/" in page or f"/{id}/answer/" in page, "it leads to the answer"
    form = finance.get(DISPUTE.format(quote(id), "answer")).context["form"]
    evidence = {
        name: field.initial or form.initial.get(name, "") for name, field in form.fields.items()
    }
    assert evidence["customer_purchase_ip"] == "203.0.113.9"
    assert evidence["customer_email_address"] == bob.email
    assert "sk-gw-bob" in evidence["access_activity_log"]
    assert str(order.pk) in evidence["uncategorized_text"]
    assert "refund" in evidence["refund_policy_disclosure"].lower()
    done = answer(finance, id, **evidence)
    assert "Handed in" in done.content.decode()
    theirs = stripe_api.dispute(id)
    assert theirs["status"] == "under_review"
    assert theirs["evidence"]["access_activity_log"] == evidence["access_activity_log"].strip()
    found.refresh_from_db()
    assert found.status == "under_review" and found.answered_by == "finance@example.com"
    assert AuditEntry.objects.filter(action="answer dispute").count() == 1
    assert answer(finance, id, **evidence).status_code == 403, "the bank has it"


def test_a_dispute_that_is_won_brings_the_money_back(
    shop: Shop, bob: User, finance: Client
) -> None:
    id = shop.dispute(shop.top_up(bob))
    shop.deliver()
    assert balance(bob) == 0
    answer(finance, id, uncategorized_text="winning_evidence")
    assert balance(bob) == nanos("25") and Dispute.objects.get().status == "won"


def test_giving_up_needs_a_reason_and_loses(shop: Shop, bob: User, finance: Client) -> None:
    id = shop.dispute(shop.top_up(bob))
    shop.deliver()
    finance.post(DISPUTE.format(id, "give-up"), {"reason": ""})
    assert Dispute.objects.get().status == "needs_response"
    finance.post(DISPUTE.format(id, "give-up"), {"reason": "They are right."})
    assert Dispute.objects.get().status == "lost" and balance(bob) == 0


def test_no_answer_is_taken_empty_late_or_from_who_may_only_look(
    shop: Shop, bob: User, finance: Client
) -> None:
    id = shop.dispute(shop.top_up(bob))
    shop.deliver()
    assert "Evidence is required" in answer(finance, id, customer_name=" ").content.decode()
    assert answer(staff("support"), id, customer_name="Bob").status_code == 403
    Dispute.objects.update(due_at=timezone.now() - timedelta(hours=1))
    assert "past due" in answer(finance, id, customer_name="Bob").content.decode()
    assert stripe_api.dispute(id)["status"] == "needs_response"


# -- Payouts -------------------------------------------------------------------------------------


def test_every_movement_of_a_payout_is_explained_by_the_books(
    shop: Shop, alice: User, bob: User, finance: Client
) -> None:
    first = shop.top_up(bob)
    shop.top_up(alice, "40")
    shop.refund(first, 500)
    shop.dispute(TopUp.objects.get(user=alice))
    shop.deliver()
    shop.stripe.advance(days=4)
    shop.deliver()
    payout = Payout.objects.get()
    assert payout.unmatched == 0 and not Quarantine.objects.exists()
    assert payout.gross == 2500 + 4000 - 500 - 4000 and payout.amount == payout.gross - payout.fees
    booked = {line.category: line.booked_as for line in payout.lines.all()}
    assert booked["refund"].startswith("refund:re_") and booked["dispute"].startswith("dispute:")
    page = finance.get(f"/admin/payments/payout/{payout.pk}/change/").content.decode()
    assert str(first.pk) in page


def test_money_that_nobody_knows_waits_for_a_person(
    shop: Shop, bob: User, finance: Client
) -> None:
    strange = {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    flow = {"enabled": True, "allow_redirects": "never"}
    shop.stripe.stripe.payment_intents.create(strange | {"automatic_payment_methods": flow})
    shop.stripe.advance(days=4)
    shop.deliver()
    payout = Payout.objects.get()
    assert payout.unmatched == 1
    assert [q.problem for q in Quarantine.objects.all()] == ["payout_line"]
    assert payout.pk in finance.get("/admin/billing/closedmonth/desk/").content.decode()
    assert payouts.read(now=timezone.now()) == 1, "it is looked at again"


# -- Months --------------------------------------------------------------------------------------


def close_this_month() -> ClosedMonth:
    month = months.begin(timezone.now())
    later = months.shifted(month, 1) + timedelta(hours=2)
    return closing.close(month, actor="finance@example.com", now=later)


def book_now() -> None:
    """A transfer that comes past everything of ours."""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [connection.ops.adapt_datetimefield_value(timezone.now())])


_INSERT = """
INSERT INTO billing_transfer
    (key, kind, amount, debit_id, credit_id, ref, actor, reason, created_at)
SELECT 'old', kind, amount, debit_id, credit_id, ref, actor, reason, %s
FROM billing_transfer LIMIT 1
"""


def test_a_closed_month_stays_closed(alice: User) -> None:
    closed = close_this_month()
    signed = closing.contents(closed)
    assert signed["accounts"]["wallets"]["closing"] == nanos("10")
    assert signed["transfers"]["sandbox"] == {"count": 1, "wallets": nanos("10")}
    assert reconcile.problems() == []
    for do in (
        lambda: ledger.post(key="x", kind="adjustment", user_id=alice.pk, amount=1, reason="x"),
        book_now,
    ):
        with pytest.raises(IntegrityError, match="closed"), transaction.atomic():
            do()
    assert balance(alice) == nanos("10")
    with pytest.raises(errors.Conflict, match="in order"):
        close_this_month()
    with pytest.raises((IntegrityError, TypeError)), transaction.atomic():
        ClosedMonth.objects.all().delete()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE billing_closedmonth SET closed_by = 'x'")


@pytest.mark.postgres_only
def test_a_copy_with_a_closed_month_is_put_back(alice: User, tmp_path: Path) -> None:
    close_this_month()
    copied = postgres_copy.copy(tmp_path, lambda: None)
    postgres_copy.put_back(tmp_path, copied)
    assert ClosedMonth.objects.count() == 1 and balance(alice) == nanos("10")
    with pytest.raises(IntegrityError, match="closed"), transaction.atomic():
        book_now()


def test_a_month_that_runs_is_not_closed(alice: User, finance: Client) -> None:
    assert closing.next_month(timezone.now()) is None
    with pytest.raises(errors.Conflict):
        closing.close(months.begin(timezone.now()), actor="x", now=timezone.now())
    page = finance.get("/admin/billing/closedmonth/close/", follow=True).content.decode()
    assert "No month is over" in page and not ClosedMonth.objects.exists()


def test_who_may_not_close_or_export_cannot(alice: User) -> None:
    support = staff("support")
    for path in ("close", "export", "desk"):
        assert support.get(f"/admin/billing/closedmonth/{path}/").status_code == 403, path


# -- Exports -------------------------------------------------------------------------------------


async def _read(response: Any) -> bytes:
    return b"".join([part async for part in response])


def export(client: Client, name: str) -> list[dict[str, str]]:
    today = f"{timezone.now():%Y-%m-%d}"
    given = {"export": name, "first": today, "last": today}
    response: Any = client.post("/admin/billing/closedmonth/export/", given)
    assert response["Content-Type"].startswith("text/csv"), response.content
    text = async_to_sync(_read)(response).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_accountants_get_what_was_booked(
    shop: Shop, bob: User, finance: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(month_admin, "CHUNK", 1)
    bob.name = "=HYPERLINK(1)"
    bob.save()
    order = shop.top_up(bob)
    shop.refund(order, 500)
    shop.deliver()
    (paid,) = export(finance, "top-ups")
    assert (paid["amount"], paid["charged"], paid["payment_intent"]) == (
        "25.00", "25.00", order.intent_id,
    )  # fmt: skip
    assert [row["kind"] for row in export(finance, "transfers")] == ["topup", "refund"]
    (back,) = export(finance, "refunds")
    assert (back["balance"], back["card"], back["top_up"]) == ("5.00", "5.00", str(order.pk))
    note, theirs = sorted(export(finance, "invoices"), key=lambda row: row["kind"])
    assert (theirs["number"], theirs["total"]) == (order.invoice_id, "25.00"), "made by Stripe"
    assert (note["number"], note["total"]) == (back["credit_note"], "-5.00")
    assert note["name"].startswith("'="), "it is no formula"
    taxed = export(finance, "tax")
    assert sum(float(row["total"]) for row in taxed) == 20.0
    owed = export(finance, "liability")
    assert owed[0]["balance"] == dollars(balance(bob)) == "20.00"
    assert owed[1] == {"customer": "", "email": "total owed", "balance": "20.00"}
    assert AuditEntry.objects.filter(action="export").count() == 6
