"""A thousand payments by QR code, with every kind of wrong transfer, balance to the dong."""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from billing.books import ledger
from billing.invoices import invoice_pdf
from billing.invoices.models import Invoice
from billing.payments import reconcile
from billing.payments.vietqr import bank_orders, bank_refunds, dong, proof, quarantine, settling
from billing.payments.vietqr.heard import CALLBACK, POLL, Heard
from billing.payments.vietqr.models import BankOrder, BankTransfer
from hontoni.money import CENT, DOLLAR
from tests.billing.payments.vietqr.conftest import ACCOUNT, Vietnam

# How a transfer may go wrong, and where it ends.
KINDS = {
    "right": "booked",
    "told_twice": "booked",
    "told_by_both": "booked",
    "told_late": "booked",
    "too_little": "quarantined",
    "too_much": "quarantined",
    "late": "quarantined",
    "after_cancel": "quarantined",
    "no_code": "quarantined",
    "two_codes": "quarantined",
    "elsewhere": "quarantined",
    "closed": "quarantined",
    "paid_again": "quarantined",
}


@pytest.fixture
def people(db: None) -> list[User]:
    made = User.objects.bulk_create(
        [User(email=f"p{n}@example.com", name=f"P {n}") for n in range(20)]
    )
    for each in made:
        ledger.wallet(each.pk)
    return made


class Bank:
    """Tells of transfers as a gateway does; each has a reference of its own."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.count, self.came = dice, 0, 0

    def send(
        self, order: BankOrder, amount: int, content: str, at: datetime, **other: Any
    ) -> None:
        self.count += 1
        self.came += amount
        told = Heard(
            gateway="sepay",
            gateway_id=str(self.count),
            account=other.get("account", ACCOUNT),
            reference=f"FT{self.count:09}",
            dong=amount,
            content=content,
            sent_at=at,
            raw={},
            accounts=frozenset({other.get("account", ACCOUNT)}),
        )
        for by in other.get("by", [CALLBACK]):
            settling.receive(told, by)


def play(bank: Bank, kind: str, order: BankOrder, other: BankOrder) -> None:
    now = timezone.now()
    by = {"told_twice": [CALLBACK, CALLBACK], "told_by_both": [CALLBACK, POLL, CALLBACK]}
    if kind in ("right", "paid_again", *by):
        bank.send(order, order.dong, f"ck {order.code}", now, by=by.get(kind, [CALLBACK]))
    if kind == "paid_again":
        bank.send(order, order.dong, order.code, now)
    if kind == "told_late":
        bank_orders.end(order, BankOrder.State.EXPIRED)
        bank.send(order, order.dong, order.code, now - timedelta(minutes=1), by=[POLL])
    if kind in ("too_little", "too_much"):
        by_dong = bank.dice.choice([1, 7, 1_000, 99_999])
        bank.send(
            order, order.dong + (by_dong if kind == "too_much" else -by_dong), order.code, now
        )
    if kind == "late":
        bank.send(order, order.dong, order.code, now + timedelta(days=2))
    if kind == "after_cancel":
        bank_orders.cancel(order)
        bank.send(order, order.dong, order.code, now + timedelta(minutes=5))
    if kind == "no_code":
        bank.send(order, order.dong, "chuyen khoan", now)
    if kind == "two_codes":
        bank.send(order, order.dong, f"{order.code} {other.code}", now)
    if kind == "elsewhere":
        bank.send(order, order.dong, order.code, now, account="1234")
    if kind == "closed":
        User.objects.filter(pk=order.user_id).update(is_active=False)
        bank.send(order, order.dong, order.code, now)
        User.objects.filter(pk=order.user_id).update(is_active=True)


def place(dice: random.Random, people: list[User], count: int) -> list[BankOrder]:
    """So many orders of any amounts, at any rates."""

    def one(number: int) -> BankOrder:
        rate, amount = dice.randrange(23_000, 28_000), dice.randrange(500, 50_000) * CENT
        return BankOrder(
            user=dice.choice(people),
            gateway="sepay",
            code=f"HT{''.join(dice.choices(bank_orders._LETTERS, k=7))}",
            number=number,
            rate=rate,
            dong=dong.price(amount, rate),
            amount=amount,
            expires_at=timezone.now() + timedelta(minutes=30),
        )

    return BankOrder.objects.bulk_create([one(number) for number in range(1, count + 1)])


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """How invoices look on paper is another test's business: here they are many."""
    monkeypatch.setattr(invoice_pdf, "draw", lambda invoice: b"%PDF")


