"""Every rule of Chat Completions, broken once at least."""

from typing import Any

import pytest

from sandbox.vendors.conversation import Sent
from sandbox.vendors.lint import chat as c
from sandbox.vendors.vendors import VendorError
from tests.sandbox.vendors.lint.refusals import PNG, Case, judge, untested

FUNCTION: Any = {"name": "run", "parameters": {"type": "object", "properties": {}}}
TOOL: Any = {"type": "function", "function": FUNCTION}
BASE: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi, json"}]}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "run", "arguments": "{}"}}
CALLING: Any = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: Any = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
USER: Any = {"role": "user", "content": "Hi"}
MINI, GPT5, NEW = "gpt-5-mini", "gpt-5.2", "gpt-5.6-sol"


def said(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {**FUNCTION, **function}}]}


def form(schema: Any, **more: Any) -> dict[str, Any]:
    described = {"name": "answer", "schema": schema, **more}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def image(url: Any) -> dict[str, Any]:
    return said({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})


CASES = [
    Case(None, {}),
    Case(None, {"tools": [TOOL], "tool_choice": "required", **said(USER, CALLING, RESULT, USER)}),
    Case(None, {"max_tokens": 10, "temperature": 0, "stop": ["a"], "n": 2}),
    Case(None, {"max_completion_tokens": 10, "reasoning_effort": "minimal"}, model=MINI),
    Case(None, {"service_tier": "flex"}, model=MINI),
    Case(c.the_service_exists, {"service_tier": "flex"}, "Flex is not available", model="gpt-4o"),
    Case(c.the_service_exists, {"web_search_options": {}}, "not supported with this model"),
    Case(None, {"temperature": 0}, model=GPT5),
    Case(None, {"reasoning_effort": "none", "temperature": 0}, model=GPT5),
    Case(None, image(f"data:image/png;base64,{PNG}")),
    Case(None, image("https://example.com/a.png")),
    Case(None, {"response_format": {"type": "json_object"}}),
    Case(c.required_fields, {}, "Missing required parameter: 'messages'", without=("messages",)),
    Case(c.required_fields, {"messages": []}, "empty array"),
    Case(c.required_fields, {"messages": None}, "Invalid type"),
    Case(
        c.the_model_chats, {}, "only supported in v1/responses", model="gpt-5.3-codex", status=404
    ),
    Case(c.only_known_fields, {"thinking": {}}, "Unknown parameter: 'thinking'"),
    Case(c.only_known_fields, said({**USER, "cache_control": {}}), "messages[0].cache_control"),
    Case(
        c.only_known_fields,
        said({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}),
        "content[0].cache_control",
    ),
    Case(
        c.only_known_fields,
        said(USER, {"role": "assistant", "content": "x", "reasoning_content": "y"}),
        "reasoning_content",
    ),
    Case(c.fields_have_their_types, {"temperature": "hot"}, "Invalid type for 'temperature'"),
    Case(
        c.limits_are_in_range,
        {"max_tokens": 10},
        "Use 'max_completion_tokens' instead",
        model=MINI,
    ),
    Case(c.limits_are_in_range, {"max_tokens": 10, "max_completion_tokens": 10}, "not supported"),
    Case(c.limits_are_in_range, {"max_tokens": 0}, "below minimum"),
    Case(c.limits_are_in_range, {"max_tokens": 16_385}, "supports at most 16384"),
    Case(c.limits_are_in_range, {"n": 129}, "from 1 to 128"),
    Case(
        c.reasoning_is_known,
        {"reasoning_effort": "low"},
        "Unrecognized request argument supplied: reasoning_effort",
    ),
    Case(
        c.reasoning_is_known,
        {"reasoning_effort": "xhigh"},
        "'xhigh' is not supported",
        model="gpt-5.1",
    ),
    Case(
        c.reasoning_is_known,
        {"reasoning_effort": "minimal"},
        "'minimal' is not supported",
        model=GPT5,
    ),
    Case(
        c.reasoning_is_known, {"reasoning_effort": "none"}, "'none' is not supported", model=MINI
    ),
    Case(
        c.no_tools_beside_reasoning,
        {"reasoning_effort": "low", "tools": [TOOL]},
        "use /v1/responses",
        model=NEW,
    ),
    Case(c.sampling_is_allowed, {"temperature": 0}, "'temperature' is not supported", model=MINI),
    Case(
        c.sampling_is_allowed,
        {"temperature": 0, "reasoning_effort": "low"},
        "'temperature' is not",
        model=GPT5,
    ),
    Case(c.sampling_is_allowed, {"presence_penalty": 1}, "'presence_penalty'", model=MINI),
    Case(c.sampling_is_allowed, {"temperature": 2.5}, "Expected 0 to 2"),
    Case(c.sampling_is_allowed, {"top_p": 1.5}, "Expected 0 to 1"),
    Case(c.stops_are_allowed, {"stop": "x"}, "'stop' is not supported", model=GPT5),
    Case(c.stops_are_allowed, {"stop": ["a", "b", "c", "d", "e"]}, "at most 4"),
    Case(c.members_stand_together, {"top_logprobs": 3}, "only allowed when 'logprobs'"),
    Case(c.stream_options_need_a_stream, {"stream_options": {}}, "only allowed when 'stream'"),
    Case(
        c.stream_options_need_a_stream,
        {"stream": True, "stream_options": {"usage": 1}},
        "stream_options.usage",
    ),
    Case(c.tools_are_well_formed, {"tools": []}, "empty array"),
    Case(
        c.tools_are_well_formed, {"tools": [{"type": "web_search"}]}, "Invalid value: 'web_search'"
    ),
    Case(
        c.tools_are_well_formed,
        {"tools": [{"type": "function", "name": "run"}]},
        "tools[0].function",
    ),
    Case(
        c.tools_are_well_formed,
        {"tools": [{**TOOL, "cache_control": {}}]},
        "tools[0].cache_control",
    ),
    Case(c.tools_are_well_formed, tool(name="x" * 65), "does not match pattern"),
    Case(
        c.tools_are_well_formed,
        tool(parameters={"type": "array"}),
        "must be a JSON Schema of 'type: \"object\"'",
    ),
    Case(
        c.tools_are_well_formed,
        tool(parameters={"type": "object", "properties": {"a": {"type": "array"}}}),
        "array schema missing items",
    ),
    Case(c.tools_are_well_formed, tool(strict=True), "'additionalProperties' is required"),
    Case(
        c.tools_are_well_formed,
        tool(
            strict=True,
            parameters={"type": "object", "additionalProperties": False, "properties": {"a": {}}},
        ),
        "Missing 'a'",
    ),
    Case(c.tool_choice_is_possible, {"tool_choice": "auto"}, "only allowed when 'tools'"),
    Case(c.tool_choice_is_possible, {"parallel_tool_calls": False}, "only allowed when 'tools'"),
    Case(
        c.tool_choice_is_possible, {"tools": [TOOL], "tool_choice": "any"}, "Invalid value: 'any'"
    ),
    Case(
        c.tool_choice_is_possible,
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "run"}},
        "tool_choice.function",
    ),
    Case(
        c.tool_choice_is_possible,
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "walk"}}},
        "'walk' not found",
    ),
    Case(c.the_format_is_possible, {"response_format": {"type": "json"}}, "Invalid value: 'json'"),
    Case(
        c.the_format_is_possible,
        {"response_format": {"type": "json_schema", "schema": {}}},
        "response_format.json_schema",
    ),
    Case(c.the_format_is_possible, form({"type": "string"}), "Invalid schema for response_format"),
    Case(
        c.the_format_is_possible,
        form({"type": "object", "allOf": []}, strict=True),
        "'allOf' is not permitted",
    ),
    Case(
        c.the_format_is_possible,
        {"response_format": {"type": "json_object"}, **said(USER)},
        "must contain the word 'json'",
    ),
    Case(
        c.messages_are_well_formed,
        said({"role": "model", "content": "x"}),
        "Invalid value: 'model'",
    ),
    Case(
        c.messages_are_well_formed,
        said({"role": "user", "content": None}),
        "expected a string, got null",
    ),
    Case(
        c.messages_are_well_formed,
        said(USER, {"role": "assistant", "content": None}),
        "expected a string, got null",
    ),
    Case(
        c.messages_are_well_formed,
        said({"role": "user", "content": [{"type": "input_text", "text": "x"}]}),
        "Invalid value: 'input_text'",
    ),
    Case(
        c.messages_are_well_formed,
        said(USER, CALLING, {**RESULT, "content": [{"type": "image_url", "image_url": {}}]}),
        "Invalid value: 'image_url'",
    ),
    Case(c.messages_are_well_formed, image("data:image/bmp;base64,AAAA"), "unsupported image"),
    Case(c.messages_are_well_formed, image("data:image/png;base64,%"), "unsupported image"),
    Case(
        c.calls_are_well_formed,
        said(USER, {**CALLING, "content": "x", "tool_calls": []}),
        "empty array",
    ),
    Case(
        c.calls_are_well_formed,
        said(USER, {**CALLING, "tool_calls": [{**CALL, "id": "x" * 65}]}),
        "at most 64",
    ),
    Case(
        c.calls_are_well_formed,
        said(
            USER,
            {**CALLING, "tool_calls": [{**CALL, "function": {"name": "run", "arguments": {}}}]},
        ),
        "Invalid type",
    ),
    Case(c.results_answer_calls, said(USER, RESULT), "must be a response to a preceeding message"),
    Case(
        c.results_answer_calls, said(USER, CALLING, USER), "did not have response messages: call_1"
    ),
    Case(c.results_answer_calls, said(USER, CALLING), "did not have response messages: call_1"),
    Case(c.results_answer_calls, said(USER, CALLING, RESULT, RESULT), "must be a response"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule.__name__ if c.rule else 'passes'}")
def test_it_says_what_openai_says(case: Case) -> None:
    judge(case, BASE, c.RULES)


def test_every_rule_is_tested() -> None:
    assert untested(CASES, c.RULES) == set()


def test_a_prompt_that_is_too_long_has_its_code() -> None:
    with pytest.raises(VendorError, match="maximum context length is 128000 tokens") as caught:
        c.fits(Sent({}, {}, "gpt-4o"), 128_001)
    assert caught.value.code == "context_length_exceeded"
