"""A real Valkey and a real database for every test; the small world of alice, bob and carol."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_django

from tests.environment import HOME


def pytest_configure(config: pytest.Config) -> None:
    """Django is set up by now, so the world may import its models."""
    from django.conf import settings

    for name in ("tests.world", "tests.vendors", "tests.gateway_server"):
        config.pluginmanager.import_plugin(name)
    # The real hasher is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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

    So they go before and come back after. Postgres truncates, which fires no trigger.
    """
    from django.db import connection

    if connection.vendor != "sqlite":
        return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = dict(cursor.fetchall())
    # On the class: beside a browser's event loop Django uses another connection of this thread.
    kind = type(connection.ops)
    flush = kind.sql_flush

    def unsealed(*args: Any, **kwargs: Any) -> list[str]:
        drop = [f"DROP TRIGGER {name}" for name in triggers]
        return [*drop, *flush(*args, **kwargs), *triggers.values()]

    kind.sql_flush = unsealed  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _empty_valkey(_valkey: None) -> None:
    from hontoni import redis

    redis.sync().flushall()
