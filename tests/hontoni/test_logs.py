"""The console log: whose request it is about, and no flood while a store is away."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from gateway.plane import admission
from hontoni import logs
from hontoni import settings as product
from hontoni.errors import Unavailable
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database


class Output:
    """What a console has written, as JSON."""

    def __init__(self, handler: logs.Console) -> None:
        self.handler, self.stream = handler, io.StringIO()
        handler.setStream(self.stream)
        handler.setFormatter(logs.Json())

    def lines(self, logger: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in found if line["logger"] == logger]


@pytest.fixture
def console(settings: Settings) -> Iterator[Output]:
    settings.LOG_REPEAT_SECONDS = 10
    output = Output(logs.Console())
    logging.getLogger().addHandler(output.handler)
    yield output
    logging.getLogger().removeHandler(output.handler)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr("hontoni.logs.time.monotonic", clock.monotonic)
    return clock


def test_a_line_names_the_request_the_account_and_the_key(
    gateway: Gateway, alice: Person, console: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(call: Any) -> None:
        raise ValueError("a fault of ours")

    fund(alice, "10")
    monkeypatch.setattr(admission, "admit", broken)
    answer = gateway.chat(alice)
    assert answer.status_code == 500
    (line,) = console.lines("gateway.plane.pipeline")
    assert line["request"] == answer.headers["x-request-id"]
    assert (line["account"], line["key"]) == (alice.user.pk, alice.key.pk)
    assert "a fault of ours" in line["exception"]
    assert alice.raw not in console.stream.getvalue()


def test_an_outage_is_said_once_with_how_often_it_was(clock: Any, console: Output) -> None:
    logger = logging.getLogger("tests.outage")

    def fail(request: int) -> None:
        try:
            raise Unavailable("The limits cannot be reached.")
        except Unavailable:
            logger.exception("settle.postponed %s", request)

    for request in range(100):
        fail(request)
    clock.now += 11
    fail(100)
    assert [line.get("repeated", 0) for line in console.lines("tests.outage")] == [0, 99]


def test_the_end_of_an_outage_tells_what_was_held_back(clock: Any, console: Output) -> None:
    logger = logging.getLogger("tests.outage")
    for _ in range(5):
        logger.warning("heartbeat.failed %s: %s", "req_1", OSError("no route"))
    clock.now += 11
    logger.warning("another thing")
    told = [(line["message"], line.get("repeated", 0)) for line in console.lines("tests.outage")]
    assert told == [
        ("heartbeat.failed req_1: no route", 0),
        ("heartbeat.failed req_1: no route", 3),
        ("another thing", 0),
    ]


def test_two_bills_are_two_lines_however_alike(console: Output) -> None:
    logger = logging.getLogger("tests.money")
    for request in ("req_1", "req_2"):
        logger.warning("charge.capped %s", request)
    assert len(console.lines("tests.money")) == 2


def test_the_product_logs_through_it() -> None:
    handler = product.LOGGING["handlers"]["console"]  # type: ignore[index]
    assert handler["class"] == "hontoni.logs.Console"


def test_a_fault_of_a_page_names_whose_it_was(
    console: Output, alice: Person, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("a fault of ours")

    client.force_login(alice.user)
    client.raise_request_exception = False
    monkeypatch.setattr("gateway.dashboard.views.usage_views.render", broken)
    assert client.get("/usage").status_code == 500
    (line,) = console.lines("django.request")
    assert line["account"] == alice.user.pk
    assert line["request"].startswith("req_")
