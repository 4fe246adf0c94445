"""Every payment has one invoice, and everything given back one credit note, to the cent."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.invoices.models import Invoice, InvoiceSeries
from billing.payments import autotopup, documents, reconcile, settlements, tasks
from billing.payments.models import AutoTopUp, TopUp
from billing.plans.models import Plan, Subscription
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine
from billing.subscriptions import arrangements
from hontoni.money import CENT, dollars, nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance
from tests.billing.subscriptions.test_card_changes import by_card, month, post, subscribed

pytestmark = committed
AtOnce = Callable[[Callable[[int], Any], int], list[Any]]


def invoices(shop: Shop, user: User) -> list[dict[str, Any]]:
    """What the customer sees, oldest first."""
    shown = shop.api(user).get("/api/billing/invoices").json()
    assert shown["complete"]
    rows: list[dict[str, Any]] = shown["results"]
    return rows[::-1]


def by_saved_card(
    shop: Shop, user: User, amount: str = "15", method: str = "pm_card_visa"
) -> TopUp:
    card = shop.saved_card(user, method)
    answer = shop.api(user).post(
        "/api/billing/topup/intent", {"amount": amount, "payment_method": card}
    )
    assert answer.status_code == 201, answer.content
    return TopUp.objects.get(pk=answer.json()["id"])


def automatically(shop: Shop, user: User, amount: str = "25") -> TopUp:
    shop.saved_card(user)
    AutoTopUp.objects.create(
        user=user,
        enabled=True,
        threshold=nanos("1000"),
        amount=nanos(amount),
        monthly_cap=nanos(amount),
    )
    assert autotopup.run(now=timezone.now()) == 1
    return TopUp.objects.get(route="auto")


def again(shop: Shop) -> None:
    """Everything Stripe has told is told once more, and asked for, and completed."""
    shop.deliver()
    tasks.poll_events()
    tasks.issue_documents()
    shop.deliver()


def test_three_ways_to_pay_have_three_invoices(shop: Shop, bob: User) -> None:
    shop.top_up(bob, "20")
    by_saved_card(shop, bob, "15")
    automatically(shop, bob, "25")
    shop.deliver()
    again(shop)
    rows = invoices(shop, bob)
    assert sorted(row["total"] for row in rows) == ["15.00", "20.00", "25.00"]
    assert sorted(row["kind"] for row in rows) == ["invoice", "invoice", "stripe"]
    ours = Invoice.objects.order_by("pk")
    assert [i.number[-6:] for i in ours] == ["000001", "000002"]
    assert {i.paid_by for i in ours} == {"Visa ending in 4242"}
    assert TopUp.objects.get(route="checkout").invoice_id.startswith("in_")
    for row in rows:
        pdf = shop.api(bob).get(f"/api/billing/invoices/{row['id']}/pdf").json()
        assert pdf["url"].startswith("http")


def test_webhooks_in_copies_late_or_lost_make_no_second_invoice(shop: Shop, bob: User) -> None:
    shop.knobs(duplicate=3)
    order = by_saved_card(shop, bob)
    for _ in range(3):
        again(shop)
    assert Invoice.objects.get().total == order.amount == balance(bob)
    shop.order(bob, "20")
    assert len(invoices(shop, bob)) == 1  # nobody has paid it


def test_stripe_may_tell_of_its_invoice_later(
    shop: Shop, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = stripe_api.sessions
    monkeypatch.setattr(
        "billing.stripe.stripe_api.sessions",
        lambda **by: ({**page, "invoice": None} for page in sessions(**by)),
    )
    order = shop.order(bob, "20")
    shop.pay(order)
    settlements.settle_session(TopUp.objects.get().session_id)  # invoice.paid is not here yet
    order.refresh_from_db()
    assert (order.state, order.invoice_id) == ("paid", "")
    assert documents.complete(now=timezone.now()) == 0  # it has a day
    shop.deliver()  # now it is
    order.refresh_from_db()
    assert order.invoice_id.startswith("in_")
    assert documents.complete(now=timezone.now() + timedelta(days=3)) == 0
    assert not Invoice.objects.exists()


def test_what_stripe_made_no_invoice_of_gets_ours_after_a_day(
    shop: Shop, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.payments.documents.wanted_of_stripe", lambda: False)
    order = shop.top_up(bob, "20")  # as it was before Stripe was asked for any
    assert Transfer.objects.get(invoice__isnull=False).key == f"topup:{order.intent_id}"
    assert [row["kind"] for row in invoices(shop, bob)] == ["invoice"]


def test_history_gets_its_invoices_once_dated_when_they_are_made(shop: Shop, bob: User) -> None:
    before = timezone.now() - timedelta(days=40)
    order = by_saved_card(shop, bob, "15")
    shop.refund(order, 500)
    shop.deliver()
    forget_invoices()
    TopUp.objects.update(paid_at=before)
    assert any("has no invoice" in problem for problem in reconcile.problems())
    assert any("has no credit note" in problem for problem in reconcile.problems())
    for _ in range(2):
        call_command("issueinvoices")
    paid, back = Invoice.objects.order_by("pk")
    assert (paid.kind, paid.total, paid.paid_at) == ("invoice", nanos("15"), before)
    assert paid.issued_at.date() == timezone.now().date()
    assert (back.kind, back.total, back.credits) == ("credit_note", -nanos("5"), [paid.number])
    assert reconcile.problems() == []


def forget_invoices() -> None:
    """The books of a shop that made none: what is written once goes by the back door alone."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE billing_invoice DISABLE TRIGGER USER")
            cursor.execute("DELETE FROM billing_invoice")
            cursor.execute("ALTER TABLE billing_invoice ENABLE TRIGGER USER")
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' "
                "AND tbl_name = 'billing_invoice'"
            )
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
            cursor.execute("DELETE FROM billing_invoice")
            for _, sql in triggers:
                cursor.execute(sql)
    InvoiceSeries.objects.update(last=0)


