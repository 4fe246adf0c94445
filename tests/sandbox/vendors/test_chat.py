"""Chat Completions through OpenAI's own client."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from sandbox.vendors.usage import count
from tests.vendors import Vendors

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
HANOI = '[[tool: {"name": "get_weather", "args": {"city": "Hanoi"}} ]]'
HUE = '[[tool: {"name": "get_weather", "args": {"city": "Hue"}}]]'


class Answer(BaseModel):
    city: str
    degrees: int


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_plain_answer_refers_to_the_question(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(model="gpt-4o", messages=said("Hello there"))
    assert "gpt-4o" in reply.choices[0].message.content  # type: ignore[operator]
    assert "Hello there" in reply.choices[0].message.content  # type: ignore[operator]
    assert reply.choices[0].finish_reason == "stop"


def test_usage_can_be_worked_out_by_hand(gpt: openai.OpenAI) -> None:
    prompt = "Hi [[say: four tokens here]]"
    reply = gpt.chat.completions.create(model="gpt-4o", messages=said(prompt))
    assert reply.usage
    assert reply.usage.prompt_tokens == count(prompt) == 7
    assert reply.usage.completion_tokens == count("four tokens here") == 4
    assert reply.usage.total_tokens == 11


def test_a_stream_is_the_unary_answer_in_words(gpt: openai.OpenAI) -> None:
    prompt = "[[say: one  two\nthree — bốn ]]"
    chunks = list(
        gpt.chat.completions.create(
            model="gpt-4o",
            messages=said(prompt),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "one  two\nthree — bốn"
    assert len({c.id for c in chunks}) == 1
    assert [c.choices[0].delta.role for c in chunks if c.choices][0] == "assistant"
    assert [c.usage is None for c in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].choices == []
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == count(text)


def test_a_stream_tells_no_usage_unless_asked(gpt: openai.OpenAI) -> None:
    chunks = list(gpt.chat.completions.create(model="gpt-4o", messages=said("Hi"), stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)


def test_the_stream_helper_collects_parallel_calls(gpt: openai.OpenAI) -> None:
    with gpt.chat.completions.stream(
        model="gpt-4o", messages=said(f"[[parallel]] {HANOI} {HUE}"), tools=[WEATHER]
    ) as stream:
        for _ in stream:
            pass
        reply = stream.get_final_completion()
    calls = reply.choices[0].message.tool_calls or []
    assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Hanoi", "Hue"]
    assert calls[0].id != calls[1].id
    assert reply.choices[0].finish_reason == "tool_calls"


def test_a_tool_loop_ends_with_the_result(gpt: openai.OpenAI) -> None:
    messages = said(f"{HANOI} {HUE} [[say: It is {{result}}.]]")
    for expected in ("Hanoi", "Hue"):
        reply = gpt.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])
        (call,) = reply.choices[0].message.tool_calls or []
        assert json.loads(call.function.arguments) == {"city": expected}  # type: ignore[union-attr]
        messages.append(reply.choices[0].message.model_dump(exclude_none=True))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"31C in {expected}"})
    reply = gpt.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER])
    assert reply.choices[0].message.content == "It is 31C in Hue."


def test_one_call_at_a_time_where_parallel_calls_are_off(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(
        model="gpt-4o",
        messages=said(f"[[parallel]] {HANOI} {HUE}"),
        tools=[WEATHER],
        parallel_tool_calls=False,
    )
    assert len(reply.choices[0].message.tool_calls or []) == 1


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_a_forced_tool_gets_arguments_from_its_schema(gpt: openai.OpenAI, choice: Any) -> None:
    reply = gpt.chat.completions.create(
        model="gpt-4o", messages=said("Hi"), tools=[WEATHER], tool_choice=choice
    )
    (call,) = reply.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "sandbox", "unit": "c"}  # type: ignore[union-attr]


def test_tool_choice_none_calls_nothing(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(
        model="gpt-4o", messages=said(HANOI), tools=[WEATHER], tool_choice="none"
    )
    assert not reply.choices[0].message.tool_calls


def test_structured_output_fits_the_schema(gpt: openai.OpenAI) -> None:
    parsed = gpt.chat.completions.parse(
        model="gpt-4o", messages=said("Weather?"), response_format=Answer
    )
    assert parsed.choices[0].message.parsed == Answer(city="sandbox", degrees=1)
    scripted = gpt.chat.completions.parse(
        model="gpt-4o",
        messages=said('[[json: {"city": "Huế", "degrees": 31}]]'),
        response_format=Answer,
    )
    assert scripted.choices[0].message.parsed == Answer(city="Huế", degrees=31)


def test_it_stops_at_a_stop_sequence_and_at_the_limit(gpt: openai.OpenAI) -> None:
    stopped = gpt.chat.completions.create(
        model="gpt-4o", messages=said("[[say: abc END def]]"), stop=["END"]
    )
    assert stopped.choices[0].message.content == "abc "
    assert stopped.choices[0].finish_reason == "stop"
    short = gpt.chat.completions.create(
        model="gpt-4o", messages=said("[[say: 12345678901234]]"), max_tokens=2
    )
    assert short.choices[0].message.content == "12345678"
    assert short.choices[0].finish_reason == "length"
    assert short.usage and short.usage.completion_tokens == 2


def test_several_choices_are_all_counted(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(
        model="gpt-4o", messages=said("[[say: four]]"), n=3, logprobs=True
    )
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage and reply.usage.completion_tokens == 3
    assert reply.choices[2].logprobs and reply.choices[2].logprobs.content


def test_reasoning_is_counted_and_not_shown(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(
        model="gpt-5.2",
        messages=said("[[think: a long thought indeed]] [[say: done]]"),
        reasoning_effort="high",
    )
    thought = count("a long thought indeed")
    assert reply.usage and reply.usage.completion_tokens_details
    assert reply.usage.completion_tokens_details.reasoning_tokens == thought
    assert reply.usage.completion_tokens == thought + count("done")
    assert "long thought" not in reply.model_dump_json()


def test_a_refusal_is_a_refusal(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(model="gpt-4o", messages=said("[[refuse]]"))
    assert reply.choices[0].message.content is None
    assert reply.choices[0].message.refusal


def test_scripted_usage_is_in_the_vendors_own_fields(gpt: openai.OpenAI) -> None:
    reply = gpt.chat.completions.create(model="gpt-4o", messages=said("[[usage: 1000 50 400 7]]"))
    assert reply.usage and reply.usage.prompt_tokens_details
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1000, 50)
    assert reply.usage.prompt_tokens_details.cached_tokens == 400
    assert reply.usage.completion_tokens_details
    assert reply.usage.completion_tokens_details.reasoning_tokens == 7
    silent = gpt.chat.completions.create(model="gpt-4o", messages=said("[[nousage]]"))
    assert silent.usage is None


def test_a_long_prompt_is_cached_the_second_time(gpt: openai.OpenAI) -> None:
    cached = []
    for question in ("one", "two"):
        messages: Any = [{"role": "system", "content": "x" * 5000}, *said(question)]
        reply = gpt.chat.completions.create(model="gpt-4o", messages=messages)
        assert reply.usage and reply.usage.prompt_tokens_details
        cached.append(reply.usage.prompt_tokens_details.cached_tokens)
    assert cached == [0, 1250 // 128 * 128]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_scripted_error_has_the_vendors_shape(
    gpt: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        gpt.chat.completions.create(model="gpt-4o", messages=said(f"[[error: {status} no]]"))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"] == "no"
    assert caught.value.request_id and caught.value.request_id.startswith("req_")


def test_it_fails_as_often_as_asked_and_then_answers(gpt: openai.OpenAI) -> None:
    patient = gpt.with_options(max_retries=2)
    reply = patient.chat.completions.create(
        model="gpt-4o", messages=said("[[errors: 2 503]] [[say: at last]]")
    )
    assert reply.choices[0].message.content == "at last"


def test_a_stream_can_fail_in_the_middle(gpt: openai.OpenAI) -> None:
    got = ""
    with pytest.raises(openai.APIError, match="had an error"):
        for chunk in gpt.chat.completions.create(
            model="gpt-4o", messages=said("[[midstream]] [[say: a b c d]]"), stream=True
        ):
            got += chunk.choices[0].delta.content or ""
    assert got == "a b"


def test_a_stream_can_be_cut(gpt: openai.OpenAI, vendors: Vendors) -> None:
    with pytest.raises(openai.APIConnectionError):
        list(
            gpt.chat.completions.create(
                model="gpt-4o", messages=said("[[cut]] [[say: a b c d]]"), stream=True
            )
        )
    assert not vendors.ended(vendors.last).aborted


def test_keys_are_checked_as_openai_does(gpt: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        gpt.with_options(api_key="sk-wrong").models.list()
    assert caught.value.code == "invalid_api_key"
    assert "gpt-5.4-mini" in {model.id for model in gpt.models.list()}
    assert gpt.models.retrieve("gpt-4.1").object == "model"
    with pytest.raises(openai.NotFoundError):
        gpt.models.retrieve("gpt-9")
