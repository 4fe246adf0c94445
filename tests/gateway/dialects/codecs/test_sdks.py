"""The official SDKs, fed our streams without a network: their helpers accept no slip."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from gateway.dialects import codecs
from gateway.dialects.codecs.fold import fold
from gateway.dialects.ir import Head, Request
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.test_to_anthropic_messages import CODEX_TOOLS
from tests.gateway.dialects.codecs.world import row

MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-5.2",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini": "gemini-3.1-pro-preview",
    "converse": "amazon.nova-pro-v1:0",
}
RECORDED = [
    pytest.param(path, id=f"{path.parent.name}/{path.stem}")
    for path in sorted(world.RECORDINGS.glob("*/*.sse"))
]


HEADERS = {"content-type": "text/event-stream; charset=utf-8"}
HTTP: dict[Any, Any] = {openai.OpenAI: httpx, anthropic.Anthropic: httpx2}


@pytest.fixture
def served() -> Iterator[Any]:
    """A function that gives an SDK's client whose every answer is `stream`."""
    opened: list[Any] = []

    def client(kind: Any, stream: bytes) -> Any:
        lib = HTTP[kind]
        answer = lib.Response(200, headers=HEADERS, content=stream)
        http = lib.Client(transport=lib.MockTransport(lambda _: answer))
        opened.append(kind(api_key="k", base_url="http://x", http_client=http, max_retries=0))
        return opened[-1]

    yield client
    for each in opened:
        each.close()


def translated(path: Any, request: Request, body: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    events = world.read(request, world.target(MODELS[path.parent.name]), path.read_bytes())
    head = Head(request, "0a1b", "m", 1790000000, 7, world.KEY, body)
    encoder = codecs.CODECS[request.dialect].Encoder(head)
    stream = encoder.ping() + b"".join(
        encoder.feed(event) + encoder.ping() for event in events[:-1]
    )
    stream += encoder.feed(events[-1])
    return stream, codecs.CODECS[request.dialect].encode_reply(fold(events), head)


@row("078")
@pytest.mark.parametrize("path", RECORDED)
def test_responses_stream_ends_in_the_unary_response(served: Any, path: Any) -> None:
    body = {"reasoning": {"summary": "auto"}, "tools": CODEX_TOOLS}
    request = world.ask("openai_responses", body)
    stream, whole = translated(path, request, body)
    client = served(openai.OpenAI, stream)
    with client.responses.stream(model="m", input="hi") as answer:
        seen = [event.type for event in answer if event.type != "keepalive"]
        if whole["status"] != "completed":
            return
        final = answer.get_final_response()
    assert seen[0] == "response.created"
    assert final.model_dump(exclude_unset=True)["usage"] == whole["usage"]
    assert [item.id for item in final.output] == [item["id"] for item in whole["output"]]
    told = "".join(
        part["text"]
        for item in whole["output"]
        for part in item.get("content", ())
        if part["type"] == "output_text"
    )
    assert final.output_text == told


@row("072", "095")
@pytest.mark.parametrize("path", RECORDED)
def test_chat_stream_accumulates_to_the_unary_completion(served: Any, path: Any) -> None:
    request = world.ask("openai_chat", {"stream_options": {"include_usage": True}})
    stream, whole = translated(path, request, {})
    client = served(openai.OpenAI, stream)
    messages = [{"role": "user", "content": "hi"}]
    with client.chat.completions.stream(model="m", messages=messages) as answer:
        for _ in answer:
            pass
        final = answer.current_completion_snapshot
    message, told = final.choices[0].message, whole["choices"][0]["message"]
    assert (message.content or None) == (told["content"] or None)
    assert message.refusal == told["refusal"]
    calls = [(c.id, c.function.name) for c in message.tool_calls or () if c.function]
    functions = [c for c in told.get("tool_calls", ()) if c["type"] == "function"]
    assert calls == [(c["id"], c["function"]["name"]) for c in functions]
    assert final.choices[0].finish_reason == whole["choices"][0]["finish_reason"]
    assert final.usage.model_dump(exclude_unset=True) == whole["usage"]
    assert getattr(message, "reasoning_content", None) == told.get("reasoning_content")


@pytest.mark.parametrize("path", RECORDED)
def test_messages_stream_accumulates_to_the_unary_message(served: Any, path: Any) -> None:
    stream, whole = translated(path, world.ask("anthropic_messages"), {})
    client = served(anthropic.Anthropic, stream)
    messages = [{"role": "user", "content": "hi"}]
    with client.messages.stream(model="m", max_tokens=9, messages=messages) as answer:
        final = answer.get_final_message()
    shown = [block.model_dump(exclude_none=True) for block in final.content]
    assert [without(block) for block in shown] == [without(block) for block in whole["content"]]
    assert (final.stop_reason, final.id) == (whole["stop_reason"], whole["id"])
    assert final.usage.output_tokens == whole["usage"]["output_tokens"]
    assert final.usage.input_tokens == whole["usage"]["input_tokens"]


def without(block: dict[str, Any]) -> dict[str, Any]:
    """A block but for what only one of the two has: the SDK's own marks."""
    return {k: v for k, v in block.items() if k not in ("caller", "citations", "parsed_output")}


@row("095")
def test_the_openai_sdk_raises_our_error_in_the_middle_of_a_stream(served: Any) -> None:
    path = world.RECORDINGS / "openai_chat/text.sse"
    cut = path.read_bytes()[:1200]
    request = world.ask("openai_chat")
    events = world.read(request, world.target("gpt-4o"), cut)
    client = served(openai.OpenAI, world.send(request, events))
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.APIError, match="broke off") as raised:
        list(client.chat.completions.create(model="m", messages=messages, stream=True))
    assert raised.value.code == "upstream_error"


def test_the_anthropic_sdk_raises_our_error_in_the_middle_of_a_stream(served: Any) -> None:
    cut = (world.RECORDINGS / "openai_chat/text.sse").read_bytes()[:1200]
    request = world.ask("anthropic_messages")
    events = world.read(request, world.target("gpt-4o"), cut)
    client = served(anthropic.Anthropic, world.send(request, events))
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        list(client.messages.create(model="m", max_tokens=9, messages=messages, stream=True))