# -- What goes back ------------------------------------------------------------------------------


def test_refunds_in_parts_have_a_credit_note_each(shop: Shop, bob: User) -> None:
    order = by_saved_card(shop, bob, "15")
    for cents in (333, 333, 834):
        shop.refund(order, cents)
        again(shop)
    number = Invoice.objects.get(kind="invoice").number
    notes = Invoice.objects.filter(kind="credit_note").order_by("pk")
    assert [(n.total, n.credits) for n in notes] == [
        (-nanos("3.33"), [number]),
        (-nanos("3.33"), [number]),
        (-nanos("8.34"), [number]),
    ]
    assert balance(bob) == 0


def test_parts_of_a_taxed_payment_are_whole_cents_and_all_of_it(
    shop: Shop, bob: User, settings: Settings
) -> None:
    settings.STRIPE_TAX = True
    shop.stripe.control("tax", basis_points=825)
    order = shop.top_up(bob, "25")
    assert order.charged_cents == 2706
    theirs = shop.stripe.stripe.invoices.retrieve(order.invoice_id)
    [row] = invoices(shop, bob)
    assert (row["total"], row["tax"], row["net"]) == ("27.06", "2.06", "25.00")
    for cents in (1, 1000, 1, 1704):
        shop.refund(order, cents)
        again(shop)
        assert balance(bob) % CENT == 0
    assert balance(bob) == 0
    notes = Invoice.objects.all()
    assert {n.credits[0] for n in notes} == {theirs.number}
    assert sum(n.total for n in notes) == -nanos("27.06")
    assert sum(n.tax for n in notes) == -nanos("2.06")


def test_a_refund_that_fails_comes_back_with_an_invoice(shop: Shop, bob: User) -> None:
    order = by_saved_card(shop, bob, "15", "pm_card_refundFail")
    shop.refund(order, 500)
    shop.deliver()
    assert balance(bob) == nanos("10")
    shop.stripe.advance(days=1)
    again(shop)
    assert balance(bob) == nanos("15")
    kinds = [(i.kind, i.total) for i in Invoice.objects.order_by("pk")]
    assert kinds == [
        ("invoice", nanos("15")),
        ("credit_note", -nanos("5")),
        ("invoice", nanos("5")),
    ]


