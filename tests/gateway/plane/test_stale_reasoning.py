"""Reasoning that its vendor does not recognise any more: left out, asked again once, never told.

A vendor signs what its model thought, and wants it back with the calls it led to. Signatures end:
the account changes, the model is moved, a client cuts its history. The vendors here check them.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.catalogue.sold import carrier_key
from gateway.dialects.codecs import carrier
from sandbox.vendors.faults import Fault
from tests.gateway.plane.test_translation import PATHS
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.vendors import serving
from tests.world import Person

THINKERS = ("claude-sonnet-4.5", "claude-sonnet-4.6", "gpt-5.2", "gemini-3-flash-preview")
PROMPT = (
    '[[think: I had better look.]] [[tool: {"name": "look", "args": {"at": "sky"}}]] '
    "[[say: It is {result}]]"
)
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
GARBAGE = base64.b64encode(b"made by nobody, for another conversation").decode()

Body = dict[str, Any]


def first(dialect: str, model: str) -> Body:
    """A question that makes the model think and call a tool."""
    asked = [{"role": "user", "content": PROMPT}]
    if dialect == "openai_responses":
        tool: Body = {"type": "function", "name": "look", "parameters": SCHEMA}
        return {"model": model, "input": asked, "tools": [tool], "reasoning": {"effort": "high"}}
    if dialect == "openai_chat":
        tool = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
        return {"model": model, "messages": asked, "tools": [tool], "reasoning_effort": "high"}
    thinking = {"type": "enabled", "budget_tokens": 2000}
    tool = {"name": "look", "input_schema": SCHEMA}
    common = {"model": model, "messages": asked, "tools": [tool], "thinking": thinking}
    return common | {"max_tokens": 4000}


def second(dialect: str, asked: Body, reply: Body) -> Body:
    """The history with the tool's result, as an agent sends it back."""
    if dialect == "openai_responses":
        (call,) = (item for item in reply["output"] if item["type"] == "function_call")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "blue"}
        return asked | {"input": [*asked["input"], *reply["output"], result]}
    if dialect == "openai_chat":
        message = reply["choices"][0]["message"]
        (call,) = message["tool_calls"]
        result = {"role": "tool", "tool_call_id": call["id"], "content": "blue"}
        return asked | {"messages": [*asked["messages"], message, result]}
    (call,) = (block for block in reply["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "blue"}
    said = [
        {"role": "assistant", "content": reply["content"]},
        {"role": "user", "content": [result]},
    ]
    return asked | {"messages": [*asked["messages"], *said]}


SECRETS = ("signature", "encrypted_content", "data", "thought_signature")


def spoilt(value: Any, kinds: Iterable[str] = SECRETS, name: str = "") -> Any:
    """The history with every secret of these kinds turned into one its vendor does not know."""
    if isinstance(value, dict):
        return {key: spoilt(each, kinds, key) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each, kinds, name) for each in value]
    return forged(value) if name in kinds and value else value


def forged(secret: str) -> str:
    """Ours around it, where it was translated: the seal is good and what is in it is not."""
    opened = carrier.open(secret, carrier_key())
    if opened is None:
        return GARBAGE
    data = GARBAGE
    if opened.form not in ("encrypted_content", "thought_signature"):
        data = opened.data.replace(opened.data[-40:-4], GARBAGE[:36]) if opened.data else GARBAGE
    return carrier.seal(replace(opened, data=data), carrier_key())


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize("model", THINKERS)
@pytest.mark.parametrize("dialect", PATHS)
def test_it_is_left_out_and_asked_once_more(
    gateway: Gateway, alice: Person, dialect: str, model: str, stream: bool
) -> None:
    fund(alice, "50")
    asked = first(dialect, model)
    with gateway.http(alice) as http:
        reply = http.post(PATHS[dialect], json=asked)
        assert reply.status_code == 200, reply.text
        history = second(dialect, asked, reply.json())
        fresh = http.post(PATHS[dialect], json=history)
        assert fresh.status_code == 200 and "It is blue" in fresh.text
        assert len(gateway.vendors.requests) == 2  # good secrets come back and are taken
        stale = spoilt(history)
        assert stale != history, "there was no secret in it"
        answer = http.post(PATHS[dialect], json=stale | {"stream": stream})
    assert answer.status_code == 200, answer.text
    assert "blue" in answer.text
    refused, taken = gateway.vendors.requests[2:]
    assert refused.status == 400 and taken.status == 200, (refused.refusal, taken.refusal)
    for part in (GARBAGE, GARBAGE[:36]):
        assert part.encode() not in taken.raw
    event = gateway.books()[-1]
    tries = [(told["status"], told.get("error")) for told in event.details["attempts"]]
    assert tries == [(400, "stale_reasoning"), (200, None)]
    assert event.status == 200 and event.cost > 0 and not event.estimated


STALE = orjson.dumps(
    {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        },
    }
)


