"""/healthz: this process is up. /readyz: it can serve — or which part cannot, with a 503."""

import time
from collections.abc import Awaitable, Callable

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from hontoni import redis
from hontoni.db import in_thread

HEARTBEAT = "worker:heartbeat"
HEARTBEAT_SECONDS = 30


def beat() -> None:
    """Said by the worker now and then: usage is being written into the books."""
    redis.sync().set(HEARTBEAT, int(time.time()), ex=HEARTBEAT_SECONDS)


def _database() -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class _Migrated:
    """Once migrated, a running process stays so: the check costs queries, so it is asked once."""

    done = False


def _migrations() -> None:
    if _Migrated.done:
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError("migrations are missing")
    _Migrated.done = True


def _redis() -> None:
    redis.sync().ping()


def _worker() -> None:
    if not redis.sync().exists(HEARTBEAT):
        raise RuntimeError("no worker has been heard of lately")


_PARTS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "worker": _worker,
}


def problems() -> dict[str, str]:
    """What cannot serve, by part. The reason is the kind of error; details are in the log."""
    found = {}
    for part, check in _PARTS.items():
        try:
            check()
        except Exception as error:
            found[part] = str(error) if isinstance(error, RuntimeError) else type(error).__name__
    return found


async def _healthz(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"status": "ok"})(scope, receive, send)


async def _readyz(scope: Scope, receive: Receive, send: Send) -> None:
    failing = await in_thread(problems)
    parts = {part: failing.get(part, "ok") for part in _PARTS}
    body = {"status": "failing" if failing else "ok", "parts": parts}
    await JSONResponse(body, status_code=503 if failing else 200)(scope, receive, send)


ROUTES: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = {
    "/healthz": _healthz,
    "/readyz": _readyz,
}
