"""Any upstream's stream to any client: sequences, ids, usage, ends."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.dialects import codecs, sse
from gateway.dialects.codecs import carrier
from gateway.dialects.codecs.fold import fold
from gateway.dialects.ir import (
    CallOpen,
    Event,
    Failed,
    Finish,
    Head,
    Ping,
    Request,
    Start,
    TextDelta,
    TextOpen,
    UsageSeen,
)
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.test_to_anthropic_messages import CODEX_TOOLS
from tests.gateway.dialects.codecs.world import assistant, frames, row, tool_use, upstream, user

CLIENTS = list(codecs.CODECS)
CLAUDE, GPT, CHAT = "claude-sonnet-4-5", "gpt-5.2", "gpt-4o"
GEMINI = "gemini-3.1-pro-preview"
NOVA = "amazon.nova-pro-v1:0"


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "up", "model": CHAT, "choices": [choice], **fields}


def claude(*blocks: dict[str, Any], stop: str = "end_turn", **fields: Any) -> bytes:
    """A stream of whole blocks."""
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "up", "usage": {"input_tokens": 5}}}
    ]
    for block in blocks:
        told += [{"type": "content_block_start", "content_block": block}]
        told += [{"type": "content_block_stop"}]
    usage = {"output_tokens": 3} | fields.pop("usage", {})
    told += [{"type": "message_delta", "delta": {"stop_reason": stop, **fields}, "usage": usage}]
    return frames(*told, {"type": "message_stop"})


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def recording(name: str) -> bytes:
    return (world.RECORDINGS / f"{name}.sse").read_bytes()


def told(client: str, model: str, stream: bytes, body: dict[str, Any] | None = None) -> Any:
    """The client's parsed stream."""
    asked = {"stream_options": {"include_usage": True}} | (body or {})
    request = world.ask(client, asked)
    events = world.read(request, world.target(model), stream)
    return world.sent(world.send(request, events, asked))


# -- tools


@row("025")
def test_a_namespace_comes_back_everywhere_a_call_is_named() -> None:
    stream = claude(tool_use("t", "multi_agent_v1__wait_agent"), stop="tool_use")
    events = told("openai_responses", CLAUDE, stream, {"tools": CODEX_TOOLS})
    items = [e["item"] for e in events if "item" in e] + events[-1]["response"]["output"]
    assert len(items) == 3
    assert {(i["name"], i["namespace"]) for i in items} == {("wait_agent", "multi_agent_v1")}


@row("027")
def test_a_custom_call_is_raw_text_again() -> None:
    patch = '*** Begin Patch\n+say("hé")\n*** End Patch'
    stream = claude(tool_use("t", "apply_patch", {"input": patch}), stop="tool_use")
    events = told("openai_responses", CLAUDE, stream, {"tools": CODEX_TOOLS})
    kinds = [e["type"] for e in events]
    assert "response.custom_tool_call_input.delta" in kinds
    done = next(e for e in events if e["type"] == "response.custom_tool_call_input.done")
    item = events[-1]["response"]["output"][0]
    assert done["input"] == item["input"] == patch
    assert item["type"] == "custom_tool_call" and item["id"].startswith("ctc_")


def test_a_tool_search_is_answered_as_one() -> None:
    stream = claude(tool_use("t", "tool_search", {"query": "mail"}), stop="tool_use")
    item = told("openai_responses", CLAUDE, stream, {"tools": CODEX_TOOLS})[-1]["response"]
    call = item["output"][0]
    assert (call["type"], call["execution"]) == ("tool_search_call", "client")
    assert call["arguments"] == {"query": "mail"}


@row("072")
def test_text_and_two_calls_are_one_message_of_dense_calls() -> None:
    chunks = told("openai_chat", CLAUDE, recording("anthropic_messages/tools"))
    deltas = [c["choices"][0]["delta"] for c in chunks if c.get("choices")]
    assert sum("role" in delta for delta in deltas) == 1
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["index"] for call in calls if "id" in call] == [0, 1]
    assert [call["function"]["name"] for call in calls if "id" in call] == ["weather", "now"]
    finishes = [c["choices"][0]["finish_reason"] for c in chunks if c.get("choices")]
    assert [reason for reason in finishes if reason] == ["tool_calls"]
    assert chunks[-1] == {"done": True}
    assert {(c["id"], c["object"], c["model"]) for c in chunks[:-1]} == {
        ("chatcmpl-0a1b", "chat.completion.chunk", "m")
    }


