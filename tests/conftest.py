"""A real Valkey and a real database for every test; the small world of alice, bob and carol."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation
from pytest_django import DjangoDbBlocker

from tests.environment import HOME


def pytest_configure(config: pytest.Config) -> None:
    """Django is set up by now, so the world may import its models."""
    import hypothesis
    from django.conf import settings

    # No clock decides a test: a first run draws from tables that Hypothesis is still making.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("steady", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("steady")
    from tests import database

    database.seed_quickly()
    for name in ("tests.world", "tests.vendors", "tests.gateway_server", "tests.tally"):
        config.pluginmanager.import_plugin(name)
    # Its migrations take a minute, the tables themselves a moment.
    settings.MIGRATION_MODULES = {"djstripe": "billing.stripe.mirror_tables"}
    settings.STRIPE_MIRROR = False
    # Every test's client has middleware of its own, which would look for all static files anew.
    settings.WHITENOISE_AUTOREFRESH = True
    # The real hasher is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Any]:
    """A module's LOOPS, where it is to be run on each of them."""
    module = item.getparent(pytest.Module)
    assert module is not None
    loops: dict[str, Any] = getattr(module.obj, "LOOPS", {"asyncio": asyncio.new_event_loop})
    return loops


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each database gets what can differ there; what touches none, or any, runs on SQLite."""
    from django.conf import settings

    if config.getoption("--no-database"):
        kept = [item for item in items if not _needs_a_database(item)]
    elif "postgresql" in settings.DATABASES["default"]["ENGINE"]:
        kept = [item for item in items if _needs_postgres(item)]
    else:
        kept = [item for item in items if not item.get_closest_marker("postgres_only")]
    left = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = kept


# Rooms whose tests send requests, open pages or ask for texts, and only read rows back. What adds
# up in SQL, takes locks or moves money has its own tests, and they are in the other rooms.
_ANY_DATABASE = tuple(
    f"tests/{room}/"
    for room in (
        "conformance",
        "gateway/catalogue/features",
        "gateway/dialects",
        "gateway/metering",
        "gateway/plane",
        "gateway/vendors",
        "sandbox",
    )
)


def _needs_postgres(item: pytest.Item) -> bool:
    if item.get_closest_marker("any_database") or not _needs_a_database(item):
        return False
    here = item.nodeid.startswith(_ANY_DATABASE)
    return not here or bool(item.get_closest_marker("both_databases"))


def _needs_a_database(item: pytest.Item) -> bool:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return not _DATABASE.isdisjoint(fixtures) or bool(item.get_closest_marker("django_db"))


_DATABASE = frozenset(("db", "transactional_db", "django_db_setup", "live_server"))


@pytest.fixture(scope="session", autouse=True)
def _valkey() -> Iterator[None]:
    from django.conf import settings

    from hontoni.valkey import Valkey

    with Valkey(HOME / "valkey", settings.EMBEDDED_SOCKET, durable=False):
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_blocker: DjangoDbBlocker) -> None:
    from django.conf import settings

    from tests import database

    database.modify(settings.DATABASES["default"])
    with django_db_blocker.unblock():
        database.copy_tables(HOME)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """A copy has all tables. It lies in a folder that goes when the run ends."""
    from django.db import connection

    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    from tests import database

    database.empty_quickly()
    database.prove_quickly()


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
def _codes_last_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """An authenticator app's code is good until its 30 seconds end, often the very next moment."""
    from allauth.mfa.totp.internal import auth

    (counter,) = auth.yield_hotp_counters_from_time()
    monkeypatch.setattr(auth, "yield_hotp_counters_from_time", lambda: iter([counter]))


@pytest.fixture(autouse=True)
def _no_language_left() -> Iterator[None]:
    """The language of a test's last page stays in its thread, and accounts begin with it."""
    yield
    translation.deactivate()
