"""Settings, database, Valkey and disk."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks as django_checks
from django.db import connection
from redis.exceptions import ResponseError

from hontoni import health, redis, storage
from operations.backups import shelves
from operations.doctor.findings import Finding, failing, ok, warning

CLOCK_WARNING, CLOCK_FAILING = 1.0, 10.0  # seconds apart
DISK_WARNING, DISK_FAILING = 0.15, 0.05  # free, of the whole
BACKUP_HOURS = 26


def configuration() -> Iterator[Finding]:
    """What `manage.py check` refuses, and what must not be so in production."""
    for error in django_checks.run_checks():
        if error.is_serious():
            yield failing(f"{error.id}: {error.msg}")
    if settings.DEBUG:
        yield failing("DEBUG is on: errors show the code to everybody. Unset it.")
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    allowed = settings.ALLOWED_HOSTS
    known = any(host == each or each.startswith(".") and host.endswith(each) for each in allowed)
    if not known and "*" not in allowed:
        yield failing(f"ALLOWED_HOSTS lacks {host}, the host of PUBLIC_URL: pages answer 400.")
    nameless = [n for n in ("SELLER_ADDRESS", "SELLER_EMAIL") if not getattr(settings, n)]
    if nameless and not settings.SANDBOX:
        named = " and ".join(nameless)
        yield warning(f"/contact and the legal pages do not say who sells: set {named}.")
    yield ok(f"customers come to {settings.PUBLIC_URL}")


def database() -> Iterator[Finding]:
    """That it answers, and fits this code."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if settings.EMBEDDED_DATABASE:
        yield warning("SQLite: one machine, and no replica. Set DATABASE_URL for more.")
    else:
        yield ok(f"{connection.vendor} answers")


def migrations() -> Iterator[Finding]:
    """That they are applied, and none of a later release."""
    found = health.problems().get("migrations")
    yield failing(f"{found}: run `manage.py prepare`") if found else ok("all are applied")


def clocks() -> Iterator[Finding]:
    """This machine's, the database's and Valkey's: windows and prices go by them."""
    seconds, micros = redis.clock()
    for name, theirs in (("Valkey", seconds + micros / 1e6), ("database", _database_clock())):
        apart = abs(theirs - time.time())
        text = f"the clock of {name} is {apart:.1f} s from ours"
        if apart >= CLOCK_FAILING:
            yield failing(f"{text}: run NTP on both")
        else:
            yield warning(f"{text}: run NTP on both") if apart >= CLOCK_WARNING else ok(text)


def _database_clock() -> float:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT (julianday('now') - 2440587.5) * 86400.0")
        else:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])


def valkey() -> Iterator[Finding]:
    """That it keeps what it is told, and evicts nothing: it holds money in flight. Of a cluster,
    each master."""
    if not redis.is_cluster():
        yield from _keeps("Valkey", redis.sync().info())
        yield from _writes("Valkey")
        return
    nodes: dict[str, dict[str, Any]] = redis.sync().info(target_nodes="primaries")
    for name, info in sorted(nodes.items()):
        yield from _keeps(f"Valkey at {name}", info)


def _writes(name: str) -> Iterator[Finding]:
    try:
        (often,) = redis.sync().config_get("appendfsync").values()
    except (ResponseError, ValueError):
        return  # it may not be asked: managed ones often forbid it
    if often in ("no", b"no"):
        yield failing(f"{name}: appendfsync is no: a crash loses half a minute. Set everysec.")


def _keeps(name: str, info: dict[str, Any]) -> Iterator[Finding]:
    yield from _evicts(name, info)
    if not info.get("aof_enabled"):
        yield failing(f"{name} writes nothing down: set appendonly yes, appendfsync everysec.")
    elif (
        info.get("aof_last_write_status") != "ok" or info.get("aof_last_bgrewrite_status") != "ok"
    ):
        yield failing(f"{name} cannot write its append-only file: look at its disk.")
    else:
        yield ok(f"{name} keeps an append-only file")


def _evicts(name: str, info: dict[str, Any]) -> Iterator[Finding]:
    policy, most = info.get("maxmemory_policy"), int(info.get("maxmemory") or 0)
    if policy not in ("noeviction", None):
        yield failing(f"{name}: maxmemory-policy is {policy}: holds get evicted. Use noeviction.")
    if most and int(info["used_memory"]) > 0.8 * most:
        yield warning(f"The memory of {name} is more than 80 % full; when full, /v1 answers 503.")


def disk() -> Iterator[Finding]:
    """Room where this machine writes."""
    for path in {settings.DATA_DIR, Path(settings.SPOOL_DIR), *_archive(), *shelves.folders()}:
        there = _existing(path)
        usage = shutil.disk_usage(there)
        free = usage.free / usage.total
        text = f"{path}: {free:.0%} free ({usage.free / 1e9:.1f} GB)"
        if free < DISK_FAILING:
            yield failing(text)
        else:
            yield warning(text) if free < DISK_WARNING else ok(text)


def _archive() -> list[Path]:
    store = storage.store(settings.ARCHIVE_URL)
    return [store.path] if isinstance(store, storage.Folder) else []


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def backups() -> Iterator[Finding]:
    """That there is a fresh one."""
    newest = max(shelves.shelf().listed(), key=lambda kept: kept.at, default=None)
    if newest is None:
        text = "there is no backup: run `manage.py backup` every day"
        yield warning(text) if settings.EMBEDDED_DATABASE else failing(text)
        return
    hours = (datetime.now(UTC) - newest.at).total_seconds() / 3600
    text = f"the newest is {hours:.0f} h old"
    yield failing(f"{text}: run `manage.py backup`") if hours > BACKUP_HOURS else ok(text)
