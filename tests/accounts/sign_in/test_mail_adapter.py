"""Mails of signing in: by the worker, with patience, once."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from kombu.exceptions import OperationalError

from accounts import tasks
from accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
RESET = "/account/password/reset/"


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the worker is given."""
    User.objects.create_user("alice@example.com", "correct horse battery")
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.send_mail, "delay", lambda **letter: given.append(letter))
    return given


def test_the_worker_sends_them_in_text_and_html(
    client: Client, handed: list[dict[str, Any]]
) -> None:
    assert client.post(RESET, {"email": "alice@example.com"}).status_code == 302
    assert mail.outbox == []
    (letter,) = handed
    tasks.send_mail(**letter)
    (sent,) = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    assert sent.to == ["alice@example.com"]
    assert "/account/password/reset/key/" in sent.body
    ((html, mimetype),) = sent.alternatives
    assert mimetype == "text/html"
    assert "/account/password/reset/key/" in str(html)


def test_a_mail_server_that_is_away_is_tried_again_under_the_same_message_id(
    client: Client, handed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post(RESET, {"email": "alice@example.com"})
    attempts: list[str] = []

    def twice_away(mail: EmailMultiAlternatives) -> int:
        attempts.append(mail.extra_headers["Message-ID"])
        if len(attempts) < 3:
            raise ConnectionRefusedError
        return 1

    monkeypatch.setattr(EmailMultiAlternatives, "send", twice_away)
    tasks.send_mail.apply(kwargs=handed[0])
    assert attempts == [handed[0]["headers"]["Message-ID"]] * 3


def test_while_the_broker_is_down_they_are_sent_at_once(
    client: Client, handed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(**letter: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks.send_mail, "delay", down)
    client.post(RESET, {"email": "alice@example.com"})
    assert [sent.to for sent in mail.outbox] == [["alice@example.com"]]


def test_the_address_is_verified_this_way_too(
    client: Client, handed: list[dict[str, Any]]
) -> None:
    client.post("/account/signup/", {"email": "dora@example.com", "password1": "a long enough pw"})
    assert [letter["to"] for letter in handed] == [["dora@example.com"]]
    assert "/account/confirm-email/" in handed[0]["text"]


def test_who_registers_by_the_api_verifies_the_address_too(
    client: Client, handed: list[dict[str, Any]]
) -> None:
    body = {"email": "Dora@Example.com", "password": "a long enough pw", "name": "Dora"}
    assert client.post("/api/auth/register", body, "application/json").status_code == 201
    (letter,) = handed
    assert letter["to"] == ["dora@example.com"]
    link = re.search(r"/account/confirm-email/\S+", letter["text"])
    assert link is not None
    client.post(link[0])
    assert EmailAddress.objects.get(email="dora@example.com").verified
