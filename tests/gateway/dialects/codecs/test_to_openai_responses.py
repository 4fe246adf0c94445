"""Any client to an OpenAI Responses upstream, the reasoning models."""

import re
from typing import Any

import pytest

from gateway.dialects import codecs
from gateway.dialects.codecs import carrier
from gateway.dialects.ir import CallOpen, Carrier
from hontoni.errors import BadRequest
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.world import (
    assistant,
    image,
    row,
    tool,
    tool_result,
    tool_use,
    upstream,
    user,
)

PNG = "iVBORw0KGgoAAAANSUhEUg=="


@row("002")
def test_a_system_message_in_the_middle_stays_there() -> None:
    messages = [
        user("a"),
        {"role": "system", "content": [{"type": "text", "text": "now"}]},
        assistant({"type": "text", "text": "b"}),
        user("c"),
    ]
    body = upstream("anthropic_messages", {"messages": messages}, "gpt-5.2")
    assert [item["role"] for item in body["input"]] == ["user", "developer", "assistant", "user"]


@pytest.mark.parametrize(
    ("system", "instructions", "roles"),
    [("Be brief.", "Be brief.", ["user"]), (["a", "b"], None, ["developer", "user"])],
)
def test_a_system_prompt_of_one_text_is_the_instructions(
    system: Any, instructions: str | None, roles: list[str]
) -> None:
    blocks = system if isinstance(system, str) else [{"type": "text", "text": t} for t in system]
    told = {"system": blocks, "messages": [user("hi")]}
    body = upstream("anthropic_messages", told, "gpt-5.2")
    assert body.get("instructions") == instructions
    assert [item["role"] for item in body["input"]] == roles


@row("005")
def test_results_in_reverse_order_are_paired_by_id() -> None:
    messages = [
        user("hi"),
        assistant(tool_use("a", "f"), tool_use("b", "g")),
        user([tool_result("b", "B"), tool_result("a", "A")]),
    ]
    items = upstream("anthropic_messages", {"messages": messages}, "gpt-5.2")["input"][1:]
    assert [item["type"] for item in items] == ["function_call"] * 2 + ["function_call_output"] * 2
    assert {i["call_id"]: i["output"] for i in items[2:]} == {"a": "A", "b": "B"}


@row("010")
def test_an_image_stays_in_its_result() -> None:
    shown = [{"type": "text", "text": "see"}, image(PNG)]
    messages = [user("hi"), assistant(tool_use("a", "f")), user([tool_result("a", shown)])]
    output = upstream("anthropic_messages", {"messages": messages}, "gpt-5.2")["input"][-1]
    assert output["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]


@row("017")
def test_a_name_too_long_or_odd_fits_on_the_wire_and_comes_back() -> None:
    long, odd = "x" * 90, "mcp.server.tool"
    asked = world.chat(
        tools=[tool(long), tool("x" * 89 + "y"), tool(odd), tool("mcp_server_tool")]
    )
    body = upstream("anthropic_messages", asked, "gpt-5.2")
    wire = [each["name"] for each in body["tools"]]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in wire)
    assert len(set(wire)) == 4
    assert upstream("anthropic_messages", asked, "gpt-5.2")["tools"] == body["tools"]
    request = world.ask("anthropic_messages", asked)
    call = {"type": "function_call", "call_id": "c", "name": wire[0], "arguments": "{}"}
    events = world.read(request, world.target("gpt-5.2"), ended(call))
    assert [event.name for event in events if isinstance(event, CallOpen)] == [long]
    asked["messages"] += [assistant(tool_use("c", long)), user([tool_result("c")])]
    items = upstream("anthropic_messages", asked, "gpt-5.2")["input"]
    assert items[1]["name"] == wire[0]


def ended(*items: dict[str, Any]) -> bytes:
    """A stream of the final response alone."""
    response = {"status": "completed", "output": list(items), "usage": {"input_tokens": 1}}
    return world.frames({"type": "response.completed", "response": response})


@row("032")
def test_without_tools_nothing_is_said_of_parallel_calls() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    body = upstream("anthropic_messages", world.chat(tool_choice=choice), "gpt-5.2")
    assert "parallel_tool_calls" not in body and "tool_choice" not in body
    body = upstream(
        "anthropic_messages", world.chat(tool_choice=choice, tools=[tool("f")]), "gpt-5.2"
    )
    assert body["parallel_tool_calls"] is False


@row("030")
@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "look"}, {"type": "function", "name": "look"}),
        ({"type": "none"}, "none"),
    ],
    ids=["any", "named", "none"],
)
def test_the_choice_of_a_tool_is_said_flat(choice: object, told: object) -> None:
    asked = world.chat(tools=[tool("look")], tool_choice=choice)
    assert upstream("anthropic_messages", asked, "gpt-5.2")["tool_choice"] == told


