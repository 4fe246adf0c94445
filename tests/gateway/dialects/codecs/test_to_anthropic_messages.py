"""Any client to Claude."""

from typing import Any

import pytest

from gateway.dialects import codecs
from gateway.dialects.codecs import carrier
from gateway.dialects.ir import Carrier
from hontoni.errors import BadRequest
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.world import (
    assistant,
    function,
    row,
    tool,
    tool_call,
    tool_result,
    tool_use,
    upstream,
    user,
)

PNG = "iVBORw0KGgoAAAANSUhEUg=="


def patched(body: dict[str, Any], model: str, **fields: Any) -> dict[str, Any]:
    codec = codecs.CODECS["anthropic_messages"]
    to = world.target(model, **fields)
    return codec.patch_request(body, to, codec.decode_thinking(body))


@row("004")
def test_codexs_developer_items_are_the_system_prompt() -> None:
    told = [{"role": "developer", "content": [{"type": "input_text", "text": t}]} for t in "ab"]
    body = upstream("openai_responses", {"input": [*told, user("hi")]}, "claude-opus-4-8")
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [m["role"] for m in body["messages"]] == ["user"]


@row("014", "015")
@pytest.mark.parametrize(
    ("args", "told"),
    [
        ('{"cmd": ', {"raw_arguments": '{"cmd": '}),
        ("[1]", {"raw_arguments": [1]}),
        ("", {}),
        ('{"a":1}', {"a": 1}),
    ],
    ids=["invalid", "no object", "empty", "fine"],
)
def test_arguments_are_an_object_whatever_they_were(args: str, told: object) -> None:
    messages = [
        user("hi"),
        {"role": "assistant", "content": None, "tool_calls": [tool_call("a", "f", args)]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]
    body = upstream("openai_chat", {"messages": messages}, "claude-sonnet-4-5")
    assert body["messages"][1]["content"][0]["input"] == told


@row("022")
def test_old_definitions_are_found_by_claude() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/definitions/A"}},
        "definitions": {"A": {"type": "string"}},
    }
    body = upstream("openai_chat", world.chat(tools=[function("f", **schema)]), "claude-opus-4-6")
    assert body["tools"][0]["input_schema"] == {
        "$defs": {"A": {"type": "string"}},
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "type": "object",
    }


CODEX_TOOLS = [
    {"type": "function", "name": "exec_command", "parameters": {"type": "object"}},
    {"type": "web_search", "external_web_access": False},
    {
        "type": "namespace",
        "name": "multi_agent_v1",
        "description": "Sub-agents.",
        "tools": [
            {"type": "function", "name": "spawn", "parameters": {"type": "object"}},
            {"type": "function", "name": "wait_agent", "parameters": {"type": "object"}},
        ],
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: patch"},
    },
    {"type": "tool_search", "execution": "client"},
]


@row("024")
def test_codexs_tools_are_functions_for_claude() -> None:
    body = upstream("openai_responses", {"input": "hi", "tools": CODEX_TOOLS}, "claude-sonnet-4-5")
    shown = {each["name"]: each for each in body["tools"]}
    assert list(shown) == [
        "exec_command",
        "multi_agent_v1__spawn",
        "multi_agent_v1__wait_agent",
        "apply_patch",
        "tool_search",
    ]
    assert "Sub-agents." in shown["multi_agent_v1__spawn"]["description"]
    schema = shown["apply_patch"]["input_schema"]
    assert schema["required"] == ["input"]
    assert "start: patch" in schema["properties"]["input"]["description"]


def test_tools_that_arrive_along_the_way_are_offered() -> None:
    late = {"type": "additional_tools", "role": "developer", "tools": [CODEX_TOOLS[2]]}
    found = {
        "type": "tool_search_output",
        "call_id": "s",
        "tools": [{"type": "function", "name": "found", "defer_loading": True}],
    }
    call = {"type": "tool_search_call", "call_id": "s", "arguments": {"query": "x"}}
    body = upstream(
        "openai_responses", {"input": [late, user("a"), call, found]}, "claude-opus-4-6"
    )
    names = [each["name"] for each in body["tools"]]
    assert names == ["multi_agent_v1__spawn", "multi_agent_v1__wait_agent", "found"]
    assert body["messages"][-1]["content"][0]["content"][0]["text"] == "Found: found"