@row("073")
@pytest.mark.parametrize(
    "calls",
    [
        [{"id": "a", "type": None, "function": {"name": "f", "arguments": '{"a"'}}]
        + [{"function": {"arguments": ":1}"}}]
        + [{"id": "b", "function": {"name": "g", "arguments": "{}"}}],
        [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"a":1}'}}]
        + [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}],
        [{"index": 0, "id": "a", "function": {"name": "f"}}]
        + [{"index": 1, "id": "b", "function": {"name": "g"}}]
        + [{"index": 1, "function": {"arguments": "{}"}}]
        + [{"index": 0, "id": "a", "function": {"arguments": '{"a":1}'}}],
    ],
    ids=["no index", "one index", "interleaved"],
)
def test_careless_call_deltas_make_valid_blocks(calls: list[dict[str, Any]]) -> None:
    stream = frames(
        *(orjson.dumps(chunk({"tool_calls": [call]})).decode() for call in calls),
        orjson.dumps(chunk({}, "stop")).decode(),
    )
    events = told("anthropic_messages", CHAT, stream)
    opened = [e for e in events if e["type"] == "content_block_start"]
    assert [(e["index"], e["content_block"]["name"]) for e in opened] == [(0, "f"), (1, "g")]
    assert arguments(events) == {0: {"a": 1}, 1: {}}
    assert one_block_at_a_time(events)
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def arguments(events: list[dict[str, Any]]) -> dict[int, Any]:
    parts: dict[int, str] = {}
    for event in events:
        if event.get("delta", {}).get("type") == "input_json_delta":
            index = event["index"]
            parts[index] = parts.get(index, "") + event["delta"]["partial_json"]
    return {index: orjson.loads(part) for index, part in parts.items()}


def one_block_at_a_time(events: list[dict[str, Any]]) -> bool:
    block: int | None = None
    for event in events:
        if event["type"] == "content_block_start":
            assert block is None
            block = event["index"]
        if event["type"].startswith("content_block"):
            assert event["index"] == block
        if event["type"] == "content_block_stop":
            block = None
    return block is None


@row("075")
def test_a_stop_after_a_call_is_a_call() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    chunks = [
        {"candidates": [{"content": {"parts": [call]}}]},
        {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]},
    ]
    stream = frames(*(orjson.dumps(each).decode() for each in chunks))
    finish = [c for c in told("openai_chat", GEMINI, stream) if c.get("choices")][-1]
    assert finish["choices"][0]["finish_reason"] == "tool_calls"


@row("076")
def test_two_calls_of_one_function_without_ids_are_two() -> None:
    request = world.ask("openai_chat")
    events = world.read(request, world.target(GEMINI), recording("gemini/tools"))
    ids = [event.call_id for event in events if isinstance(event, CallOpen)]
    assert len(set(ids)) == 2
    other = codecs.reader(request, world.target(GEMINI), "ffff")
    again = other.feed(recording("gemini/tools"))
    assert not {event.call_id for event in again if isinstance(event, CallOpen)} & set(ids)


# -- reasoning


@row("066")
def test_a_signature_is_on_its_call_once_in_googles_place() -> None:
    chunks = told("openai_chat", GEMINI, recording("gemini/tools"))
    calls = [
        call
        for c in chunks
        if c.get("choices")
        for call in c["choices"][0]["delta"].get("tool_calls", ())
    ]
    signed = [call for call in calls if "extra_content" in call]
    assert len(signed) == 1 and signed[0]["index"] == 0
    data = signed[0]["extra_content"]["google"]["thought_signature"]
    opened = carrier.open(data, world.KEY)
    assert opened and (opened.data, opened.model) == ("c2lnQQ==", GEMINI)


@row("068")
@pytest.mark.parametrize("client", ["openai_responses", "openai_chat"])
def test_claudes_thoughts_come_back_to_claude_as_they_were(client: str) -> None:
    request = world.ask(client, {"tools": None})
    reply = world.answer(request, world.target(CLAUDE), recording("anthropic_messages/tools"))
    body = next_turn(client, reply)
    blocks = upstream(client, body, CLAUDE)["messages"][1]["content"]
    recorded = orjson.loads((world.RECORDINGS / "anthropic_messages/tools.json").read_bytes())
    assert blocks == recorded["content"]
    other = upstream(client, body, "claude-opus-4-6")["messages"][1]["content"]
    assert [block["type"] for block in other] == ["text", "tool_use", "tool_use"]


