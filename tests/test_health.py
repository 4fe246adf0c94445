"""/healthz and /readyz, and what refuses to start."""

import asyncio
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django.fixtures import Settings

from gateway.tasks import watch_settlement
from hontoni import health, redis
from hontoni.checks import deployment
from tests.gateway_server import Gateway


def test_the_process_is_up_whatever_else_is_down(gateway: Gateway) -> None:
    with gateway.http() as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_readiness_names_the_part_that_fails(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("no more")

    with gateway.http() as client:
        assert client.get("/readyz").status_code == 200
        monkeypatch.setitem(health._PARTS, "redis", broken)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        parts = answer.json()["parts"]
        assert parts.pop("redis") == "no more"
        assert set(parts.values()) == {"ok"}


def test_a_dead_settlement_is_an_alarm_and_takes_no_gateway_out(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    with gateway.http() as client:
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert "no settlement process" in answer.json()["alarms"]["settlement"]
        watch_settlement()
        assert "no settlement process" in caplog.text
        health.beat()
        assert client.get("/readyz").json()["alarms"] == {}


def test_readiness_fails_without_redis(settings: Settings, db: None) -> None:
    redis.sync.cache_clear()
    settings.REDIS_URL = "unix:///nowhere.sock"
    try:
        assert set(health.problems()) == {"redis"}
    finally:
        redis.sync.cache_clear()


@pytest.fixture
def newly_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not looked at the database before."""
    monkeypatch.setattr(health._Schema, "fitted", False)


def test_readiness_fails_where_a_migration_is_missing(gateway: Gateway) -> None:
    """However long it has run: the database may have been restored to a moment before."""
    missing = MigrationRecorder.Migration.objects.get(app="gateway", name="0001_initial")
    with gateway.http() as client:
        assert client.get("/readyz").status_code == 200
        missing.delete()
        try:
            assert (
                client.get("/readyz").json()["parts"]["migrations"] == "1 migrations are missing"
            )
        finally:
            MigrationRecorder(connection).record_applied("gateway", "0001_initial")
        assert client.get("/readyz").status_code == 200


def test_nothing_starts_on_the_database_of_a_later_release(
    gateway: Gateway, newly_started: None
) -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_applied("gateway", "9999_of_tomorrow")
    try:
        with gateway.http() as client:
            answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "later release" in answer.json()["parts"]["migrations"]
    finally:
        recorder.record_unapplied("gateway", "9999_of_tomorrow")


def test_what_runs_goes_on_while_a_later_release_is_rolled_out(
    gateway: Gateway, newly_started: None
) -> None:
    """Migrations add first, so they take no running gateway out before its successor is there."""
    recorder = MigrationRecorder(connection)
    with gateway.http() as client:
        assert client.get("/readyz").status_code == 200
        recorder.record_applied("gateway", "9999_of_tomorrow")
        try:
            answer = client.get("/readyz")
            assert answer.status_code == 200 and "release" in answer.json()["alarms"]
        finally:
            recorder.record_unapplied("gateway", "9999_of_tomorrow")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"SECRET_KEY": "changeme"}, "hontoni.E001"),
        ({"SECRET_KEY": "django-insecure-" + "x" * 50}, "hontoni.E001"),
        ({"STRIPE_SECRET_KEY": "sk_live_x", "SANDBOX": True}, "hontoni.E002"),
        ({"STRIPE_SECRET_KEY": "sk_live_x", "SANDBOX": False, "DEBUG": True}, "hontoni.E003"),
    ],
)
def test_what_must_not_run_does_not_start(
    settings: Settings, changes: dict[str, Any], refusal: str
) -> None:
    from hontoni.asgi import application

    for name, value in changes.items():
        setattr(settings, name, value)
    assert refusal in [error.id for error in deployment()]
    sent: list[dict[str, Any]] = []

    async def start() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            sent.append(message)

        await application({"type": "lifespan"}, receive, send)

    asyncio.run(start())
    assert sent[0]["type"] == "lifespan.startup.failed" and refusal in sent[0]["message"]
