"""`manage.py doctor`: what is wrong is found, named, and makes it exit with 1."""

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from pytest_django.fixtures import Settings

from gateway.archive import expiry
from gateway.usage.models import DeadEvent
from gateway.usage.request_ids import first_id
from hontoni import health, months, redis
from operations.backups import moment
from operations.doctor import checks, outside, stores
from tests.gateway_server import Gateway
from tests.vendors import KEY
from tests.world import Person, used

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def home(settings: Settings, tmp_path: Path) -> None:
    settings.BACKUP_URL = str(tmp_path / "backups")


def examined(*names: str) -> list[tuple[str, str]]:
    """What the command says about these checks, as level and text."""
    told = io.StringIO()
    try:
        call_command("doctor", json=True, only=list(names), stdout=told)
        status = 0
    except CommandError:
        status = 1
    found = [(each["level"], each["text"]) for each in json.loads(told.getvalue())]
    assert status == any(level == "failing" for level, _ in found)
    return found


def failing(*names: str) -> str:
    return " | ".join(text for level, text in examined(*names) if level == "failing")


def test_every_check_says_something_and_none_breaks_the_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[Any]:
        raise OSError("no such thing")

    monkeypatch.setitem(checks.CHECKS, "clocks", broken)
    told = io.StringIO()
    with pytest.raises(CommandError, match="findings need somebody"):
        call_command("doctor", stdout=told)
    said = {
        line.split(maxsplit=1)[1].split("  ")[0].strip() for line in told.getvalue().splitlines()
    }
    for name in checks.CHECKS:
        assert any(line.startswith(name) for line in said), name
    assert "OSError: no such thing" in told.getvalue()


def test_who_sells_is_said_where_it_is_sold(db: None, settings: Settings) -> None:
    settings.SANDBOX, settings.SELLER_EMAIL, settings.SELLER_ADDRESS = False, "a@b.example", ""
    found = {finding.text: finding.level for finding in checks.CHECKS["settings"]()}
    (text,) = (text for text in found if "who sells" in text)
    assert found[text] == "warning" and text.endswith("set SELLER_ADDRESS.")
    settings.SANDBOX = True
    assert not any("who sells" in finding.text for finding in checks.CHECKS["settings"]())


def test_settings_that_must_not_be_so(db: None, settings: Settings) -> None:
    assert failing("settings") == ""
    settings.DEBUG, settings.PUBLIC_URL = True, "https://gateway.example.com"
    assert "DEBUG is on" in failing("settings")
    assert "ALLOWED_HOSTS lacks gateway.example.com" in failing("settings")


def test_a_valkey_that_forgets_or_evicts(db: None) -> None:
    client = redis.sync()
    try:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert "maxmemory-policy is allkeys-lru" in failing("valkey")
        assert "writes nothing down" in failing("valkey")  # as it is in tests
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory-policy", "noeviction")
        assert failing("valkey") == ""
        client.config_set("appendfsync", "no")
        assert "appendfsync is no" in failing("valkey")
    finally:
        client.config_set("appendfsync", "everysec")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "no")


