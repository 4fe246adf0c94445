"""Numbers that are missing, odd or told in another way than usual."""

from typing import Any

import pytest

from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway.catalogue.features.test_pricing import ADVISOR, charged
from tests.gateway_server import Gateway, fund
from tests.world import Person

# The answers are canned, so the vendor's own meter did not make them.
pytestmark = pytest.mark.outside_the_law

USED = {"input_tokens": 1_000, "output_tokens": 100}
TEXT = {"type": "text", "text": "ok"}
CODE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {}}
RUNNER = {"type": "code_execution_20250825", "name": "code_execution"}


def completion(stream: bool, usage: Any) -> Any:
    """A Chat answer that says 22 bytes, with these numbers."""
    said = {"role": "assistant", "content": "hello there my friend!"}
    told: dict[str, Any] = {"id": "c", "created": 1, "model": "gpt"}
    choice = {"index": 0, "finish_reason": "stop"}
    if not stream:
        whole = {"object": "chat.completion", "choices": [choice | {"message": said}]}
        return told | whole | {"usage": usage}
    told["object"] = "chat.completion.chunk"
    chunks = [
        told | {"choices": [choice | {"delta": said}]},
        told | {"choices": [], "usage": usage},
    ]
    lines = [b"data: " + vendor.dumps(chunk) + b"\n\n" for chunk in chunks]
    return b"".join([*lines, b"data: [DONE]\n\n"])


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": "1000", "completion_tokens": None},
    ],
    ids=["empty", "zeros", "no numbers"],
)
def test_numbers_that_tell_nothing_of_an_answer_are_missing(
    gateway: Gateway, alice: Person, usage: Any, stream: bool
) -> None:
    fund(alice, "50")
    vendor.answers(gateway, completion(stream, usage))
    assert gateway.chat(alice, stream=stream).status_code == 200
    (event,) = gateway.books()
    assert event.estimated and event.output == 6 and event.input > 5 and event.cost > 0


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
def test_where_only_the_output_is_missing_the_rest_is_believed(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    fund(alice, "50")
    vendor.answers(gateway, completion(stream, {"prompt_tokens": 500}))
    assert gateway.chat(alice, stream=stream).status_code == 200
    (event,) = gateway.books()
    assert (event.estimated, event.input, event.output) == (True, 500, 6)


@pytest.mark.parametrize(
    ("tools", "cost"),
    [
        ([RUNNER], "0.004166667"),
        ([RUNNER, {"type": "web_search_20250305", "name": "web_search"}], "0.004166667"),
        ([{"type": "web_search_20260209", "name": "web_search"}], "0"),
        ([RUNNER, {"type": "web_fetch_20260309", "name": "web_fetch"}], "0"),
    ],
)
def test_code_is_free_beside_the_newer_searches(
    gateway: Gateway, alice: Person, tools: list[Any], cost: str
) -> None:
    """As Anthropic's page of the tool has it."""
    fund(alice, "500")
    vendor.answers(gateway, vendor.message(USED, [CODE, TEXT]))
    assert vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=tools).status_code == 200
    assert charged(gateway).cost == nanos("0.0045") + nanos(cost)


def test_a_date_in_a_models_name_makes_nothing_dearer(gateway: Gateway, alice: Person) -> None:
    """Haiku advised by Opus, and both under names that nobody has announced."""
    fund(alice, "50")
    iterations = [
        USED | {"type": "message", "model": "claude-haiku-4-5-20990101"},
        USED | {"type": "advisor_message", "model": "claude-opus-4-6-20990101"},
        USED | {"type": "message", "model": "claude-nightly-build"},
    ]
    usage = {"input_tokens": 2_000, "output_tokens": 200, "iterations": iterations}
    vendor.answers(gateway, vendor.message(usage))
    reply = vendor.messages(gateway, alice, "claude-haiku-4.5", tools=[ADVISOR])
    assert reply.status_code == 200
    lines = charged(gateway).details["lines"]
    asked, advisor = "claude-haiku-4.5", "claude-opus-4.6"
    assert [line["model"] for line in lines] == [asked, advisor, asked]


def test_cache_writes_told_in_parts_alone_are_paid(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    parts = {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600}
    vendor.answers(gateway, vendor.message(USED | {"cache_creation": parts}))
    vendor.messages(gateway, alice, "claude-haiku-4.5")
    event = charged(gateway)
    assert (event.cache_write_5m, event.cache_write_1h) == (400, 600)


def test_what_a_prediction_got_wrong_is_held_for(gateway: Gateway, alice: Person) -> None:
    """OpenAI bills it as output, whatever the limit was."""
    fund(alice, "50")
    usage = {"prompt_tokens": 10, "completion_tokens": 3_016}
    vendor.answers(gateway, completion(False, usage))
    body: dict[str, Any] = {
        "max_tokens": 16,
        "prediction": {"type": "content", "content": "x," * 1_500},
    }
    assert gateway.chat(alice, **body).status_code == 200
    event: UsageEvent = charged(gateway)
    assert event.cost == nanos("0.030185") and "capped" not in event.details


def test_who_cannot_pay_for_a_prediction_gets_no_more_than_asked(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.025")
    body: dict[str, Any] = {
        "max_tokens": 16,
        "prediction": {"type": "content", "content": "x," * 1_500},
    }
    assert gateway.chat(alice, **body).status_code == 200
    assert vendor.sent(gateway)["max_tokens"] <= 16
