"""One person, one gift: the sign-up credit, promo codes and referrals, and who is one person."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.people import freezing
from accounts.people.mailboxes import mailbox
from accounts.sign_in import deletion
from billing import tasks
from billing.books import ledger
from billing.books.models import Transfer
from billing.rewards import fraud, gifts, referrals
from billing.rewards.models import Claim, Mark, Redemption, Referral
from hontoni.money import nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import client
from tests.billing.rewards.test_promos import card, percent, promo, send, trial
from tests.billing.rewards.test_referrals import accept, code_of
from tests.billing.shop import worker as worker
from tests.confirmed import confirm

AtOnce = Callable[[Callable[[int], Any], int], list[Any]]
PASSWORD = "correct horse battery"
SIGNUP = "/account/signup/"


@pytest.fixture(autouse=True)
def gift(settings: Settings, worker: None) -> None:
    """Signing up is worth $5; mails are read from the outbox."""
    settings.SIGNUP_CREDIT = "5"


def sign_up(browser: Client, email: str) -> User:
    """On the page, as people do."""
    browser.post("/account/logout/")
    answer = browser.post(SIGNUP, {"email": email, "password1": PASSWORD})
    assert answer.status_code == 302
    return User.objects.get(email=email)


def follow(browser: Client, email: str) -> None:
    """The link in the mail to that address."""
    letter = next(sent for sent in reversed(mail.outbox) if sent.to == [email])
    link = re.search(r"/account/confirm-email/\S+", str(letter.body))
    assert link is not None
    browser.post(link[0], {"password": PASSWORD})


def register(email: str) -> User:
    """By the API, as programs do."""
    body = {"email": email, "password": PASSWORD}
    assert APIClient().post("/api/auth/register", body, format="json").status_code == 201
    return User.objects.get(email=email)


def credit(user: User) -> dict[str, Any]:
    found: dict[str, Any] = client(user).get("/api/billing/signup-credit").json()
    return found


def signups() -> int:
    return Transfer.objects.filter(kind="signup").count()


# -- Mailboxes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.com", "ALICE+1@Example.com"),
        ("alice@example.com", '"alice"@example.com'),
        ("a.li.ce@gmail.com", "Alice+x@googlemail.com"),
        ("alice@proton.me", "a.l-i_ce@protonmail.com"),
        ("alice@pm.me", "alice+shop@proton.me"),
        ("alice@icloud.com", "alice@me.com"),
        ("alice-shop@yahoo.com", "alice@yahoo.com"),
        ("a-lice@ya.ru", "a.lice@yandex.com"),
        ("\uff41lice@example.com", "alice@example.com"),
        ("alice@m\u00fcnchen.de", "alice@xn--mnchen-3ya.de"),
        ("alice@example.com.", "alice@example.com"),
    ],
)
def test_a_mailbox_is_one_in_all_its_spellings(one: str, other: str) -> None:
    assert mailbox(one) == mailbox(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.com", "alice@example.org"),
        ("a.lice@example.com", "alice@example.com"),
        ("alice-b@example.com", "alice@example.com"),
        ("alice@hotmail.com", "alice@outlook.com"),
        ("+@example.com", "bob@example.com"),
    ],
)
def test_two_mailboxes_are_two(one: str, other: str) -> None:
    assert mailbox(one) != mailbox(other)


# -- The sign-up credit --------------------------------------------------------------------------


def test_the_credit_comes_with_the_link_in_the_mail() -> None:
    dora = register("dora@example.com")
    assert ledger.balance(dora.pk) == 0
    assert credit(dora)["status"] == "unconfirmed"
    assert "Confirm your e-mail address" in credit(dora)["message"]
    follow(Client(), dora.email)
    assert ledger.balance(dora.pk) == nanos("5")
    told = {"status": "given", "amount": "5.00", "currency": "USD", "message": None}
    assert credit(dora) == told
    EmailAddress.objects.get(user=dora).save()  # twice is once
    assert ledger.balance(dora.pk) == nanos("5")


def test_an_account_works_before_it_is_confirmed() -> None:
    dora = register("dora@example.com")
    mine = client(dora)
    assert mine.post("/api/keys", {"name": "first"}, format="json").status_code == 201
    headers = {"Idempotency-Key": "k"}
    topped = mine.post("/api/billing/topup", {"amount": "25"}, format="json", headers=headers)
    assert (topped.status_code, ledger.balance(dora.pk)) == (201, nanos("25"))


def test_five_spellings_of_one_mailbox_are_given_one_credit() -> None:
    people = [register(f"dora+{n}@example.com") for n in range(5)]
    for dora in people:
        follow(Client(), dora.email)
    assert [ledger.balance(dora.pk) for dora in people] == [nanos("5"), 0, 0, 0, 0]
    told = credit(people[1])
    assert (told["status"], told["amount"]) == ("taken", "0.00")
    assert "another account with this mailbox" in told["message"]
    assert "dora" not in told["message"]  # whose it is, nobody is told
    page = Client()
    page.force_login(people[1], "allauth.account.auth_backends.AuthenticationBackend")
    assert "Another account with your mailbox" in page.get("/billing").content.decode()


def test_one_browser_is_given_one_credit() -> None:
    browser, another = Client(), Client()
    first = sign_up(browser, "dora@example.com")
    follow(another, first.email)
    second = sign_up(browser, "erin@example.net")
    follow(another, second.email)
    assert (ledger.balance(first.pk), ledger.balance(second.pk)) == (nanos("5"), 0)
    assert "in the same browser" in credit(second)["message"]


def test_a_link_opened_in_the_browser_of_another_account_counts_too() -> None:
    browser = Client()
    first = sign_up(browser, "dora@example.com")
    follow(browser, first.email)
    second = register("erin@example.net")
    follow(browser, second.email)
    assert (ledger.balance(first.pk), ledger.balance(second.pk)) == (nanos("5"), 0)


def test_a_browser_that_signs_a_name_of_its_own_is_not_believed() -> None:
    browser = Client()
    browser.cookies["browser"] = "somebody-else"
    sign_up(browser, "dora@example.com")
    assert browser.cookies["browser"].value != "somebody-else"
    assert browser.cookies["browser"]["httponly"]


def test_one_card_is_given_one_credit(bob: User) -> None:
    dora, erin = register("dora@example.com"), register("erin@example.net")
    for user in (dora, erin):
        fraud.saw_card(user.pk, "fp_1")
    follow(Client(), dora.email)
    follow(Client(), erin.email)
    assert (ledger.balance(dora.pk), ledger.balance(erin.pk)) == (nanos("5"), 0)
    assert "the same card" in credit(erin)["message"]


def test_staff_confirm_an_address_from_their_own_browser(admin_client: Client) -> None:
    people = [register("dora@example.com"), register("erin@example.net")]
    admin_client.cookies["browser"] = _a_browser()
    for user in people:
        row = EmailAddress.objects.get(user=user)
        form = {"action": "make_verified", "_selected_action": row.pk}
        admin_client.post("/admin/account/emailaddress/", form)
    assert [ledger.balance(user.pk) for user in people] == [nanos("5")] * 2


def _a_browser() -> str:
    browser = Client()
    sign_up(browser, "staff@example.org")
    return browser.cookies["browser"].value


def test_deleting_the_account_does_not_give_the_gift_again() -> None:
    dora = register("dora@example.com")
    follow(Client(), "dora@example.com")
    deletion.delete(dora)
    again = register("dora@example.com")
    follow(Client(), "dora@example.com")
    assert (credit(again)["status"], ledger.balance(again.pk)) == ("taken", 0)


def test_the_credit_is_for_who_has_just_signed_up() -> None:
    dora = register("dora@example.com")
    User.objects.filter(pk=dora.pk).update(created_at=timezone.now() - timedelta(days=31))
    follow(Client(), dora.email)
    assert (credit(dora)["status"], ledger.balance(dora.pk)) == ("late", 0)


def test_a_frozen_account_is_given_its_credit_when_it_is_thawed() -> None:
    user = register("eve@example.com")
    freezing.freeze(user.pk, "Abuse.")
    confirm(user)
    assert (credit(user)["status"], ledger.balance(user.pk)) == ("due", 0)
    freezing.unfreeze(user.pk)
    assert (credit(user)["status"], ledger.balance(user.pk)) == ("given", nanos("5"))
    freezing.freeze(user.pk, "Abuse.")
    freezing.unfreeze(user.pk)
    assert signups() == 1


def test_where_there_is_no_credit_nothing_is_promised(settings: Settings) -> None:
    settings.SIGNUP_CREDIT = "0"
    dora = register("dora@example.com")
    told = {"status": "none", "amount": "0.00", "currency": "USD", "message": None}
    assert credit(dora) == told
    follow(Client(), dora.email)
    assert (ledger.balance(dora.pk), signups()) == (0, 0)


@pytest.mark.parametrize("mark", ["mailbox", "card", "browser"])
def test_twelve_at_once_are_given_one_credit(mark: str, at_once: AtOnce) -> None:
    spelled = mark == "mailbox"
    names = [f"dora+{n}@example.com" if spelled else f"u{n}@example.com" for n in range(12)]
    people = [User.objects.create_user(name) for name in names]
    EmailAddress.objects.bulk_create(
        [EmailAddress(user=user, email=user.email, verified=True) for user in people]
    )
    for user in people if not spelled else ():
        gifts.recognise(user.pk, mark, "the same")
    given = at_once(lambda n: gifts.welcome(people[n].pk), 12)
    assert sorted(given) == [0] * 11 + [nanos("5")]
    assert sum(ledger.balance(user.pk) for user in people) == nanos("5")


# -- Promo codes ---------------------------------------------------------------------------------


def test_a_promo_code_needs_a_confirmed_address(settings: Settings) -> None:
    promo()
    dora = register("dora@example.com")
    for apply in (False, True):
        assert error(send(dora, "WELCOME", apply)) == (409, "email_unconfirmed")
    assert not Redemption.objects.exists()
    follow(Client(), dora.email)
    assert send(dora, "WELCOME").status_code == 200
    assert ledger.balance(dora.pk) == nanos("10")


@pytest.mark.parametrize("make", [promo, percent, trial], ids=["credit", "percent", "trial"])
@pytest.mark.parametrize("first", [True, False], ids=["first time", "any time"])
def test_one_mailbox_redeems_a_code_once(make: Any, first: bool) -> None:
    code = make(first_time_only=first)
    people = [confirm(User.objects.create_user(f"dora+{n}@example.com")) for n in range(3)]
    answers = [error(send(user, code.code)) for user in people[1:] if send(people[0], code.code)]
    assert answers == [(409, "gift_taken_by_mailbox")] * 2
    assert [r.user_id for r in Redemption.objects.all()] == [people[0].pk]
    code.refresh_from_db()
    assert code.uses == 1


def test_a_code_for_the_first_time_is_not_for_who_topped_up_before() -> None:
    promo(first_time_only=True)
    old, new = (confirm(User.objects.create_user(f"dora+{n}@example.com")) for n in range(2))
    card(old, "20", "topup:1")
    assert error(send(new, "WELCOME")) == (409, "promo_code_first_time_only")


def test_a_bonus_comes_once_for_a_card(bob: User) -> None:
    percent()
    people = [confirm(User.objects.create_user(f"u{n}@site{n}.org")) for n in range(3)]
    for user in people:
        assert send(user, "MORE").json()["status"] == "waiting"
    for number, user in enumerate(people):
        fraud.saw_card(user.pk, "fp_1")
        card(user, "10", f"topup:{number}")
    five = nanos("5")
    balances = [ledger.balance(user.pk) - five for user in people]
    assert balances == [nanos("12"), nanos("10"), nanos("10")]
    refused = Redemption.objects.filter(user=people[1]).get()
    assert (refused.granted, refused.refused) == (0, "card")
    page = Client()
    page.force_login(people[1], "allauth.account.auth_backends.AuthenticationBackend")
    assert (
        "Another account that pays with your card" in page.get("/billing/promo").content.decode()
    )


def test_twelve_spellings_at_once_redeem_a_code_once(at_once: AtOnce) -> None:
    promo()
    people = [confirm(User.objects.create_user(f"dora+{n}@example.com")) for n in range(12)]
    answers = at_once(lambda n: send(people[n], "WELCOME").status_code, 12)
    assert sorted(answers) == [200] + [409] * 11
    assert Transfer.objects.filter(kind="promo").count() == 1


# -- Referrals -----------------------------------------------------------------------------------


def test_an_unconfirmed_account_earns_nobody_anything(alice: User) -> None:
    dora = register("dora@elsewhere.org")
    assert error(accept(dora, code_of(alice))) == (409, "email_unconfirmed")
    browser = Client()
    browser.get(f"/r/{code_of(alice)}")
    erin = sign_up(browser, "erin@elsewhere.net")
    card(erin, "100", "topup:erin")
    referral = Referral.objects.get(invitee=erin)
    long_ago = timezone.now() - timedelta(days=90)
    referrals.settle(referral.pk, long_ago)
    referrals.settle(referral.pk, timezone.now())
    before = ledger.balance(alice.pk)
    follow(browser, erin.email)
    referrals.settle(referral.pk, long_ago)
    referrals.settle(referral.pk, timezone.now())
    assert ledger.balance(alice.pk) - before == nanos("10")
    referral.refresh_from_db()
    assert (referral.confirmed, referral.status) == (True, "active")


def test_one_person_is_invited_once(alice: User) -> None:
    people = [confirm(User.objects.create_user(f"dora+{n}@elsewhere.org")) for n in range(3)]
    code = code_of(alice)
    assert accept(people[0], code).status_code == 201
    assert error(accept(people[1], code)) == (409, "gift_taken_by_mailbox")
    browser = Client()
    browser.get(f"/r/{code}")
    again = sign_up(browser, "dora+9@elsewhere.org")
    follow(browser, again.email)
    referral = Referral.objects.get(invitee=again)
    assert (referral.status, referral.signals) == ("rejected", ["same mailbox"])
    card(again, "100", "topup:again")
    referrals.settle(referral.pk, timezone.now() - timedelta(days=90))
    assert Referral.objects.get(pk=referral.pk).accrued == 0


def test_a_card_of_somebody_invited_before_is_looked_at_by_staff(alice: User) -> None:
    code = code_of(alice)
    people = [confirm(User.objects.create_user(f"u{n}@site{n}.org")) for n in range(2)]
    for number, user in enumerate(people):
        assert accept(user, code, f"192.0.2.{number}").status_code == 201
        fraud.saw_card(user.pk, "fp_1")
        card(user, "100", f"topup:{number}")
    for referral in Referral.objects.all():
        referrals.settle(referral.pk, timezone.now())
    first, second = Referral.objects.order_by("pk")
    assert (first.status, first.accrued) == ("active", nanos("10"))
    assert (second.status, second.signals, second.accrued) == ("review", ["invited before"], 0)


def test_the_browser_of_who_invites_is_looked_at_by_staff(alice: User) -> None:
    browser = Client()
    dora = sign_up(browser, "dora@elsewhere.org")
    confirm(dora)
    erin = sign_up(browser, "erin@elsewhere.net")
    confirm(erin)
    assert accept(erin, code_of(dora), "192.0.2.9").status_code == 201
    assert Referral.objects.get(invitee=erin).signals == ["browser"]


# -- What was given before this was asked --------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "during"])
def test_what_old_code_gave_before_or_during_the_upgrade_is_taken(alice: User, when: str) -> None:
    from importlib import import_module

    code = promo()
    old = [User.objects.create_user(f"dora+{n}@example.com") for n in range(2)]
    for user in old:
        ledger.post(key=f"signup:{user.pk}", kind="signup", user_id=user.pk, amount=nanos("5"))
        Redemption.objects.create(code=code, user=user, number=1)
    Referral.objects.create(
        referrer=alice,
        invitee=old[0],
        percent=10,
        basis="top_ups",
        hold_days=30,
        most=1,
        confirmed=True,
    )
    Mark.objects.all().delete()
    Claim.objects.all().delete()
    if when == "before":
        write_down = import_module("billing.migrations.0010_gifts").write_down
        for _ in range(2):
            write_down(apps, None)
    else:
        for _ in range(2):
            tasks.write_down_gifts()
    assert {claim.gift for claim in Claim.objects.all()} == {
        "signup",
        f"promo:{code.pk}:1",
        "referral",
    }
    new = confirm(User.objects.create_user("dora+9@example.com"))
    assert credit(new)["status"] == "taken"
    assert error(send(new, "WELCOME")) == (409, "gift_taken_by_mailbox")
    assert error(accept(new, code_of(alice))) == (409, "gift_taken_by_mailbox")
