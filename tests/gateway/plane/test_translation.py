"""Any dialect to any model, through the public door: what comes back, and what it costs."""

import json
from typing import Any

import pytest

from tests.gateway_server import Gateway, fund
from tests.world import Person

MODELS = ("gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-3-flash-preview")
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}


def body(dialect: str, model: str, text: str, **fields: Any) -> dict[str, Any]:
    if dialect == "openai_responses":
        return {"model": model, "input": text, **fields}
    limit = {"max_tokens": 500} if dialect == "anthropic_messages" else {}
    return {"model": model, "messages": [{"role": "user", "content": text}], **limit, **fields}


def ask(
    gateway: Gateway, person: Person, dialect: str, model: str, text: str, **fields: Any
) -> Any:
    with gateway.http(person) as client:
        return client.post(PATHS[dialect], json=body(dialect, model, text, **fields))


def said(dialect: str, reply: dict[str, Any]) -> str:
    """All the text of a unary answer."""
    if dialect == "openai_chat":
        return str(reply["choices"][0]["message"]["content"])
    items = reply["content"] if dialect == "anthropic_messages" else reply["output"]
    parts = [p for i in items for p in (i.get("content") or [i]) if isinstance(p, dict)]
    return "".join(p["text"] for p in parts if p.get("text"))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_every_dialect_reaches_every_model_and_a_stream_costs_what_unary_does(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "10")
    text = "[[usage: 1000 50 400 0]] [[say: Hanoi]]"
    unary = ask(gateway, alice, dialect, model, text)
    assert unary.status_code == 200, unary.text
    assert said(dialect, unary.json()) == "Hanoi"
    assert unary.json()["model"] == model == unary.headers["x-hontoni-model"]
    streamed = ask(gateway, alice, dialect, model, text, stream=True)
    assert streamed.status_code == 200 and "Hanoi" in streamed.text
    first, second = gateway.books()
    assert first.usage == second.usage
    assert first.cost == second.cost > 0
    assert (first.cache_read, first.output + first.reasoning) == (400, 50)
    assert not first.estimated and first.dialect == dialect


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_failure_in_mid_stream_ends_in_the_clients_own_form(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "10")
    text = "[[midstream]] [[say: a fairly long text that is going to be interrupted]]"
    reply = ask(gateway, alice, dialect, model, text, stream=True)
    assert reply.status_code == 200
    last = reply.text.rstrip().split("\n\n")[-1]
    data = json.loads(last.partition("data: ")[2])
    busy = not model.startswith("gpt")  # what the sandbox's vendors say there
    match dialect:
        case "openai_chat":
            assert data["error"]["type"] == ("overloaded_error" if busy else "api_error")
        case "anthropic_messages":
            assert last.startswith("event: error")
            assert data["error"]["type"] == ("overloaded_error" if busy else "api_error")
        case "openai_responses":
            numbers = [
                json.loads(block.partition("data: ")[2])["sequence_number"]
                for block in reply.text.rstrip().split("\n\n")
            ]
            assert numbers == list(range(len(numbers)))
            assert data["type"] == "response.failed"
            code = "server_is_overloaded" if busy else "server_error"
            assert data["response"]["error"]["code"] == code
            assert data["response"]["model"] == model
    (event,) = gateway.books()
    assert event.cost == 0 and event.status in (500, 503)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_refusal_before_the_first_byte_is_a_status(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "10")
    reply = ask(gateway, alice, dialect, model, "[[error: 529 busy]]", stream=True)
    assert reply.status_code == 503
    assert reply.json()["error"]["type"] == "overloaded_error"
    assert reply.headers["retry-after"] == "2"