def next_turn(client: str, reply: dict[str, Any]) -> dict[str, Any]:
    """What an honest client sends after `reply`: all of it, and the results of its calls."""
    if client == "openai_responses":
        calls = [item["call_id"] for item in reply["output"] if "call_id" in item]
        results = [
            {"type": "function_call_output", "call_id": each, "output": "x"} for each in calls
        ]
        return {"input": [user("hi"), *reply["output"], *results]}
    message = reply["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in message["tool_calls"]
    ]
    return {"messages": [user("hi"), message, *results]}


@pytest.mark.parametrize("client", ["anthropic_messages", "openai_chat"])
def test_openais_secret_comes_back_to_openai_as_it_was(client: str) -> None:
    request = world.ask(client)
    reply = world.answer(request, world.target(GPT), recording("openai_responses/tools"))
    if client == "anthropic_messages":
        messages: list[Any] = [user("hi"), assistant(*reply["content"])]
    else:
        messages = [user("hi"), reply["choices"][0]["message"]]
    items = upstream(client, {"messages": messages}, GPT)["input"]
    assert items[1] == {
        "type": "reasoning",
        "summary": [
            {"type": "summary_text", "text": "**Plan**\nLook."},
            {"type": "summary_text", "text": "Then act."},
        ],
        "encrypted_content": "gAAAAAB-secret==",
    }


def test_geminis_signature_comes_back_through_messages() -> None:
    request = world.ask("anthropic_messages")
    reply = world.answer(request, world.target(GEMINI), recording("gemini/tools"))
    kinds = [block["type"] for block in reply["content"]]
    assert kinds == ["thinking", "text", "thinking", "tool_use", "tool_use"]
    messages = [user("hi"), assistant(*reply["content"])]
    model = upstream("anthropic_messages", {"messages": messages}, GEMINI)["contents"][1]
    signatures = [part.get("thoughtSignature") for part in model["parts"]]
    assert signatures == [None, "c2lnQQ==", None]


def test_every_thinking_block_is_signed_once_before_its_end() -> None:
    for name, model in [("openai_chat/reasoning", CHAT), ("openai_responses/tools", GPT)]:
        events = told("anthropic_messages", model, recording(name))
        assert one_block_at_a_time(events)
        at = [i for i, e in enumerate(events) if signature(e)]
        assert len(at) == 1
        assert events[at[0] + 1]["type"] == "content_block_stop"


def signature(event: dict[str, Any]) -> str:
    return str(event.get("delta", {}).get("signature", ""))


def test_thoughts_are_summaries_for_who_asked_and_text_for_who_did_not() -> None:
    stream = recording("anthropic_messages/tools")
    asked = told("openai_responses", CLAUDE, stream, {"reasoning": {"summary": "auto"}})
    plain = told("openai_responses", CLAUDE, stream)
    assert "response.reasoning_summary_text.delta" in {e["type"] for e in asked}
    assert "response.reasoning_text.delta" in {e["type"] for e in plain}
    assert asked[-1]["response"]["output"][0]["summary"][0]["text"] == "First I think. Then more."


# -- sequences


@row("077")
def test_silence_is_filled_in_each_dialects_own_form() -> None:
    request = world.ask("openai_responses")
    encoders = {client: codecs.CODECS[client].Encoder(world.head(request)) for client in CLIENTS}
    assert encoders["openai_chat"].ping().startswith(b":")
    assert b"event: ping\n" in encoders["anthropic_messages"].ping()
    responses = encoders["openai_responses"]
    first = world.sent(responses.ping())
    assert [e["type"] for e in first] == ["response.created", "response.in_progress"]
    assert world.sent(responses.ping()) == [{"type": "keepalive", "sequence_number": 2}]
    assert responses.feed(Start()) == b""


def test_claudes_pings_reach_a_messages_client() -> None:
    request = world.ask("anthropic_messages")
    assert b"event: ping" in world.send(request, [Start(), Ping()])


@row("078")
@pytest.mark.parametrize("path", sorted(world.RECORDINGS.glob("*/*.sse")), ids=lambda p: p.stem)
def test_a_responses_stream_is_numbered_and_whole(path: Any) -> None:
    model = dict(zip(codecs.UPSTREAMS, [CHAT, GPT, CLAUDE, GEMINI, NOVA], strict=True))[
        path.parent.name
    ]
    events = told("openai_responses", model, path.read_bytes())
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert [e["type"] for e in events[:2]] == ["response.created", "response.in_progress"]
    final = events[-1]["response"]
    added = [e for e in events if e["type"] == "response.output_item.added"]
    done = [e for e in events if e["type"] == "response.output_item.done"]
    assert [e["output_index"] for e in added] == list(range(len(final["output"])))
    assert sorted(e["item"]["id"] for e in done) == sorted(i["id"] for i in final["output"])
    assert {e["output_index"]: e["item"] for e in done} == dict(enumerate(final["output"]))
    assert isinstance(final["usage"]["input_tokens_details"]["cached_tokens"], int)
    assert isinstance(final["usage"]["output_tokens_details"]["reasoning_tokens"], int)
    assert sum(e["type"].startswith("response.completed") for e in events) <= 1


