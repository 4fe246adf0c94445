"""What coding agents depend on: each of these, when it was missing, broke one of them."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import openai
import pytest

from gateway.usage.models import UsageEvent
from tests.gateway.plane.test_limits import limit
from tests.gateway.plane.test_translation import MODELS, PATHS, ask
from tests.gateway_server import Gateway, fund
from tests.world import Person

HELLO: Any = [{"role": "user", "content": "hi"}]


def events(reply: httpx.Response) -> list[dict[str, Any]]:
    """The data of a stream's events; what is no JSON is an empty one."""
    lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) if line != "[DONE]" else {} for line in lines]


def told(dialect: str, reply: httpx.Response) -> tuple[int, int]:
    """The tokens in and out that an answer ends with; a stream has its last event before."""
    if "event-stream" not in reply.headers["content-type"]:
        return numbers(reply.json()["usage"])
    sent = events(reply)
    if dialect == "openai_responses":
        assert sent[-1]["type"] == "response.completed"
        return numbers(sent[-1]["response"]["usage"])
    if dialect == "anthropic_messages":
        assert sent[-1]["type"] == "message_stop"
        return numbers(sent[0]["message"]["usage"] | sent[-2]["usage"])
    assert sent[-1] == {}
    return numbers(sent[-2]["usage"])


def numbers(usage: dict[str, Any]) -> tuple[int, int]:
    if "prompt_tokens" in usage:
        return usage["prompt_tokens"], usage["completion_tokens"]
    return usage["input_tokens"], usage["output_tokens"]


@pytest.mark.outside_the_law("a vendor without numbers, whose reasoning takes no time here")
@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_an_answer_has_its_end_and_numbers_though_the_vendor_gave_none(
    gateway: Gateway, alice: Person, dialect: str, model: str, stream: bool
) -> None:
    """Without them OpenCode asks again and again: 660 requests in 42 s from one prompt."""
    fund(alice, "10")
    asked: dict[str, Any] = {"stream": stream}
    if dialect == "openai_chat" and stream:
        asked["stream_options"] = {"include_usage": True}
    reply = ask(gateway, alice, dialect, model, "[[nousage]] [[say: Hanoi is big]]", **asked)
    counts = told(dialect, reply)
    assert all(type(count) is int and count > 0 for count in counts)
    (event,) = gateway.books()
    assert event.estimated and event.cost > 0
    assert counts == (event.input, event.output)


def test_a_base_url_that_ends_in_v1_will_do(gateway: Gateway, alice: Person) -> None:
    """The Anthropic SDKs and Claude Code append /v1/messages to whatever they are given."""
    fund(alice, "10")
    client = anthropic.Anthropic(api_key=alice.raw, base_url=f"{gateway.url}/v1", max_retries=0)
    asked = {"model": "claude-sonnet-4", "messages": HELLO}
    assert client.messages.create(max_tokens=50, **asked).stop_reason == "end_turn"
    assert client.messages.count_tokens(**asked).input_tokens > 0
    assert len(list(client.models.list())) == 31
    with gateway.http(alice) as http:
        assert http.post("/v1/v1/messages/count_tokens?beta=true", json=asked).status_code == 200
        told = http.post("/v1/v1/messages?beta=true", json=asked | {"max_tokens": 50})
        assert told.status_code == 200


def test_what_an_agent_asks_beside_its_work_uses_up_nothing(
    gateway: Gateway, alice: Person
) -> None:
    """Claude Code counts 25 times for one /context; Basic allows 8 requests a minute."""
    asked = {"model": "claude-sonnet-4", "messages": HELLO}
    with gateway.http(alice) as http, ThreadPoolExecutor(12) as threads:
        before = http.get("/v1/models").headers
        path = "/v1/v1/messages/count_tokens?beta=true"
        counts = threads.map(lambda _: http.post(path, json=asked).status_code, range(36))
        assert list(counts) == [200] * 36
        assert [http.head(p).status_code for p in ("/v1/api/hello", "/v1/v1/api/hello")] == [
            200
        ] * 2
        assert http.head("/").status_code == 200
        after = http.get("/v1/models").headers
    limits = [name for name in before if name.startswith("x-ratelimit-remaining")]
    assert len(limits) == 5 and all(before[name] == after[name] for name in limits)
    assert before["x-ratelimit-limit-rpm"] == "8"
    assert UsageEvent.objects.count() == 0


def test_a_window_that_stays_shut_for_hours_is_asked_once(gateway: Gateway, alice: Person) -> None:
    """An SDK with its own retries would wait for it, and look as if it hung."""
    fund(alice, "10")
    limit(alice, five_hours=1)
    sent: list[httpx.Request] = []
    for family in (anthropic.Anthropic, openai.OpenAI):
        options: Any = {"base_url": f"{gateway.url}/v1", "api_key": alice.raw, "max_retries": 5}
        client: Any = family(**options)
        client._client.event_hooks["request"].append(sent.append)
        if family is openai.OpenAI:
            with pytest.raises(openai.RateLimitError):
                client.chat.completions.create(model="gpt-4o", messages=HELLO)
        else:
            client.messages.create(model="claude-sonnet-4", max_tokens=50, messages=HELLO)
            with pytest.raises(anthropic.RateLimitError):
                client.messages.create(model="claude-sonnet-4", max_tokens=50, messages=HELLO)
    assert len(sent) == 3


def test_openais_models_that_reason_are_asked_through_responses(
    gateway: Gateway, alice: Person
) -> None:
    """Chat takes no tools beside their reasoning."""
    fund(alice, "10")
    function = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    for model in ("gpt-5.1", "gpt-5.2", "gpt-5.4-mini", "gpt-5.3-codex"):
        fields = {"tools": tools, "reasoning_effort": "high"}
        assert ask(gateway, alice, "openai_chat", model, "hi", **fields).status_code == 200
        assert gateway.vendors.last.path == "/v1/responses"
