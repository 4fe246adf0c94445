"""Large requests are prepared in a process of their own, and are otherwise like any other."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.catalogue import snapshot
from gateway.plane import counting, large, pipeline, preparer
from gateway.usage.models import Refusal
from gateway.usage.refusals import drain
from gateway.vendors.models import Offering
from tests.gateway.vendors.test_failover import error
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

TOOL = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "anthropic_messages": "/v1/messages",
    "openai_responses": "/v1/responses",
}
MODELS = ("gpt-4o", "claude-sonnet-4", "gemini-2.5-pro")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A process that has answered nobody yet."""
    large.stop()
    yield
    large.stop()


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_FEW_BYTES", 0)
    monkeypatch.setattr(large, "LARGE_OBJECTS", 0)


def body(dialect: str, model: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    if dialect == "openai_responses":
        return {"model": model, "input": said, "max_output_tokens": 50, **more}
    return {"model": model, "messages": said, "max_tokens": 50, **more}


def post(gateway: Gateway, person: Person, path: str, told: dict[str, Any]) -> httpx.Response:
    with gateway.http(person) as http:
        return http.post(path, json=told, timeout=120)


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_it_is_answered_and_charged_like_any_other(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch,
    dialect: str, model: str, stream: bool,
) -> None:  # fmt: skip
    fund(alice, "10")
    told = body(dialect, model, stream=stream)
    ways = []
    for objects in (10**9, 0):
        monkeypatch.setattr(large, "_FEW_BYTES", 0)
        monkeypatch.setattr(large, "LARGE_OBJECTS", objects)
        answer = post(gateway, alice, PATHS[dialect], told)
        assert answer.status_code == 200, answer.text
        sent = gateway.vendors.requests[-1]
        *_, event = gateway.books()
        ways.append((sent.path, sent.body, event.cost, event.hold, event.output, event.input))
    assert ways[0] == ways[1]
    assert len(large.processes()) == 1


@pytest.mark.usefixtures("everything_is_large")
def test_a_tool_of_a_long_conversation_is_called_by_its_name(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    told = body(
        "anthropic_messages", "gpt-4o", '[[tool: {"name": "look", "args": {}}]]', tools=[TOOL]
    )
    answer = post(gateway, alice, "/v1/messages", told).json()
    assert [block["name"] for block in answer["content"] if block["type"] == "tool_use"] == [
        "look"
    ]


def test_three_hundred_thousand_messages_are_nothing_to_the_event_loop(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither reading them nor writing them happens in the gateway's process (15,000 of them are
    as many to a test); that it takes others no time is measured by `make bench-large`.
    """
    fund(alice, "1000")

    def never(*_: Any) -> None:
        raise AssertionError("it was read in the gateway")

    monkeypatch.setattr(pipeline, "parse", never)
    monkeypatch.setattr(counting, "parse", never)
    monkeypatch.setattr(preparer, "IDLE_SECONDS", 0.2)
    many = [{"role": ("user", "assistant")[n % 2], "content": "x"} for n in range(15_001)]
    told = {**body("openai_chat", "claude-sonnet-4"), "messages": many}
    raw = json.dumps(told).encode()
    with gateway.http(alice) as http:
        answer = http.post("/v1/chat/completions", content=raw, timeout=300)
        assert answer.status_code == 200, answer.text
        other = gateway.vendors.requests[-1]
        assert len(other.body["messages"]) > 1000
        told.pop("max_tokens")
        counted = http.post("/v1/messages/count_tokens", json=told, timeout=300)
        assert counted.json()["input_tokens"] > 10_000
    assert large.processes() != [os.getpid()]
    # and its memory goes with it
    until(lambda: not large.processes(), "it does not end")


@pytest.mark.usefixtures("everything_is_large")
def test_a_process_that_dies_is_replaced(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    (pid,) = large.processes()
    os.kill(pid, signal.SIGKILL)
    assert gateway.chat(alice).status_code == 200
    assert large.processes() != [pid]
    assert len(gateway.books()) == 2


@pytest.mark.usefixtures("everything_is_large")
def test_what_the_balance_does_not_cover_is_not_asked_for(gateway: Gateway, alice: Person) -> None:
    fund(alice, "0.05")
    answer = gateway.chat(alice, max_tokens=16_000)
    assert answer.status_code == 200
    assert "clamped-by=balance" in answer.headers["x-hontoni-max-tokens"]
    assert gateway.vendors.requests[-1].body["max_tokens"] < 5_000
    assert gateway.balance(alice) >= 0


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found"),
        ({"messages": []}, 400, "invalid_request"),
        ({"max_tokens": -1}, 400, "invalid_request"),
        ({"messages": [{"role": "user"}, 5]}, 400, "invalid_request"),
    ],
)
def test_it_is_refused_like_any_other(
    gateway: Gateway, alice: Person, told: dict[str, Any], status: int, code: str
) -> None:
    fund(alice, "10")
    answer = post(gateway, alice, PATHS["openai_chat"], body("openai_chat", "gpt-4o") | told)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    until(drain, "the refusal was not noted")
    assert Refusal.objects.get().model == told.get("model", "gpt-4o")


@pytest.mark.usefixtures("everything_is_large")
def test_what_is_no_json_is_refused(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as http:
        answer = http.post(PATHS["openai_chat"], content=b'{"model": ')
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.usefixtures("everything_is_large")
def test_another_provider_is_asked_under_its_own_name_and_in_its_own_dialect(
    gateway: Gateway, alice: Person
) -> None:
    """The catalogue goes to the process beside without credentials, and without the ways they
    open."""
    fund(alice, "10")
    reseller = credential(gateway.vendors, "reseller", priority=1).provider
    Offering.objects.create(provider=reseller, model_id="claude-sonnet-4.5", upstream_id="gpt-4.1")
    snapshot.forget()
    gateway.vendors.faults.append(error(529, "overloaded_error"))
    told = body("anthropic_messages", "claude-sonnet-4.5", "[[say: Hanoi]]")
    answer = post(gateway, alice, "/v1/messages", told)
    assert answer.status_code == 200, answer.text
    assert answer.json()["content"][0]["text"] == "Hanoi"
    assert gateway.vendors.last.path == "/v1/chat/completions"
    assert gateway.vendors.last.body["model"] == "gpt-4.1"
    secret = gateway.vendors.key.encode()
    assert secret not in large._Shipped.pickled and b"reseller" not in large._Shipped.pickled