@row("079")
def test_ids_that_change_upstream_do_not_change_downstream() -> None:
    rotated = recording("openai_responses/text")
    count = 0
    while b'"msg_1"' in rotated:
        rotated = rotated.replace(b'"msg_1"', b'"rot_%d"' % count, 1)
        count += 1
    assert count > 3
    request = world.ask("openai_responses")
    plain = world.read(request, world.target(GPT), recording("openai_responses/text"))
    assert world.read(request, world.target(GPT), rotated) == plain


@row("080")
@pytest.mark.parametrize("client", CLIENTS)
def test_an_empty_final_output_takes_nothing_back(client: str) -> None:
    *streamed, last = world.sent(recording("openai_responses/tools"))
    last["response"]["output"] = []
    request = world.ask(client)
    events = world.read(request, world.target(GPT), frames(*streamed, last))
    assert events == world.read(request, world.target(GPT), recording("openai_responses/tools"))


@row("081")
def test_two_replies_share_no_id() -> None:
    request = world.ask("anthropic_messages")
    ids = set()
    for reply_id in ("a", "b"):
        encoder = codecs.CODECS["anthropic_messages"].Encoder(Head(request, reply_id, "m"))
        ids.add(world.sent(encoder.feed(Start()))[0]["message"]["id"])
    assert ids == {"msg_a", "msg_b"}


def test_an_empty_block_is_never_opened_for_messages() -> None:
    stream = claude(text(""), text("hi"))
    opened = [
        e for e in told("anthropic_messages", CLAUDE, stream) if e["type"] == "content_block_start"
    ]
    assert len(opened) == 1 and opened[0]["index"] == 0