@row("028")
def test_a_custom_call_in_the_history_is_wrapped_as_its_tool_is() -> None:
    told = [
        user("hi"),
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": 'a\n"b"'},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]
    body = upstream("openai_responses", {"input": told, "tools": CODEX_TOOLS}, "claude-opus-4-6")
    call, result = body["messages"][1:]
    assert call["content"] == [tool_use("c", "apply_patch", {"input": 'a\n"b"'})]
    assert result["content"][0]["tool_use_id"] == "c"


@row("031")
def test_only_the_allowed_tools_are_callable() -> None:
    allowed = {"mode": "required", "tools": [function("b"), function("d")]}
    asked = world.chat(
        tools=[function(name) for name in "abcde"],
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
    )
    body = upstream("openai_chat", asked, "claude-sonnet-4-5")
    assert [each["name"] for each in body["tools"]] == ["b", "d"]
    assert body["tool_choice"] == {"type": "any"}


@row("034")
@pytest.mark.parametrize(
    ("model", "thinking", "choice"),
    [
        ("claude-sonnet-4", {"type": "disabled"}, {"type": "any"}),
        ("claude-sonnet-4-6", {"type": "disabled"}, {"type": "any"}),
        ("claude-opus-5-5", {"type": "adaptive", "display": "summarized"}, {"type": "auto"}),
    ],
)
def test_a_forced_call_does_without_thinking_where_that_can_be_turned_off(
    model: str, thinking: object, choice: object
) -> None:
    forced = world.chat(
        tools=[function("f")], tool_choice="required", reasoning_effort="high", max_tokens=64_000
    )
    body = upstream("openai_chat", forced, model)
    assert (body["thinking"], body["tool_choice"]) == (thinking, choice)


@row("036")
def test_who_names_no_limit_gets_the_models_own() -> None:
    assert upstream("openai_chat", world.chat(), "claude-sonnet-4-5")["max_tokens"] == 64_000
    small = upstream("openai_chat", world.chat(), "claude-sonnet-4-5", max_output=8_000)
    assert small["max_tokens"] == 8_000
    large = upstream("openai_chat", world.chat(max_tokens=90_000), "claude-opus-4-6")
    assert large["max_tokens"] == 64_000


@row("037")
def test_claude_codes_own_budget_is_clamped_to_the_plan() -> None:
    thinking = {"type": "enabled", "budget_tokens": 31_999, "display": "omitted"}
    body = patched(
        world.chat(max_tokens=32_000, thinking=thinking), "claude-sonnet-4-5", thinking_cap=8_000
    )
    assert body["thinking"] == thinking | {"budget_tokens": 8_000}
    free = patched(world.chat(max_tokens=32_000, thinking=thinking), "claude-sonnet-4-5")
    assert free["thinking"]["budget_tokens"] == 31_999


def test_a_body_claude_takes_passes_as_it_is() -> None:
    body = world.chat(
        model="claude-sonnet-4-6",
        max_tokens=64_000,
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "high"},
        context_management={"edits": []},
        next_years_field=1,
    )
    assert patched(body, "claude-sonnet-4-6") == body


@row("039")
def test_adaptive_thinking_becomes_a_budget_where_there_is_none() -> None:
    asked = world.chat(
        max_tokens=64_000, thinking={"type": "adaptive"}, output_config={"effort": "high"}
    )
    body = patched(asked, "claude-sonnet-4")
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 32_768}
    assert "output_config" not in body


