"""/healthz: this process is up. /readyz: it can serve — or which part cannot, with a 503.

Alarms are told beside: what somebody must mend, though no gateway is better off without traffic.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils.translation import gettext_noop
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from hontoni import redis
from hontoni.db import in_thread
from hontoni.stopping import Stopping

HEARTBEAT = "worker:heartbeat"  # as gateways of the release before know it
HEARTBEAT_SECONDS = 30
WORKER = "worker:alive"  # Celery's worker, and beat, whose task says so
WORKER_SECONDS = 180
_RECONCILED = "reconcile:last"


def preload() -> None:
    """What /readyz will ask of the code, before it is asked."""
    _Schema.load()


def beat() -> None:
    """Said by settlement now and then: usage is being written into the books."""
    redis.sync().set(HEARTBEAT, int(time.time()), ex=HEARTBEAT_SECONDS)


def worker_beat() -> None:
    """Said by a task that beat asks for: both are alive."""
    redis.sync().set(WORKER, int(time.time()), ex=WORKER_SECONDS)


class Reconciled(NamedTuple):
    """What the last reconcile found, and when (epoch seconds)."""

    at: float
    differences: int


def note_reconcile(differences: int) -> None:
    """The books were compared with what they are made of. If Valkey is away, nobody is told."""
    with suppress(redis.RedisError):
        redis.sync().set(_RECONCILED, f"{int(time.time())} {differences}")


def reconciled() -> Reconciled | None:
    """The last one, if there was any. Raises RedisError."""
    said = redis.sync().get(_RECONCILED)
    if said is None:
        return None
    at, differences = said.split()
    return Reconciled(float(at), int(differences))


def _database() -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class _Schema:
    """The migrations this code has; and whether this process has ever found them fit."""

    known: frozenset[tuple[str, str]] = frozenset()
    required: frozenset[tuple[str, str]] = frozenset()
    fitted = False

    @classmethod
    def load(cls) -> None:
        """From the disk, once. Only their names are kept: the rest would be 10 MB."""
        if not cls.known:
            loaded = set(sys.modules)
            loader = MigrationLoader(None, ignore_no_migrations=True)
            cls.required = frozenset(loader.graph.nodes)
            cls.known = frozenset(loader.disk_migrations)
            for name in set(sys.modules) - loaded:
                if ".migrations." in name:
                    del sys.modules[name]


def _applied() -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        return {(app, name) for app, name in cursor.fetchall()}


def _ahead(applied: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """What was applied that this code does not know, of the apps it has."""
    ours = {app for app, _ in _Schema.known}
    return {each for each in applied - _Schema.known if each[0] in ours}


def _migrations() -> None:
    """The database fits this code. One that a later release has migrated fits what runs already,
    for migrations add first; but nothing is started on it."""
    _Schema.load()
    applied = _applied()
    if missing := _Schema.required - applied:
        raise RuntimeError(f"{len(missing)} migrations are missing")
    if not _Schema.fitted and (ahead := _ahead(applied)):
        app, name = min(ahead)
        raise RuntimeError(f"the database is of a later release: {app} {name}")
    _Schema.fitted = True


def _redis() -> None:
    redis.sync().ping()


def _settlement() -> None:
    if not redis.sync().exists(HEARTBEAT):
        raise RuntimeError(gettext_noop("no settlement process has been heard of lately"))


def _worker() -> None:
    if not redis.sync().exists(WORKER):
        raise RuntimeError(gettext_noop("no worker with beat has been heard of lately"))


def _books() -> None:
    last = reconciled()
    if last is not None and last.differences:
        raise RuntimeError(f"the last reconcile found {last.differences} differences")


def _release() -> None:
    _Schema.load()
    if _ahead(_applied()):
        raise RuntimeError("the database is of a later release; this process is of the one before")


_PARTS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
}
_ALARMS: dict[str, Callable[[], None]] = {
    "settlement": _settlement,
    "worker": _worker,
    "release": _release,
    "books": _books,
}


def problems() -> dict[str, str]:
    """What cannot serve, by part. The reason is the kind of error; details are in the log."""
    return _failing(_PARTS)


def alarms() -> dict[str, str]:
    """What must be mended though this process can serve, by part."""
    return _failing(_ALARMS)


def _failing(parts: Mapping[str, Callable[[], None]]) -> dict[str, str]:
    found = {}
    for part, check in parts.items():
        try:
            check()
        except Exception as error:
            found[part] = str(error) if isinstance(error, RuntimeError) else type(error).__name__
    return found


async def _healthz(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"status": "ok"})(scope, receive, send)


async def _readyz(scope: Scope, receive: Receive, send: Send) -> None:
    if Stopping.begun:
        await JSONResponse({"status": "stopping"}, 503)(scope, receive, send)
        return
    failing, alarming = await in_thread(lambda: (problems(), alarms()))
    parts = {part: failing.get(part, "ok") for part in _PARTS}
    body = {"status": "failing" if failing else "ok", "parts": parts, "alarms": alarming}
    await JSONResponse(body, status_code=503 if failing else 200)(scope, receive, send)


ROUTES: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = {
    "/healthz": _healthz,
    "/readyz": _readyz,
}
