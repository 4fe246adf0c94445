"""A plan that a card paid goes back to the balance, or the card: together no more than was paid,
whatever Stripe, a bank or a second member of staff do meanwhile."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.invoices import statements
from billing.invoices.models import Invoice
from billing.payments import balance_refunds, plan_refunds, reconcile, refunds
from billing.payments.exports import EXPORTS
from billing.stripe import stripe_api
from cockpit import figures
from cockpit.figures import Span
from hontoni import errors, months
from hontoni.money import nanos
from tests.billing.conftest import client, committed
from tests.billing.shop import Shop, balance

pytestmark = [committed, pytest.mark.any_database]


@pytest.fixture
def staff(finance: User) -> Client:
    names = ["refund_topup", "view_customer"]
    finance.user_permissions.add(*Permission.objects.filter(codename__in=names))
    browser = Client()
    browser.force_login(finance)
    return browser


def page(user: User) -> str:
    return f"/admin/billing/customer/{user.pk}/refund-to-balance/"


def send(staff: Client, user: User, amount: str) -> str:
    """The form as it was rendered, of the newest bill."""
    form = staff.get(page(user)).context["form"]
    given = {"of": form.fields["of"].choices[0][0], "amount": amount, "reason": "It did not work"}
    given["once"] = str(form["once"].value())
    return staff.post(page(user), given, follow=True).content.decode()


def number(user: User) -> str:
    return next(iter(plan_refunds.returned(user.pk)))


def left(user: User) -> dict[str, int]:
    return balance_refunds.refundable(user.pk)


def give(user: User, amount: str, once: str = "once") -> None:
    balance_refunds.refund(
        key=once,
        user_id=user.pk,
        of=number(user),
        amount=nanos(amount),
        reason="Sorry",
        actor="finance@example.com",
    )


def to_card(user: User, cents: int, once: str = "card") -> None:
    [choice] = refunds.choices(user.pk)
    payment = refunds.find(user.pk, choice.subject)
    refunds.refund(payment, cents, key=once, reason="Sorry", actor="finance@example.com")


def documents() -> list[tuple[str, int]]:
    found = Invoice.objects.order_by("pk").values_list("kind", "total")
    return [(kind, total // nanos("0.01")) for kind, total in found]


def test_a_part_and_then_the_rest_go_to_the_balance_and_no_more(
    shop: Shop, bob: User, paid: str, staff: Client
) -> None:
    assert "Refunded $2.00 to the balance." in send(staff, bob, "2")
    assert balance(bob) == nanos("2")
    assert "Up to $4.00 can go back." in send(staff, bob, "4.01")
    send(staff, bob, "4")
    assert balance(bob) == nanos("6")
    assert staff.get(page(bob)).status_code == 403, "nothing is left to give back"
    assert refunds.choices(bob.pk) == [], "nor to the card"
    notes = Invoice.objects.order_by("pk")
    assert [(n.total, n.credits, n.tax) for n in notes] == [
        (-nanos("2"), [number(bob)], 0),
        (-nanos("4"), [number(bob)], 0),
    ]
    assert notes[0].lines[0]["text"] == f"Back to your balance: invoice {number(bob)}"
    assert stripe_api.refunds(paid) == [], "no money moves at Stripe"


def test_card_and_balance_share_what_was_paid(shop: Shop, bob: User, paid: str) -> None:
    give(bob, "2")
    with pytest.raises(errors.BadRequest):
        to_card(bob, 401)
    to_card(bob, 150)
    shop.deliver()
    with pytest.raises(errors.BadRequest):
        give(bob, "2.51", "more")
    give(bob, "2.50", "rest")
    assert balance(bob) == nanos("4.50") and refunds.choices(bob.pk) == []
    assert documents() == [("credit_note", -200), ("credit_note", -150), ("credit_note", -250)]


def test_what_stripe_gave_back_to_the_card_is_taken_from_the_balance(
    shop: Shop, bob: User, paid: str
) -> None:
    """Somebody refunds in Stripe's own dashboard what the balance has already, in two steps."""
    give(bob, "4")
    shop.knobs(duplicate=1, reorder=True)
    for cents, kept in ((300, "3"), (300, "0")):
        shop.stripe.stripe.refunds.create({"payment_intent": paid, "amount": cents})
        shop.deliver()
        assert balance(bob) == nanos(kept)
    assert left(bob) == {}
    assert sorted(documents()) == sorted(
        [("credit_note", -400), *[("credit_note", -300)] * 2, ("invoice", 100), ("invoice", 300)]
    )


