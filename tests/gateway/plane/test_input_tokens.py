"""/v1/responses/input_tokens: how many tokens a prompt of Responses has; free."""

from typing import Any

import pytest

from gateway.usage.models import UsageEvent
from tests.gateway_server import Gateway, fund
from tests.world import Person

PATH = "/v1/responses/input_tokens"
# As an agent sends it that counts what it is about to ask.
AGENT: dict[str, Any] = {
    "input": [{"role": "user", "content": "Hello world"}],
    "instructions": "Be brief.",
    "tools": [{"type": "function", "name": "ls", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "low"},
    "stream": True,
    "store": False,
    "user": None,
    "max_output_tokens": 100,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
}


def test_gpt_counts_for_itself_whatever_else_the_body_says(
    gateway: Gateway, alice: Person
) -> None:
    with gateway.http(alice) as http:
        reply = http.post(PATH, json={"model": "gpt-5.2:high", **AGENT})
    assert reply.status_code == 200, reply.text
    assert reply.json()["object"] == "response.input_tokens" and reply.json()["input_tokens"] > 5
    assert "x-hontoni-token-count" not in reply.headers
    sent = gateway.vendors.last
    assert sent.path == PATH and sent.body["model"] == "gpt-5.2"
    assert gateway.vendors.sandbox.meter.bills == [] and UsageEvent.objects.count() == 0
    client = gateway.openai(alice)
    assert client.responses.input_tokens.count(model="gpt-5.2", input="Hi").input_tokens > 0


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-4o", "gemini-2.5-pro"])
def test_of_other_models_it_is_an_estimate_and_says_so(
    gateway: Gateway, alice: Person, model: str
) -> None:
    with gateway.http(alice) as http:
        reply = http.post(PATH, json={"model": model, **AGENT})
    assert reply.json()["input_tokens"] > 5
    assert reply.headers["x-hontoni-token-count"] == "estimate"
    assert gateway.vendors.requests == []


def test_a_kept_conversation_is_counted_whole_and_stays_as_it_is(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    long = "word " * 300
    with gateway.http(alice) as http:
        first = http.post("/v1/responses", json={"model": "gpt-5.2", "input": long}).json()
        pointing = {"model": "gpt-5.2", "input": "And?", "previous_response_id": first["id"]}
        whole = http.post(PATH, json={**pointing, "background": True}).json()["input_tokens"]
        alone = http.post(PATH, json={"model": "gpt-5.2", "input": "And?"}).json()["input_tokens"]
        missing = http.post(PATH, json={**pointing, "previous_response_id": "resp_none"})
    assert whole > alone + 200
    assert missing.json()["error"]["code"] == "previous_response_not_found"


def test_nonsense_is_refused_in_words(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as http:
        assert http.post(PATH, json={"model": "gpt-5.2"}).status_code == 400
        assert http.post(PATH, json={"input": "x"}).status_code == 400
        assert http.post(PATH, json={"model": "none", "input": "x"}).status_code == 404
        assert http.post(PATH, json={"model": "gpt-5.2", "input": [7]}).status_code == 400
        assert http.get(PATH).status_code in (404, 405)
    with gateway.http() as http:
        assert http.post(PATH, json={"model": "gpt-5.2", "input": "x"}).status_code == 401
