"""Every rule of Anthropic's, broken once at least."""

from typing import Any

import pytest

from sandbox.vendors.conversation import Sent
from sandbox.vendors.lint import anthropic as a
from sandbox.vendors.lint import anthropic_history as h
from sandbox.vendors.seal import seal
from sandbox.vendors.vendors import VendorError
from tests.sandbox.vendors.lint.refusals import JPEG, PNG, Case, judge, untested

HAIKU, OPUS, NEW = "claude-haiku-4-5-20251001", "claude-opus-4-5-20251101", "claude-opus-5-5"
OLD = "claude-sonnet-4-20250514"
TOOL: Any = {"name": "run", "input_schema": {"type": "object"}}
ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-6"}
BASE: Any = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [TOOL],
}
THINKING = {"type": "enabled", "budget_tokens": 1024}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": seal("thinking", "hm")}
USE = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
TEXT = {"type": "text", "text": "x"}


def said(*turns: Any) -> dict[str, Any]:
    """user, assistant, user, ..."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": c} for n, c in enumerate(turns)]}


def marked(ttl: str = "5m") -> dict[str, Any]:
    return {**TEXT, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def schema(**keywords: Any) -> dict[str, Any]:
    closed = {"type": "object", "additionalProperties": False, **keywords}
    return {"output_config": {"format": {"type": "json_schema", "schema": closed}}}


def picture(media_type: str, data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return said([{"type": "image", "source": source}])


CASES = [
    Case(None, {}),
    Case(None, said("Hi", [SIGNED, USE], [RESULT, TEXT])),
    Case(None, {"thinking": THINKING, **said("Hi", [SIGNED, USE], [RESULT])}),
    Case(
        None,
        {"context_management": {}},
        headers={"anthropic-beta": "context-management-2025-06-27"},
    ),
    Case(None, said([marked("1h"), marked(), marked(), marked()])),
    Case(None, picture("image/png", PNG)),
    Case(None, {"temperature": 0.5}),
    Case(None, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
    Case(
        None,
        {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]},
        model=NEW,
    ),
    Case(None, schema(properties={"maximum": {"type": "string"}})),
    Case(None, {"max_tokens": 0}),
    Case(None, {}, without=("max_tokens",), counting=True),
    Case(a.required_fields, {}, "max_tokens: Field required", without=("max_tokens",)),
    Case(a.required_fields, {}, "model: Field required", without=("model",)),
    Case(a.required_fields, {"max_tokens": "9"}, "max_tokens: Input should be a valid int"),
    Case(a.fields_have_their_types, {"temperature": "hot"}, "temperature"),
    Case(
        a.only_known_fields,
        {"reasoning_effort": "high"},
        "reasoning_effort: Extra inputs are not permitted",
    ),
    Case(a.only_known_fields, {"context_management": {}}, "context_management: Extra inputs"),
    Case(
        a.only_known_fields,
        {"temperature": 1},
        "temperature: Extra",
        without=("max_tokens",),
        counting=True,
    ),
    Case(None, {"context_management": {}}, headers={"anthropic-beta": "compact-2026-01-12"}),
    Case(None, {"inference_geo": "us", "service_tier": "standard_only", "speed": "standard"}),
    Case(
        None,
        {"speed": "fast"},
        headers={"anthropic-beta": "fast-mode-2026-02-01"},
        model="claude-opus-4-6",
    ),
    Case(None, {"tools": [ADVISOR]}, headers={"anthropic-beta": "advisor-tool-2026-03-01"}),
    Case(a.the_service_exists, {"service_tier": "priority"}, "'auto' or 'standard_only'"),
    Case(a.the_service_exists, {"inference_geo": "eu"}, "'us' or 'global'"),
    Case(a.the_service_exists, {"inference_geo": "us"}, "is not supported", model=HAIKU),
    Case(a.the_service_exists, {"speed": "warp"}, "'standard' or 'fast'"),
    Case(a.the_service_exists, {"speed": "fast"}, "fast mode is not supported"),
    Case(a.advisors_need_their_beta, {"tools": [ADVISOR]}, "tools.0: Input tag"),
    Case(
        a.advisors_need_their_beta,
        {"tools": [{"type": "advisor_20260301", "name": "advisor"}]},
        "model: Field required",
        headers={"anthropic-beta": "advisor-tool-2026-03-01"},
    ),
    Case(a.max_tokens_in_range, {"max_tokens": 64_001}, "64001 > 64000"),
    Case(a.max_tokens_in_range, {"max_tokens": -1}, "greater than or equal to 0"),
    Case(
        a.no_threads,
        {"thread": {}},
        "not supported",
        headers={"anthropic-beta": "message-threads-2026-08-12"},
    ),
    Case(a.budget_fits, {"thinking": {"type": "enabled"}}, "budget_tokens: Field required"),
    Case(
        a.budget_fits, {"thinking": {"type": "enabled", "budget_tokens": 1023}}, "or equal to 1024"
    ),
    Case(
        a.budget_fits,
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        "must be greater than `thinking.budget_tokens`",
    ),
    Case(
        None,
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        headers={"anthropic-beta": "interleaved-thinking-2025-05-14"},
    ),
    Case(a.thinking_the_model_knows, {"thinking": {"type": "adaptive"}}, "adaptive", model=OPUS),
    Case(
        a.thinking_the_model_knows, {"thinking": {**THINKING}}, "enabled", model="claude-opus-4-7"
    ),
    Case(a.thinking_the_model_knows, {"thinking": {"type": "disabled"}}, "disabled", model=NEW),
    Case(
        a.effort_the_model_knows,
        {"output_config": {"effort": "low"}},
        "does not support the effort",
        model=HAIKU,
    ),
    Case(
        a.effort_the_model_knows, {"output_config": {"effort": "xhigh"}}, "low, medium, high, max"
    ),
    Case(a.sampling_the_model_allows, {"temperature": 1.1}, "range: 0..1"),
    Case(a.sampling_the_model_allows, {"temperature": 1, "top_p": 1}, "only one", model=HAIKU),
    Case(None, {"temperature": 1, "top_p": 1}, model=OLD),
    Case(a.sampling_the_model_allows, {"top_k": 3}, "`top_k` is deprecated", model=NEW),
    Case(
        a.sampling_the_model_allows,
        {"temperature": 1},
        "deprecated",
        headers={"anthropic-version": "2026-10-21"},
    ),
    Case(a.sampling_while_thinking, {"thinking": THINKING, "temperature": 0}, "only be set to 1"),
    Case(a.sampling_while_thinking, {"thinking": THINKING, "top_k": 3}, "`top_k` must be unset"),
    Case(a.sampling_while_thinking, {"thinking": THINKING, "top_p": 0.9}, "0.95"),
    Case(
        a.no_forced_tool_while_thinking,
        {"thinking": THINKING, "tool_choice": {"type": "any"}},
        "forces tool use",
    ),
    Case(a.tools_are_well_formed, {"tools": [TOOL, TOOL]}, "must be unique"),
    Case(a.tools_are_well_formed, {"tools": [{**TOOL, "name": "a.b"}]}, "should match pattern"),
    Case(
        a.tools_are_well_formed,
        {"tools": [{"type": "function", "function": {}}]},
        "Input tag 'function'",
    ),
    Case(
        a.tools_are_well_formed,
        {"tools": [{**TOOL, "parameters": {}}]},
        "parameters: Extra inputs",
    ),
    Case(
        a.tools_are_well_formed, {"tools": [{"name": "run"}]}, "input_schema.type: Field required"
    ),
    Case(
        a.tools_are_well_formed,
        {"tools": [{"name": "run", "input_schema": {"type": "object", "anyOf": []}}]},
        "top level",
    ),
    Case(
        a.tools_are_well_formed,
        {
            "tools": [
                {
                    "name": "run",
                    "input_schema": {
                        "type": "object",
                        "properties": {"a": {"$ref": "#/definitions/A"}},
                    },
                }
            ]
        },
        "unresolved $ref",
    ),
    Case(None, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    Case(a.tool_choice_is_possible, {"tool_choice": "auto"}, "valid dictionary"),
    Case(
        a.tool_choice_is_possible,
        {"tool_choice": {"type": "auto"}, "tools": []},
        "while providing tools",
    ),
    Case(
        a.tool_choice_is_possible,
        {"tool_choice": {"type": "tool", "name": "walk"}},
        "'walk' not found",
    ),
    Case(a.structured_output_is_possible, schema(), "does not support", model=OLD),
    Case(
        a.structured_output_is_possible,
        {"output_config": {"format": {"type": "json_object"}}},
        "Field required",
    ),
    Case(
        a.structured_output_is_possible,
        schema(additionalProperties=True),
        "explicitly set to false",
    ),
    Case(
        a.structured_output_is_possible,
        schema(properties={"a": {"type": "string", "minLength": 1}}),
        "'minLength' is not supported",
    ),
    Case(
        a.cache_marks_are_allowed,
        said([marked()] * 5),
        "maximum of 4 blocks with cache_control may be provided. Found 5",
    ),
    Case(a.cache_marks_are_allowed, said([marked("2h")]), "'5m' or '1h'"),
    Case(a.cache_marks_are_allowed, said([marked(), marked("1h")]), "must not come after"),
    Case(a.stop_sequences_say_something, {"stop_sequences": [" "]}, "non-whitespace"),
    Case(a.metadata_is_the_user, {"metadata": {"trace": "1"}}, "metadata.trace: Extra"),
    Case(a.system_is_text, {"system": [{"type": "image"}]}, "should be 'text'"),
    Case(a.system_is_text, {"system": [{"type": "text", "text": ""}]}, "must be non-empty"),
    Case(h.there_is_a_message, {"messages": []}, "at least one message"),
    Case(
        h.there_is_a_message,
        {"messages": [{"role": "user", "content": "x", "name": "bob"}]},
        "name: Extra",
    ),
    Case(h.there_is_a_message, {"messages": [{"role": "user", "content": None}]}, "valid list"),
    Case(h.there_is_a_message, {"messages": ["Hi"]}, "valid dictionary"),
    Case(
        h.roles_are_in_place,
        {"messages": [{"role": "assistant", "content": "x"}]},
        'must use the "user" role',
    ),
    Case(
        h.roles_are_in_place,
        {"messages": [{"role": "system", "content": "x"}]},
        'must use the "user" role',
        model=NEW,
    ),
    Case(
        h.roles_are_in_place,
        {"messages": [{"role": "system", "content": "x"}]},
        "role 'system' is not supported",
    ),
    Case(
        h.roles_are_in_place,
        {"messages": [{"role": "tool", "content": "x"}]},
        "'user' or 'assistant'",
    ),
    Case(h.something_is_said, said(""), "non-empty content"),
    Case(h.something_is_said, said([{"type": "text", "text": ""}]), "must be non-empty"),
    Case(h.something_is_said, said([{"type": "text", "text": " \n"}]), "non-whitespace"),
    Case(
        h.blocks_are_known, said([{"type": "image_url", "image_url": {}}]), "Input tag 'image_url'"
    ),
    Case(h.calls_are_well_formed, said("x", [{**USE, "id": "a.b"}], [RESULT]), "tool_use.id"),
    Case(h.calls_are_well_formed, said("x", [USE, USE], [RESULT]), "ids must be unique"),
    Case(
        h.calls_are_well_formed, said("x", [{**USE, "input": "{}"}], [RESULT]), "valid dictionary"
    ),
    Case(h.results_answer_calls, said("x", [USE]), "without `tool_result` blocks"),
    Case(h.results_answer_calls, said("x", [USE], "y"), "without `tool_result` blocks"),
    Case(h.results_answer_calls, said([RESULT]), "unexpected `tool_use_id`"),
    Case(h.results_answer_calls, said("x", [USE], [RESULT, RESULT]), "single result"),
    Case(h.results_come_first, said("x", [USE], [TEXT, RESULT]), "must come first"),
    Case(
        h.thinking_is_genuine,
        said("x", [{**SIGNED, "thinking": "ha"}, TEXT], "y"),
        "Invalid `signature` in `thinking` block",
    ),
    Case(
        h.thinking_is_genuine,
        said("x", [{**SIGNED, "signature": "forged"}, TEXT], "y"),
        "Invalid `signature`",
    ),
    Case(
        h.thinking_is_genuine,
        said("x", [{"type": "thinking", "thinking": "hm"}, TEXT], "y"),
        "signature: Field required",
    ),
    Case(
        h.thinking_is_genuine,
        said("x", [{"type": "redacted_thinking", "data": "forged"}], "y"),
        "Invalid `data`",
    ),
    Case(
        h.a_thinking_turn_begins_with_thinking,
        {"thinking": THINKING, **said("x", [USE], [RESULT])},
        "Expected `thinking`",
    ),
    Case(
        h.prefill_is_possible,
        said("x", "y"),
        "does not support assistant message prefill",
        model=NEW,
    ),
    Case(h.prefill_is_possible, said("x", "y "), "trailing whitespace"),
    Case(
        h.prefill_is_possible, {"thinking": THINKING, **said("x", "y")}, "when thinking is enabled"
    ),
    Case(h.pictures_are_what_they_say, picture("image/jpg", PNG), "media_type"),
    Case(h.pictures_are_what_they_say, picture("image/png", "%%%"), "Could not process image"),
    Case(h.pictures_are_what_they_say, picture("image/png", JPEG), "does not match"),
    Case(
        h.pictures_are_what_they_say,
        said("x", [{"type": "document", "source": {}}], "y"),
        "document blocks",
    ),
    Case(
        a.members_stand_together,
        {
            "thinking": {"type": "disabled"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        },
        "requires `thinking` to be enabled or adaptive",
        headers={"anthropic-beta": "context-management-2025-06-27"},
    ),
    Case(
        a.members_stand_together,
        {"thinking": {"type": "disabled", "display": "omitted"}},
        "thinking.disabled.display",
    ),
    Case(
        a.a_tool_is_there_from_the_beginning,
        {"tools": [{**TOOL, "defer_loading": True}]},
        "defer_loading=false",
    ),
    Case(
        a.structured_output_is_possible,
        schema(properties={"a": {"oneOf": [{"type": "string"}]}}),
        "'oneOf' is not supported",
    ),
    Case(
        a.structured_output_is_possible,
        schema(properties={"a": {"type": "string", "default": "x"}}),
        "property 'default' is not supported",
    ),
    Case(
        a.structured_output_is_possible,
        schema(properties={"a": {"type": "integer", "format": "int32"}}),
        "format 'int32'",
    ),
]
RULES = (*a.RULES, *h.RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule.__name__ if c.rule else 'passes'}")
def test_it_says_what_anthropic_says(case: Case) -> None:
    judge(case, BASE, RULES)


def test_every_rule_is_tested() -> None:
    assert untested(CASES, RULES) == set()


def test_a_prompt_that_is_too_long_says_by_how_much() -> None:
    sent = Sent({"max_tokens": 1000}, {}, OPUS)
    with pytest.raises(VendorError, match="prompt is too long: 200001 tokens > 200000 maximum"):
        a.fits(sent, 200_001)
    with pytest.raises(VendorError, match="exceed context limit: 199500 \\+ 1000 > 200000"):
        a.fits(sent, 199_500)
    a.fits(Sent({"max_tokens": 1000}, {"anthropic-beta": "context-1m-2025-08-07"}, OPUS), 200_001)
