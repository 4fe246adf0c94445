"""Referrals through the public door: who may, what it earns, when it is paid and taken back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from accounts.people import freezing
from billing import tasks
from billing.books import ledger
from billing.books.models import Transfer
from billing.rewards import fraud, referrals
from billing.rewards.models import Referral, ReferralProgram
from hontoni.money import dollars, nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import client
from tests.billing.rewards.test_promos import back, card
from tests.confirmed import confirm

AtOnce = Callable[[Callable[[int], Any], int], list[Any]]
URL = "/api/billing/referral"
NOW = timezone.now()


def later(days: float) -> datetime:
    return NOW + timedelta(days=days)


def code_of(user: User) -> str:
    code: str = client(user).get(URL).json()["code"]
    return code


def accept(user: User, code: str, address: str = "") -> Any:
    extra: dict[str, Any] = {"REMOTE_ADDR": address} if address else {}
    return client(user).post(URL, {"code": code}, format="json", **extra)


def person(email: str) -> User:
    return confirm(User.objects.create_user(email))


@pytest.fixture
def dave() -> User:
    """Invited by alice; nothing about him is suspicious."""
    return person("dave@elsewhere.org")


@pytest.fixture
def invited(alice: User, dave: User) -> Referral:
    assert accept(dave, code_of(alice)).status_code == 201
    return Referral.objects.get(invitee=dave)


def balance(user: User) -> str:
    return dollars(ledger.balance(user.pk))


def test_everybody_has_a_code_and_keeps_it(alice: User, bob: User) -> None:
    shown = client(alice).get(URL).json()
    assert shown["link"].endswith(f"/r/{shown['code']}")
    assert (shown["invited"], shown["pending"], shown["earned"]) == (0, "0.00", "0.00")
    assert code_of(alice) == shown["code"] != code_of(bob)


def test_who_signs_up_behind_a_link_is_invited(alice: User) -> None:
    browser = Client()
    answer = browser.get(f"/r/{code_of(alice).lower()}")
    assert (answer.status_code, answer["Location"]) == (302, "/account/signup/")
    form = {"email": "dave@elsewhere.org", "password1": "correct horse battery"}
    assert browser.post(answer["Location"], form).status_code == 302
    assert signals(User.objects.get(email="dave@elsewhere.org")) == ("active", [])


def test_a_wrong_link_keeps_nobody_from_signing_up(db: None) -> None:
    browser = Client()
    browser.get("/r/NOPE")
    form = {"email": "dave@elsewhere.org", "password1": "correct horse battery"}
    assert browser.post("/account/signup/", form).status_code == 302
    assert User.objects.filter(email="dave@elsewhere.org").exists()
    assert not Referral.objects.exists()


def test_a_referral_is_accepted_once(alice: User, bob: User, invited: Referral) -> None:
    assert invited.status == "active"
    assert error(accept(invited.invitee, code_of(bob))) == (409, "referral_already_accepted")
    assert client(alice).get(URL).json()["invited"] == 1


def test_a_referral_is_accepted_within_30_days(alice: User, dave: User) -> None:
    code = code_of(alice)
    User.objects.filter(pk=dave.pk).update(created_at=later(-31))
    assert error(accept(dave, code)) == (409, "too_late")
    User.objects.filter(pk=dave.pk).update(created_at=later(-29))
    assert accept(dave, code).status_code == 201


def test_an_unknown_code_is_not_found(dave: User) -> None:
    assert error(accept(dave, "NOPE"))[0] == 404


def test_accepting_at_once_is_accepting_once(alice: User, dave: User, at_once: AtOnce) -> None:
    code, mine = code_of(alice), client(dave)
    answers = at_once(lambda _: mine.post(URL, {"code": code}, format="json").status_code, 12)
    assert sorted(answers) == [201] + [409] * 11
    assert Referral.objects.count() == 1


# -- Inviting oneself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("me@gmail.com", "m.e@gmail.com"),
        ("me@gmail.com", "me+2@googlemail.com"),
        ("me@work.example", "me+promo@work.example"),
    ],
)
def test_another_spelling_of_ones_own_mailbox_is_refused(own: str, other: str) -> None:
    code = code_of(person(own))
    assert error(accept(person(other), code)) == (409, "self_referral")


def test_nobody_invites_himself_or_his_own_referrer(alice: User, invited: Referral) -> None:
    assert error(accept(alice, code_of(alice))) == (409, "self_referral")
    assert error(accept(alice, code_of(invited.invitee))) == (409, "self_referral")


def test_dots_tell_mailboxes_apart_elsewhere(alice: User) -> None:
    code = code_of(person("me@fastmail.com"))
    assert accept(person("m.e@fastmail.com"), code).status_code == 201


def signals(invitee: User) -> tuple[str, list[str]]:
    found = Referral.objects.get(invitee=invitee)
    return found.status, found.signals


def test_the_same_card_waits_for_staff(alice: User, dave: User) -> None:
    for user in (alice, dave):
        fraud.saw_card(user.pk, "fp_1")
    accept(dave, code_of(alice))
    assert signals(dave) == ("review", ["card"])


def test_where_the_referrers_keys_are_used_waits_for_staff(alice: User, dave: User) -> None:
    key, _ = api_keys.mint(alice, "laptop")
    ApiKey.objects.filter(pk=key.pk).update(last_used_ip="2001:db8::1")
    accept(dave, code_of(alice), "2001:db8::ffff")
    assert signals(dave) == ("review", ["address"])


def test_a_crowd_from_one_address_waits_for_staff(alice: User, bob: User) -> None:
    crowd = [person(f"u@host{number}.org") for number in range(4)]
    for number, user in enumerate(crowd):
        accept(user, code_of((alice, bob)[number % 2]), "198.51.100.7")
    assert [signals(user)[0] for user in crowd] == ["active", "active", "review", "review"]
    assert signals(crowd[3]) == ("review", ["burst"])
    assert not Referral.objects.filter(address__contains="198.51").exists()


def test_a_private_domain_of_ones_own_waits_for_staff(alice: User, bob: User) -> None:
    accept(bob, code_of(alice))  # both at example.com
    assert signals(bob) == ("review", ["domain"])


# -- Rewards -------------------------------------------------------------------------------------


def test_a_reward_is_pending_until_it_has_stood_for_the_hold_period(
    alice: User, invited: Referral
) -> None:
    card(invited.invitee, "50")
    referrals.settle_all(NOW)
    shown = client(alice).get(URL).json()
    assert (shown["pending"], shown["earned"]) == ("5.00", "0.00")
    referrals.settle_all(later(29.9))
    assert balance(alice) == "10.00"
    referrals.settle_all(later(30))
    referrals.settle_all(later(31))
    shown = client(alice).get(URL).json()
    assert (shown["pending"], shown["earned"]) == ("0.00", "5.00")
    assert balance(alice) == "15.00"
    assert Transfer.objects.get(kind="referral").key == f"referral:{invited.pk}:1"


def test_the_beat_pays_what_is_due(alice: User, invited: Referral) -> None:
    Referral.objects.update(hold_days=0)
    card(invited.invitee, "50")
    tasks.settle_referrals()
    assert balance(alice) == "15.00"


def test_what_we_gave_away_earns_nothing(alice: User, invited: Referral) -> None:
    ledger.post(key="a", kind="adjustment", user_id=invited.invitee_id, amount=nanos("50"))
    ledger.post(key="p", kind="promo", user_id=invited.invitee_id, amount=nanos("50"))
    referrals.settle_all(NOW)
    referrals.settle_all(later(60))
    assert balance(alice) == "10.00"


def test_a_refund_takes_the_reward_back_even_below_zero(alice: User, invited: Referral) -> None:
    paid = card(invited.invitee, "200")
    referrals.settle_all(NOW)
    referrals.settle_all(later(30))
    assert balance(alice) == "30.00"
    ledger.post(key="s", kind="subscription", user_id=alice.pk, amount=-nanos("25"))
    back(invited.invitee, paid, "150", "refund:1")
    referrals.settle_all(later(31))
    assert balance(alice) == "-10.00"
    back(invited.invitee, paid, "50", "dispute:1", "dispute")
    referrals.settle_all(later(32))
    assert balance(alice) == "-15.00"


def test_a_refund_in_the_hold_period_leaves_nothing_to_pay(alice: User, invited: Referral) -> None:
    paid = card(invited.invitee, "50")
    referrals.settle_all(NOW)
    back(invited.invitee, paid, "50", "refund:1")
    referrals.settle_all(later(15))
    card(invited.invitee, "50", "topup:pi_2")
    referrals.settle_all(later(16))
    referrals.settle_all(later(40))
    assert balance(alice) == "10.00"
    referrals.settle_all(later(46))
    assert balance(alice) == "15.00"


def test_a_referral_earns_no_more_than_its_cap(alice: User, invited: Referral) -> None:
    Referral.objects.update(most=nanos("3"), hold_days=0)
    card(invited.invitee, "50")
    referrals.settle_all(NOW)
    assert balance(alice) == "13.00"


def test_by_spend_only_what_was_paid_for_and_spent_earns(alice: User, dave: User) -> None:
    ReferralProgram.objects.update_or_create(pk=1, defaults={"basis": "spend", "hold_days": 0})
    accept(dave, code_of(alice))
    card(dave, "50")
    ledger.post(key="p", kind="promo", user_id=dave.pk, amount=nanos("50"))
    with transaction.atomic():
        ledger.charge_usage(key="u1", user_id=dave.pk, amount=nanos("20"))
    ledger.post(key="s", kind="subscription", user_id=dave.pk, amount=-nanos("10"))
    referrals.settle_all(NOW)
    assert balance(alice) == "13.00"
    with transaction.atomic():
        ledger.charge_usage(key="u2", user_id=dave.pk, amount=nanos("60"))
    referrals.settle_all(NOW)
    assert balance(alice) == "15.00"


def test_a_referral_keeps_the_terms_it_was_made_under(alice: User, invited: Referral) -> None:
    ReferralProgram.objects.update(percent=50, hold_days=0)
    card(invited.invitee, "50")
    referrals.settle_all(NOW)
    referrals.settle_all(later(30))
    assert balance(alice) == "15.00"


def test_a_card_that_turns_up_on_both_sides_stops_the_reward(
    alice: User, invited: Referral
) -> None:
    card(invited.invitee, "50")
    referrals.settle_all(NOW)
    fraud.saw_card(alice.pk, "fp_1")
    fraud.saw_card(invited.invitee_id, "fp_1")
    referrals.settle_all(later(30))
    assert signals(invited.invitee) == ("review", ["card"])
    assert balance(alice) == "10.00"
    referrals.review(invited.pk, approve=True)
    referrals.settle_all(later(31))
    referrals.settle_all(later(61))
    assert balance(alice) == "15.00"


def test_what_staff_reject_is_taken_back(alice: User, invited: Referral) -> None:
    Referral.objects.update(hold_days=0)
    card(invited.invitee, "50")
    referrals.settle_all(NOW)
    referrals.review(invited.pk, approve=False)
    referrals.settle_all(later(1))
    assert balance(alice) == "10.00"


def test_a_reward_waits_while_its_account_is_frozen(alice: User, invited: Referral) -> None:
    Referral.objects.update(hold_days=0)
    card(invited.invitee, "50")
    freezing.freeze(alice.pk, "Abuse.")
    referrals.settle_all(NOW)
    assert balance(alice) == "10.00"
    freezing.unfreeze(alice.pk)
    referrals.settle_all(later(1))
    assert balance(alice) == "15.00"


def test_settling_at_once_pays_once(alice: User, invited: Referral, at_once: AtOnce) -> None:
    Referral.objects.update(hold_days=0)
    card(invited.invitee, "50")
    at_once(lambda _: referrals.settle(invited.pk, NOW), 12)
    assert balance(alice) == "15.00"