@row("047")
@pytest.mark.parametrize("cuts", [["abcE", "ND def"], ["abcEND def"], list("abcEND def")], ids=str)
def test_a_stop_sequence_cuts_the_text_where_the_model_knows_none(cuts: list[str]) -> None:
    request = world.ask("anthropic_messages", {"stop_sequences": ["END", "\n\n"]})
    assert "stop" not in upstream("anthropic_messages", world.chat(stop_sequences=["END"]), CHAT)
    reader = codecs.reader(request, world.target(GPT), "0a1b")
    events = [e for cut in cuts for e in reader.feed(frames(delta(cut)))]
    assert reader.done
    assert world.said(fold(events)) == "abc"
    final = world.sent(world.send(request, [Start(), *events]))[-2]
    assert final["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def delta(said: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "delta": said}


def test_text_held_back_for_a_stop_sequence_is_given_when_it_is_none() -> None:
    request = world.ask("anthropic_messages", {"stop_sequences": ["END"]})
    done = {"type": "response.completed", "response": {"status": "completed"}}
    events = world.read(request, world.target(GPT), frames(delta("the EN"), done))
    assert world.said(fold(events)) == "the EN"
    assert events[-1] == Finish("stop", "completed")


@row("050")
@pytest.mark.parametrize(
    "cuts",
    [
        ['```json\n{"a": 1}\n```'],
        list('\n```json\n{"a": 1}\n```\n'),
        ['{"a"', ": 1}"],
        ['{"a": 1}'],
    ],
    ids=["fenced", "fenced in pieces", "bare in pieces", "bare"],
)
@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_a_fence_around_json_is_taken_off(cuts: list[str], model: str) -> None:
    request = world.ask("openai_chat", {"response_format": {"type": "json_object"}})
    if model == CHAT:
        said = (orjson.dumps(chunk({"content": cut})).decode() for cut in cuts)
        stream = frames(*said, orjson.dumps(chunk({}, "stop")).decode())
    else:
        stream = claude(text("".join(cuts)))
    reply = world.answer(request, world.target(model), stream)
    assert reply["choices"][0]["message"]["content"] == '{"a": 1}'


def test_a_fence_in_prose_is_left_alone() -> None:
    stream = claude(text("```py\nx\n```"))
    assert world.said(
        fold(world.read(world.ask("openai_chat"), world.target(CLAUDE), stream))
    ) == ("```py\nx\n```")


# -- usage


@row("082")
def test_usage_told_last_reaches_messages_un_nested() -> None:
    events = told("anthropic_messages", CHAT, recording("openai_chat/reasoning"))
    usage = events[-2]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (600, 400)
    assert (usage["cache_creation_input_tokens"], usage["output_tokens"]) == (0, 77)
    assert usage["output_tokens_details"] == {"thinking_tokens": 33}


def test_the_estimate_stands_until_the_upstream_tells() -> None:
    request = world.ask("anthropic_messages")
    head = world.head(request, input_tokens=321)
    start = world.sent(codecs.CODECS["anthropic_messages"].Encoder(head).feed(Start()))[0]
    assert start["message"]["usage"]["input_tokens"] == 321


@row("083", "084")
@pytest.mark.parametrize(
    "second", [{"input_tokens": 9, "cache_read_input_tokens": 1}, {"input_tokens": 0}], ids=str
)
def test_two_snapshots_are_one(second: dict[str, int]) -> None:
    usage = {"input_tokens": 9, "cache_read_input_tokens": 1, "output_tokens": 1}
    stream = frames(
        {"type": "message_start", "message": {"usage": usage}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": second | {"output_tokens": 8},
        },
        {"type": "message_stop"},
    )
    final = told("openai_chat", CLAUDE, stream)[-2]["usage"]
    assert (final["prompt_tokens"], final["completion_tokens"]) == (10, 8)
    assert final["prompt_tokens_details"]["cached_tokens"] == 1


@row("085")
@pytest.mark.parametrize("client", CLIENTS)
def test_an_incomplete_answer_is_billed_and_says_length(client: str) -> None:
    request = world.ask(client)
    reply = fold(world.read(request, world.target(GPT), recording("openai_responses/length")))
    assert isinstance(reply.end, Finish) and reply.end.reason == "length"
    assert reply.usage.input == 64 and reply.usage.output + reply.usage.reasoning == 1500


@row("086")
def test_usage_on_every_chunk_is_told_once_at_the_end() -> None:
    chunks = told("openai_chat", GEMINI, recording("gemini/tools"))
    counted = [c for c in chunks if c.get("usage")]
    assert len(counted) == 1 and counted[0] is chunks[-2]
    assert counted[0]["choices"] == []
    assert counted[0]["usage"]["completion_tokens"] == 50


def test_who_did_not_ask_for_usage_gets_no_chunk_of_it() -> None:
    body = {"stream_options": None}
    chunks = told("openai_chat", GEMINI, recording("gemini/text"), body)
    assert all("usage" not in c and c.get("choices") != [] for c in chunks)


def test_usage_behind_the_end_marker_still_counts() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    stream = frames(
        orjson.dumps(chunk({"content": "x"}, "stop")).decode(),
        "[DONE]",
        orjson.dumps({"choices": [], "usage": usage}).decode(),
    )
    reply = fold(world.read(world.ask("openai_chat"), world.target(CHAT), stream))
    assert reply.usage.input == 7 and isinstance(reply.end, Finish)


# -- ends


def broken() -> Iterator[Any]:
    whole = recording("openai_chat/text")
    cut = whole[: len(whole) // 2]
    yield pytest.param(CHAT, cut, id="cut in the middle of an event")
    yield pytest.param(CHAT, cut[: cut.rindex(b"\n\n") + 2], id="cut behind an event")
    yield pytest.param(CHAT, frames("{half json"), id="half json")
    yield pytest.param(CHAT, b"<html>Bad gateway</html>\n\n", id="html")
    yield pytest.param(CHAT, b"", id="nothing")
    yield pytest.param(CHAT, frames("[1, 2]"), id="no object")
    yield pytest.param(CLAUDE, recording("anthropic_messages/text")[:600], id="claude cut")
    yield pytest.param(CLAUDE, claude(text("a"))[:-60] + claude(text("b")), id="a second start")
    yield pytest.param(GPT, recording("openai_responses/text")[:2600], id="responses cut")
    yield pytest.param(GEMINI, recording("gemini/text")[:250], id="gemini cut")
    error = '{"error":{"message":"The server had an error","type":"server_error"}}'
    yield pytest.param(CHAT, cut[: cut.rindex(b"\n\n") + 2] + frames(error), id="chat error")


@row("094", "095", "096")
@pytest.mark.parametrize(("model", "stream"), list(broken()))
@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_breaks_ends_in_its_clients_own_error(
    client: str, model: str, stream: bytes
) -> None:
    request = world.ask(client)
    events = world.read(request, world.target(model), stream)
    assert sum(isinstance(event, Finish | Failed) for event in events) == 1
    assert isinstance(events[-1], Failed)
    sent = world.sent(world.send(request, events))
    last = sent[-1]
    if client == "openai_responses":
        assert last["type"] == "response.failed"
        assert last["response"]["error"]["code"] == "server_error"
        assert isinstance(last["response"]["usage"]["output_tokens"], int)
        assert sent[0]["type"] == "response.created"
    elif client == "openai_chat":
        assert last["error"]["message"] and last["error"]["code"] == "upstream_error"
        assert {"done": True} not in sent
    else:
        assert last["type"] == "error" and last["error"]["type"] == "api_error"
        assert last["request_id"] == "req_0a1b"


def test_a_failed_response_keeps_what_was_said() -> None:
    stream = recording("openai_chat/text")
    cut = stream[: stream.index(b'"finish_reason":"stop"')]
    cut = cut[: cut.rindex(b"\n\n") + 2]
    final = told("openai_responses", CHAT, cut)[-1]["response"]
    item = final["output"][0]
    assert item["status"] == "incomplete" and item["content"][0]["text"].startswith("Xin ch")


def test_nothing_follows_the_end() -> None:
    request = world.ask("openai_chat")
    reader = codecs.reader(request, world.target(CLAUDE), "0a1b")
    reader.feed(claude(text("a")))
    assert reader.done
    assert reader.feed(claude(text("b"))) == [] == reader.close()


@row("093")
@pytest.mark.parametrize(
    ("model", "stream", "status"),
    [
        (CLAUDE, {"type": "error", "error": {"type": "overloaded_error", "message": "O"}}, 503),
        (GPT, {"type": "error", "error": {"code": "server_is_overloaded", "message": "O"}}, 503),
        (GEMINI, {"error": {"code": 503, "message": "O", "status": "UNAVAILABLE"}}, 503),
        (GEMINI, [{"error": {"code": 504, "message": "O", "status": "DEADLINE_EXCEEDED"}}], 504),
    ],
)
def test_an_error_in_place_of_a_stream_is_the_first_event(
    model: str, stream: Any, status: int
) -> None:
    sent = sse.encode("", orjson.dumps(stream))
    first = world.read(world.ask("openai_chat"), world.target(model), sent)[0]
    assert isinstance(first, Failed) and first.status == status


@row("099")
@pytest.mark.parametrize(
    ("client", "end"),
    [
        ("openai_chat", "content_filter"),
        ("openai_responses", "content_filter"),
        ("anthropic_messages", "refusal"),
    ],
)
def test_a_blocked_prompt_is_an_answer_withheld(client: str, end: str) -> None:
    request = world.ask(client)
    reply = world.answer(request, world.target(GEMINI), recording("gemini/refusal"))
    found = {
        "openai_chat": lambda: reply["choices"][0]["finish_reason"],
        "openai_responses": lambda: reply["incomplete_details"]["reason"],
        "anthropic_messages": lambda: reply["stop_reason"],
    }
    assert found[client]() == end


@pytest.mark.parametrize(
    ("reason", "chat", "responses", "messages"),
    [
        ("stop", "stop", "completed", "end_turn"),
        ("stop_sequence", "stop", "completed", "stop_sequence"),
        ("tool_calls", "tool_calls", "completed", "tool_use"),
        ("length", "length", "incomplete", "max_tokens"),
        ("context_window", "length", "incomplete", "model_context_window_exceeded"),
        ("content_filter", "content_filter", "incomplete", "refusal"),
        ("pause", "stop", "completed", "pause_turn"),
        ("compaction", "stop", "completed", "compaction"),
        ("unknown", "stop", "completed", "end_turn"),
    ],
)
def test_an_end_has_its_word_in_each_dialect(
    reason: str, chat: str, responses: str, messages: str
) -> None:
    events: list[Event] = [Start(), Finish(reason)]
    sent = {client: world.sent(world.send(world.ask(client), events)) for client in CLIENTS}
    assert sent["openai_chat"][-2]["choices"][0]["finish_reason"] == chat
    assert sent["openai_responses"][-1]["response"]["status"] == responses
    assert sent["anthropic_messages"][-2]["delta"]["stop_reason"] == messages


def test_malformed_calls_of_gemini_are_a_failure_worth_a_retry() -> None:
    said = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "content": {}}]}
    stream = frames(orjson.dumps(said).decode())
    last = world.read(world.ask("openai_chat"), world.target(GEMINI), stream)[-1]
    assert isinstance(last, Failed) and last.vendor_code == "MALFORMED_FUNCTION_CALL"


