"""What stands in a message: each kind of part, from each client to each upstream."""

from typing import Any

import orjson
import pytest

from gateway.dialects import codecs, sse
from gateway.dialects.codecs.fold import fold
from gateway.dialects.ir import Annotation, Message, Text
from hontoni.errors import BadRequest
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.world import (
    assistant,
    frames,
    image,
    tool_result,
    tool_use,
    upstream,
    user,
)

CHAT, GPT, CLAUDE = "gpt-4o", "gpt-5.2", "claude-sonnet-4-5"
GEMINI = "gemini-3.1-pro-preview"
PDF = "JVBERi0xLjQKJcfsj6I="
PNG = "iVBORw0KGgoAAAANSUhEUg=="
DATA = f"data:application/pdf;base64,{PDF}"


def part(dialect: str, content: dict[str, Any], model: str) -> Any:
    """The part that reaches `model` for one the client put in a user's message."""
    told = (
        {"input": [user([content])]}
        if dialect == "openai_responses"
        else world.chat(user([content]))
    )
    body = upstream(dialect, told, model)
    if model == GEMINI:
        return body["contents"][0]["parts"][0]
    content = (body.get("messages") or body["input"])[0]["content"]
    return content[0] if isinstance(content, list) else content


CHAT_FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": DATA}}
INPUT_FILE = {"type": "input_file", "filename": "a.pdf", "file_data": DATA}
DOCUMENT = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
}
INLINE = {"inlineData": {"mimeType": "application/pdf", "data": PDF}}


@pytest.mark.parametrize(
    ("dialect", "sent"),
    [
        ("openai_chat", CHAT_FILE),
        ("openai_chat", {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}),
        ("openai_responses", INPUT_FILE),
        ("openai_responses", {"type": "input_file", "filename": "a.pdf", "file_data": PDF}),
        ("anthropic_messages", DOCUMENT),
    ],
    ids=["chat", "chat, bare", "responses", "responses, bare", "messages"],
)
def test_a_pdf_is_a_pdf_everywhere(dialect: str, sent: dict[str, Any]) -> None:
    assert part(dialect, sent, CHAT) == CHAT_FILE
    assert part(dialect, sent, GPT) == INPUT_FILE
    assert part(dialect, sent, CLAUDE) == DOCUMENT
    assert part(dialect, sent, GEMINI) == INLINE


URL = "https://a.example/x.pdf"
LINKED = {"type": "document", "source": {"type": "url", "url": URL}}


@pytest.mark.parametrize(
    ("dialect", "sent"),
    [
        ("openai_chat", {"type": "file", "file": {"file_url": URL}}),
        ("openai_responses", {"type": "input_file", "file_url": URL}),
        ("anthropic_messages", LINKED),
    ],
)
def test_a_linked_pdf_stays_a_link_where_it_may(dialect: str, sent: dict[str, Any]) -> None:
    assert part(dialect, sent, GPT) == {"type": "input_file", "file_url": URL}
    assert part(dialect, sent, CLAUDE) == LINKED
    assert part(dialect, sent, GEMINI)["fileData"]["fileUri"] == URL
    with pytest.raises(BadRequest, match="base64"):
        part(dialect, sent, CHAT)


