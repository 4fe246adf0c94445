"""Messages through Anthropic's own client."""

from typing import Any

import anthropic
import httpx
import pytest
from pydantic import BaseModel

from sandbox.vendors.script import THOUGHT
from sandbox.vendors.usage import count
from tests.vendors import Vendors

SONNET = "claude-sonnet-4-6"
WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
HANOI = '[[tool: {"name": "get_weather", "args": {"city": "Hanoi"}} ]]'
HUE = '[[tool: {"name": "get_weather", "args": {"city": "Hue"}} ]]'
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


class Answer(BaseModel):
    city: str
    degrees: int


def said(text: Any) -> Any:
    return [{"role": "user", "content": text}]


def asked(claude: anthropic.Anthropic, text: Any, **more: Any) -> Any:
    body = {"model": SONNET, "max_tokens": 2000, "messages": said(text), **more}
    return claude.messages.create(**body)


def without_ids(message: Any) -> Any:
    whole = message.model_dump(exclude={"id"})
    for block in whole["content"]:
        block.pop("id", None)
    return whole


def test_usage_can_be_worked_out_by_hand(claude: anthropic.Anthropic) -> None:
    reply = asked(claude, "[[say: four tokens here]]", system="Be brief.")
    assert reply.content[0].text == "four tokens here"
    assert reply.stop_reason == "end_turn"
    assert reply.usage.input_tokens == count("Be brief.") + count("[[say: four tokens here]]")
    assert reply.usage.output_tokens == count("four tokens here")


def test_the_stream_helper_gives_what_the_unary_answer_gives(
    claude: anthropic.Anthropic,
) -> None:
    prompt = f"[[think: hmm hmm]] [[say: Let me see.]] {HANOI}"
    with claude.messages.stream(
        model=SONNET,
        max_tokens=2000,
        messages=said(prompt),
        tools=[WEATHER],
        thinking=THINKING,
    ) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    whole = asked(claude, prompt, tools=[WEATHER], thinking=THINKING)
    assert without_ids(streamed) == without_ids(whole)
    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
    assert whole.stop_reason == "tool_use"
    assert "signature" in kinds


def test_every_event_has_a_name_and_indexes_are_dense(http: httpx.Client) -> None:
    body = {"model": SONNET, "max_tokens": 50, "messages": said("[[say: a b]]"), "stream": True}
    lines = http.post("/v1/messages", json=body).text.splitlines()
    assert [line.removeprefix("event: ") for line in lines if line.startswith("event")] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_thinking_comes_back_signed_and_is_recognised(claude: anthropic.Anthropic) -> None:
    prompt = f"[[redact]] {HANOI} [[say: {{result}}]]"
    first = asked(claude, prompt, tools=[WEATHER], thinking=THINKING)
    assert [block.type for block in first.content] == [
        "thinking",
        "redacted_thinking",
        "tool_use",
    ]
    assert first.usage.output_tokens_details.thinking_tokens == count(THOUGHT)
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "31C"}
    messages = [
        *said(prompt),
        {"role": "assistant", "content": [b.model_dump() for b in first.content]},
        *said([result]),
    ]
    second = asked(claude, "", messages=messages, tools=[WEATHER], thinking=THINKING)
    assert second.content[-1].text == "31C"


def test_thinking_can_be_left_out_of_sight(claude: anthropic.Anthropic) -> None:
    reply = asked(claude, "Hi", thinking={**THINKING, "display": "omitted"})
    assert reply.content[0].thinking == ""
    assert reply.content[0].signature
    assert reply.usage.output_tokens_details.thinking_tokens == count(THOUGHT)


def test_no_thinking_where_it_was_not_asked_for(claude: anthropic.Anthropic) -> None:
    reply = asked(claude, "[[think: hm]] [[say: x]]")
    assert [block.type for block in reply.content] == ["text"]