@pytest.mark.parametrize("model", MODELS[:3])
def test_a_stop_sequence_ends_the_answer_where_the_vendor_has_none(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    reply = ask(
        gateway,
        alice,
        "anthropic_messages",
        model,
        "[[say: one END two three]]",
        stop_sequences=["END"],
    ).json()
    assert said("anthropic_messages", reply) == "one "
    assert (reply["stop_reason"], reply["stop_sequence"]) == ("stop_sequence", "END")
    (event,) = gateway.books()
    assert event.cost > 0


def test_what_points_at_a_stored_response_is_refused_clearly(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    for field, value, code in (
        ("previous_response_id", "resp_1", "previous_response_not_found"),
        ("conversation", "conv_1", "previous_response_not_found"),
    ):
        for model in ("gpt-5.2", "claude-sonnet-4.5"):
            reply = ask(gateway, alice, "openai_responses", model, "hi", **{field: value})
            assert reply.status_code == 400
            error = reply.json()["error"]
            assert (error["code"], error["param"]) == (code, field)
    assert gateway.vendors.requests == []


@pytest.mark.parametrize("model", ["gpt-5.2", "gpt-4o", "claude-sonnet-4.5", "gemini-2.5-pro"])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": "hi"}, {"id": "msg_1"}]}, "input[1]"),
    ],
    ids=["response", "conversation", "prompt", "item", "bare item"],
)
def test_what_only_points_at_something_stored_never_reaches_a_vendor(
    gateway: Gateway, alice: Person, model: str, body: dict[str, Any], param: str
) -> None:
    """A vendor's 404 would be taken for our own fault, and rest its credential for everybody."""
    fund(alice, "10")
    with gateway.http(alice) as client:
        reply = client.post("/v1/responses", json={"model": model, **body})
    error = reply.json()["error"]
    assert reply.status_code == 400
    assert (error["code"], error["param"]) == ("previous_response_not_found", param)
    assert gateway.vendors.requests == []


def test_instructions_alone_are_a_prompt(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with gateway.http(alice) as client:
        for model in ("gpt-4o", "claude-sonnet-4.5", "gemini-2.5-pro"):
            told = {"model": model, "instructions": "Greet the user."}
            assert client.post("/v1/responses", json=told).status_code == 200
        wrong = client.post("/v1/responses", json={"model": "gpt-4o", "input": {"a": 1}})
    assert wrong.json()["error"]["message"] == "input must be a list."


def test_cursor_posts_responses_bodies_to_chat_and_gets_chat(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with gateway.http(alice) as client:
        for model in MODELS:
            told = {"model": model, "input": "[[say: hi]]", "messages": None}
            reply = client.post("/v1/chat/completions", json=told)
            assert reply.status_code == 200, reply.text
            assert reply.json()["choices"][0]["message"]["content"] == "hi"


def test_the_same_history_makes_the_same_body(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    tools = [{"name": "x", "input_schema": {"type": "object", "properties": {}}}]
    for model in MODELS:
        for _ in range(2):
            ask(gateway, alice, "anthropic_messages", model, "[[say: hi]]", tools=tools)
        first, second = gateway.vendors.requests[-2:]
        assert first.raw == second.raw


def test_responses_pass_through_keeps_the_vendors_numbers_and_names_the_clients_model(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    reply = ask(gateway, alice, "openai_responses", "openai/gpt-5.2", "[[say: hi]]", stream=True)
    events = [json.loads(b.partition("data: ")[2]) for b in reply.text.rstrip().split("\n\n")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["model"] == "openai/gpt-5.2"
    assert gateway.vendors.last.body["store"] is False
    assert gateway.vendors.last.body["model"] == "gpt-5.2"
    (event,) = gateway.books()
    assert event.output == events[-1]["response"]["usage"]["output_tokens"]


@pytest.mark.parametrize("model", MODELS)
def test_a_schema_may_have_a_property_called_type(
    gateway: Gateway, alice: Person, model: str
) -> None:
    """Codex's tools do, and one of them shows an image."""
    fund(alice, "10")
    kind = {"type": "object", "properties": {"type": {"type": "string"}, "image": {}}}
    tool = {"type": "function", "name": "view", "description": '"image"', "parameters": kind}
    reply = ask(gateway, alice, "openai_responses", model, "[[say: hi]]", tools=[tool])
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_misshapen_body_is_the_clients_fault(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "10")
    for fields in (
        {"messages": {"role": "user"}, "input": 7},
        {"messages": [7], "input": [7]},
        {"messages": [{"role": "user", "content": [7]}], "tools": 7},
        {"stream_options": "yes", "stream": True, "tools": [7], "reasoning": 7, "thinking": 7},
    ):
        reply = ask(gateway, alice, dialect, model, "hi", **fields)
        assert reply.status_code == 400, (fields, reply.text)
