from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from billing.books import ledger
from billing.books.models import AuditEntry, Transfer
from hontoni.money import nanos


def credit(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("credit", *args, stdout=out, **({"reason": "test"} | options))
    return out.getvalue()


def test_it_credits_and_prints_the_new_balance(alice: User) -> None:
    assert credit("ALICE@example.com", "25") == "Balance of alice@example.com: $35.00\n"
    assert ledger.balance(alice.pk) == nanos("35")


def test_it_debits_too(alice: User) -> None:
    out = StringIO()
    call_command("credit", "--reason", "test", "--", alice.email, "-2.50", stdout=out)
    assert out.getvalue() == "Balance of alice@example.com: $7.50\n"


def test_it_goes_the_way_of_all_adjustments(bob: User) -> None:
    credit(bob.email, "0.01", reason="Rounding")
    transfer, entry = Transfer.objects.get(), AuditEntry.objects.get()
    assert (transfer.kind, transfer.amount, transfer.reason) == (
        "adjustment",
        nanos("0.01"),
        "Rounding",
    )
    assert transfer.actor.startswith("shell:")
    assert (entry.actor, entry.subject) == (transfer.actor, f"user:{bob.pk}")


def test_a_script_may_repeat_itself(bob: User) -> None:
    credit(bob.email, "5", key="launch-gift")
    assert "posted before" in credit(bob.email, "5", key="launch-gift")
    assert ledger.balance(bob.pk) == nanos("5")
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("amount", ["ten", "0", "-11", "0.0000000001", "0.005", "NaN"])
def test_it_refuses_what_cannot_be_posted(alice: User, amount: str) -> None:
    with pytest.raises(CommandError):
        call_command("credit", "--reason", "test", "--", alice.email, amount)
    assert ledger.balance(alice.pk) == nanos("10")


def test_it_knows_whom_it_credits_and_why(alice: User) -> None:
    with pytest.raises(CommandError, match="no account"):
        credit("nobody@example.com", "5")
    with pytest.raises(CommandError, match="reason"):
        credit(alice.email, "5", reason=" ")
    with pytest.raises(CommandError, match="--reason"):
        call_command("credit", alice.email, "5")