@pytest.mark.any_database
@pytest.mark.timeout(600)  # of a busy machine
def test_a_thousand_payments_balance_to_the_dong(
    vietnam: Vietnam, undrawn: None, people: list[User], finance: User
) -> None:
    dice, kinds = random.Random(20261130), list(KINDS)
    bank, played = Bank(dice), Counter[str]()
    placed = place(dice, people, 1_000)
    for number, order in enumerate(placed):
        kind = kinds[number % len(kinds)] if number < 2 * len(kinds) else dice.choice(kinds)
        played[kind] += 1
        play(bank, kind, order, placed[number - 1])
    sums = proof.sums()
    assert sums["came"] == bank.came == sum(sums[name] for name in list(sums)[1:])
    assert BankTransfer.objects.count() == bank.count
    booked = BankTransfer.objects.filter(state="booked")
    fits = sum(n for kind, n in played.items() if KINDS[kind] == "booked") + played["paid_again"]
    assert booked.count() == fits == Invoice.objects.count()
    assert BankTransfer.objects.filter(state="quarantined").count() == bank.count - fits
    for person in people:
        mine = booked.filter(user=person)
        bought = sum(mine.values_list("order__amount", flat=True))
        assert ledger.balance(person.pk) == bought
        assert sum(mine.values_list("dong", flat=True)) == sum(
            dong.price(each.amount, each.rate) for each in mine
        )
    assert list(proof.problems()) == []
    _decide(dice, people, finance)
    sums = proof.sums()
    assert sums["came"] == bank.came == sum(sums[name] for name in list(sums)[1:])
    assert sums["in quarantine"] == 0 == sums["to be sent back"] and sums["sent back"] > 0
    assert reconcile.problems() == []


def _decide(dice: random.Random, people: list[User], finance: User) -> None:
    """Staff go through all that waits, and give a part of what is booked back."""
    cashier = User.objects.create_user("cashier@example.com", is_staff=True)
    waiting = list(BankTransfer.objects.filter(state="quarantined"))
    booked = list(BankTransfer.objects.filter(state="booked")[:40])
    for number, found in enumerate(waiting):
        if number % 8 == 0:
            whose = found.order.user if found.order else dice.choice(people)
            quarantine.book(
                found.pk, user_id=whose.pk, rate=26_000, note="it is his", actor="f@example.com"
            )
        else:
            note = _back(found, found.dong, finance)
            bank_refunds.sent(note, reference=f"OUT{number}", staff=cashier)
    for number, found in enumerate(booked):
        part = dice.randrange(1, found.dong + 1)
        note = _back(found, part, finance)
        if number % 4:
            bank_refunds.sent(note, reference=f"B{number}", staff=cashier)
        else:
            bank_refunds.decline(note, staff=cashier)


def _back(found: BankTransfer, dong: int, staff: User) -> int:
    made = bank_refunds.request(
        found.pk, key=f"back-{found.pk}", dong=dong, to="VCB 1", reason="wrong", staff=staff
    )
    return made.pk


def test_dong_and_dollars_are_told_from_each_other() -> None:
    dice = random.Random(7)
    for _ in range(5_000):
        rate, amount = dice.randrange(1_000, 1_000_000), dice.randrange(1, 10**6) * 10**7
        cost = dong.price(amount, rate)
        assert (cost - 1) * DOLLAR < amount * rate <= cost * DOLLAR
        bought = dong.worth(cost, rate)
        assert bought >= amount and dong.price(bought, rate) == cost
        for percent in (5, 8, 10):
            tax = dong.tax_in(cost, percent * 10**6)
            assert abs(tax * (100 + percent) - cost * percent) * 2 <= 100 + percent
