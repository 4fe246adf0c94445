"""The official SDKs, in Python and in Node, against strict vendors, through the product: every
client dialect on every upstream dialect. `make conformance` writes the outcome to
docs/conformance.md.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.clients import CLIENTS, Client
from tests.conformance.sdks import FAILURES, NODE_IS_MISSING, Driver, Node, Python, Sdk
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

UPSTREAMS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-5.2",
    "anthropic_messages": "claude-sonnet-4.5",
    "gemini": "gemini-3.1-pro-preview",
}
LOOK = '[[tool: {"name": "look", "args": {"at": "a"}}]]'
HEAR = '[[tool: {"name": "hear", "args": {"at": "b"}}]]'
TOOLS = ("look", "hear")

FAMILIES = ["Python", "Node"]

pytestmark = [
    pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"]),
    pytest.mark.parametrize("upstream", UPSTREAMS),
    pytest.mark.parametrize("dialect", CLIENTS),
    pytest.mark.parametrize("family", FAMILIES),
    pytest.mark.absent("only Google's SDK in Python is run", family="Node", dialect="gemini"),
]


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.stop()


@pytest.fixture
def sdk(gateway: Gateway, alice: Person, family: str, request: pytest.FixtureRequest) -> Sdk:
    fund(alice, "50")
    if family == "Python":
        return Python(gateway, alice)
    if NODE_IS_MISSING:
        pytest.skip(NODE_IS_MISSING)
    return Node(gateway, alice, request.getfixturevalue("driver"))


@pytest.fixture
def client(gateway: Gateway, sdk: Sdk, dialect: str, upstream: str, streamed: bool) -> Client:
    return CLIENTS[dialect](gateway, sdk, UPSTREAMS[upstream], streamed)


def test_text(client: Client) -> None:
    answer = client.ask("[[say: Xin chào 🌊]]")
    assert answer.text == "Xin chào 🌊"
    assert answer.finish in ("stop", "completed", "end_turn")


def test_tools(client: Client) -> None:
    answer = client.ask(f"{LOOK}[[say: Got {{result}}.]]", tools=TOOLS)
    assert [call[1:] for call in answer.calls] == [("look", {"at": "a"})]
    client.answer_calls(answer.calls)
    assert client.turn(tools=TOOLS).text == "Got seen."


def test_parallel_tools(client: Client) -> None:
    answer = client.ask(f"{LOOK}{HEAR}[[parallel]][[say: Done.]]", tools=TOOLS)
    assert [call[1] for call in answer.calls] == ["look", "hear"]
    assert answer.calls[0][0] != answer.calls[1][0]
    client.answer_calls(answer.calls)
    assert client.turn(tools=TOOLS).text == "Done."


def test_tool_loop_of_3_turns(client: Client) -> None:
    answer = client.ask(f"{LOOK}{HEAR}{LOOK}[[say: At last.]]", tools=TOOLS)
    for name in ("look", "hear", "look"):
        assert [call[1] for call in answer.calls] == [name]
        client.answer_calls(answer.calls)
        answer = client.turn(tools=TOOLS)
    assert answer.text == "At last."


def test_image(client: Client) -> None:
    assert client.ask("[[say: A dot.]]", picture=True).text == "A dot."


@pytest.mark.absent("this model does not reason", upstream="openai_chat")
def test_thinking_over_2_turns(client: Client, upstream: str) -> None:
    prompt = f"[[think: Hmm.]]{LOOK}[[say: Well.]]"
    answer = client.ask(prompt, tools=TOOLS, think=True)
    assert "Hmm." in answer.thoughts
    client.answer_calls(answer.calls)
    assert client.turn(tools=TOOLS, think=True).text == "Well."
    assert client.ask("[[say: And on.]]", tools=TOOLS, think=True).text == "And on."
    sent = client.gateway.vendors.last.raw
    marks = {
        "anthropic_messages": b'"signature"',
        "openai_responses": b'"encrypted_content"',
        "gemini": b'"thoughtSignature"',
    }
    assert marks[upstream] in sent and b"hn1." not in sent


def test_structured_output(client: Client) -> None:
    answer = client.ask('[[json: {"name": "Ann", "age": 5}]]', schema=True)
    assert answer.text.replace(" ", "") == '{"name":"Ann","age":5}'


@pytest.mark.absent("the dialect has none", dialect="openai_responses")
def test_stop_sequence(client: Client) -> None:
    answer = client.ask("[[say: one END two]]", stop=["END"])
    assert answer.text == "one "
    assert answer.finish in ("stop", "stop_sequence")


def test_length(client: Client) -> None:
    answer = client.ask("[[say: Once upon a time]][[length]]")
    assert answer.finish in ("length", "max_output_tokens", "max_tokens")


def test_refusal(client: Client) -> None:
    answer = client.ask("[[refuse]]")
    refused = answer.finish in ("content_filter", "refusal")
    assert refused or "can't help" in answer.text


def test_mid_stream_error(client: Client, streamed: bool) -> None:
    text = "[[midstream]][[say: a fairly long text that is going to be interrupted]]"
    assert _fails(client, text, streamed)
    (event,) = client.gateway.books()
    assert event.cost == 0


def _fails(client: Client, text: str, streamed: bool) -> bool:
    """Whether the SDK raises, or tells of the failure as the last event."""
    try:
        last = list(client.events(text))[-1] if streamed else client.ask(text)
    except FAILURES:
        return True
    return isinstance(last, dict) and last.get("type") == "response.failed"


@pytest.mark.absent("streams only", streamed=False)
def test_disconnect(client: Client) -> None:
    stream = client.events("[[slow: 0.05]][[say: " + "word " * 60 + "]]")
    for _, _event in zip(range(8), stream, strict=False):
        pass
    stream.close()
    record = client.gateway.vendors.ended(client.gateway.vendors.last)
    (event,) = until(client.gateway.books)
    assert event.aborted and event.status == 499
    assert record.aborted or event.details["rule"] == "drained"  # it may think where nobody sees


def test_usage(client: Client, upstream: str) -> None:
    answer: Any = client.ask("[[usage: 1000 50 400 0]][[say: hi]]")
    apart = upstream == "anthropic_messages"  # it counts the cache beside the prompt
    assert answer.input_tokens == (1400 if apart else 1000)
    assert answer.output_tokens == 50
    (event,) = client.gateway.books()
    assert (event.cache_read, event.output, event.estimated) == (400, 50, False)