@pytest.mark.parametrize("model", THINKERS)
@pytest.mark.parametrize("dialect", PATHS)
def test_it_is_asked_once_more_and_no_more(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    """And what the customer is told says what to do, not what a vendor calls it."""
    fund(alice, "50")
    asked = first(dialect, model)
    with gateway.http(alice) as http:
        history = second(dialect, asked, http.post(PATHS[dialect], json=asked).json())
        gateway.vendors.faults.extend([Fault(status=400, body=STALE)] * 3)
        told = http.post(PATHS[dialect], json=history)
        assert told.status_code == 400 and len(gateway.vendors.requests) == 3
        gateway.vendors.faults.clear()
        error = told.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert "new conversation" in error["message"] and "signature" not in error["message"]
    assert [event.cost > 0 for event in gateway.books()] == [True, False]


@pytest.mark.parametrize("dialect", PATHS)
def test_where_nothing_can_be_left_out_it_is_not_asked_again(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    fund(alice, "50")
    for model in THINKERS:
        gateway.vendors.faults.append(Fault(status=400, body=STALE))
        with gateway.http(alice) as http:
            assert http.post(PATHS[dialect], json=first(dialect, model)).status_code == 400
    assert len(gateway.vendors.requests) == len(THINKERS)
    assert all(event.cost == 0 for event in gateway.books())


@pytest.mark.parametrize("dialect", PATHS)
def test_redacted_thoughts_are_left_out_too(gateway: Gateway, alice: Person, dialect: str) -> None:
    fund(alice, "50")
    asked = first(dialect, "claude-sonnet-4.5")
    asked = json.loads(json.dumps(asked).replace("[[think:", "[[redact]] [[think:"))
    with gateway.http(alice) as http:
        reply = http.post(PATHS[dialect], json=asked)
        history = second(dialect, asked, reply.json())
        assert http.post(PATHS[dialect], json=history).status_code == 200
        assert b"redacted_thinking" in gateway.vendors.last.raw
        kinds = ("data",) if dialect == "anthropic_messages" else SECRETS
        answer = http.post(PATHS[dialect], json=spoilt(history, kinds))
    assert answer.status_code == 200, answer.text
    assert b"redacted_thinking" not in gateway.vendors.last.raw


def test_another_account_gets_the_conversation_without_what_the_first_one_signed(
    gateway: Gateway, alice: Person
) -> None:
    """The session's credential fails, the next one does not know its signatures."""
    fund(alice, "50")
    with serving("sk-first") as one, serving("sk-second") as two:
        credential(one, "one", "anthropic")
        credential(two, "two", "anthropic", priority=1)
        asked = first("anthropic_messages", "claude-sonnet-4.5")
        with gateway.http(alice) as http:
            history = second(
                "anthropic_messages", asked, http.post("/v1/messages", json=asked).json()
            )
            one.faults.append(Fault(status=529, body=b"{}"))
            two.faults.append(Fault(status=400, body=STALE))
            answer = http.post("/v1/messages", json=history)
        assert answer.status_code == 200, answer.text
        assert (len(one.requests), len(two.requests)) == (2, 2)
    event = gateway.books()[-1]
    tries = [(told["credential"], told["status"]) for told in event.details["attempts"]]
    assert tries == [("one/main", 529), ("two/main", 400), ("two/main", 200)]
    assert event.cost > 0