def test_a_dispute_has_a_credit_note_and_one_that_is_won_an_invoice(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "20")
    dispute = shop.dispute(order)
    again(shop)
    shop.close_dispute(dispute, "won")
    again(shop)
    back, again_paid = Invoice.objects.order_by("pk")
    theirs = shop.stripe.stripe.invoices.retrieve(order.invoice_id)
    assert (back.kind, back.total, back.credits) == ("credit_note", -nanos("20"), [theirs.number])
    assert (again_paid.kind, again_paid.total) == ("invoice", nanos("20"))
    assert balance(bob) == nanos("20")


def test_a_plan_that_is_paid_back_to_the_card_has_a_credit_note(shop: Shop, bob: User) -> None:
    card = shop.saved_card(bob)
    asked = {"plan": "basic", "payment_method": "stripe", "card": card}
    assert shop.api(bob).post("/api/subscription", asked).status_code == 201
    shop.deliver()
    [row] = invoices(shop, bob)
    assert (row["kind"], row["total"]) == ("stripe", "6.00")
    [intent] = shop.intents()
    for cents in (250, 350):
        shop.stripe.stripe.refunds.create({"payment_intent": intent.id, "amount": cents})
        again(shop)
    assert [i.total for i in Invoice.objects.order_by("pk")] == [-nanos("2.50"), -nanos("3.50")]
    assert {i.credits[0] for i in Invoice.objects.all()} == {row["number"]}
    assert balance(bob) == 0
    assert Plan.objects.get(slug="basic").price == nanos("6")


def test_two_invoices_are_shown_as_one_and_left_to_a_person(shop: Shop, bob: User) -> None:
    order = by_saved_card(shop, bob)
    documents.remember(order, "in_late")
    assert Quarantine.objects.get().problem == "second_invoice"
    order.refresh_from_db()
    assert order.invoice_id == ""
    assert Transfer.objects.filter(key=f"topup:{order.intent_id}", invoice__isnull=False).exists()
    assert ledger.balance(bob.pk) == nanos("15")


def test_stripes_invoice_says_who_it_is_made_out_to(shop: Shop, bob: User) -> None:
    about = {"name": "Bob Ltd", "address": "1 High St; Leeds", "tax_id": "GB1", "country": "GB"}
    shop.api(bob).put("/api/billing/details", about)
    order = shop.top_up(bob, "20")
    theirs = shop.stripe.stripe.invoices.retrieve(order.invoice_id)
    assert theirs.footer == "Made out to: Bob Ltd, 1 High St, Leeds, GB, Tax ID: GB1"


def test_many_payments_at_once_have_numbers_without_a_gap(shop: Shop, at_once: AtOnce) -> None:
    people = [User.objects.create_user(f"p{n}@example.com", name=f"P{n}") for n in range(4)]
    orders = [by_form(shop, person) for person in people for _ in range(2)]
    copies = [*orders, *orders]  # every webhook twice, at the same moment
    at_once(lambda n: settlements.settle_intent(copies[n].intent_id), len(copies))
    assert sorted(Invoice.objects.values_list("sequence", flat=True)) == list(range(1, 9))
    assert InvoiceSeries.objects.get().last == 8
    again(shop)
    assert Invoice.objects.count() == 8


def by_form(shop: Shop, user: User) -> TopUp:
    """Paid at Stripe; we have not heard of it yet."""
    made = shop.api(user).post("/api/billing/topup/intent", {"amount": "15"}).json()
    order = TopUp.objects.get(pk=made["id"])
    card = {"payment_method": "pm_card_visa"}
    shop.stripe.stripe.payment_intents.confirm(order.intent_id, card)
    return order