# -- the same again


@row("070")
@pytest.mark.parametrize("model", [CHAT, GPT, CLAUDE, GEMINI])
def test_the_same_history_makes_the_same_bytes(model: str) -> None:
    schema = {"type": "object", "properties": {"b": {"type": "string", "minLength": 1}, "a": {}}}
    tool = {"name": "f", "description": "F", "input_schema": schema}
    shuffled = {"input_schema": backwards(schema), "description": "F", "name": "f"}
    messages = [
        user("hi"),
        assistant(tool_use("t", "f", {"x": 1})),
        user([world.tool_result("t")]),
    ]
    asked = {"messages": messages, "tools": [tool]}
    again = {"tools": [shuffled], "messages": messages}
    first = orjson.dumps(upstream("anthropic_messages", asked, model))
    assert orjson.dumps(upstream("anthropic_messages", again, model)) == first


def backwards(schema: dict[str, Any]) -> dict[str, Any]:
    """Keywords the other way round; the members of `properties` in their order, which counts."""
    turned = {k: schema[k] for k in reversed(schema)}
    if "properties" in turned:
        turned["properties"] = {k: backwards(v) for k, v in schema["properties"].items()}
    return turned


@row("018")
def test_a_request_without_anything_special_needs_no_filter() -> None:
    request: Request = world.ask("openai_chat")
    said = [TextOpen(0), TextDelta(0, "x")]
    events = world.read(request, world.target(CLAUDE), claude(text("x")))
    assert [e for e in events if not isinstance(e, UsageSeen)][1:3] == said


