"""Any client to a Chat upstream."""

import pytest

from gateway.dialects import codecs
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


@row("001")
def test_claude_codes_billing_line_is_not_part_of_the_prompt() -> None:
    system = [
        {
            "type": "text",
            "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=x",
        },
        {"type": "text", "text": "You are an agent."},
        {"type": "text", "text": "Be brief."},
    ]
    body = upstream("anthropic_messages", world.chat(system=system), "gpt-4o")
    assert body["messages"][0] == {
        "role": "system",
        "content": [
            {"type": "text", "text": "You are an agent."},
            {"type": "text", "text": "Be brief."},
        ],
    }
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


@row("008")
def test_what_accompanies_a_result_follows_it() -> None:
    told = [tool_result("a", "42"), {"type": "text", "text": "and this"}, image(PNG)]
    messages = [user("hi"), assistant(tool_use("a", "f")), user(told)]
    body = upstream("anthropic_messages", {"messages": messages}, "gpt-4o")
    result, behind = body["messages"][-2:]
    assert result == {"role": "tool", "tool_call_id": "a", "content": "42"}
    assert [part["type"] for part in behind["content"]] == ["text", "image_url"]


@row("009")
def test_images_of_results_follow_all_results() -> None:
    shown = [{"type": "text", "text": "see"}, image(PNG)]
    messages = [
        user("hi"),
        assistant(tool_use("a", "f"), tool_use("b", "f")),
        user([tool_result("b", shown), tool_result("a", shown)]),
    ]
    body = upstream("anthropic_messages", {"messages": messages}, "gpt-4o")
    first, second, behind = body["messages"][-3:]
    assert (first["tool_call_id"], second["tool_call_id"]) == ("b", "a")
    assert first["content"] == second["content"] == "see"
    assert [part["type"] for part in behind["content"]] == ["image_url", "image_url"]
    assert behind["role"] == "user"


def test_an_error_in_a_result_is_told_in_its_text() -> None:
    messages = [
        user("hi"),
        assistant(tool_use("a", "f")),
        user([tool_result("a", "boom", is_error=True)]),
    ]
    body = upstream("anthropic_messages", {"messages": messages}, "gpt-4o")
    assert body["messages"][-1]["content"] == "[tool error] boom"


@row("018")
@pytest.mark.parametrize("kind", [{}, {"type": "custom"}], ids=["no type", "custom"])
def test_a_tool_of_messages_is_a_function_whatever_it_calls_itself(kind: dict[str, str]) -> None:
    body = upstream("anthropic_messages", world.chat(tools=[tool("look") | kind]), "gpt-4o")
    assert body["tools"][0]["type"] == "function"
    assert body["tools"][0]["function"]["name"] == "look"


@row("030")
@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        (
            {"type": "tool", "name": "look"},
            {"type": "function", "function": {"name": "look"}},
        ),
    ],
    ids=["any", "auto", "none", "named"],
)
def test_the_choice_of_a_tool_is_said_in_chats_words(choice: object, told: object) -> None:
    asked = world.chat(tools=[tool("look")], tool_choice=choice)
    assert upstream("anthropic_messages", asked, "gpt-4o")["tool_choice"] == told


@row("052")
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "gemini-2.5-pro"])
def test_cache_marks_stay_with_claude(model: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    said = {"type": "text", "text": "hi"} | mark
    asked = {
        "system": [said],
        "messages": [
            user([said]),
            assistant(tool_use("a", "f") | mark),
            user([tool_result("a", [said], **mark)]),
        ],
        "tools": [tool("f", **mark)],
    }
    assert "cache_control" not in repr(upstream("anthropic_messages", asked, model))


@row("069")
def test_a_turn_that_only_thought_is_left_out() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    messages = [user("a"), assistant(thought), user("b")]
    body = upstream("anthropic_messages", {"messages": messages}, "gpt-4o")
    assert [m["role"] for m in body["messages"]] == ["user", "user"]


@row("035")
def test_a_reasoning_model_gets_max_completion_tokens_only() -> None:
    to = world.target("gpt-5-mini", "openai_chat")
    codec = codecs.CODECS["openai_chat"]
    asked = world.chat(max_tokens=100, temperature=0, stream=True)
    body = codec.patch_request(asked, to, codec.decode_thinking(asked))
    assert body["max_completion_tokens"] == 100
    assert "max_tokens" not in body and "temperature" not in body
    assert body["stream_options"] == {"include_usage": True}
    assert asked["max_tokens"] == 100


@row("054")
def test_cursor_posts_a_responses_body_to_chat_and_is_answered_in_chat() -> None:
    asked = {
        "model": "claude-sonnet-4",
        "messages": None,
        "input": [user("hi")],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {"type": "function", "name": "flat", "parameters": {"type": "object"}},
            {"type": "custom", "name": "free", "format": {"type": "text"}},
        ],
    }
    request = codecs.decode_request("openai_chat", asked)
    assert request.dialect == "openai_chat"
    assert [(tool.name, tool.kind) for tool in request.tools] == [
        ("flat", "function"),
        ("free", "custom"),
    ]
    stream = (world.RECORDINGS / "anthropic_messages/text.sse").read_bytes()
    events = world.read(request, world.target("claude-sonnet-4-5"), stream)
    chunks = world.sent(world.send(request, events))
    assert chunks[0]["object"] == "chat.completion.chunk" and chunks[-1] == {"done": True}


def test_a_hosted_tool_is_dropped_unless_it_is_forced() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    asked = world.chat(tools=[search, tool("look")])
    assert [
        t["function"]["name"] for t in upstream("anthropic_messages", asked, "gpt-4o")["tools"]
    ] == ["look"]
    with pytest.raises(BadRequest, match="web_search"):
        forced = {"tool_choice": {"type": "tool", "name": "web_search"}}
        upstream("anthropic_messages", asked | forced, "gpt-4o")


def test_a_deferred_tool_is_shown_once_a_result_refers_to_it() -> None:
    deferred = tool("later", defer_loading=True)
    reference = [{"type": "tool_reference", "tool_name": "later"}]
    asked = world.chat(tools=[tool("now"), deferred, tool("never", defer_loading=True)])
    names = [
        t["function"]["name"] for t in upstream("anthropic_messages", asked, "gpt-4o")["tools"]
    ]
    assert names == ["now"]
    asked["messages"] += [assistant(tool_use("a", "now")), user([tool_result("a", reference)])]
    body = upstream("anthropic_messages", asked, "gpt-4o")
    assert [t["function"]["name"] for t in body["tools"]] == ["now", "later"]
    assert body["messages"][-1]["content"] == "Loaded tool later"


def test_a_file_of_another_vendor_is_refused_by_name() -> None:
    source = {"type": "file", "file_id": "file_1"}
    asked = world.chat(user([{"type": "image", "source": source}]))
    with pytest.raises(BadRequest, match="image cannot be sent"):
        upstream("anthropic_messages", asked, "gpt-4o")


@pytest.mark.parametrize(
    "field", [{"n": 2}, {"logprobs": True}, {"modalities": ["text", "audio"]}], ids=str
)
def test_what_could_not_be_given_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as refused:
        upstream("openai_chat", world.chat(**field), "claude-sonnet-4-5")
    assert refused.value.code == "unsupported_parameter"


def test_what_nobody_knows_is_not_refused() -> None:
    asked = world.chat(next_years_field={"a": 1}, seed=7, logit_bias={"50256": -100})
    assert "next_years_field" not in upstream("openai_chat", asked, "claude-sonnet-4-5")
