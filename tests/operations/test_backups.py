"""Restore drills: make a world, back up, spend, restore; the books balance, nobody overdraws."""

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from accounts.models import User
from gateway.reconciliation.invariants import problems
from gateway.stores.models import Node
from gateway.usage import shards
from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from operations.backups import moment, shelves
from operations.backups.sealing import Opener, Sealer, Unreadable
from tests import prepared
from tests.gateway_server import Gateway, fund
from tests.operations.storage import Storage, storage
from tests.waiting import until
from tests.world import Person, person

__all__ = ["storage"]


@pytest.fixture(autouse=True)
def shelf(settings: Settings, tmp_path: Path) -> Path:
    settings.BACKUP_URL, settings.BACKUP_KEY = str(tmp_path / "backups"), "a passphrase"
    settings.BACKUP_KEEP = 14
    return tmp_path / "backups"


def restore(name: str, **options: Any) -> str:
    told = io.StringIO()
    # The gateway of these tests runs on: it is what has to believe the new epoch.
    call_command("restore", name, replace=True, force=True, stdout=told, **options)
    return told.getvalue()


def test_a_restore_loses_no_charge_that_a_backup_or_a_spool_has(
    gateway: Gateway, alice: Person
) -> None:
    """Booked, on its way, or asked since and still in the spool of the gateway that served it."""
    fund(alice, "10")
    gateway.chat(alice)
    gateway.books()
    gateway.chat(alice, "on its way to the books")
    kept = moment.take()
    bob = person("bob")
    fund(alice, "90")
    for _ in range(3):
        gateway.chat(alice, "after the backup")
    assert gateway.balance(alice) > nanos("99")
    assert "The books balance" in restore(kept.name)
    assert not User.objects.filter(pk=bob.user.pk).exists()
    until(lambda: len(gateway.books()) == 5, "the spool was not put back")
    spent = sum(event.cost for event in UsageEvent.objects.all())
    assert gateway.balance(alice) == nanos("10") - spent
    assert problems() == []


@pytest.mark.outside_the_law("what was asked after the backup is in no book")
def test_after_a_restore_nobody_spends_what_only_valkey_believed(
    gateway: Gateway, alice: Person
) -> None:
    kept = moment.take()
    fund(alice, "50")
    assert gateway.chat(alice).status_code == 200
    gateway.books()
    restore(kept.name)
    assert gateway.chat(alice).status_code == 402


@pytest.mark.outside_the_law("events are in the stream while the database goes back")
def test_what_was_on_its_way_at_the_restore_is_booked_too(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    kept = moment.take()
    gateway.chat(alice, "not booked when the disk died")
    restore(kept.name)
    assert [event.cost > 0 for event in gateway.books()] == [True]


def test_a_restore_is_refused_where_it_would_destroy(gateway: Gateway, alice: Person) -> None:
    from hontoni import redis

    kept = moment.take()
    with pytest.raises(CommandError, match="There is a database already"):
        if connection.vendor == "postgresql":
            raise CommandError("There is a database already: its tables are those of the backup")
        call_command("restore", kept.name, force=True)
    Node.objects.create(id="another", host="elsewhere")
    with pytest.raises(CommandError, match="A gateway runs"):
        call_command("restore", kept.name)
    redis.sync().zadd(shards.MEMBERS, {"settler": 2**52})
    with pytest.raises(CommandError, match="Settlement runs"):
        call_command("restore", kept.name)
    assert User.objects.filter(pk=alice.user.pk).exists()


def test_a_backup_says_nothing_without_its_key(
    gateway: Gateway, alice: Person, shelf: Path, settings: Settings
) -> None:
    kept = moment.take()
    sealed = (shelf / kept.name).read_bytes()
    assert alice.user.email.encode() not in sealed
    assert (shelf / kept.name).stat().st_mode & 0o077 == 0
    told = io.StringIO()
    call_command("restore", kept.name, check=True, stdout=told)
    assert "It is whole" in told.getvalue()
    settings.BACKUP_KEY = "another"
    with pytest.raises(CommandError, match="BACKUP_KEY does not open it"):
        restore(kept.name)


@pytest.mark.parametrize("harm", ["cut", "flip", "swap"])
def test_what_was_changed_does_not_open(harm: str) -> None:
    below = io.BytesIO()
    sealer = Sealer(below, "key")
    for number in range(5):
        sealer.write(bytes([number]) * (1 << 19))
    sealer.close()
    whole = below.getvalue()
    assert len(Opener(io.BytesIO(whole), "key").read()) == 5 << 19
    size, head = (1 << 20) + 16 + 4, whole.index(b"1\n") + 2 + 16
    harmed = {
        "cut": whole[: head + 2 * size],
        "flip": whole[:-1] + bytes([whole[-1] ^ 1]),
        "swap": whole[:head] + whole[head + size : head + 2 * size] + whole[head : head + size],
    }
    with pytest.raises(Unreadable):
        Opener(io.BytesIO(harmed[harm]), "key").read()


def test_the_oldest_backups_go(shelf: Path, settings: Settings) -> None:
    shelf.mkdir()
    now = datetime(2026, 11, 30, tzinfo=UTC)
    for days in range(5):
        (shelf / shelves.name_of(now - timedelta(days=days))).write_bytes(b"")
    (shelf / "notes.txt").write_text("not ours")
    shelves.thin_out(shelves.shelf(), 2)
    assert [each.at.day for each in shelves.shelf().listed()] == [29, 30]
    assert (shelf / "notes.txt").exists()


@pytest.mark.any_database
def test_a_backup_goes_to_a_bucket_and_back(
    gateway: Gateway, alice: Person, settings: Settings, storage: Storage
) -> None:
    fund(alice, "10")
    settings.BACKUP_URL = storage.url
    kept = moment.take()
    assert list(storage.objects) == [f"/attic/hontoni/{kept.name}"]
    assert all("AWS4-HMAC-SHA256" in each for each in storage.signatures)
    assert [each.name for each in shelves.shelf().listed()] == [kept.name]
    before = gateway.balance(alice)
    fund(alice, "5")
    restore(kept.name)
    assert gateway.balance(alice) == before


@pytest.mark.any_database
def test_a_backup_is_taken_before_migrations(tmp_path: Path) -> None:
    """By a release that brings some, on a database of the release before."""
    env = {"DATA_DIR": str(tmp_path), "PATH": "", "PYTHONPATH": ".", "REDIS_URL": _valkey()}
    prepare = [sys.executable, "manage.py", "prepare"]
    root = Path(__file__).parents[2]
    prepared.install(tmp_path)
    back = [sys.executable, "manage.py", "migrate", "sessions", "zero"]
    subprocess.run(back, cwd=root, env=env, check=True, capture_output=True)
    done = subprocess.run(prepare, cwd=root, env=env, check=True, capture_output=True)
    (kept,) = (tmp_path / "backups").iterdir()
    assert f"Backed up before migrations: {kept.name}" in done.stdout.decode()


def _valkey() -> str:
    from django.conf import settings

    return str(settings.REDIS_URL)