@row("040")
def test_the_newest_claude_gets_an_effort_and_no_sampling() -> None:
    asked = world.chat(reasoning_effort="high", temperature=0.2, top_p=0.9)
    body = upstream("openai_chat", asked, "claude-opus-4-7")
    assert body["thinking"]["type"] == "adaptive"
    assert body["output_config"] == {"effort": "high"}
    assert not {"temperature", "top_p", "top_k"} & body.keys()


@row("041")
def test_claude_takes_one_of_the_two_and_no_more_than_one() -> None:
    body = upstream("openai_chat", world.chat(temperature=1.7, top_p=0.5), "claude-sonnet-4-5")
    assert body["temperature"] == 1.0 and "top_p" not in body
    assert (
        upstream("openai_chat", world.chat(temperature=0), "claude-sonnet-4-6")["temperature"] == 0
    )


@row("046")
def test_thinking_turned_off_is_said() -> None:
    asked = world.chat(max_tokens=100, thinking={"type": "disabled"})
    assert patched(asked, "claude-sonnet-4-6")["thinking"] == {"type": "disabled"}
    quiet = world.chat(reasoning_effort="none")
    assert upstream("openai_chat", quiet, "claude-sonnet-4-6")["thinking"] == {"type": "disabled"}
    assert upstream("openai_chat", quiet, "claude-sonnet-5-5")["thinking"] == {
        "type": "between_tools"
    }
    assert upstream("openai_chat", quiet, "claude-opus-5-5")["output_config"] == {"effort": "low"}


ANSWER = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 3, "description": "Whose"}},
}


@row("048")
def test_a_shape_is_asked_without_the_bounds_claude_refuses() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": ANSWER}}
    body = upstream("openai_chat", world.chat(response_format=form), "claude-sonnet-4-5")
    told = body["output_config"]["format"]
    assert told["schema"]["properties"]["name"] == {
        "description": "Whose\n\n{minLength: 3}",
        "type": "string",
    }
    assert told["schema"]["additionalProperties"] is False


def test_claude_4_answers_in_a_shape_by_a_tool() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": ANSWER}}
    asked = world.chat(response_format=form)
    body = upstream("openai_chat", asked, "claude-sonnet-4")
    assert body["tool_choice"] == {"type": "tool", "name": "structured_answer"}
    call = tool_use("t", "structured_answer", {"name": "Ann"})
    whole = {"content": [call], "stop_reason": "tool_use", "usage": {"output_tokens": 3}}
    request, to = world.ask("openai_chat", asked), world.target("claude-sonnet-4")
    events = codecs.UPSTREAMS["anthropic_messages"].decode_reply(whole, to, codecs.minting("x"))
    shown = codecs.reader(request, to, "x").reply(events)
    reply = world.unary(request, codecs.fold.fold(shown))
    choice = reply["choices"][0]
    assert choice["message"]["content"] == '{"name":"Ann"}'
    assert choice["finish_reason"] == "stop" and "tool_calls" not in choice["message"]


def test_a_json_object_is_asked_in_words() -> None:
    asked = world.chat(response_format={"type": "json_object"})
    assert (
        "one JSON object" in upstream("openai_chat", asked, "claude-opus-4-6")["system"][0]["text"]
    )


@row("051")
def test_no_more_than_four_cache_marks_reach_claude() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": t}]} | mark for t in "abcdef"
    ]
    body = upstream("openai_chat", {"messages": messages}, "claude-sonnet-4-5")
    blocks = [block for message in body["messages"] for block in message["content"]]
    assert [b["text"] for b in blocks if "cache_control" in b] == ["a", "d", "e", "f"]


