"""Every rule of Responses, broken once at least."""

from typing import Any

import pytest

from sandbox.vendors.lint import openai
from sandbox.vendors.lint import responses as r
from sandbox.vendors.lint import responses_items as i
from sandbox.vendors.seal import seal
from tests.sandbox.vendors.lint.refusals import Case, judge, untested

TOOL: Any = {"type": "function", "name": "run", "parameters": {"type": "object"}}
BASE: Any = {"model": "gpt-5.2", "input": "Hi"}
USER: Any = {"role": "user", "content": "Hi"}
TOKEN = seal("encrypted_content", "hm")
REASONING: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": TOKEN}
CALL: Any = {"type": "function_call", "call_id": "call_1", "name": "run", "arguments": "{}"}
RESULT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
CUSTOM: Any = {"type": "custom_tool_call", "call_id": "call_1", "name": "run", "input": "x"}


def given(*items: Any) -> dict[str, Any]:
    return {"input": list(items)}


def part(**fields: Any) -> dict[str, Any]:
    return given({"role": "user", "content": [fields]})


CASES = [
    Case(None, {}),
    Case(None, given(USER, REASONING, CALL, RESULT)),
    Case(
        None,
        given(
            USER, {"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}, USER
        ),
    ),
    Case(None, given(USER, CUSTOM, {**RESULT, "type": "custom_tool_call_output"})),
    Case(None, given(USER, {"type": "agent_message", "text": "x"})),
    Case(
        None,
        {
            "tools": [
                TOOL,
                {"type": "web_search"},
                {"type": "namespace", "name": "ns", "tools": [TOOL]},
            ]
        },
    ),
    Case(None, {"reasoning": {"effort": "none"}, "temperature": 0}),
    Case(None, {}, model="gpt-4o"),
    Case(None, {"service_tier": "priority"}),
    Case(openai.tier, {"service_tier": "first class"}, "Supported values are"),
    Case(r.required_fields, {"input": []}, "must be provided"),
    Case(r.required_fields, {"input": 3}, "Invalid type for 'input'"),
    Case(r.only_known_fields, {"max_tokens": 5}, "moved to 'max_output_tokens'"),
    Case(r.only_known_fields, {"response_format": {}}, "moved to 'text.format'"),
    Case(r.only_known_fields, {"stop": ["x"]}, "Unknown parameter: 'stop'"),
    Case(r.only_known_fields, {"stream": True}, "Unknown parameter: 'stream'", counting=True),
    Case(
        r.fields_have_their_types,
        {"max_output_tokens": "9"},
        "Invalid type for 'max_output_tokens'",
    ),
    Case(r.nothing_is_remembered, {"previous_response_id": "resp_1"}, "'resp_1' not found"),
    Case(r.the_limit_is_in_range, {"max_output_tokens": 15}, "from 16 to 128000, but got 15"),
    Case(
        r.reasoning_is_known,
        {"reasoning": {"effort": "low"}},
        "'reasoning.effort' is not supported",
        model="gpt-4o",
    ),
    Case(r.reasoning_is_known, {"reasoning": {"effort": "minimal"}}, "'minimal' is not supported"),
    Case(r.reasoning_is_known, {"reasoning": {"budget": 1}}, "reasoning.budget"),
    Case(r.reasoning_is_known, {"reasoning": {"summary": "long"}}, "Invalid value: 'long'"),
    Case(
        r.includes_are_known,
        {"include": ["reasoning.encrypted_content"]},
        "Encrypted content is not supported",
        model="gpt-4o",
    ),
    Case(r.includes_are_known, {"include": ["usage"]}, "Invalid value: 'usage'"),
    Case(
        r.sampling_is_allowed,
        {"temperature": 0, "reasoning": {"effort": "low"}},
        "'temperature' is not supported",
    ),
    Case(r.members_stand_together, {"background": True}, "requires 'store'"),
    Case(r.stream_options_need_a_stream, {"stream_options": {}}, "only allowed when 'stream'"),
    Case(
        r.stream_options_need_a_stream,
        {"stream": True, "stream_options": {"include_usage": True}},
        "stream_options.include_usage",
    ),
    Case(
        r.tools_are_well_formed, {"tools": [{"type": "function", "function": {}}]}, "tools[0].name"
    ),
    Case(
        r.tools_are_well_formed, {"tools": [{"name": "run", "input_schema": {}}]}, "tools[0].type"
    ),
    Case(
        r.tools_are_well_formed,
        {"tools": [{**TOOL, "strict": True}]},
        "'additionalProperties' is required",
    ),
    Case(r.tools_are_well_formed, {"tools": [{**TOOL, "name": "a.b"}]}, "does not match pattern"),
    Case(r.tool_choice_is_possible, {"tool_choice": "any"}, "Invalid value: 'any'"),
    Case(r.tool_choice_is_possible, {"tool_choice": "required"}, "with tools"),
    Case(
        r.tool_choice_is_possible,
        {"tool_choice": {"type": "function", "function": {"name": "run"}}},
        "tool_choice.name",
    ),
    Case(
        r.tool_choice_is_possible,
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "walk"}},
        "'walk' not found",
    ),
    Case(
        r.the_format_is_possible,
        {"text": {"format": {"type": "json_schema", "json_schema": {}}}},
        "text.format.name",
    ),
    Case(
        r.the_format_is_possible, {"text": {"format": {"type": "json"}}}, "Invalid value: 'json'"
    ),
    Case(
        r.the_format_is_possible,
        {"text": {"format": {"type": "json_object"}}},
        "must contain the word 'json'",
    ),
    Case(i.items_are_known, given({"type": "tool_use"}), "Invalid value: 'tool_use'"),
    Case(i.items_are_known, given({**USER, "cache_control": {}}), "input[0].cache_control"),
    Case(i.items_are_known, given("Hi"), "expected an object"),
    Case(i.ids_have_their_prefix, given({**USER, "id": "chatcmpl-1"}), "begins with 'msg'"),
    Case(
        i.messages_are_well_formed,
        given({"role": "tool", "content": "x"}),
        "Invalid value: 'tool'",
    ),
    Case(i.messages_are_well_formed, given({"role": "user", "content": None}), "input[0].content"),
    Case(
        i.messages_are_well_formed,
        part(type="output_text", text="x"),
        "Invalid value: 'output_text'",
    ),
    Case(i.messages_are_well_formed, part(type="text", text="x"), "Invalid value: 'text'"),
    Case(
        i.messages_are_well_formed, part(type="input_image", image_url={"url": "x"}), "image_url"
    ),
    Case(
        i.messages_are_well_formed,
        part(type="input_text", text="x", cache_control={}),
        "cache_control",
    ),
    Case(
        i.calls_are_well_formed,
        given(USER, {**CALL, "call_id": "x" * 65}, RESULT),
        "string too long",
    ),
    Case(
        i.calls_are_well_formed, given(USER, {**CALL, "call_id": None}, RESULT), "input[1].call_id"
    ),
    Case(
        i.calls_are_well_formed,
        given(USER, {**CALL, "arguments": {}}, RESULT),
        "expected a string",
    ),
    Case(
        i.results_answer_calls, given(USER, CALL), "No tool output found for function call call_1"
    ),
    Case(i.results_answer_calls, given(USER, RESULT), "No tool call found"),
    Case(i.results_answer_calls, given(USER, CUSTOM, RESULT), "No tool call found"),
    Case(i.results_answer_calls, given(USER, CALL, {**RESULT, "output": {}}), "input[2].output"),
    Case(
        i.nothing_is_stored,
        given({"type": "item_reference", "id": "rs_1"}),
        "'rs_1' not found",
        status=404,
    ),
    Case(
        i.nothing_is_stored,
        given(USER, {"type": "reasoning", "id": "rs_1", "summary": []}),
        "not persisted",
        status=404,
    ),
    Case(
        i.reasoning_is_genuine,
        given(USER, {**REASONING, "encrypted_content": "forged"}, CALL, RESULT),
        "could not be verified",
    ),
    Case(
        i.reasoning_is_genuine,
        given(USER, {**REASONING, "encrypted_content": TOKEN[:40]}, CALL, RESULT),
        "could not be verified",
    ),
    Case(
        i.reasoning_is_genuine,
        given(USER, {**REASONING, "summary": None}, CALL, RESULT),
        "input[1].summary",
    ),
    Case(
        i.compactions_are_ours,
        given({"type": "compaction", "encrypted_content": "forged"}, USER),
        "could not be verified",
    ),
    Case(i.reasoning_leads_somewhere, given(USER, REASONING, USER), "required following item"),
    Case(i.reasoning_leads_somewhere, given(USER, REASONING), "required following item"),
    Case(
        i.results_hold_known_parts,
        given(USER, CALL, {**RESULT, "output": [{"type": "text", "text": "x"}]}),
        "Invalid value: 'text'",
    ),
]
RULES = (*r.RULES, *i.RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule.__name__ if c.rule else 'passes'}")
def test_it_says_what_openai_says(case: Case) -> None:
    judge(case, BASE, RULES)


def test_every_rule_is_tested() -> None:
    assert untested(CASES, RULES) == set()