def test_reconcile_names_what_does_not_fit(shop: Shop, bob: User) -> None:
    order = by_saved_card(shop, bob)
    other = shop.top_up(bob, "20")
    TopUp.objects.filter(pk=order.pk).update(invoice_id="in_x", amount=nanos("16"))
    TopUp.objects.filter(pk=other.pk).update(state="open")
    said = " / ".join(reconcile.problems())
    assert "has an invoice of Stripe's and one of ours" in said
    assert f"of {nanos('16')} is credited with {nanos('15')}" in said
    assert f"topup:{other.intent_id} of {nanos('20')} is credited for no payment" in said
    TopUp.objects.filter(pk=order.pk).update(invoice_id="", amount=nanos("15"))
    TopUp.objects.filter(pk=other.pk).update(state="paid")


# -- Tax -----------------------------------------------------------------------------------------


def sells_with_tax(settings: Settings) -> None:
    settings.SELLER_COUNTRY, settings.SELLER_TAX_ID = "VN", "0312345678"
    settings.SELLER_TAX_RATE, settings.SELLER_TAX_NAME = "10", "VAT"


@pytest.mark.parametrize("way", ["card", "page"])
def test_our_tax_is_a_line_of_our_invoice_whichever_way_it_is_paid(
    shop: Shop, bob: User, settings: Settings, way: str
) -> None:
    sells_with_tax(settings)
    order = by_saved_card(shop, bob, "25") if way == "card" else shop.top_up(bob, "25")
    again(shop)
    [row] = invoices(shop, bob)
    assert (row["kind"], row["total"], row["net"], row["tax"]) == (
        "invoice",
        "25.00",
        "22.73",
        "2.27",
    )
    assert Invoice.objects.get().tax_name == "VAT 10 %"
    assert (order.charged_cents, balance(bob)) == (2500, nanos("25"))
    settings.SELLER_TAX_RATE = "20"  # a later rate is not this payment's
    for cents in (1, 1249, 1250):
        shop.refund(order, cents)
        again(shop)
    notes = Invoice.objects.filter(kind="credit_note")
    assert sum(note.tax for note in notes) == -nanos("2.27")
    assert sum(note.total for note in notes) == -nanos("25")


def test_a_business_abroad_owes_the_tax_itself(shop: Shop, bob: User, settings: Settings) -> None:
    sells_with_tax(settings)
    about = {"name": "Bob GmbH", "country": "DE", "tax_id": "DE136695976"}
    assert shop.api(bob).put("/api/billing/details", about).status_code == 200
    by_saved_card(shop, bob, "25")
    shop.api(bob).put("/api/billing/details", about | {"country": "VN"})
    by_saved_card(shop, bob, "25")
    abroad, at_home = invoices(shop, bob)
    assert (abroad["tax"], abroad["net"], abroad["total"]) == ("0.00", "25.00", "25.00")
    assert abroad["note"] == "Reverse charge: the recipient accounts for the tax."
    assert (at_home["tax"], at_home["note"]) == ("2.27", "")


def test_a_plan_from_the_balance_is_not_taxed_again(
    shop: Shop, bob: User, settings: Settings
) -> None:
    sells_with_tax(settings)
    by_saved_card(shop, bob, "25")
    assert shop.api(bob).post("/api/subscription", {"plan": "basic"}).status_code == 201
    _, plan = invoices(shop, bob)
    assert (plan["total"], plan["tax"], plan["paid_by"]) == ("6.00", "0.00", "Prepaid balance")
    assert plan["note"] == "Any tax on it was charged when the balance was topped up."


# -- Tax of plans, on Stripe's invoices ----------------------------------------------------------


def stripes(shop: Shop, user: User) -> list[tuple[str, str, str]]:
    return [(row["net"], row["tax"], row["total"]) for row in invoices(shop, user)]


