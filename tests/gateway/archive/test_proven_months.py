"""Months that are over are proven once; each night reads what came since, and notices the rest."""

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from pytest_django.fixtures import Settings

from billing.books import ledger
from billing.books.models import Transfer, Wallet
from gateway import tasks
from gateway.reconciliation import invariants, proven_months
from hontoni import months
from tests.gateway.archive.test_retention import forge
from tests.gateway.archive.years import (
    FIRST,
    GONE,
    KEPT,
    NOW,
    archive,
    at,
    layout,
    lived,
    paid,
    retain,
    send,
)
from tests.world import Person

__all__ = ["archive", "layout", "lived"]

LAST = months.shifted(months.begin(NOW), -1)


@pytest.fixture
def proven(lived: Person) -> Person:
    """Alice, whose months but the last were proven last night."""
    assert invariants.prove() == invariants.Proof([], whole=True)
    assert [each.month for each in proven_months.keep(NOW)][-1] == LAST.date()
    return lived


def test_a_night_reads_what_came_since_and_the_books_balance(proven: Person, bob: Person) -> None:
    send(proven, NOW, times=3)
    paid(bob, NOW, "2")
    known = proven_months.known()
    assert known is not None and known.floor.month == months.begin(NOW)
    assert invariants.prove() == invariants.Proof([], whole=False)
    assert invariants._younger(known).count() == 3 + 2 * 6  # hers and bob's of this month
    assert proven_months.keep(NOW) == []  # nothing is over since


FALSIFIED: dict[str, tuple[str, str]] = {
    "an entry": ("UPDATE billing_entry SET amount = amount + 1 WHERE id = (SELECT max(id) FROM "
                 "billing_entry)", "2 entries"),
    "a step": ("UPDATE billing_entry SET balance_after = balance_after + 1 WHERE id = "
               "(SELECT max(id) FROM billing_entry)", "or a number is missing"),
    "a gap": ("DELETE FROM billing_entry WHERE id = (SELECT max(id) - 2 FROM billing_entry)",
              "or a number is missing"),
    "an account": ("UPDATE billing_ledgeraccount SET version = version + 1", "its last entry"),
    "all of it": ("UPDATE billing_ledgeraccount SET balance = balance + 1", "all balances"),
    "credits": ("UPDATE billing_wallet SET credits_total = credits_total + 1", "transfers moved"),
    "usage": ("UPDATE billing_wallet SET settled_total = settled_total + 1", "usage charged"),
    "a rollup": ("UPDATE gateway_usagehour SET output = output + 1 WHERE id = "
                 "(SELECT max(id) FROM gateway_usagehour)", "output is"),
    "an old rollup": ("UPDATE gateway_usagehour SET cost = cost + 1 WHERE id = "
                      "(SELECT min(id) FROM gateway_usagehour)", "cost is"),
    "what was kept": ("UPDATE gateway_provenusage SET cost = cost + 1", "than was signed"),
    "its signature": ("UPDATE gateway_provenmonth SET signature = 'ff'", "not what was signed"),
    "its end": ("UPDATE gateway_provenmonth SET transfers_until = 5", "than was signed"),
}  # fmt: skip


def test_whatever_is_falsified_is_noticed(proven: Person) -> None:
    send(proven, NOW, times=2)
    send(proven, NOW + timedelta(minutes=1))
    for name, (sql, sentence) in FALSIFIED.items():
        with transaction.atomic():
            forge(sql)
            found = invariants.prove().found
            transaction.set_rollback(True)
        assert any(sentence in each for each in found), (name, found)
    assert invariants.prove().found == []


def test_what_comes_late_is_read_with_all_the_rest_once(proven: Person) -> None:
    send(proven, KEPT + timedelta(days=12))
    with at(NOW):
        assert invariants.prove() == invariants.Proof([], whole=True)
        tasks.reconcile()
        assert invariants.prove() == invariants.Proof([], whole=False)


def test_sunday_reads_everything_and_so_does_the_command_when_told(
    proven: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    prove = invariants.prove

    def watched(*, whole: bool = False) -> invariants.Proof:
        asked.append(whole)
        return prove(whole=whole)

    monkeypatch.setattr(invariants, "prove", watched)
    for day in (0, -1):  # a Monday, and the day before
        with at(NOW + timedelta(days=day)):
            tasks.reconcile()
    call_command("reconcile")
    call_command("reconcile", "--all")
    assert asked == [False, True, False, True]


def test_proven_months_go_into_the_archive(proven: Person, settings: Settings) -> None:
    send(proven, NOW)
    retain()
    assert invariants.prove() == invariants.Proof([], whole=False)
    send(proven, GONE[0] + timedelta(days=9))  # of a month that is gone
    assert invariants.prove() == invariants.Proof([], whole=False)
    assert len(proven_months.keep(months.shifted(NOW, 1) + timedelta(days=4))) == 1
    assert invariants.prove() == invariants.Proof([], whole=False)
    settings.CREDENTIAL_KEYS = ["another key of thirty-two characters", *settings.CREDENTIAL_KEYS]
    assert invariants.prove() == invariants.Proof([], whole=False)


@pytest.mark.parametrize("reader", ["_charges", "_dead"])
def test_what_is_booked_meanwhile_is_no_difference(
    lived: Person, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    """A proof takes minutes, and requests go on."""
    read: Any = getattr(invariants, reader)

    def booked(*known: Any) -> Any:
        writer = Thread(target=elsewhere, args=(lived,))
        writer.start()
        writer.join()
        return read(*known)

    monkeypatch.setattr(invariants, reader, booked)
    before = Transfer.objects.count()
    assert invariants.prove().found == []
    assert Transfer.objects.count() == before + 1


def elsewhere(person: Person) -> None:
    try:
        send(person, NOW)
    finally:
        connection.close()


def test_a_wallet_is_proven_by_what_moved(proven: Person) -> None:
    """Payments of proven months count on."""
    paid(proven, NOW, "-1")
    assert invariants.prove().found == []
    Wallet.objects.filter(pk=proven.user.pk).update(credits_version=F("credits_version") + 1)
    assert any("transfers moved" in each for each in invariants.prove().found)
    Wallet.objects.filter(pk=proven.user.pk).update(credits_version=F("credits_version") - 1)
    assert ledger.balance(proven.user.pk) and FIRST < KEPT
