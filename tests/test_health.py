"""/healthz and /readyz, and what refuses to start."""

import asyncio
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from hontoni import health, redis
from hontoni.checks import deployment
from tests.gateway_server import Gateway


def test_the_process_is_up_whatever_else_is_down(gateway: Gateway) -> None:
    with gateway.http() as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_readiness_names_the_part_that_fails(gateway: Gateway) -> None:
    with gateway.http() as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        parts = answer.json()["parts"]
        assert parts.pop("worker") != "ok"
        assert set(parts.values()) == {"ok"}
        health.beat()
        assert client.get("/readyz").status_code == 200


def test_readiness_fails_without_redis(settings: Settings, db: None) -> None:
    redis.sync.cache_clear()
    settings.REDIS_URL = "unix:///nowhere.sock"
    try:
        assert set(health.problems()) == {"redis", "worker"}
    finally:
        redis.sync.cache_clear()


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
