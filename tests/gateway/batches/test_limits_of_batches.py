"""What an account may have of files and batches, however many ask at once."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from gateway.batches.models import Batch
from gateway.plane.batches import creation
from tests.gateway.batches.world import held, line, upload
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund, nobody_runs_batches
from tests.world import Person

REQUEST = {
    "custom_id": "a",
    "params": {
        "model": "gpt-4o",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "x" * 2_000}],
    },
}


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody's batch is kept before two have found that there is room for theirs."""
    bounded, both, waiting = creation._bounded, asyncio.Event(), []

    async def slowly(*args: Any) -> Any:
        waiting.append(args)
        if len(waiting) == 2:
            both.set()
        await both.wait()
        return await bounded(*args)

    monkeypatch.setattr(creation, "_bounded", slowly)
    with nobody_runs_batches():
        yield


def both(gateway: Gateway, alice: Person, path: str, body: Any) -> list[int]:
    """The statuses of two that ask the same at once, in order."""

    def ask(_: int) -> int:
        with gateway.http(alice) as http:
            return http.post(path, json=body).status_code

    with ThreadPoolExecutor(2) as threads:
        return sorted(threads.map(ask, range(2)))


@pytest.mark.usefixtures("two_at_once")
def test_of_two_that_open_the_last_batch_one_is_refused(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    fund(alice, "10")
    limit(alice, concurrent=2, rpm=50)
    settings.BATCHES_PER_ACCOUNT = 1
    body = {
        "input_file_id": upload(gateway, alice, line("a")),
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    assert both(gateway, alice, "/v1/batches", body) == [200, 429]
    (kept,) = Batch.objects.all()
    assert held(alice.user) == kept.held > 0


@pytest.mark.usefixtures("two_at_once")
def test_of_two_that_take_the_last_room_one_is_refused(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    fund(alice, "10")
    limit(alice, concurrent=2, rpm=50)
    settings.FILES_ACCOUNT_BYTES = 3_000
    body = {"requests": [REQUEST]}
    assert both(gateway, alice, "/v1/messages/batches", body) == [200, 413]
    (kept,) = Batch.objects.all()
    assert held(alice.user) == kept.held > 0