def test_a_bank_that_takes_the_money_takes_it_from_the_balance_below_zero(
    shop: Shop, bob: User, paid: str
) -> None:
    """He spends what he was given and then disputes the card; who wins has what he had."""
    give(bob, "6")
    with transaction.atomic():
        ledger.charge_usage(key="used", user_id=bob.pk, amount=nanos("1"))
    found = shop.stripe.control("disputes", payment_intent=paid)
    shop.deliver()
    bob.refresh_from_db()
    assert balance(bob) == -nanos("1") and bob.frozen_at is not None
    assert left(bob) == {"usage": nanos("1")}
    shop.close_dispute(found["id"], "won")
    for _ in range(2):
        shop.deliver()
    assert balance(bob) == nanos("5")
    assert left(bob) == {"usage": nanos("1")}
    assert [row[1] for row in documents()] == [-600, -600, 600, 600, -600]


def test_a_refund_that_fails_gives_the_balance_its_part_again(shop: Shop, bob: User) -> None:
    card = shop.saved_card(bob, "pm_card_refundFail")
    wanted = {"plan": "basic", "payment_method": "stripe", "card": card}
    shop.api(bob).post("/api/subscription", wanted)
    shop.deliver()
    give(bob, "1")
    shop.stripe.stripe.refunds.create({"payment_intent": str(shop.intents()[0].id)})
    shop.deliver()
    assert balance(bob) == 0
    shop.stripe.advance(days=1)
    shop.deliver()
    assert balance(bob) == nanos("1")
    give(bob, "5", "rest")
    assert balance(bob) == nanos("6")


def test_a_tax_on_top_stays_with_the_balance(shop: Shop, bob: User, settings: Settings) -> None:
    settings.STRIPE_TAX = True
    shop.stripe.control("tax", basis_points=1000)
    order = shop.api(bob).post("/api/subscription", {"plan": "basic", "payment_method": "stripe"})
    page = order.json()["payment_url"]
    shop.stripe.browser.post(page, data={"card": "pm_card_visa", "email": bob.email})
    shop.deliver()
    assert shop.intents()[0].amount_received == 660
    assert left(bob) == {number(bob): nanos("6")}
    give(bob, "3")
    [choice] = refunds.choices(bob.pk)
    assert choice.cents == 330, "the other half, with its tax"
    to_card(bob, 330)
    assert left(bob) == {}
    notes = Invoice.objects.order_by("pk")
    assert [(n.total, n.tax) for n in notes] == [
        (-nanos("3"), 0),
        (-nanos("3.30"), -nanos("0.30")),
    ]


def test_of_many_who_give_it_back_at_once_one_does(
    shop: Shop, bob: User, paid: str, at_once: Callable[[Callable[[int], bool], int], list[bool]]
) -> None:
    def try_(n: int) -> bool:
        try:
            give(bob, "4", f"once-{n}")
        except errors.BadRequest:
            return False
        return True

    assert sorted(at_once(try_, 4)) == [False, False, False, True]
    assert balance(bob) == nanos("4")


def test_books_statement_revenue_and_month_say_the_same(
    shop: Shop, bob: User, paid: str, staff: Client
) -> None:
    send(staff, bob, "2")
    now = timezone.now()
    [line] = statements.of(bob.pk, months.name(now), now=now).lines
    assert (line.section, line.text, line.exact) == ("refunds", "It did not work", nanos("2"))
    note = Invoice.objects.get()
    rows = list(EXPORTS["refunds"].rows(months.begin(now), now))
    assert [(row[1], row[3], row[8]) for row in rows] == [("balance_refund", "-2.00", note.number)]
    span = Span(now, 7)
    assert figures.sold([span]) == [nanos("4")] and figures.fees(span) == {bob.pk: nanos("4")}
    [shown] = client(bob).get("/api/billing/transactions").json()["results"]
    assert shown["kind"] == "balance_refund"
    assert Transfer.objects.get().ref == {"invoice": number(bob)}
    assert reconcile.problems() == []