@row("056")
def test_nothing_empty_is_sent_to_claude() -> None:
    messages = [
        user([{"type": "text", "text": ""}, {"type": "text", "text": "hi"}]),
        {"role": "assistant", "content": "", "tool_calls": [tool_call("a", "f")]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    told = upstream("openai_chat", {"messages": messages}, "claude-sonnet-4-5")["messages"]
    assert told[0]["content"] == [{"type": "text", "text": "hi"}]
    assert told[1]["content"] == [tool_use("a", "f")]
    assert told[2]["content"] == [{"type": "tool_result", "tool_use_id": "a", "content": []}]


@row("058")
def test_the_bytes_of_an_image_are_believed_before_its_label() -> None:
    shown = {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}}
    body = upstream("openai_chat", world.chat(user([shown])), "claude-sonnet-4-5")
    assert body["messages"][0]["content"][0]["source"]["media_type"] == "image/png"


@row("062")
def test_another_vendors_secret_is_taken_out_before_claude() -> None:
    sealed = carrier.seal(Carrier("google", "gemini-3", "thought_signature", "c2ln"), world.KEY)
    foreign = {"type": "thinking", "thinking": "hm", "signature": sealed}
    own = {"type": "thinking", "thinking": "ok", "signature": "EqoB"}
    messages = [user("a"), assistant(foreign, own, {"type": "text", "text": "b"}), user("c")]
    body = patched({"messages": messages, "max_tokens": 9}, "claude-sonnet-4-5")
    assert body["messages"][1]["content"] == [own, {"type": "text", "text": "b"}]
    assert messages[1]["content"][0] is foreign
    only = [user("a"), assistant(foreign), user("c")]
    assert patched({"messages": only}, "claude-sonnet-4-5")["messages"] == [user("a"), user("c")]


def test_an_older_model_stops_thinking_when_the_thought_behind_a_call_is_gone() -> None:
    messages = [user("a"), assistant(tool_use("t", "f")), user([tool_result("t")])]
    thinking = {"type": "enabled", "budget_tokens": 2_000}
    asked = {"messages": messages, "max_tokens": 9_000, "thinking": thinking, "tools": [tool("f")]}
    assert patched(asked, "claude-sonnet-4-5")["thinking"] == {"type": "disabled"}
    assert (
        patched(
            {
                **asked,
                "messages": [*messages, assistant({"type": "text", "text": "b"}), user("c")],
            },
            "claude-sonnet-4-5",
        )["thinking"]
        == thinking
    )


def test_a_system_message_in_the_middle_becomes_a_reminder_behind_the_results() -> None:
    aside = {"role": "system", "content": "now", "output_config": {"effort": "low"}}
    messages = [user("a"), assistant(tool_use("t", "f")), aside, user([tool_result("t")])]
    told = patched({"messages": messages, "max_tokens": 9}, "claude-sonnet-4")["messages"]
    assert [m["role"] for m in told] == ["user", "assistant", "user"]
    reminder = {"type": "text", "text": "<system-reminder>\nnow\n</system-reminder>"}
    assert told[2]["content"] == [tool_result("t"), reminder]
    asked = world.chat(user("a"), {"role": "developer", "content": "now"}, user("b"))
    body = upstream("openai_chat", asked, "claude-sonnet-4-5")
    assert body["messages"][1]["content"] == [reminder]
    kept = upstream("openai_chat", asked, "claude-opus-4-8")["messages"][1]
    assert kept == {"role": "system", "content": [{"type": "text", "text": "now"}]}


def test_a_started_answer_is_continued_by_old_models_and_followed_by_a_user_on_new_ones() -> None:
    asked = world.chat(user("a"), {"role": "assistant", "content": "Well, "})
    old = upstream("openai_chat", asked, "claude-sonnet-4-5")["messages"]
    assert old[-1] == assistant({"type": "text", "text": "Well,"})
    assert upstream("openai_chat", asked, "claude-opus-5-5")["messages"][-1]["role"] == "user"


def test_threads_are_refused_so_that_the_sdk_sends_everything() -> None:
    asked = world.chat(thread={"type": "create"})
    with pytest.raises(BadRequest) as refused:
        upstream("anthropic_messages", asked, "gpt-4o")
    assert refused.value.details == {"error_code": "thread_unsupported_request"}