@pytest.mark.parametrize("model", [CHAT, GPT, CLAUDE, GEMINI])
def test_a_search_result_is_a_text_with_its_title_and_source(model: str) -> None:
    found = {
        "type": "search_result",
        "title": "T",
        "source": "https://a.example",
        "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
    }
    told = part("anthropic_messages", found, model)
    if model == CLAUDE:
        assert told["source"] == {"type": "text", "media_type": "text/plain", "data": "one\n\ntwo"}
        assert (told["title"], told["context"]) == ("T", "https://a.example")
    else:
        assert told["text"] == "T\n\nhttps://a.example\n\none\n\ntwo"


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_sound_goes_where_it_is_heard(dialect: str) -> None:
    sent = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    assert part(dialect, sent, CHAT) == sent
    assert part(dialect, sent, GEMINI) == {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    for deaf in (CLAUDE, GPT):
        with pytest.raises(BadRequest, match="audio cannot be sent"):
            part(dialect, sent, deaf)


@pytest.mark.parametrize(
    ("dialect", "sent", "models"),
    [
        ("openai_chat", {"type": "file", "file": {"file_id": "file-1"}}, [GPT, CLAUDE, GEMINI]),
        ("openai_responses", {"type": "input_image", "file_id": "file-1"}, [CHAT, CLAUDE, GEMINI]),
        ("openai_responses", {"type": "input_file", "file_id": "file-1"}, [CHAT, CLAUDE, GEMINI]),
        ("anthropic_messages", {"type": "container_upload", "file_id": "f"}, [CHAT, GPT, GEMINI]),
        ("openai_chat", {"type": "hologram"}, [CLAUDE]),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_cannot_be_shown_is_refused(
    dialect: str, sent: dict[str, Any], models: list[str]
) -> None:
    for model in models:
        with pytest.raises(BadRequest) as refused:
            part(dialect, sent, model)
        assert refused.value.status == 400


def test_a_picture_keeps_its_detail_and_its_type() -> None:
    sent = {"type": "input_image", "image_url": f"data:image/jpg;base64,{PNG}", "detail": "low"}
    told = part("openai_responses", sent, CHAT)["image_url"]
    assert told == {"url": f"data:image/png;base64,{PNG}", "detail": "low"}
    for magic, kind in [("R0lGODlhAQABAAAA", "gif"), ("UklGRgAAAABXRUJQ", "webp"), ("!", "jpeg")]:
        shown = part("anthropic_messages", labelled(magic), CHAT)["image_url"]
        assert shown["url"].startswith(f"data:image/{kind};base64,")
    with pytest.raises(BadRequest, match="base64"):
        part("openai_responses", sent | {"image_url": "data:image/png,raw"}, CHAT)


def labelled(data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/jpg; q=1", "data": data}
    return {"type": "image", "source": source}


@pytest.mark.parametrize("model", [CHAT, GPT, CLAUDE, GEMINI])
def test_a_refusal_in_the_history_is_kept_as_what_it_was(model: str) -> None:
    refused = {"role": "assistant", "content": None, "refusal": "No."}
    told = upstream("openai_chat", world.chat(user("a"), refused, user("b")), model)
    again = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert upstream("openai_responses", {"input": [user("a"), again, user("b")]}, model) == told
    second = (told.get("messages") or told.get("input") or told["contents"])[1]
    if model == CHAT:
        assert second == {"role": "assistant", "content": None, "refusal": "No."}
    elif model == GPT:
        assert second["content"] == [{"type": "refusal", "refusal": "No."}]
    else:
        assert second.get("content", second.get("parts"))[0]["text"] == "No."


@pytest.mark.parametrize("model", [CHAT, GPT, CLAUDE, GEMINI])
def test_a_loaded_tool_is_told_in_words(model: str) -> None:
    added = [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "later"}}]
    defined = {"type": "tool_addition", "tool": {"definition": world.tool("inline")}}
    told = world.chat(
        user("hi"),
        {"role": "system", "content": [*added, defined, {"type": "tool_removal"}]},
        user("go"),
        tools=[world.tool("later", defer_loading=True)],
    )
    body = repr(upstream("anthropic_messages", told, model))
    assert "Loaded tool later" in body and "'inline'" in body


# -- order


def test_what_is_said_between_a_call_and_its_result_waits() -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": {"ok": True}}
    told = {"instructions": "s", "input": [user("hi"), call, user("wait"), output, user("go")]}
    roles = [m["role"] for m in upstream("openai_responses", told, CHAT)["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user", "user"]
    never = {"input": [user("hi"), call, user("wait"), {**call, "call_id": "b"}]}
    roles = [m["role"] for m in upstream("openai_responses", never, CHAT)["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_text_before_a_result_is_its_own_message() -> None:
    told = [
        user("hi"),
        assistant(tool_use("a", "f")),
        user([{"type": "text", "text": "t"}, tool_result("a")]),
    ]
    roles = [
        m["role"] for m in upstream("anthropic_messages", {"messages": told}, CHAT)["messages"]
    ]
    assert roles == ["user", "assistant", "tool", "user"]


def test_a_conversation_that_begins_with_the_assistant_is_led_in() -> None:
    told = world.chat({"role": "assistant", "content": "Hello."}, user("hi"))
    for model, name in [(CLAUDE, "messages"), (GEMINI, "contents")]:
        assert upstream("openai_chat", told, model)[name][0]["role"] == "user"


def test_old_functions_are_tools() -> None:
    told = world.chat(
        user("hi"),
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    body = upstream("openai_chat", told, CLAUDE)
    assert body["tool_choice"] == {"type": "tool", "name": "f"}
    assert (
        body["messages"][1]["content"][0]["id"] == body["messages"][2]["content"][0]["tool_use_id"]
    )


def test_codexs_tool_search_goes_to_openai_as_it_is() -> None:
    told = {
        "model": "m",
        "tools": [{"type": "tool_search", "execution": "client"}],
        "input": [
            user("hi"),
            {"type": "tool_search_call", "call_id": "s", "arguments": {"query": "x"}},
            {
                "type": "tool_search_output",
                "call_id": "s",
                "tools": [{"type": "function", "name": "g"}],
            },
        ],
    }
    body = upstream("openai_responses", told, GPT)
    assert body["input"][1]["arguments"] == {"query": "x"}
    assert body["input"][2]["tools"][0]["name"] == "g"
    assert [each["type"] for each in body["tools"]] == ["tool_search", "function"]


# -- citations

CITED = Annotation("https://a.example", "A", 0, 3)
CHAT_NOTE = {
    "type": "url_citation",
    "url_citation": {"url": CITED.url, "title": "A", "start_index": 0, "end_index": 3},
}
NOTE = {"type": "url_citation", "url": CITED.url, "title": "A", "start_index": 0, "end_index": 3}


def cited_streams() -> list[Any]:
    chat = {"choices": [{"delta": {"content": "abc", "annotations": [CHAT_NOTE]}}]}
    done = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    place = {"output_index": 0, "content_index": 0}
    responses = [
        {"type": "response.output_text.delta", **place, "delta": "abc"},
        {"type": "response.output_text.annotation.added", **place, "annotation": NOTE},
        {"type": "response.completed", "response": {"status": "completed"}},
    ]
    claude = [
        {"type": "content_block_start", "content_block": {"type": "text", "text": "abc"}},
        {
            "type": "content_block_delta",
            "delta": {"type": "citations_delta", "citation": {"url": CITED.url, "title": "A"}},
        },
        {"type": "content_block_stop"},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    web = {"groundingChunks": [{"web": {"uri": CITED.url, "title": "A"}}, {}]}
    found = {"content": {"parts": [{"text": "abc"}]}, "groundingMetadata": web}
    gemini = {"candidates": [found | {"finishReason": "STOP"}]}
    return [
        pytest.param(CHAT, [orjson.dumps(e).decode() for e in (chat, done)], id="chat"),
        pytest.param(GPT, responses, id="responses"),
        pytest.param(CLAUDE, claude, id="messages"),
        pytest.param(GEMINI, [orjson.dumps(gemini).decode()], id="gemini"),
    ]


@pytest.mark.parametrize(("model", "stream"), cited_streams())
def test_a_cited_page_reaches_who_can_show_it(model: str, stream: list[Any]) -> None:
    reply = fold(world.read(world.ask("openai_chat"), world.target(model), frames(*stream)))
    message = reply.items[0]
    assert isinstance(message, Message) and isinstance(message.parts[0], Text)
    (note,) = message.parts[0].annotations
    assert (note.url, note.title) == (CITED.url, "A")
    chat = world.unary(world.ask("openai_chat"), reply)["choices"][0]["message"]
    assert chat["annotations"][0]["url_citation"]["url"] == CITED.url
    item = world.unary(world.ask("openai_responses"), reply)["output"][0]
    assert item["content"][0]["annotations"][0]["url"] == CITED.url


def test_an_event_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LIMIT", 100)
    reader = codecs.reader(world.ask("openai_chat"), world.target(CHAT), "x")
    (failed,) = reader.feed(b"data: " + b"x" * 200)
    assert failed == codecs.failures.BROKEN and reader.done


@pytest.mark.parametrize(
    "shown", [image(PNG), {"type": "text", "text": "see"}], ids=["image", "text"]
)
@pytest.mark.parametrize("failed", [True, False])
def test_an_error_with_an_image_stays_an_error(shown: dict[str, Any], failed: bool) -> None:
    result = tool_result("a", [shown, shown], is_error=failed)
    told = [user("hi"), assistant(tool_use("a", "f")), user([result])]
    output = upstream("anthropic_messages", {"messages": told}, GPT)["input"][-1]["output"]
    assert (output[0] == {"type": "input_text", "text": "[tool error]"}) is failed
