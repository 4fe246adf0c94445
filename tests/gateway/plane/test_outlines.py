"""Plain requests with settings that were seen before: they go, and cost, as they did the first
time (gateway/plane/outlines.py)."""

from typing import Any

import httpx
import pytest

from gateway.catalogue import snapshot
from gateway.catalogue.features.models import Feature
from gateway.plane import outlines
from tests.gateway_server import CHAT, Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database

MESSAGES = "/v1/messages"
TEXTS = ("[[usage: 900 90 0]] [[say: one]]", "[[usage: 900 90 0]] [[say: two]]")


def talk(text: str, *before: tuple[str, str]) -> list[dict[str, str]]:
    said = [*before, ("user", text)]
    return [{"role": role, "content": words} for role, words in said]


def ask(gateway: Gateway, person: Person, path: str, **body: Any) -> httpx.Response:
    with gateway.http(person) as client:
        return client.post(path, json=body)


def kept(model: str) -> dict[bytes, Any]:
    known = snapshot.at_hand()
    assert known is not None
    return known.models[model].outlines


@pytest.mark.parametrize(
    ("path", "model", "said"),
    [
        (CHAT, "gpt-4o", {"max_tokens": 200}),
        (CHAT, "gpt-4o", {"max_tokens": 200, "temperature": 0.5, "stop": ["never"], "seed": 7}),
        (CHAT, "gpt-4o", {"stream": True}),
        (CHAT, "gpt-4o", {"stream": True, "stream_options": {"include_usage": False}}),
        (MESSAGES, "claude-opus-4.6", {"max_tokens": 300, "temperature": 0.3}),
        (MESSAGES, "claude-sonnet-4.5", {"max_tokens": 200, "system": "Be brief."}),
        (MESSAGES, "claude-sonnet-4.5", {"max_tokens": 200, "top_k": 5, "stream": True}),
    ],
)
def test_the_second_is_sent_held_for_and_charged_as_the_first(
    gateway: Gateway, alice: Person, path: str, model: str, said: dict[str, Any]
) -> None:
    fund(alice, "10")
    snapshot.forget()
    sent = []
    for text in TEXTS:
        messages = talk(text, ("user", "Hello"), ("assistant", "Hello!"))
        reply = ask(gateway, alice, path, model=model, messages=messages, **said)
        assert reply.status_code == 200, reply.text
        body = gateway.vendors.last.body
        assert body["messages"] == messages
        sent.append({name: value for name, value in body.items() if name != "messages"})
        assert len(kept(model)) == 1, "they are one kind of request"
    first, second = gateway.books()
    assert sent[0] == sent[1]
    assert (first.cost, first.hold, first.usage) == (second.cost, second.hold, second.usage)
    assert first.cost > 0 and first.details.get("lines") == second.details.get("lines")


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-4o"])
@pytest.mark.parametrize("doors", [(MESSAGES, CHAT), (CHAT, MESSAGES)])
def test_the_same_words_are_another_request_in_another_dialect(
    gateway: Gateway, alice: Person, model: str, doors: tuple[str, str]
) -> None:
    fund(alice, "10")
    snapshot.forget()
    said = {"model": model, "max_tokens": 200, "messages": talk(TEXTS[0])}
    for door in (*doors, *doors):
        reply = ask(gateway, alice, door, **said)
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        assert (answer.get("object"), answer.get("type")) == (
            ("chat.completion", None) if door == CHAT else (None, "message")
        )
    costs = {event.cost for event in gateway.books()}
    assert len(costs) == 1 and min(costs) > 0, "whichever way it came, it costs the same"


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 1.0}, "max_tokens"),
        ({"max_tokens": 1, "n": True}, "n"),
        ({"max_tokens": 1, "n": 1.0}, "n"),
    ],
)
def test_what_only_equals_settings_seen_before_is_refused_as_ever(
    gateway: Gateway, alice: Person, said: dict[str, Any], param: str
) -> None:
    """True, 1 and 1.0 are one key to Python."""
    fund(alice, "10")
    ask(gateway, alice, CHAT, model="gpt-4o", messages=talk("Hi"), max_tokens=1, n=1)
    ask(gateway, alice, CHAT, model="gpt-4o", messages=talk("Hi"), max_tokens=1)
    reply = ask(gateway, alice, CHAT, model="gpt-4o", messages=talk("Hi"), **said)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert len(gateway.vendors.requests) == 2


def test_a_member_said_twice_is_refused_though_its_settings_are_known(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    ask(gateway, alice, CHAT, model="gpt-4o", messages=talk("Hi"), max_tokens=5)
    twice = (
        b'{"model":"gpt-4o","max_tokens":50000,"messages":[{"role":"user","content":"Hi"}],'
        b'"max_tokens":5}'
    )
    with gateway.http(alice) as client:
        reply = client.post(CHAT, content=twice)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "max_tokens")


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", {"messages": [], "model": "m"}),
        ("openai_chat", {"messages": "Hi", "model": "m"}),
        ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ("openai_chat", {"messages": [{"role": "tool", "content": "Hi"}]}),
        ("openai_chat", {"messages": [{"role": ["user"], "content": "Hi"}]}),
        ("openai_chat", {"messages": [{"role": "user", "content": "Hi", "name": "x"}]}),
        ("openai_chat", {"messages": [{"role": "assistant", "content": "Hi"}]}),
        ("openai_chat", {"messages": talk("Hi"), "tools": []}),
        ("openai_chat", {"messages": talk("Hi"), "reasoning_effort": "high"}),
        ("openai_chat", {"messages": talk("Hi"), "user": "u1"}),
        ("openai_chat", {"messages": talk("Hi"), "store": True}),
        ("openai_chat", {"messages": talk("Hi"), "system": "Cursor's"}),
        ("openai_chat", {"messages": talk("Hi"), "stop": ["x" * 600]}),
        ("openai_chat", {"messages": talk("Hi"), "seed": 2**70}),
        ("anthropic_messages", {"messages": talk("Hi"), "system": [{"type": "text"}]}),
        ("anthropic_messages", {"messages": talk("Hi"), "thinking": {"type": "enabled"}}),
        ("anthropic_messages", {"messages": talk("Hi", ("system", "Mind"))}),
        ("openai_responses", {"input": "Hi"}),
    ],
)
def test_whatever_is_more_than_text_and_settings_goes_the_ordinary_way(
    dialect: str, body: dict[str, Any]
) -> None:
    assert outlines.settings(dialect, body) == b""


def test_what_staff_forbid_is_left_out_of_the_next_request(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    said = {"model": "gpt-4o", "messages": talk("Hi"), "seed": 7}
    for _ in range(2):
        assert "x-hontoni-left-out" not in ask(gateway, alice, CHAT, **said).headers
    Feature.objects.filter(dialect="openai_chat", name="seed").delete()
    snapshot.forget()
    for _ in range(2):
        reply = ask(gateway, alice, CHAT, **said)
        assert reply.headers["x-hontoni-left-out"] == "member:seed"
        assert "seed" not in gateway.vendors.last.body


def test_what_is_kept_has_a_bound(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "10")
    monkeypatch.setattr(outlines, "_MOST", 3)
    snapshot.forget()
    for seed in range(7):
        ask(gateway, alice, CHAT, model="gpt-4o", messages=talk("Hi"), seed=seed)
        assert len(kept("gpt-4o")) <= 3
