"""What costs nothing: counts, estimates, lists, and what is refused at the door."""

import socket
from typing import Any

import pytest

from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person


def count(gateway: Gateway, person: Person, model: str) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello world"}]}
    with gateway.http(person) as client:
        return client.post("/v1/messages/count_tokens", json=body)


def test_claude_counts_for_itself_and_never_sees_our_customers_key(
    gateway: Gateway, alice: Person
) -> None:
    reply = count(gateway, alice, "claude-sonnet-4.5:high")
    assert reply.status_code == 200 and reply.json()["input_tokens"] > 0
    assert "x-hontoni-token-count" not in reply.headers
    sent = gateway.vendors.last
    assert sent.path == "/v1/messages/count_tokens"
    assert sent.body["model"] == "claude-sonnet-4-5-20250929"
    assert alice.raw not in str(sent.headers)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "gemini-2.5-pro"])
def test_for_other_models_the_count_is_an_estimate_and_says_so(
    gateway: Gateway, alice: Person, model: str
) -> None:
    reply = count(gateway, alice, model)
    assert reply.json()["input_tokens"] > 10
    assert reply.headers["x-hontoni-token-count"] == "estimate"
    assert gateway.vendors.requests == [] and UsageEvent.objects.count() == 0


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", {"messages": [{"role": "user", "content": "hi"}]}),
        (
            "anthropic_messages",
            {"messages": [{"role": "user", "content": "hi"}], "system": "x", "max_tokens": 900},
        ),
        ("openai_responses", {"input": "hi"}),
    ],
)
def test_an_estimate_says_what_a_request_would_do_and_does_nothing(
    gateway: Gateway, alice: Person, bob: Person, dialect: str, body: dict[str, Any]
) -> None:
    fund(alice, "10")
    asked = {"model": "claude-sonnet-4.5:high", **body}
    with gateway.http(alice) as client:
        told = client.post("/v1/estimate", json=asked).json()
    assert (told["dialect"], told["model"]) == (dialect, "claude-sonnet-4.5")
    assert told["variant"] == {"effort": "high", "long_context": False}
    assert told["clamps"]["thinking"]["asked"] == 32_768
    assert told["admitted"] is True and told["refusal"] is None
    assert 0 < float(told["least_cost"]) < float(told["most_cost"]) == float(told["hold"])
    assert set(told["windows"]) == {"rpm", "5h", "daily", "weekly", "monthly"}
    with gateway.http(bob) as client:
        refused = client.post("/v1/estimate", json=asked).json()
    assert refused["admitted"] is False
    assert refused["refusal"]["code"] == "insufficient_balance"
    assert gateway.vendors.requests == [] and UsageEvent.objects.count() == 0


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
def test_an_estimate_tells_the_hold_that_is_then_taken(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    fund(alice, "0.05")
    asked = {
        "model": "claude-sonnet-4.5",
        "messages": [{"role": "user", "content": "[[say: hi]]"}],
        "stream": stream,
    }
    with gateway.http(alice) as client:
        told = client.post("/v1/estimate", json=asked).json()
        assert client.post("/v1/chat/completions", json=asked).status_code == 200
    (event,) = gateway.books()
    assert told["admitted"] is True and nanos(told["hold"]) == event.hold <= nanos("0.05")
    assert nanos(told["least_hold"]) <= event.hold < nanos(told["most_cost"])


def test_the_openai_sdk_lists_every_model_once(gateway: Gateway, alice: Person) -> None:
    ids = [model.id for model in gateway.openai(alice).models.list()]
    assert len(ids) == len(set(ids)) == 31
    assert gateway.openai(alice).models.retrieve("gpt-4o").owned_by == "openai"


@pytest.mark.parametrize("limit", [1, 7, 31, 1000])
def test_the_anthropic_sdk_pages_through_every_model_once(
    gateway: Gateway, alice: Person, limit: int
) -> None:
    client = gateway.anthropic(alice)
    ids = [model.id for model in client.models.list(limit=limit)]
    assert len(ids) == len(set(ids)) == 31
    before = client.models.list(limit=3, before_id=ids[5])
    assert [model.id for model in before.data] == ids[2:5] and before.has_more
    assert client.models.retrieve("claude-sonnet-4").display_name == "Claude Sonnet 4"


def test_a_websocket_is_refused_with_426_and_nothing_stored_is_found(
    gateway: Gateway, alice: Person
) -> None:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    handshake = (
        f"GET /v1/responses HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\n"
        "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(handshake.encode())
        said = line.recv(4096).lower().split(b"\r\n")
        assert said[0].startswith(b"http/1.1 426")
        assert b"upgrade: http/1.1" in said and b"connection: upgrade, close" in said
    with gateway.http(alice) as client:
        assert client.get("/v1/responses/resp_1").status_code == 404
        assert client.delete("/v1/responses/resp_1").status_code == 404


async def test_an_asgi_websocket_is_refused_with_426_too() -> None:
    from hontoni.asgi import application

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/v1/responses", "headers": []}
    await application({**scope, "extensions": {"websocket.http.response": {}}}, receive, send)
    assert sent[0]["status"] == 426
    sent.clear()
    await application({**scope, "extensions": {}}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
