"""`manage.py prepare` on Postgres: an empty one is ready in a minute, one at a time, and traffic
waits for no migration."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from operations import schema
from operations.backups import moment, postgres_copy

ROOT = Path(__file__).parents[2]
MINUTE = 60.0


@contextmanager
def empty_database() -> Iterator[str]:
    """The URL of one that has nothing."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"prepare_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(url._replace(path=f"/{name}"))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(url: str, home: Path, *command: str) -> subprocess.Popen[bytes]:
    from django.conf import settings

    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "DATA_DIR": str(home),
        "REDIS_URL": str(settings.REDIS_URL),
        "SECRET_KEY": "for-tests-only-for-tests-only-for-tests-only",
        "BACKUP_URL": str(settings.BACKUP_URL),
        "BACKUP_KEY": "a passphrase",
    }
    return subprocess.Popen([sys.executable, "manage.py", *command], cwd=ROOT, env=env)


@pytest.mark.postgres_only
@pytest.mark.django_db
def test_an_empty_postgres_is_prepared_by_two_at_once(tmp_path: Path) -> None:
    with empty_database() as url:
        began = time.process_time() + sum(os.times()[2:4])
        both = [manage(url, tmp_path, "prepare") for _ in range(2)]
        assert [each.wait(170) for each in both] == [0, 0]
        # Of CPU: what a busy machine adds is not ours.
        assert time.process_time() + sum(os.times()[2:4]) - began < 2 * MINUTE
        with psycopg.connect(url) as found:
            (plans,) = found.execute("SELECT count(*) FROM billing_plan").fetchone() or (0,)
            applied = found.execute(
                "SELECT app, count(*) FROM django_migrations WHERE app = 'djstripe' GROUP BY app"
            ).fetchone()
        assert plans > 0
        assert applied is not None
        assert applied[1] > 1


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_migration_gives_way_to_who_holds_a_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is undone and tried again; whoever queues behind it waits for no longer than that."""
    settings.MIGRATION_LOCK_SECONDS = 0.2
    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0.05)
    tries: list[str] = []

    def migration(*_: Any, **__: Any) -> None:
        tries.append("")
        if len(tries) == 3:
            holder.rollback()
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE billing_plan IN ACCESS EXCLUSIVE MODE")

    monkeypatch.setattr(schema, "call_command", _in_a_transaction(migration))
    with postgres_copy._connected() as holder:
        holder.execute("SELECT count(*) FROM billing_plan")
        schema._patiently()
    assert len(tries) == 3
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_migration_that_deadlocks_with_traffic_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

    def migration(*_: Any, **__: Any) -> None:
        tries.append("")
        if len(tries) < 3:
            raise OperationalError("deadlock") from psycopg.errors.DeadlockDetected()

    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(schema, "call_command", migration)
    schema._patiently()
    assert len(tries) == 3


def _in_a_transaction(work: Any) -> Any:
    from django.db import transaction

    return transaction.atomic(work)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_what_is_no_lock_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def migration(*_: Any, **__: Any) -> None:
        raise OperationalError("no space left")

    monkeypatch.setattr(schema, "call_command", migration)
    with pytest.raises(OperationalError, match="no space left"):
        schema._patiently()


def test_one_prepares_and_the_other_waits(tmp_path: Path, settings: Settings, db: None) -> None:
    settings.DATA_DIR = tmp_path
    order: list[str] = []

    def second() -> None:
        with schema.alone():
            order.append("second")
        connection.close()

    with schema.alone():
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_backup_goes_into_an_empty_postgres(tmp_path: Path, settings: Settings) -> None:
    """The tables are made first, of the release that took it."""
    settings.BACKUP_URL, settings.BACKUP_KEY = str(tmp_path / "backups"), "a passphrase"
    from tests.gateway_server import fund
    from tests.world import person

    alice = fund(person("alice"), "12")
    kept = moment.take()
    with empty_database() as url:
        assert manage(url, tmp_path, "restore", kept.name).wait(170) == 0
        with psycopg.connect(url) as found:
            row = found.execute(
                "SELECT email FROM accounts_user WHERE id = %s", [alice.user.pk]
            ).fetchone()
            assert row == ("alice@example.com",)
