"""Who paid hears that it went back: once, by whichever door, with the deed itself."""

from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.channels import deliveries, events
from billing.mails.models import Notice
from billing.payments import balance_refunds, inbox, plan_refunds, refunds
from billing.payments.vietqr import bank_refunds
from billing.payments.vietqr.models import BankTransfer
from billing.plans.models import Plan
from billing.subscriptions import balance_changes
from hontoni.money import nanos
from tests.billing.channels.receiver import receiving
from tests.billing.conftest import committed
from tests.billing.mails.test_mails import deliver as deliver_mails
from tests.billing.payments.vietqr.conftest import Vietnam
from tests.billing.payments.vietqr.conftest import vietnam as vietnam
from tests.billing.shop import Shop

KINDS = ("refund", "refund_failed")
BY = "finance@example.com"


def heard(user: User) -> list[dict[str, Any]]:
    """The events about refunds, as a webhook has them."""
    rows = Notice.objects.filter(user=user, kind__in=KINDS).order_by("pk")
    found = [events.payload(row, user.pk, "") for row in rows]
    return [{"type": each["type"], **each["data"]} for each in found]


def short(user: User) -> list[tuple[Any, ...]]:
    names = ("type", "of", "to", "amount", "whole", "balance")
    return [tuple(each.get(name) for name in names) for each in heard(user)]


def buy(shop: Shop, user: User, card: str = "pm_card_visa") -> str:
    """A plan of $6, by card: the number of its invoice."""
    wanted = {"plan": "basic", "payment_method": "stripe", "card": shop.saved_card(user, card)}
    assert shop.api(user).post("/api/subscription", wanted).status_code == 201
    shop.deliver()
    return next(iter(plan_refunds.returned(user.pk)))


def give_back(user: User, of: str, amount: str, once: str = "once") -> None:
    balance_refunds.refund(
        key=once, user_id=user.pk, of=of, amount=nanos(amount), reason="Sorry", actor=BY
    )


@committed
def test_a_top_up_in_parts_whoever_tells_of_it_and_however_often(
    shop: Shop, bob: User, settings: Settings
) -> None:
    order = shop.top_up(bob, "25")
    settings.WEBHOOK_PRIVATE_NETWORKS = True
    with receiving() as receiver:
        hook = {"url": f"{receiver.url}/hook", "events": ["payment.refunded"]}
        assert shop.api(bob).post("/api/webhooks", hook).status_code == 201
        shop.knobs(duplicate=1, reorder=True)
        shop.refund(order, 1000)
        shop.deliver()
        payment = refunds.of_top_up(order)
        for _ in range(2):
            refunds.refund(payment, 1500, key="rest", reason="Sorry", actor=BY)
            shop.deliver()
            inbox.poll(now=timezone.now())
        deliveries.collect(timezone.now())
        for pk in deliveries.due(timezone.now()):
            deliveries.send(pk, timezone.now())
        sent = receiver.bodies()
    first, second = sorted((each["data"] for each in sent), key=lambda each: each["amount"])
    assert {each["type"] for each in sent} == {"payment.refunded"}
    assert first == {
        **{"account": bob.pk, "kind": "refund", "of": "topup", "payment": str(order.pk)},
        **{"to": "card", "amount": "10.00", "balance": "15.00", "whole": False},
    }
    assert second == first | {"amount": "15.00", "balance": "0.00", "whole": True}
    assert deliver_mails(minutes=1) == 3, "with the receipt"
    bodies = " ".join(str(each.body) for each in mail.outbox)
    assert "$10.00 to the card that paid" in bodies and "All of it has gone back" in bodies