def test_parallel_calls_and_one_at_a_time(claude: anthropic.Anthropic) -> None:
    both = asked(claude, f"[[parallel]] {HANOI} {HUE}", tools=[WEATHER])
    assert [block.input["city"] for block in both.content] == ["Hanoi", "Hue"]
    one = asked(
        claude,
        f"[[parallel]] {HANOI} {HUE}",
        tools=[WEATHER],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    assert [block.input["city"] for block in one.content] == ["Hanoi"]


def test_a_forced_tool_is_called(claude: anthropic.Anthropic) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        reply = asked(claude, "Hi", tools=[WEATHER], tool_choice=choice)
        assert reply.content[0].input == {"city": "sandbox"}


def test_structured_output_fits_the_schema(claude: anthropic.Anthropic) -> None:
    reply = claude.messages.parse(
        model=SONNET, max_tokens=100, messages=said("Weather?"), output_format=Answer
    )
    assert reply.parsed_output == Answer(city="sandbox", degrees=1)


def test_it_stops_where_it_should(claude: anthropic.Anthropic) -> None:
    stopped = asked(claude, "[[say: abc END def]]", stop_sequences=["END"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "END")
    assert stopped.content[0].text == "abc "
    short = asked(claude, "[[say: 12345678901234]]", max_tokens=2)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 2)
    assert asked(claude, "[[length]]").stop_reason == "max_tokens"
    assert asked(claude, "[[refuse]]").stop_reason == "refusal"


def test_the_cache_is_written_once_and_then_read(claude: anthropic.Anthropic) -> None:
    hour: Any = {"type": "ephemeral", "ttl": "1h"}
    system: Any = [{"type": "text", "text": "s" * 400, "cache_control": hour}]
    block: Any = {"type": "text", "text": "d" * 200, "cache_control": {"type": "ephemeral"}}
    seen = []
    for question in ("four", "five"):
        content = [block, {"type": "text", "text": question}]
        used = asked(claude, content, system=system).usage
        seen.append(
            (
                used.input_tokens,
                used.cache_read_input_tokens,
                used.cache_creation.ephemeral_5m_input_tokens,
                used.cache_creation.ephemeral_1h_input_tokens,
            )
        )
        assert used.cache_creation_input_tokens == seen[-1][2] + seen[-1][3]
    assert seen == [(1, 0, 50, 100), (1, 150, 0, 0)]


def test_count_tokens_is_the_input_of_the_call(claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(model=SONNET, messages=said("Hi"), tools=[WEATHER])
    assert counted.input_tokens == asked(claude, "Hi", tools=[WEATHER]).usage.input_tokens


def test_scripted_usage_is_in_the_vendors_own_fields(claude: anthropic.Anthropic) -> None:
    used = asked(claude, "[[usage: 1000 50 400 7 20 30]]").usage
    assert (used.input_tokens, used.output_tokens) == (1000, 50)
    assert used.cache_read_input_tokens == 400
    assert used.cache_creation_input_tokens == 50
    assert used.cache_creation.ephemeral_1h_input_tokens == 30
    assert used.output_tokens_details.thinking_tokens == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (402, "billing_error"),
        (429, "rate_limit_error"),
        (529, "overloaded_error"),
    ],
)
def test_a_scripted_error_has_the_vendors_shape(
    claude: anthropic.Anthropic, status: int, kind: str
) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        asked(claude, f"[[error: {status} no]]")
    assert caught.value.status_code == status
    assert caught.value.body["error"] == {"type": kind, "message": "no"}  # type: ignore[index]
    assert caught.value.request_id


def test_a_stream_can_fail_in_the_middle(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        for _ in asked(claude, "[[midstream]] [[say: a b c d]]", stream=True):
            pass


def test_who_leaves_stops_the_answer(claude: anthropic.Anthropic, vendors: Vendors) -> None:
    with asked(claude, "[[slow: 0.05]] [[say: a b c d e f g h i j]]", stream=True) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                break
    ended = vendors.ended(vendors.last)
    assert ended.aborted
    assert 0 < ended.sent < 1500


def test_who_leaves_before_the_first_byte_is_noticed(vendors: Vendors, http: httpx.Client) -> None:
    body = {"model": SONNET, "max_tokens": 50, "messages": said("[[delay: 30]]")}
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/messages", json=body, timeout=0.2)
    assert vendors.ended(vendors.last).aborted
    assert vendors.last.sent == 0


def test_keys_and_versions_are_checked_as_anthropic_does(
    claude: anthropic.Anthropic, vendors: Vendors
) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        asked(claude.with_options(api_key="sk-ant-wrong"), "Hi")
    reply = httpx.post(f"{vendors.url}/v1/messages", headers={"x-api-key": "k"}, json={})
    assert reply.json()["error"]["message"] == "anthropic-version: header is required"
    assert "claude-opus-4-6" in {model.id for model in claude.models.list()}
