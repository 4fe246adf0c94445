"""Hosts that speak a dialect in their own way: every preset, through the public door, against
simulators that refuse what the host refuses; and what its customers pay."""

from typing import Any

import pytest

from gateway.catalogue import snapshot
from gateway.vendors.models import Offering
from sandbox.vendors.clouds.hosts import HOSTS
from sandbox.vendors.recorder import hashed
from tests.gateway.plane.test_translation import ask, said
from tests.gateway.vendors.world import keyed, provider, sold, tried
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

MAKERS = {"deepseek": "deepseek", "qwen": "qwen", "kimi": "moonshot", "glm": "zai",
          "mistral": "mistral", "xai": "xai"}  # fmt: skip
SHAPE = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CLAUDES_LOOK = {"name": "look", "input_schema": {"type": "object"}}


def at(vendors: Vendors, name: str) -> str:
    """A model of that host, sold here under a name of our own."""
    host = HOSTS[name]
    made = provider(name, f"{vendors.url}/hosts/{name}{host.path}")
    keyed(made, "" if host.open else vendors.key)
    upstream = host.models[0]
    model = sold(f"{name}-sold", MAKERS.get(name, "other"), upstream_id=upstream)
    if not made.everything:
        Offering.objects.create(provider=made, model=model, upstream_id=upstream)
        snapshot.forget()
    return model.id


def cost(gateway: Gateway) -> tuple[int, ...]:
    """Tokens of the last request, by bucket, and its price in nano-dollars."""
    last = gateway.books()[-1]
    assert not last.estimated
    return (last.input, last.cache_read, last.output, last.reasoning, last.cost)


# Each host in its own dialect; through the hub those that differ most.
PAIRS = [(host, "openai_chat") for host in HOSTS]
PAIRS += [(host, "anthropic_messages") for host in ("deepseek", "glm", "mistral", "xai")]
PAIRS += [("kimi", "openai_responses")]


@pytest.mark.any_database
@pytest.mark.parametrize(("host", "dialect"), PAIRS)
def test_every_host_answers_and_is_billed_as_it_counts(
    gateway: Gateway, alice: Person, vendors: Vendors, host: str, dialect: str
) -> None:
    fund(alice, "10")
    model = at(vendors, host)
    text = "[[usage: 1000 60 400 20]] [[think: hm]] [[say: Hanoi]]"
    for fields in ({}, {"stream": True}):
        answer = ask(gateway, alice, dialect, model, text, **fields)
        assert answer.status_code == 200, answer.text
        assert "Hanoi" in (answer.text if fields else said(dialect, answer.json()))
        # 600 in, 400 from the cache, 60 out, 20 of them thought: 600 + 40 + 120 µ$
        assert cost(gateway) == (600, 400, 40, 20, 760_000)
    sent = vendors.last
    assert sent.path.startswith(f"/hosts/{host}") and sent.body["model"] == HOSTS[host].models[0]
    key = None if HOSTS[host].open else hashed(f"Bearer {vendors.key}")
    assert sent.headers.get("authorization") == key
    assert tried(gateway.books()[-1].details) == [(f"{host}/main", 200, "")]


@pytest.mark.any_database
@pytest.mark.parametrize("host", HOSTS)
def test_what_a_host_does_not_know_is_said_in_its_words_or_not_at_all(
    gateway: Gateway, alice: Person, vendors: Vendors, host: str
) -> None:
    """As agents ask: by the developer's role, with a limit, a user, a seed, a shape of answer."""
    fund(alice, "10")
    model = at(vendors, host)
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": '[[json: {"city": "Hue"}]] as JSON'},
    ]
    fields: dict[str, Any] = {"max_completion_tokens": 300, "seed": 1, "response_format": SHAPE}
    fields |= {"prompt_cache_key": "mine", "parallel_tool_calls": True, "tools": [LOOK]}
    fields |= {"messages": messages, "store": True, "user": "u-1"}
    for stream in (False, True):
        answer = ask(gateway, alice, "openai_chat", model, "", **fields, stream=stream)
        assert answer.status_code == 200, answer.text
        assert "Hue" in answer.text
    body = vendors.last.body
    known = {"max_tokens", "max_completion_tokens"} & set(body)
    assert len(known) == 1 and body[known.pop()] == 300
    assert not set(HOSTS[host].refuses) & set(body)
    assert ("random_seed" if host == "mistral" else "seed") in body


@pytest.mark.any_database
@pytest.mark.parametrize("host", ["deepseek", "glm"])
def test_an_agent_goes_on_behind_a_call_as_the_host_wants_it(
    gateway: Gateway, alice: Person, vendors: Vendors, host: str
) -> None:
    """What it thought before it called comes back with the result, whoever's dialect it is."""
    fund(alice, "10")
    model = at(vendors, host)
    text = '[[think: I must look.]] [[tool: {"name": "look", "args": {}}]] [[say: Done]]'
    messages: list[Any] = [{"role": "user", "content": text}]
    tools = {"tools": [CLAUDES_LOOK], "max_tokens": 500, "thinking": {"type": "adaptive"}}
    first = ask(gateway, alice, "anthropic_messages", model, "", messages=messages, **tools).json()
    call = next(block for block in first["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "42"}
    messages += [
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    answer = ask(gateway, alice, "anthropic_messages", model, "", messages=messages, **tools)
    assert answer.status_code == 200, answer.text
    assert said("anthropic_messages", answer.json()) == "Done"
    assert vendors.last.body["messages"][1]["reasoning_content"] == "I must look."


CLAUDISH = {
    "glm-claude": ("glm-5.3", "zai", "openai_chat"),
    "kimi-claude": ("kimi-k3", "moonshot", "openai_responses"),
    "deepseek-claude": ("deepseek-v4-pro", "deepseek", "anthropic_messages"),
}


@pytest.mark.any_database
@pytest.mark.parametrize("preset", CLAUDISH)
def test_a_host_of_messages_that_is_not_anthropic(
    gateway: Gateway, alice: Person, vendors: Vendors, preset: str
) -> None:
    fund(alice, "10")
    model, vendor, dialect = CLAUDISH[preset]
    keyed(provider(preset, f"{vendors.url}/hosts/anthropic"), vendors.key)
    sold(model, vendor, "anthropic_messages")
    text = "[[usage: 600 60 400]] [[say: Hanoi]]"
    for stream in (False, True):
        answer = ask(gateway, alice, dialect, model, text, stream=stream)
        assert answer.status_code == 200, answer.text
        assert "Hanoi" in answer.text and f'"model":"{model}"' in answer.text.replace(" ", "")
        assert cost(gateway)[:2] == (600, 400)
    assert vendors.last.headers["x-api-key"] == hashed(vendors.key)