@committed
def test_one_that_fails_is_told_as_that_and_as_no_second_refund(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25", "pm_card_refundFail")
    number = buy(shop, bob, "pm_card_refundFail")
    shop.refund(order)
    [plan] = [each for each in refunds.choices(bob.pk) if each.number]
    refunds.refund(refunds.find(bob.pk, plan.subject), 600, key="k", reason="Sorry", actor=BY)
    shop.deliver()
    shop.knobs(duplicate=1)
    shop.stripe.advance(days=1)
    for _ in range(2):
        shop.deliver()
        inbox.poll(now=timezone.now())
    each_of = {
        name: [(one["type"], one["amount"]) for one in heard(bob) if one["payment"] == name]
        for name in (str(order.pk), number)
    }
    assert each_of == {
        name: [("payment.refunded", amount), ("payment.refund_failed", amount)]
        for name, amount in ((str(order.pk), "25.00"), (number, "6.00"))
    }


@committed
def test_what_had_failed_before_we_heard_of_it_is_told_to_nobody(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25", "pm_card_refundFail")
    shop.knobs(drop=True)
    shop.refund(order)
    shop.stripe.advance(days=1)
    inbox.poll(now=timezone.now())
    assert heard(bob) == []


@committed
def test_a_plan_goes_back_to_the_balance_and_the_card(shop: Shop, bob: User) -> None:
    number = buy(shop, bob)
    for _ in range(2):
        give_back(bob, number, "2")
    [choice] = refunds.choices(bob.pk)
    payment = refunds.find(bob.pk, choice.subject)
    for cents in (150, 250):
        refunds.refund(payment, cents, key=str(cents), reason="Sorry", actor=BY)
        shop.deliver()
    assert {each["payment"] for each in heard(bob)} == {number}
    refunded = ("payment.refunded", "invoice")
    assert short(bob) == [
        (*refunded, "balance", "2.00", False, "2.00"),
        (*refunded, "card", "1.50", False, "2.00"),
        (*refunded, "card", "2.50", True, "2.00"),
    ]


@committed
def test_a_dispute_is_no_refund(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25")
    buy(shop, bob)
    for intent in shop.intents():
        found = shop.stripe.control("disputes", payment_intent=intent.id)
        shop.deliver()
        shop.close_dispute(found["id"], "won")
        shop.deliver()
    assert heard(bob) == [] and order.user == bob
    assert Notice.objects.filter(kind="dispute_won").count() == 2


@pytest.mark.django_db
def test_what_the_balance_bought_goes_back_to_it(alice: User) -> None:
    balance_changes.subscribe(alice.pk, Plan.objects.get(slug="basic"), now=timezone.now())
    number = next(name for name in balance_refunds.refundable(alice.pk) if name != "usage")
    with transaction.atomic():
        ledger.charge_usage(key="used", user_id=alice.pk, amount=nanos("1"))
    give_back(alice, number, "6", "all")
    give_back(alice, "usage", "0.50", "half")
    assert short(alice) == [
        ("payment.refunded", "invoice", "balance", "6.00", True, "9.00"),
        ("payment.refunded", "usage", "balance", "0.50", False, "9.50"),
    ]
    with pytest.raises(RuntimeError), transaction.atomic():
        give_back(alice, "usage", "0.50", "rest")
        raise RuntimeError
    assert len(heard(alice)) == 2, "what was rolled back is told to nobody"
    assert deliver_mails(minutes=1) == 3
    assert "$0.50 to your balance, for your usage." in str(mail.outbox[-1].body)


def send_back(found: BankTransfer, dong: int, staff: tuple[User, User], once: str) -> None:
    """Noted by one, sent by another; the form twice."""
    note = bank_refunds.request(
        found.pk, key=once, dong=dong, to="VCB 1", reason="x", staff=staff[0]
    )
    assert not [each for each in heard(found.order.user) if each["dong"] == dong]  # type: ignore[union-attr]
    bank_refunds.sent(note.pk, reference=f"OUT{once}", staff=staff[1])


@pytest.mark.django_db
def test_dong_are_told_of_when_they_are_sent(vietnam: Vietnam, bob: User, finance: User) -> None:
    staff = (finance, User.objects.create_user("cashier@example.com", is_staff=True))
    order = vietnam.order(bob)
    vietnam.scan(order)
    found = BankTransfer.objects.get()
    receipt = Notice.objects.get(user=bob, kind="topup_receipt").facts["topup"]
    note = bank_refunds.request(
        found.pk, key="no", dong=3_000, to="VCB 1", reason="x", staff=finance
    )
    bank_refunds.decline(note.pk, staff=staff[1])
    assert heard(bob) == [], "nothing went back after all"
    send_back(found, 1_000, staff, "1")
    send_back(found, order.dong - 1_000, staff, "2")
    part, rest = heard(bob)
    assert {part["payment"], rest["payment"]} == {receipt}
    assert (part["type"], part["to"], part["of"]) == ("payment.refunded", "bank", "topup")
    assert (part["dong"], part["whole"]) == (1_000, False)
    assert (rest["dong"], rest["whole"], rest["balance"]) == (order.dong - 1_000, True, "0.00")
    assert nanos(part["amount"]) + nanos(rest["amount"]) == nanos("25")


@pytest.mark.django_db
def test_a_transfer_that_was_never_booked_is_told_to_whose_order_it_names(
    vietnam: Vietnam, bob: User, finance: User
) -> None:
    staff = (finance, User.objects.create_user("cashier@example.com", is_staff=True))
    order = vietnam.order(bob)
    vietnam.transfer(amount=order.dong - 1_000, content=order.code)
    vietnam.transfer(amount=5_000, content="?")
    named, nobody_s = BankTransfer.objects.order_by("pk")
    send_back(named, named.dong, staff, "1")
    note = bank_refunds.request(
        nobody_s.pk, key="2", dong=5_000, to="VCB 1", reason="x", staff=finance
    )
    bank_refunds.sent(note.pk, reference="OUT2", staff=staff[1])
    [event] = heard(bob)
    assert (event["of"], event["payment"], event["amount"]) == ("order", order.code, None)
    assert (event["dong"], event["whole"], event["to"]) == (named.dong, True, "bank")
    assert Notice.objects.filter(kind="refund").count() == 1
    assert deliver_mails(minutes=1) == 1
    [sent] = mail.outbox
    assert "None" not in str(sent.body) and order.code in str(sent.body)
