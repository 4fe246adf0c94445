"""Mails: what is told becomes one mail, once, unless its reader does not want it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.models import User
from billing import tasks
from billing.books import ledger
from billing.mails import key_notices, letters, low_balance, notices, sending
from billing.mails.models import Mail, Notice
from billing.plans.models import Plan
from billing.subscriptions import balance_changes
from hontoni.money import nanos
from tests.billing.api.test_balance_api import top_up
from tests.billing.conftest import client
from tests.billing.rewards.test_promos import AtOnce, promo, send

URL = "/api/auth/me/notifications"
NOW = timezone.now()
FACTS: dict[str, Any] = {
    "add_on": "Rate Limit 2x",
    "amount": "5.00",
    "balance": "1.50",
    "cap": "5.00",
    "spent": "4.00",
    "of": "key",
    "whose": "laptop <b>&",
    "period": "day",
    "code": "WELCOME",
    "credited": "3.00",
    "days": 14,
    "enough": False,
    "grace_until": "2026-11-25T10:00:00+00:00",
    "invoice": "INV-1",
    "key_name": "laptop <b>&",
    "kind": "credit",
    "limit": 250,
    "paid": "6.00",
    "plan": "Basic",
    "failures": 3,
    "requests": 1_200,
    "charged": "27.50",
    "reason": "unpaid",
    "sold": "Basic",
    "old": "6.00",
    "old_tokens": "0.10",
    "new_tokens": "0.20",
    "old_request": "0.00",
    "new_request": "0.01",
    "vendor": "openai",
    "new": "7.00",
    "from_at": "2026-12-22T10:00:00+00:00",
    "renews_at": "2026-12-22T10:00:00+00:00",
    "resets_at": "2026-11-23T10:00:00+00:00",
    "shown": "sk-gw-abcd…wxyz",
    "threshold": "2.00",
    "topup": "topup_1",
    "window": "a day",
}


class Broken(BaseEmailBackend):
    """A mail server that is away."""

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("away")


def deliver(minutes: float = 0) -> int:
    """What the worker does when beat calls; how many mails were sent."""
    now = timezone.now() + timedelta(minutes=minutes)
    sending.collect()
    return sum(sending.send(mail_id, now) for mail_id in sending.due(now))


def tell(user: User, kind: str = "low_balance", key: str = "k") -> None:
    notices.tell(user_id=user.pk, kind=kind, key=key, facts=FACTS)


@pytest.mark.any_database
@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("kind", letters.LETTERS)
def test_every_kind_has_a_letter_in_text_and_html(bob: User, kind: str, language: str) -> None:
    User.objects.filter(pk=bob.pk).update(language=language)
    tell(bob, kind)
    assert deliver() == 1
    (sent,) = mail.outbox
    english = letters.LETTERS[kind].subject
    assert (sent.subject == english) == (language == "en")
    assert ("Hello" in str(sent.body)) == (language == "en")
    assert sent.to == ["bob@example.com"]
    assert isinstance(sent, mail.EmailMultiAlternatives)
    ((html, mimetype),) = sent.alternatives
    assert mimetype == "text/html"
    for text in (str(sent.body), str(html)):
        assert "Bob" in text and "{" not in text
        assert "None" not in text and "$ " not in text
    assert f'<html lang="{language}">' in str(html)


def test_a_mail_speaks_the_language_last_chosen_on_a_page(bob: User) -> None:
    page = Client()
    page.force_login(bob, "allauth.account.auth_backends.AuthenticationBackend")
    for language, words in (
        ("vi", "$1,50"),
        ("en", "come down to $1.50"),
        ("xx", "has come down"),
    ):
        page.post("/preferences", {"language": language})
        tell(bob, key=language)
        deliver()
        assert words in str(mail.outbox[-1].body)
    first, second, third = [sent.subject for sent in mail.outbox]
    assert first == "Số dư của bạn thấp" and second == third == "Your balance is low"


def test_names_in_a_mail_are_translated(bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(language="vi")
    tell(bob, "window_80")
    deliver()
    assert "250 yêu cầu mỗi ngày" in str(mail.outbox[0].body)


def test_what_a_customer_wrote_is_text_in_a_mail(bob: User) -> None:
    tell(bob, "new_key")
    deliver()
    (sent,) = mail.outbox
    assert isinstance(sent, mail.EmailMultiAlternatives)
    assert "laptop <b>&" in str(sent.body)
    assert "laptop &lt;b&gt;&amp;" in str(sent.alternatives[0][0])


@pytest.mark.parametrize("language", ["", "vi"])
def test_every_template_has_its_kind(language: str) -> None:
    folder = Path(django_settings.BASE_DIR) / "templates" / "emails" / language
    names = {path.stem for path in folder.glob("*.txt")} - {"_layout"}
    assert names == set(letters.LETTERS)


def test_a_mail_is_sent_once(bob: User) -> None:
    tell(bob)
    tell(bob)
    assert [deliver(), deliver(), deliver(600)] == [1, 0, 0]
    assert Mail.objects.get().status == "sent"


def test_two_workers_send_one_mail(bob: User, at_once: AtOnce) -> None:
    tell(bob)
    sending.collect()
    now = timezone.now()
    assert sum(at_once(lambda _: sending.send(Mail.objects.get().pk, now), 12)) == 1
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_is_tried_again_with_patience(
    bob: User, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "tests.billing.mails.test_mails.Broken"
    tell(bob)
    assert deliver() == 0
    waiting = Mail.objects.get()
    assert (waiting.status, waiting.attempts) == ("waiting", 1)
    assert waiting.problem == "ConnectionRefusedError: away"
    assert deliver(0.5) == 0
    assert Mail.objects.get().attempts == 1
    deliver(1.1)
    assert Mail.objects.get().attempts == 2
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert deliver(2) == 0
    assert deliver(4) == 1
    assert (Mail.objects.get().status, Mail.objects.get().problem) == ("sent", "")


def test_it_is_given_up_in_the_end_and_kept(bob: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "tests.billing.mails.test_mails.Broken"
    tell(bob)
    for hour in range(20):
        deliver(60 * 5 * hour)
    found = Mail.objects.get()
    assert (found.status, found.attempts) == ("failed", sending.MOST_ATTEMPTS)


def test_a_worker_that_died_is_made_up_for_under_the_same_message_id(bob: User) -> None:
    tell(bob)
    sending.collect()
    Mail.objects.update(due_at=timezone.now() + sending.LEASE, attempts=1)
    assert deliver() == 0
    assert deliver(6) == 1
    assert mail.outbox[0].extra_headers["Message-ID"] == (
        f"<notice-{Notice.objects.get().pk}@localhost>"
    )


# -- Preferences ---------------------------------------------------------------------------------


def test_a_mail_can_be_switched_off_and_on(bob: User) -> None:
    mine = client(bob)
    shown = mine.patch(URL, {"mails": {"low_balance": False}}, format="json").json()
    switched = {row["kind"]: row["on"] for row in shown["mails"]}
    assert [kind for kind, on in switched.items() if not on] == ["low_balance"]
    tell(bob)
    assert deliver() == 0
    assert Mail.objects.get().status == "unwanted"
    mine.patch(URL, {"mails": {"low_balance": True}}, format="json")
    tell(bob, key="k2")
    assert deliver() == 1


@pytest.mark.parametrize(
    "body",
    [
        {"mails": {"topup_receipt": False}},
        {"mails": {"gossip": False}},
        {"mails": {"promo": "perhaps"}},
        {"low_balance": "-1"},
        {"low_balance": "1000001"},
        {"low_balance": "0.001"},
    ],
)
def test_what_is_required_or_unknown_is_refused(bob: User, body: Any) -> None:
    assert client(bob).patch(URL, body, format="json").status_code == 400
    shown = client(bob).get(URL).json()
    assert shown["low_balance"] == "2.00"
    assert all(row["on"] for row in shown["mails"])


def test_who_is_deactivated_gets_none(bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    tell(bob)
    assert deliver() == 0


# -- What tells ----------------------------------------------------------------------------------


def spend(user: User, dollars: str, key: str) -> None:
    with transaction.atomic():
        ledger.charge_usage(key=key, user_id=user.pk, amount=nanos(dollars))
        low_balance.warn([user.pk])


def told(kind: str) -> list[dict[str, Any]]:
    return list(Notice.objects.filter(kind=kind).order_by("pk").values_list("facts", flat=True))


def test_a_low_balance_is_told_once_until_money_comes_again(alice: User) -> None:
    client(alice).patch(URL, {"low_balance": "5"}, format="json")
    spend(alice, "4.99", "1")
    assert told("low_balance") == []
    spend(alice, "1", "2")
    spend(alice, "1", "3")
    assert told("low_balance") == [{"balance": "4.01", "threshold": "5.00"}]
    top_up(alice, amount="10")
    spend(alice, "1", "4")
    assert len(told("low_balance")) == 1
    spend(alice, "9", "5")
    assert len(told("low_balance")) == 2


def test_a_top_up_is_receipted_once(bob: User) -> None:
    top_up(bob, amount="25")
    top_up(bob, amount="25")
    (facts,) = told("topup_receipt")
    assert (facts["amount"], facts["charged"], facts["balance"]) == ("25.00", "0.00", "25.00")


def test_a_redeemed_code_is_told(bob: User) -> None:
    promo()
    send(bob, "WELCOME")
    (facts,) = told("promo")
    assert (facts["code"], facts["amount"]) == ("WELCOME", "5.00")


def test_a_new_key_is_told_once(bob: User) -> None:
    key, _ = api_keys.mint(bob, "laptop")
    assert key_notices.notice_new_keys(timezone.now()) == 1
    assert key_notices.notice_new_keys(timezone.now()) == 0
    assert told("new_key") == [{"key_name": "laptop", "shown": f"{key.prefix}…{key.last4}"}]
    assert key_notices.notice_new_keys(timezone.now() + timedelta(hours=2)) == 0


def test_the_beat_hands_out_what_is_due(bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    api_keys.mint(bob, "laptop")
    monkeypatch.setattr(tasks.send_mail, "delay", tasks.send_mail)
    tasks.send_due_mails()
    assert [sent.subject for sent in mail.outbox] == ["A new API key was made"]


def test_a_plan_that_begins_is_told_in_its_own_words(alice: User) -> None:
    balance_changes.subscribe(alice.pk, Plan.objects.get(slug="basic"), now=timezone.now())
    assert deliver() == 1
    (sent,) = mail.outbox
    assert "Your plan Basic has begun. We took $6.00" in str(sent.body)


@pytest.mark.any_database
@pytest.mark.parametrize("name", ["email_confirmation", "password_reset_key"])
@pytest.mark.parametrize("code", ["", "123456"])
def test_the_mails_of_signing_in_say_what_to_do(bob: User, name: str, code: str) -> None:
    links = {
        "activate_url": "https://x.example/a?b&c",
        "password_reset_url": "https://x.example/a?b&c",
    }
    context = {"user": bob, "code": code, **links}
    text = render_to_string(f"account/email/{name}_message.txt", context)
    html = render_to_string(f"account/email/{name}_message.html", context)
    assert (code or "https://x.example/a?b&c") in text
    assert (code or "https://x.example/a?b&amp;c") in html
    assert "bob@example.com" in text and "bob@example.com" in html
    assert len(render_to_string(f"account/email/{name}_subject.txt").strip().splitlines()) == 1