@pytest.mark.parametrize("way", ["card", "page"])
def test_a_plan_by_card_names_the_tax_it_contains(
    shop: Shop, bob: User, settings: Settings, way: str
) -> None:
    sells_with_tax(settings)
    if way == "page":
        subscribed(shop, bob)
    else:
        by_card(shop, bob)
    again(shop)
    assert stripes(shop, bob) == [("5.45", "0.55", "6.00")]
    assert shop.intents()[0].amount_received == 600
    post(shop, bob, "addons", add_on="rate-limit-2x")
    assert sum(nanos(tax) for _, tax, _ in stripes(shop, bob)) == nanos("1.00")
    refund = shop.stripe.stripe.refunds.create({"payment_intent": shop.intents()[-1].id})
    again(shop)
    note = Invoice.objects.get(kind="credit_note")
    assert (refund.amount, note.total, note.tax) == (600, -nanos("6"), -nanos("0.55"))


def test_a_business_abroad_has_a_plan_by_card_without_tax(
    shop: Shop, bob: User, settings: Settings
) -> None:
    sells_with_tax(settings)
    company = {
        "name": "Bob GmbH",
        "tax_id": "DE136695976",
        "country": "DE",
        "address": "1 Weg; Ulm",
    }
    assert shop.api(bob).put("/api/billing/details", company).status_code == 200
    by_card(shop, bob)
    assert stripes(shop, bob) == [("6.00", "0.00", "6.00")]
    customer = shop.stripe.stripe.customers.list().data[0]
    assert (customer.tax_exempt, customer.name) == ("reverse", "Bob GmbH")
    assert customer.address.line1 == "1 Weg"


@pytest.mark.parametrize(
    "tax_id", ["", "1", "DE1", "DE123456789", "DE136695975", "ATU99999999", "x"]
)
def test_who_writes_anything_for_a_tax_id_pays_the_tax(
    shop: Shop, bob: User, settings: Settings, tax_id: str
) -> None:
    """Its form and check digits are looked at: else everybody was a business abroad."""
    sells_with_tax(settings)
    about = {"name": "Bob GmbH", "country": "DE", "tax_id": tax_id}
    assert shop.api(bob).put("/api/billing/details", about).status_code == 200
    by_saved_card(shop, bob, "25")
    (invoice,) = invoices(shop, bob)
    assert (invoice["tax"], invoice["note"]) == ("2.27", "")


def test_stripes_invoices_of_a_plan_say_who_they_are_made_out_to(shop: Shop, bob: User) -> None:
    """Also those of renewals, after the details were changed."""
    about = {"name": "Bob GmbH", "country": "DE", "tax_id": "DE136695976", "address": "1 Weg; Ulm"}
    assert shop.api(bob).put("/api/billing/details", about).status_code == 200
    by_card(shop, bob)
    stripe = shop.stripe.stripe
    (first,) = stripe.invoices.list().data
    assert (first.customer_name, first.customer_address.line1) == ("Bob GmbH", "1 Weg")
    assert (first.customer_address.line2, first.customer_address.country) == ("Ulm", "DE")
    assert [field.value for field in first.custom_fields] == ["DE136695976"]
    shop.api(bob).put("/api/billing/details", about | {"name": "Bob AG", "tax_id": ""})
    customer = stripe.customers.list().data[0]
    assert (customer.name, customer.invoice_settings.custom_fields) == ("Bob AG", None)


@pytest.mark.parametrize(("before", "after", "tax"), [("0", "10", "0.55"), ("10", "0", "0.00")])
def test_a_renewal_by_card_names_the_tax_of_its_day(
    shop: Shop, bob: User, settings: Settings, before: str, after: str, tax: str
) -> None:
    sells_with_tax(settings)
    settings.SELLER_TAX_RATE = before
    by_card(shop, bob)
    settings.SELLER_TAX_RATE = after
    mine = Subscription.objects.get()
    arrangements.retax(now=mine.period_end - timedelta(hours=2))
    mine.refresh_from_db()
    assert (mine.plan_price, mine.next_plan_id, mine.next_plan_price) == (nanos("6"), None, 0)
    month(shop)
    again(shop)
    assert stripes(shop, bob)[-1] == (dollars(nanos("6") - nanos(tax)), tax, "6.00")
    assert not Quarantine.objects.exists()
