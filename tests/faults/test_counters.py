"""Where Valkey counts otherwise than the database, it is made anew, and staff hear of it."""

from io import StringIO

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from accounts.models import User
from billing.books.seeding import seed_account
from gateway.reconciliation import counters
from gateway.usage.settlement import recorded
from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter
from tests.gateway_server import fund
from tests.world import Person

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def wrong(alice: Person) -> Person:
    """Alice has $10, of which Valkey thinks $3 are spent."""
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=recorded)
    redis.sync().hset(keys.account(alice.user.pk), "charged", nanos("3"))
    return alice


def charged(of: Person) -> int:
    seed_account(of.user.pk, recorded=recorded)
    found = limiter.read_account_sync(of.user.pk)
    assert found is not None
    return found.charged


def test_reconcile_tells_and_repairs(wrong: Person) -> None:
    with pytest.raises(CommandError, match="1 differences"):
        call_command("reconcile", stderr=StringIO())
    assert charged(wrong) == nanos("3")
    out = StringIO()
    call_command("reconcile", "--repair", stdout=out)
    assert "repaired: wallet:" in out.getvalue() and "The books balance." in out.getvalue()
    assert charged(wrong) == 0


@pytest.mark.parametrize("who", [["alice@example.com"], ["--all"]])
def test_reseed_has_accounts_made_anew(wrong: Person, bob: Person, who: list[str]) -> None:
    call_command("reseed", *who, stdout=StringIO())
    assert limiter.read_account_sync(wrong.user.pk) is None
    assert charged(wrong) == 0


def test_reseed_knows_no_strangers(alice: Person) -> None:
    with pytest.raises(CommandError, match="There is no account"):
        call_command("reseed", "nobody@example.com")


def test_each_hour_what_differs_is_repaired_and_told_to_staff(wrong: Person) -> None:
    User.objects.create_superuser("staff@example.com", "correct horse battery")
    assert counters.look() == 1
    assert charged(wrong) == 0
    (told,) = mail.outbox
    assert told.to == ["staff@example.com"] and "3000000000" in told.body
    assert counters.look() == 0 and len(mail.outbox) == 1