# -- what is rarely seen


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        (
            Failed(400, "invalid_request_error", "context_length_exceeded", "x"),
            "context_length_exceeded",
        ),
        (Failed(400, "invalid_request_error", "invalid_request", "x"), "invalid_prompt"),
        (Failed(402, "billing_error", "insufficient_balance", "x"), "insufficient_quota"),
        (Failed(429, "rate_limit_error", "rate_limit_exceeded", "x"), "rate_limit_exceeded"),
        (Failed(503, "overloaded_error", "service_unavailable", "x"), "server_is_overloaded"),
        (Failed(500, "api_error", "upstream_error", "x"), "server_error"),
    ],
)
def test_a_failure_has_the_word_codex_acts_on(failed: Failed, code: str) -> None:
    final = world.sent(world.send(world.ask("openai_responses"), [failed]))[-1]
    said = final["response"]["error"]
    assert said.pop("doc_url").endswith(f"/errors/{failed.code}")
    assert said == {"code": code, "message": "x"}


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages"])
def test_a_stream_that_fails_says_where_its_error_is_explained(dialect: str) -> None:
    failed = Failed(500, "api_error", "upstream_error", "x")
    said = [
        event for event in world.sent(world.send(world.ask(dialect), [failed])) if "error" in event
    ]
    assert said[-1]["error"]["doc_url"].endswith("/errors/upstream_error")


def test_an_upstream_that_says_it_failed_is_believed() -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    response = {"status": "failed", "error": error, "usage": {"input_tokens": 9}}
    stream = frames(delta("half"), {"type": "response.failed", "response": response})
    reply = fold(world.read(world.ask("openai_chat"), world.target(GPT), stream))
    assert isinstance(reply.end, Failed) and reply.end.status == 503
    assert reply.usage.input == 9 and world.said(reply) == "half"


def test_two_parts_of_a_message_are_one_message() -> None:
    stream = claude(text("one "), text("two"))
    request = world.ask("openai_responses")
    reply = fold(world.read(request, world.target(CLAUDE), stream))
    (item,) = reply.items
    assert fold(world.read(request, world.target(CLAUDE), stream)) == reply
    output = world.unary(request, reply)["output"]
    assert [part["text"] for part in output[0]["content"]] == ["one ", "two"]
    chat = world.unary(world.ask("openai_chat"), reply)["choices"][0]["message"]
    assert chat["content"] == "one two"


def test_two_messages_are_two_paragraphs_for_chat() -> None:
    items = [
        {"type": "message", "content": [{"type": "output_text", "text": said}]} for said in "ab"
    ]
    stream = frames(
        {"type": "response.completed", "response": {"status": "completed", "output": items}}
    )
    chunks = told("openai_chat", GPT, stream)
    said = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c.get("choices"))
    assert said == "a\n\nb"


