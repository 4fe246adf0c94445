"""Responses through OpenAI's own client."""

import json
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from sandbox.vendors.script import THOUGHT
from sandbox.vendors.usage import count

MODEL = "gpt-5.2"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
PATCH: Any = {"type": "custom", "name": "apply_patch"}
HANOI = '[[tool: {"name": "get_weather", "args": {"city": "Hanoi"}} ]]'
HUE = '[[tool: {"name": "get_weather", "args": {"city": "Hue"}} ]]'
THINKING: Any = {"effort": "high", "summary": "auto"}


class Answer(BaseModel):
    city: str
    degrees: int


def asked(gpt: openai.OpenAI, text: Any, **more: Any) -> Any:
    return gpt.responses.create(model=MODEL, input=text, **more)


def streamed(http: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    text = http.post("/v1/responses", json={"model": MODEL, "stream": True, **body}).text
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def test_usage_can_be_worked_out_by_hand(gpt: openai.OpenAI) -> None:
    reply = gpt.responses.create(
        model=MODEL,
        instructions="Be brief.",
        input="[[think: hmm]] [[say: four]]",
        reasoning=THINKING,
    )
    assert reply.output_text == "four"
    assert [item.type for item in reply.output] == ["reasoning", "message"]
    assert reply.usage
    assert reply.usage.input_tokens == count("Be brief.") + count("[[think: hmm]] [[say: four]]")
    assert reply.usage.output_tokens == count("hmm") + count("four")
    assert reply.usage.output_tokens_details.reasoning_tokens == count("hmm")
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


def test_the_stream_helper_gives_what_it_streamed(gpt: openai.OpenAI) -> None:
    with gpt.responses.stream(
        model=MODEL,
        input=f"[[say: Let me see.]] [[parallel]] {HANOI} {HUE}",
        tools=[WEATHER],
        reasoning=THINKING,
    ) as stream:
        written = [
            event.arguments
            for event in stream
            if event.type == "response.function_call_arguments.done"
        ]
        final = stream.get_final_response()
    assert [json.loads(arguments)["city"] for arguments in written] == ["Hanoi", "Hue"]
    kinds = [item.type for item in final.output]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]
    assert final.status == "completed"


def test_events_are_numbered_without_gaps_and_in_order(http: httpx.Client) -> None:
    events = streamed(http, input="[[say: a b]]", reasoning=THINKING)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    words = len(THOUGHT.split())
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        *["reasoning_summary_text.delta"] * words,
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[-1]["response"]["output"][1]["content"][0]["text"] == "a b"
    assert events[-1]["response"]["usage"]["output_tokens"] == count(THOUGHT) + 1
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]


def test_deltas_are_padded_unless_told_not_to(http: httpx.Client) -> None:
    padded = [e for e in streamed(http, input="[[say: a]]") if e["type"].endswith(".delta")]
    assert all("obfuscation" in event for event in padded)
    bare = streamed(http, input="[[say: a]]", stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in event for event in bare)


def test_reasoning_comes_back_encrypted_and_is_recognised(gpt: openai.OpenAI) -> None:
    items: Any = [{"role": "user", "content": f"{HANOI} [[say: {{result}}]]"}]
    options: Any = {"tools": [WEATHER], "store": False, "reasoning": THINKING}
    first = asked(gpt, items, **options)
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    call: Any = first.output[1]
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "31C"})
    assert asked(gpt, items, **options).output_text == "31C"


def test_no_summary_unless_asked_for(gpt: openai.OpenAI) -> None:
    reply = asked(gpt, "Hi", reasoning={"effort": "low"})
    assert reply.output[0].summary == []
    assert reply.usage and reply.usage.output_tokens_details.reasoning_tokens == count(THOUGHT)
    quiet = asked(gpt, "Hi")
    assert [item.type for item in quiet.output] == ["message"]


