"""A customer made in one go: confirmed, on a plan, with credit and a key."""

import json
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from billing.books import ledger
from billing.books.models import AuditEntry, Transfer
from billing.books.seeding import seed_account
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.plans import quotes, terms
from billing.plans.models import AddOn, Plan, Subscription
from billing.subscriptions import balance_changes, renewals
from gateway.usage.settlement import recorded
from hontoni.money import dollars, nanos
from ratelimits import limiter

ALL = ("--plan", "ultimate", "--add-on", "rate-limit-10x", "--credit", "100", "--key", "demo")


@pytest.fixture(autouse=True)
def gift(settings: Settings) -> None:
    settings.SIGNUP_CREDIT = "5"


def make(email: str, *args: str) -> dict[str, Any]:
    out = StringIO()
    call_command("createcustomer", email, *args, "--json", stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def nothing_is_there() -> bool:
    kinds = (User, EmailAddress, Transfer, ApiKey, Subscription, AuditEntry)
    return not any(kind.objects.exists() for kind in kinds)


def test_all_of_it_in_one_go() -> None:
    told = make("Demo@example.com", *ALL)
    user = User.objects.get(email="demo@example.com")
    assert EmailAddress.objects.get(user=user).verified
    key = api_keys.find(api_keys.digest(told["key"]))
    assert key is not None and (key.user, key.name) == (user, "demo")
    assert ledger.balance(user.pk) == nanos("100")
    found = terms.terms(user.pk)
    assert (found.plan, found.multiplier) == ("ultimate", 10)
    assert (told["plan"], told["add_on"], told["balance"]) == (
        "ultimate",
        "rate-limit-10x",
        "100.00",
    )
    assert seed_account(user.pk, recorded=recorded)
    account = limiter.read_account_sync(user.pk)
    assert account is not None and account.credits == nanos("100")


def test_it_is_booked_with_a_reason_and_audited() -> None:
    make("demo@example.com", *ALL)
    transfer = Transfer.objects.get()
    assert (transfer.kind, transfer.reason) == ("adjustment", "Credit of a new account")
    assert transfer.actor.startswith("shell:")
    deeds = {entry.action: entry for entry in AuditEntry.objects.all()}
    assert set(deeds) == {"adjust balance", "create customer"}
    assert deeds["create customer"].after == {
        "plan": "ultimate",
        "add_on": "rate-limit-10x",
        "credited": "100.00",
        "key": "demo",
    }


def test_the_plan_costs_nothing_and_does_not_renew() -> None:
    make("demo@example.com", *ALL)
    mine = Subscription.objects.get()
    assert (mine.plan_price, mine.add_on_price, mine.cancel_at_period_end) == (0, 0, True)
    assert mine.period_end - mine.period_start >= timedelta(days=365)
    renewals.renew(mine.user_id, now=mine.period_end + timedelta(days=1))
    mine.refresh_from_db()
    assert (mine.status, ledger.balance(mine.user_id)) == ("ended", nanos("100"))
    assert not Invoice.objects.exists()


def test_run_again_it_adds_only_what_is_missing() -> None:
    first = make("demo@example.com", "--plan", "ultimate", "--credit", "100")
    assert (first["created"], first["key"]) == (True, None)
    second = make("demo@example.com", *ALL)
    assert (second["created"], second["credited"]) == (False, "0.00")
    assert (second["balance"], second["add_on"]) == ("100.00", "rate-limit-10x")
    assert second["key"].startswith("sk-gw-")
    third = make("demo@example.com", *ALL)
    assert (third["key"], third["balance"]) == (None, "100.00")
    assert ApiKey.objects.count() == Subscription.objects.count() == 1


def test_an_account_that_waits_for_its_mail_is_confirmed() -> None:
    user = User.objects.create_user("dora@example.com", "correct horse battery")
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    told = make("dora@example.com", "--credit", "10", "--password", "another long password")
    assert (told["created"], told["balance"]) == (False, "15.00")  # with its sign-up credit
    assert authenticate(None, username=user.email, password="correct horse battery") == user


def test_with_a_password_one_can_sign_in_and_without_one_not() -> None:
    make("demo@example.com", "--password", "correct horse battery")
    assert authenticate(None, username="demo@example.com", password="correct horse battery")
    make("other@example.com")
    assert not User.objects.get(email="other@example.com").has_usable_password()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--plan", "gold"), "There is no plan gold. There are: "),
        (("--add-on", "turbo"), "There is no add-on turbo. There are: "),
        (("--credit", "-5"), "not negative"),
        (("--credit", "lots"), "lots"),
        (("--credit", "99999999999999999"), ""),
        (("--password", "123"), "password"),
        (("--months", "0"), "--months"),
    ],
)
def test_what_makes_no_sense_makes_nothing(wrong: tuple[str, str], said: str) -> None:
    args = ["--key", "demo", "--plan", "ultimate", *wrong]
    with pytest.raises(CommandError, match=said or None):
        call_command("createcustomer", "demo@example.com", *args)
    assert nothing_is_there()
    with pytest.raises(CommandError, match="valid email"):
        call_command("createcustomer", "demo")
    assert nothing_is_there()