@row("045")
@pytest.mark.parametrize(
    ("asked", "effort"), [("minimal", "low"), ("xhigh", "high"), ("none", "none")], ids=str
)
def test_an_effort_the_model_lacks_becomes_its_neighbour(asked: str, effort: str) -> None:
    codec, to = codecs.CODECS["openai_responses"], world.target("gpt-5.1")
    body = {"input": "hi", "reasoning": {"effort": asked, "summary": "auto"}}
    patched = codec.patch_request(body, to, codec.decode_thinking(body))
    assert patched["reasoning"] == {"effort": effort, "summary": "auto"}
    assert patched["store"] is False
    assert patched["include"] == ["reasoning.encrypted_content"]


@row("053")
@pytest.mark.parametrize("model", ["gpt-5.2", "gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro"])
@pytest.mark.parametrize(
    "told",
    [
        "hi",
        [{"role": "user", "content": "hi"}],
        [user("hi"), {"role": "assistant", "content": [{"type": "output_text", "text": "yo"}]}],
        [user([{"type": "input_text", "text": "hi"}]), {"role": "assistant", "content": "yo"}],
    ],
    ids=["string", "no type", "no id", "string content"],
)
def test_input_is_accepted_however_short(told: object, model: str) -> None:
    assert upstream("openai_responses", {"input": told}, model)


@row("059", "060")
def test_reasoning_goes_by_its_secret_alone() -> None:
    codec, to = codecs.CODECS["openai_responses"], world.target("gpt-5.2")
    foreign = carrier.seal(Carrier("anthropic", "claude", "signature", "s"), world.KEY)
    body = {
        "input": [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "reasoning", "id": "rs_2", "summary": []},
            {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": foreign},
            {"type": "message", "role": "assistant", "phase": "commentary", "content": "x"},
        ]
    }
    patched = codec.patch_request(body, to, codec.decode_thinking(body))
    assert patched["input"] == [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        body["input"][-1],
    ]
    assert upstream("openai_responses", body, "gpt-5.2")["input"][0] == patched["input"][0]


@row("061")
def test_claudes_thoughts_are_not_shown_to_another_vendor() -> None:
    thought = {"type": "thinking", "thinking": "secret plan", "signature": "EqoB"}
    messages = [user("a"), assistant(thought, {"type": "text", "text": "b"}), user("c")]
    body = upstream("anthropic_messages", {"messages": messages}, "gpt-5.2")
    assert "secret plan" not in repr(body) and "EqoB" not in repr(body)
    assert [item["role"] for item in body["input"]] == ["user", "assistant", "user"]


def test_reasoning_that_led_nowhere_is_left_out() -> None:
    secret = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    asked = {"input": [user("a"), secret, user("b"), secret]}
    items = upstream("openai_responses", asked, "gpt-5.2")["input"]
    assert [item["type"] for item in items] == ["message", "message"]


@row("071")
def test_the_phase_of_a_message_is_kept() -> None:
    said = {"role": "assistant", "phase": "commentary", "content": "Looking."}
    asked = {"input": [user("a"), said, user("b")]}
    items = upstream("openai_responses", asked, "gpt-5.3-codex")["input"]
    assert items[1]["phase"] == "commentary"


def test_a_strict_flag_is_said_only_where_the_client_said_it_and_it_holds() -> None:
    closed = {"additionalProperties": False}
    asked = world.chat(tools=[world.function("a", **closed), world.function("b")])
    for each in asked["tools"]:
        each["function"]["strict"] = True
    told = upstream("openai_chat", asked, "gpt-5.2")["tools"]
    assert [each["strict"] for each in told] == [True, False]
    quiet = upstream("anthropic_messages", world.chat(tools=[tool("a")]), "gpt-5.2")["tools"]
    assert quiet[0]["strict"] is False


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_what_is_stored_elsewhere_is_refused_in_openais_words(field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        upstream("openai_responses", {"input": "hi", field: "x"}, "gpt-5.2")
    assert refused.value.code == "previous_response_not_found"
    with pytest.raises(BadRequest):
        upstream("openai_responses", {"input": [{"type": "item_reference", "id": "x"}]}, "gpt-4o")


def test_sampling_is_not_sent_to_a_reasoning_model() -> None:
    body = upstream("openai_chat", world.chat(temperature=0, top_p=0.5, stop=["X"]), "gpt-5.2")
    assert not {"temperature", "top_p", "stop"} & body.keys()


@pytest.mark.parametrize("args", ["*** Begin Patch", '{"input": "SELECT 1"}'])
@pytest.mark.parametrize(
    "dialect", ["openai_chat", "openai_responses"], ids=["of Chat", "of Responses"]
)
def test_a_custom_tools_call_is_one_though_the_history_calls_it_a_functions(
    dialect: str, args: str
) -> None:
    tool = {"type": "custom", "name": "apply_patch"}
    function = {"name": "apply_patch", "arguments": args}
    messages = [
        user("hi"),
        {"role": "assistant", "tool_calls": [{"id": "c", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    items = [
        user("hi"),
        {"type": "function_call", "call_id": "c", **function},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
    ]
    told = {"messages": messages} if dialect == "openai_chat" else {"input": items}
    call, result = upstream(dialect, {**told, "tools": [tool]}, "gpt-5.2")["input"][1:]
    assert (call["type"], call["input"]) == ("custom_tool_call", args)
    assert result["type"] == "custom_tool_call_output"
