"""The tables, as migrations make them: one process at a time, and never waiting long for a lock.

A migration that wants a lock which traffic holds would make all traffic queue behind it. So it
gives up after MIGRATION_LOCK_SECONDS, undone, and is tried again.
"""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import override_settings

logger = logging.getLogger(__name__)

FIRST = ("djstripe", "0001_initial")
TRIES, PAUSE_SECONDS = 75, 2.0
_LOCK = 0x686F6E746F6E69  # "hontoni"
_TRAFFIC_IN_THE_WAY = ("55P03", "40P01")  # no lock in time, or a deadlock with who had it
_AT_ONCE = {"djstripe": "billing.stripe.mirror_tables"}


@contextmanager
def alone() -> Iterator[None]:
    """No other process prepares this database meanwhile; whoever does is waited for."""
    with _file_lock() if connection.vendor == "sqlite" else _advisory_lock():
        yield


@contextmanager
def _file_lock() -> Iterator[None]:
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with (settings.DATA_DIR / "prepare.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _advisory_lock() -> Iterator[None]:
    """On a connection of its own: it is the session's, and no transaction ends it."""
    keeper = connections.create_connection("default")
    keeper.settings_dict = {**keeper.settings_dict, "OPTIONS": dict(_without_pool())}
    try:
        with keeper.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                logger.warning("prepare.waits for another one")
                cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield
    finally:
        keeper.close()


def _without_pool() -> Iterator[tuple[str, object]]:
    options = connection.settings_dict.get("OPTIONS", {})
    return ((name, value) for name, value in options.items() if name != "pool")


def is_behind() -> bool:
    """Whether a migration is missing."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def is_empty() -> bool:
    """Whether nothing was ever applied."""
    return not MigrationExecutor(connection).loader.applied_migrations


def migrate() -> None:
    """Apply what is missing."""
    executor = MigrationExecutor(connection)
    known = {node for node in executor.loader.applied_migrations if node[0] == "djstripe"}
    if known <= {FIRST}:
        _migrate_at_once(executor)
    elif is_behind():
        _patiently()


def _migrate_at_once(executor: MigrationExecutor) -> None:
    """Migrate a database that has not met dj-stripe, whose migrations take minutes.

    Its tables are made from its models, and its migrations written down as applied: from here on
    the database is like any other. A test compares the two. Interrupted, it is begun again.
    """
    with override_settings(MIGRATION_MODULES=_AT_ONCE):
        _patiently()
    _record_mirror(executor)


def _record_mirror(executor: MigrationExecutor) -> None:
    with transaction.atomic():
        for app, name in executor.loader.disk_migrations:
            if app == "djstripe" and (app, name) != FIRST:  # that one was the step
                executor.recorder.record_applied(app, name)


def make(applied: set[tuple[str, str]]) -> None:
    """The tables as these migrations leave them, in an empty database."""
    executor = MigrationExecutor(connection)
    ours = {node for node in applied if node in executor.loader.graph.nodes}
    with override_settings(MIGRATION_MODULES=_AT_ONCE):
        for node in sorted(ours):
            children = executor.loader.graph.node_map[node].children
            last = not any(child.key[0] == node[0] and child.key in ours for child in children)
            if last:
                _patiently(node[0], FIRST[1] if node[0] == "djstripe" else node[1])
    _record_mirror(executor)


def _patiently(*target: str) -> None:
    """Migrate; what could not have its lock is undone, and tried again."""
    for left in reversed(range(TRIES)):
        _bound_locks()
        try:
            call_command("migrate", *target, interactive=False, verbosity=1)
        except OperationalError as error:
            if not left or not _met_traffic(error):
                raise
            logger.warning("prepare.locked: traffic holds a lock; tried again")
            time.sleep(PAUSE_SECONDS)
        else:
            _bound_locks(0)
            return


def _met_traffic(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", "") in _TRAFFIC_IN_THE_WAY


def _bound_locks(seconds: float | None = None) -> None:
    """How long this connection waits for a lock; 0: for ever."""
    if connection.vendor != "postgresql":
        return
    most = settings.MIGRATION_LOCK_SECONDS if seconds is None else seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(most * 1000)}"])
