"""Whoever finds a weakness is told where to say so: RFC 9116."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from pytest_django import Settings

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
PATH = "/.well-known/security.txt"


def fields(host: str = "127.0.0.1") -> list[tuple[str, str]]:
    answer = Client().get(PATH, HTTP_HOST=host)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    lines = answer.content.decode().splitlines()
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def test_a_report_finds_its_reader_whatever_host_is_named(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://llm.example"
    settings.ALLOWED_HOSTS = ["*"]
    found = dict(fields("evil.example"))
    assert found["Canonical"] == f"https://llm.example{PATH}"
    assert found["Contact"] == "https://llm.example/leaked-key"
    assert found["Preferred-Languages"] == "en, vi"
    expires = parse_datetime(found["Expires"])
    assert expires is not None
    assert timedelta(days=30) < expires - timezone.now() < timedelta(days=365)
    assert len(found) == 4


def test_its_reader_is_whom_the_operator_names(settings: Settings) -> None:
    settings.SECURITY_CONTACT = ["security@llm.example", "https://llm.example/security"]
    named = [value for name, value in fields() if name == "Contact"]
    assert named == ["mailto:security@llm.example", "https://llm.example/security"]
