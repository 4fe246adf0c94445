"""A real Valkey and a real database for every test; the small world of alice, bob and carol."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_django
from django.utils import translation

from tests.environment import HOME


def pytest_configure(config: pytest.Config) -> None:
    """Django is set up by now, so the world may import its models."""
    from django.conf import settings

    for name in ("tests.world", "tests.vendors", "tests.gateway_server"):
        config.pluginmanager.import_plugin(name)
    # Its migrations take a minute, the tables themselves a moment.
    settings.MIGRATION_MODULES = {"djstripe": "billing.payments.mirror_tables"}
    settings.STRIPE_MIRROR = False
    # The real hasher is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Any]:
    """A module's LOOPS, where it is to be run on each of them."""
    module = item.getparent(pytest.Module)
    assert module is not None
    loops: dict[str, Any] = getattr(module.obj, "LOOPS", {"asyncio": asyncio.new_event_loop})
    return loops


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On Postgres runs what differs there; the rest has run on SQLite before it.

    Left out are the tests that touch no database, and those that are marked `any_database`:
    they send requests and look at the answers, and their rows are only read back.
    """
    from django.conf import settings

    if config.getoption("--no-database"):
        kept = [item for item in items if not _needs_a_database(item)]
    elif "postgresql" in settings.DATABASES["default"]["ENGINE"]:
        kept = [item for item in items if _needs_postgres(item)]
    else:
        return
    left = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = kept


def _needs_postgres(item: pytest.Item) -> bool:
    return not item.get_closest_marker("any_database") and _needs_a_database(item)


def _needs_a_database(item: pytest.Item) -> bool:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return not _DATABASE.isdisjoint(fixtures) or bool(item.get_closest_marker("django_db"))


_DATABASE = frozenset(("db", "transactional_db", "django_db_setup", "live_server"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested because it is not installed is said last and loudly."""
    reasons = {str(r.longrepr[2]) for r in terminalreporter.stats.get("skipped", ())}
    for reason in sorted(reason for reason in reasons if "not installed" in reason):
        terminalreporter.write_line(f"NOT TESTED: {reason.removeprefix('Skipped: ')}", red=True)


@pytest.fixture(scope="session", autouse=True)
def _valkey() -> Iterator[None]:
    from django.conf import settings

    from hontoni.valkey import Valkey

    with Valkey(HOME / "valkey", settings.EMBEDDED_SOCKET, durable=False):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """SQLite in a file: the server's threads must see what the test wrote."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(HOME / "test.sqlite3")
    database.get("OPTIONS", {}).pop("pool", None)


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker
) -> None:
    """Tables are emptied between tests: on SQLite by DELETE, which the ledger's triggers refuse.

    So they go before and come back after. Postgres truncates, which fires no trigger. The 62
    tables of dj-stripe are left alone, for they cost more than all of ours: the tests that fill
    them empty them.
    """
    from django.apps import apps
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        triggers = _triggers(cursor) if connection.vendor == "sqlite" else {}
        if connection.vendor == "postgresql":
            _part_from_users(cursor)
    # On the class: beside a browser's event loop Django uses another connection of this thread.
    kind = type(connection.ops)
    flush = kind.sql_flush

    def unsealed(ops: Any, style: Any, tables: list[str], **kwargs: Any) -> list[str]:
        drop = [f"DROP TRIGGER {name}" for name in triggers]
        ours = [table for table in tables if not table.startswith("djstripe_")]
        return [*drop, *flush(ops, style, ours, **kwargs), *triggers.values()]

    kind.sql_flush = unsealed  # type: ignore[assignment, method-assign]
    # Nor are its 248 permissions, which nobody has, made anew after every test.
    apps.get_app_config("djstripe").models_module = None


def _triggers(cursor: Any) -> dict[str, str]:
    cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return dict(cursor.fetchall())


def _part_from_users(cursor: Any) -> None:
    """Postgres truncates no table that another one, which stays, refers to."""
    cursor.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid = 'djstripe_customer'::regclass AND confrelid = 'accounts_user'::regclass"
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f'ALTER TABLE djstripe_customer DROP CONSTRAINT "{name}"')


@pytest.fixture(autouse=True)
def _empty_valkey(_valkey: None, request: pytest.FixtureRequest) -> None:
    """The epoch is kept in the database: tests that commit nothing have only one."""
    from gateway.stores import epochs as authority
    from hontoni import redis
    from ratelimits import epochs

    redis.sync().flushall()
    marker = request.node.get_closest_marker("django_db")
    commits = "transactional_db" in request.fixturenames or "live_server" in request.fixturenames
    if commits or (marker is not None and marker.kwargs.get("transaction")):
        epochs.authority(authority.confirm)
    else:
        epochs.authority(None)
        epochs.believe("")


@pytest.fixture(autouse=True)
def _no_language_left() -> Iterator[None]:
    """The language of a test's last page stays in its thread, and accounts begin with it."""
    yield
    translation.deactivate()