def test_another_plan_is_not_replaced_and_nothing_else_is_done() -> None:
    make("demo@example.com", "--plan", "basic")
    with pytest.raises(CommandError, match="on the plan Basic already"):
        make("demo@example.com", *ALL)
    user = User.objects.get()
    assert (ledger.balance(user.pk), ApiKey.objects.count()) == (0, 0)
    with pytest.raises(CommandError):
        make("demo@example.com", "--credit", "10", "--plan", "ultimate")
    assert not Transfer.objects.exists()


def test_in_words_the_key_is_alone_on_the_last_line() -> None:
    out = StringIO()
    call_command("createcustomer", "demo@example.com", *ALL, stdout=out)
    *words, key = out.getvalue().strip().splitlines()
    assert words[0] == "demo@example.com: made and confirmed."
    assert api_keys.find(api_keys.digest(key)) is not None
    year = timezone.now().year + 1
    assert f"Plan: ultimate with rate-limit-10x until {year}" in words[1]


# -- What is bought beside what was given --------------------------------------------------------


def gifted(*args: str, credit: str = "500") -> User:
    make("demo@example.com", *args, "--credit", credit)
    return User.objects.get(email="demo@example.com")


def paid(user: User) -> str:
    return dollars(nanos("500") - ledger.balance(user.pk))


def test_an_add_on_to_a_year_that_was_given_costs_every_month_of_it() -> None:
    user, now = gifted("--plan", "basic"), timezone.now()
    double = AddOn.objects.get(slug="rate-limit-2x")
    quote = balance_changes.preview(
        user.pk,
        partial(quotes.add, add_on=double, default=terms.default_plan(), now=now),
    )
    assert 11.9 < quote.due_now / double.price <= 12
    balance_changes.add(user.pk, double, now=now)
    assert paid(user) == dollars(quote.due_now)


def test_a_dearer_plan_for_the_rest_of_such_a_year_does_too() -> None:
    user, now = gifted("--plan", "basic"), timezone.now()
    premium = Plan.objects.get(slug="premium")
    outcome = balance_changes.upgrade(user.pk, premium, now=now)
    assert 11.9 < outcome.paid / premium.price <= 12


def test_a_plan_beside_an_add_on_that_was_given_does_too() -> None:
    user, now = gifted("--add-on", "rate-limit-10x"), timezone.now()
    basic = Plan.objects.get(slug="basic")
    assert 11.9 < balance_changes.subscribe(user.pk, basic, now=now).paid / basic.price <= 12


def test_a_cheaper_add_on_than_the_one_given_waits_for_its_end() -> None:
    user, now = gifted("--plan", "basic", "--add-on", "rate-limit-10x"), timezone.now()
    mine = Subscription.objects.get(user=user)
    balance_changes.resume(user.pk, now=now)
    balance_changes.add(user.pk, AddOn.objects.get(slug="rate-limit-2x"), now=now)
    mine.refresh_from_db()
    assert terms.terms(user.pk).multiplier == 10
    assert (mine.next_add_on and mine.next_add_on.slug, paid(user)) == ("rate-limit-2x", "0.00")


def test_a_gift_that_goes_on_is_announced_though_there_was_never_any_money() -> None:
    make("demo@example.com", "--plan", "basic", "--months", "1")
    mine = Subscription.objects.get()
    balance_changes.resume(mine.user_id, now=timezone.now())
    renewals.announce(mine.period_end - timedelta(days=1))
    told = Notice.objects.get(kind="plan_renewal_soon").facts
    assert (told["amount"], told["balance"], told["enough"]) == ("6.00", "0.00", False)