def test_a_call_without_arguments_is_an_empty_object() -> None:
    opened = {"index": 0, "id": "a", "function": {"name": "f"}}
    stream = frames(
        orjson.dumps(chunk({"tool_calls": [opened]})).decode(),
        orjson.dumps(chunk({}, "tool_calls")).decode(),
    )
    item = told("openai_responses", CHAT, stream)[-1]["response"]["output"][0]
    assert item["arguments"] == "{}"
    deltas = [
        c["choices"][0]["delta"] for c in told("openai_chat", CHAT, stream) if c.get("choices")
    ]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert "".join(call["function"].get("arguments", "") for call in calls) == "{}"
    message = world.answer(world.ask("openai_chat"), world.target(CHAT), stream)["choices"][0]
    assert message["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_old_and_odd_chat_hosts_are_understood() -> None:
    old = chunk({"function_call": {"name": "f", "arguments": {"a": 1}}})
    parts = chunk({"content": [{"type": "text", "text": "x"}]})
    stream = frames(*(orjson.dumps(c).decode() for c in (parts, old, chunk({}, "function_call"))))
    reply = fold(world.read(world.ask("openai_chat"), world.target(CHAT), stream))
    message = world.unary(world.ask("openai_chat"), reply)["choices"][0]["message"]
    assert message["content"] == "x"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


def test_a_signature_behind_the_text_comes_back_behind_it() -> None:
    request = world.ask("openai_responses")
    reply = world.answer(request, world.target(GEMINI), recording("gemini/signed_text"))
    told = {"input": [user("hi"), *reply["output"], user("go")]}
    parts = upstream("openai_responses", told, GEMINI)["contents"][1]["parts"]
    assert parts == [{"text": "Answer."}, {"text": "", "thoughtSignature": "c2lnVA=="}]


def test_the_answer_is_the_last_block_though_gemini_signs_behind_it() -> None:
    request = world.ask("anthropic_messages")
    reply = world.answer(request, world.target(GEMINI), recording("gemini/signed_text"))
    assert reply["content"][-1] == {"type": "text", "text": "Answer."}


def test_a_signature_between_text_and_a_call_is_told() -> None:
    said = {"parts": [{"text": "Well."}, {"text": "", "thoughtSignature": "c2lnVA=="}]}
    call = {"parts": [{"functionCall": {"name": "f", "args": {}}}]}
    chunks = [{"candidates": [{"content": content}]} for content in (said, call)]
    end = {"candidates": [{"finishReason": "STOP"}]}
    stream = frames(*(orjson.dumps(chunk).decode() for chunk in (*chunks, end)))
    reply = world.answer(world.ask("anthropic_messages"), world.target(GEMINI), stream)
    assert [block["type"] for block in reply["content"]] == ["text", "thinking", "tool_use"]


def test_a_whole_error_body_is_a_failure_in_every_dialect() -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "O"}}
    for dialect, codec in codecs.UPSTREAMS.items():
        events = codec.decode_reply(body, world.target(CLAUDE), codecs.minting("x"))
        assert isinstance(events[-1], Failed) and events[-1].status == 503, dialect


def test_redacted_thoughts_of_the_history_go_back_to_claude() -> None:
    redacted = {"type": "redacted_thinking", "data": "EmwK"}
    odd = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    said = assistant(redacted, odd, text("b"))
    body = upstream("anthropic_messages", {"messages": [user("a"), said, user("c")]}, CLAUDE)
    assert body["messages"][1]["content"] == [redacted, text("b")]


def test_thinking_is_asked_of_claude_in_tokens() -> None:
    asked = world.chat(reasoning_effort="high")
    body = upstream("openai_chat", asked, CLAUDE)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 32_768}
    budget = upstream("openai_chat", world.chat(thinking_budget=5_000), CLAUDE)
    assert budget["thinking"]["budget_tokens"] == 5_000
    off = upstream("openai_chat", world.chat(thinking_budget=0), CLAUDE)
    assert off["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("tool", "shape"),
    [
        ({"type": "custom", "name": "apply_patch"}, "function"),
        ({"type": "custom", "custom": {"name": "apply_patch"}}, "custom"),
    ],
    ids=["flat", "nested"],
)
def test_a_custom_call_on_chat_has_the_shape_its_declaration_has(
    tool: dict[str, Any], shape: str
) -> None:
    """Who declares a tool as Responses does (Cursor) reads all calls of Chat as functions'."""
    patch = "*** Begin Patch\n*** End Patch"
    stream = claude(tool_use("t", "apply_patch", {"input": patch}), stop="tool_use")
    chunks = told("openai_chat", CLAUDE, stream, {"tools": [tool]})
    deltas = [c["choices"][0]["delta"] for c in chunks if c.get("choices")]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    member = "arguments" if shape == "function" else "input"
    assert calls[0]["type"] == shape and calls[0][shape]["name"] == "apply_patch"
    assert "".join(call[shape].get(member, "") for call in calls) == patch