def test_a_clock_that_is_wrong(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [level for level, _ in examined("clocks")] == ["ok", "ok"]
    monkeypatch.setattr(stores, "_database_clock", lambda: time.time() - 3600)
    assert "the clock of database is 3600" in failing("clocks")


def test_a_disk_that_is_full(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the data, the spool, the archive and the backups."""
    for name in ("SPOOL_DIR", "ARCHIVE_URL"):
        setattr(settings, name, str(tmp_path / name))
    assert failing("disk") == "" and len(examined("disk")) == 4
    full = SimpleNamespace(total=100, free=4)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: full)
    assert failing("disk").count("4% free") == 4
    full.free = 10
    assert {level for level, _ in examined("disk")} == {"warning"}


def test_migrations_that_are_missing(db: None) -> None:
    assert examined("migrations") == [("ok", "all are applied")]
    MigrationRecorder.Migration.objects.get(app="gateway", name="0001_initial").delete()
    assert failing("migrations") == "1 migrations are missing: run `manage.py prepare`"


@pytest.mark.parametrize(("days", "level"), [(90, "ok"), (20, "warning"), (2, "failing")])
def test_a_certificate_that_ends(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, days: int, level: str
) -> None:
    settings.PUBLIC_URL = "https://gateway.example.com"
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    monkeypatch.setattr(outside, "_expiry", lambda _host, _port: ends)
    assert examined("tls") == [
        (level, f"the certificate of gateway.example.com is good for {days} days")
    ]


def test_an_old_backup(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    moment.take()
    monkeypatch.setattr(stores, "BACKUP_HOURS", -1)
    assert "run `manage.py backup`" in failing("backups")


def test_webhooks_that_somebody_else_answers(gateway: Gateway, settings: Settings) -> None:
    settings.PUBLIC_URL, settings.STRIPE_SECRET_KEY = gateway.vendors.url, "sk_test_1"
    settings.STRIPE_WEBHOOK_SECRET = "whsec_1"
    assert "to what Stripe did not sign, not 400" in failing("webhooks")


def test_backups_that_are_not_taken(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMBEDDED_DATABASE = False
    assert "there is no backup" in failing("backups")


def test_a_backup_of_today_is_enough(gateway: Gateway) -> None:
    moment.take()
    assert examined("backups") == [("ok", "the newest is 0 h old")]


def test_processes_that_are_dead_and_books_that_differ(gateway: Gateway) -> None:
    assert "start `manage.py settle`" in failing("settlement")
    assert "start Celery's worker" in failing("worker")
    health.beat()
    health.worker_beat()
    health.note_reconcile(0)
    assert failing("settlement", "worker", "books") == ""
    health.note_reconcile(2)
    DeadEvent.objects.create(stream_id="0:1-0", payload={}, problem="no such price")
    assert "2 differences" in failing("books")
    assert "1 usage events were set aside" in failing("settlement")
    DeadEvent.objects.all().delete()
    health.note_reconcile(0)


def test_the_front_door_and_the_webhooks_are_knocked_at(
    gateway: Gateway, settings: Settings
) -> None:
    settings.PUBLIC_URL = gateway.url
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", "whsec_1"
    assert failing("front door", "webhooks") == ""
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    assert "it cannot be checked: ConnectError" in failing("front door")


def test_vendors_are_asked_with_our_keys(gateway: Gateway, settings: Settings) -> None:
    settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = KEY, gateway.vendors.url
    assert examined("vendors") == [("ok", "openai takes our key")]
    settings.OPENAI_API_KEY = "sk-wrong"
    assert failing("vendors") == "openai says 401"


def test_plain_http_is_for_one_machine_only(settings: Settings) -> None:
    settings.PUBLIC_URL = "http://gateway.example.com"
    assert "travel in clear" in failing("tls")
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert [level for level, _ in examined("tls")] == ["warning"]


def test_a_mail_server_that_is_away(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert "ConnectionRefusedError" in failing("mail")


def test_months_that_wait_for_the_archive_are_told(
    alice: Person, settings: Settings, tmp_path: Path
) -> None:
    settings.ARCHIVE_URL = str(tmp_path / "archive")
    assert examined("archive") == [("ok", "nothing is in the archive")]
    long_ago = datetime(2020, 1, 15, tzinfo=UTC)
    used(alice, id=first_id(long_ago.timestamp()), created_at=long_ago, cost=0)
    (level, text), *_ = examined("archive")
    assert level == "warning" and "2020-01, 2020-02" in text and "retention run" in text
    expiry.take_out(months.begin(long_ago))
    assert ("ok", "all until 2020-01 is in the archive") in examined("archive")
    for file in (tmp_path / "archive").iterdir():
        file.unlink()
    assert "FileNotFoundError" in failing("archive")


def test_the_tables_months_are_looked_at(gateway: Gateway) -> None:
    assert all(level == "ok" for level, _ in examined("months"))