def test_custom_and_namespaced_tools(gpt: openai.OpenAI) -> None:
    agents: Any = {"type": "namespace", "name": "agents", "description": "x", "tools": [WEATHER]}
    patch = '[[tool: {"name": "apply_patch", "input": "*** Begin\\n\\"x\\""}]]'
    with gpt.responses.stream(
        model=MODEL, input=f"[[parallel]] {patch} {HANOI}", tools=[PATCH, agents]
    ) as stream:
        for _ in stream:
            pass
        output: Any = stream.get_final_response().output
    written, called = output
    assert (written.type, written.input) == ("custom_tool_call", '*** Begin\n"x"')
    assert (called.name, called.namespace) == ("get_weather", "agents")


def test_forced_tools(gpt: openai.OpenAI) -> None:
    for choice in ("required", {"type": "function", "name": "get_weather"}):
        reply = asked(
            gpt,
            "Hi",
            tools=[WEATHER],
            tool_choice=choice,
        )
        assert json.loads(reply.output[0].arguments) == {"city": "sandbox"}


def test_structured_output_fits_the_schema(gpt: openai.OpenAI) -> None:
    reply = gpt.responses.parse(model=MODEL, input="Weather?", text_format=Answer)
    assert reply.output_parsed == Answer(city="sandbox", degrees=1)


def test_length_is_incomplete(gpt: openai.OpenAI) -> None:
    reply = asked(gpt, "[[say: " + "word " * 40 + "]]", max_output_tokens=16)
    assert reply.status == "incomplete"
    assert reply.incomplete_details and reply.incomplete_details.reason == "max_output_tokens"
    assert reply.usage and reply.usage.output_tokens == 16
    with gpt.responses.stream(model=MODEL, input="[[length]]") as stream:
        kinds = [event.type for event in stream]
    assert kinds[-1] == "response.incomplete"


def test_a_refusal_is_a_part(gpt: openai.OpenAI) -> None:
    with gpt.responses.stream(model=MODEL, input="[[refuse]]") as stream:
        kinds = {event.type for event in stream}
        output: Any = stream.get_final_response().output
    assert {"response.refusal.delta", "response.refusal.done"} <= kinds
    assert output[0].content[0].type == "refusal"


def test_a_stream_can_fail_in_two_ways(http: httpx.Client) -> None:
    failed = streamed(http, input="[[failed]] [[say: a b c d]]")
    assert failed[-1]["type"] == "response.failed"
    assert failed[-1]["response"]["id"] == failed[0]["response"]["id"]
    assert failed[-1]["response"]["error"]["code"] == "server_error"
    broken = streamed(http, input="[[midstream]] [[say: a b c d]]")
    assert (broken[-1]["type"], broken[-1]["code"]) == ("error", "server_error")
    for events in (failed, broken):
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert "".join(e["delta"] for e in events if e["type"].endswith("text.delta")) == "a b"


def test_a_unary_answer_can_fail_too(gpt: openai.OpenAI) -> None:
    reply = asked(gpt, "[[failed]]")
    assert reply.status == "failed"
    with pytest.raises(openai.InternalServerError):
        asked(gpt, "[[midstream]]")


def test_input_tokens_are_the_input_of_the_call(gpt: openai.OpenAI) -> None:
    counted = gpt.responses.input_tokens.count(model=MODEL, input="Hi there", tools=[WEATHER])
    reply = asked(gpt, "Hi there", tools=[WEATHER])
    assert reply.usage and counted.input_tokens == reply.usage.input_tokens


def test_pictures_cost_a_round_sum(gpt: openai.OpenAI) -> None:
    picture: Any = {
        "type": "input_image",
        "detail": "auto",
        "image_url": "https://example.com/a.png",
    }
    text: Any = {"type": "input_text", "text": "four"}
    reply = asked(gpt, [{"role": "user", "content": [text, picture]}])
    assert reply.usage and reply.usage.input_tokens == 257
