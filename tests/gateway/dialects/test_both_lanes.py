"""The law of the two lanes: what passes through means what the hub makes of it, or goes there.

Every recorded and every scripted answer, read by a tap and by the hub: the same events folded, the
same usage, the same end. Every scripted request, patched and translated: the same tools, and
nothing that its vendor objects to.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.catalogue.features.seed import rows
from gateway.catalogue.features.sift import sift
from gateway.catalogue.features.snapshot import rules
from gateway.dialects import codecs
from gateway.dialects.codecs import endings
from gateway.dialects.codecs.fold import fold
from gateway.dialects.codecs.shapes import foreign
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import (
    Event,
    Failed,
    Finish,
    Head,
    Item,
    Reasoning,
    Reply,
    Request,
    ToolCall,
)
from gateway.dialects.stream_readers import ChatTap, MessagesTap, ResponsesTap
from sandbox.vendors.recorder import record
from tests.gateway.dialects import replay
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.test_laws import same_args
from tests.gateway.dialects.streams import CALL, DONE, STREAMS, USED, chunk

TAPS = {
    "openai_chat": ChatTap,
    "openai_responses": ResponsesTap,
    "anthropic_messages": MessagesTap,
}
PATHS = {
    "/v1/chat/completions": "openai_chat",
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic_messages",
}
TARGETS = {
    "openai_chat": world.target("gpt-4o"),
    "openai_responses": world.target("gpt-5.4"),
    "anthropic_messages": world.target("claude-sonnet-4-6"),
}
RULES = {
    dialect: rules(row for row in rows() if row.dialect == dialect and not row.only_models)
    for dialect in TAPS
}
UNTHINKING = world.target("claude-sonnet-4-5-20250929")


def recordings() -> Iterator[Any]:
    for path in sorted(world.RECORDINGS.glob("*/*.sse")):
        if path.parent.name in TAPS:
            yield pytest.param(path.parent.name, path.read_bytes(), id=path.stem)
    for name, (dialect, events) in STREAMS.items():
        sent = b"".join(map(replay._event, events))
        yield pytest.param(dialect, sent, id=name)


def tapped(dialect: str, *chunks: bytes) -> tuple[bytes, Any]:
    """What passes through, and the tap that saw it."""
    body = {"stream_options": {"include_usage": True}}
    head = Head(Request(dialect, "m", ()), "0a1b", "m", body=body)
    tap = TAPS[dialect](head)
    passed = b""
    for each in chunks:
        passed += tap.feed(each)
        if tap.error is not None:
            break
    else:
        passed += tap.close()
    if tap.error is None and not tap.finished:
        tap.error = codecs.failures.CUT
    return passed + (tap.fail(tap.error, "req_1") if tap.error else b""), tap


def decoded(dialect: str, stream: bytes) -> list[Event]:
    reader = codecs.reader(world.ask("openai_chat"), TARGETS[dialect], "0a1b")
    return reader.feed(stream) + reader.close()


def bare(item: Item) -> Item:
    """Without the secrets, which the hub seals."""
    if isinstance(item, Reasoning):
        return replace(item, carriers=())
    return replace(item, carriers=()) if isinstance(item, ToolCall) else item


def meaning(events: list[Event]) -> tuple[Any, ...]:
    """What a client makes of it: what is said, how it ends, and, if it ends well, the usage."""
    reply: Reply = same_args(fold(events))
    said = [
        replace(item, carriers=())  # type: ignore[arg-type]  # those that have them
        if hasattr(item, "carriers")
        else item
        for item in reply.items
    ]
    if isinstance(reply.end, Failed):
        return ("failed",)
    assert isinstance(reply.end, Finish)
    return said, reply.end.reason, reply.usage


@pytest.mark.parametrize(("dialect", "stream"), list(recordings()))
def test_an_answer_means_the_same_on_both_lanes(dialect: str, stream: bytes) -> None:
    """A client of the vendor's own dialect, on either lane."""
    request = world.ask(dialect, {"stream_options": {"include_usage": True}})
    events = world.read(request, TARGETS[dialect], stream)
    shown = {"reasoning": {"summary": "auto"}}  # as their vendor does
    translated = decoded(dialect, world.send(request, events, shown))
    for cut in (len(stream), len(stream) // 2, 40):
        passed, tap = tapped(dialect, *(p for p in (stream[:cut], stream[cut:]) if p))
        assert meaning(decoded(dialect, passed)) == meaning(translated)
        assert b"SECOND" not in passed
        ended = fold(events).end
        assert tap.ending() == (ended.reason if isinstance(ended, Finish) else tap.ending())
        if tap.error is None:
            assert tap.decoded_usage() == fold(events).usage


@pytest.mark.parametrize(("dialect", "stream"), list(recordings()))
def test_a_whole_answer_ends_as_its_stream_does(dialect: str, stream: bytes) -> None:
    events = decoded(dialect, stream)
    reply = fold(events)
    if not isinstance(reply.end, Finish) or reply.end.raw in ("melted", "eos_token"):
        return
    body = codecs.CODECS[dialect].encode_reply(reply, world.head(world.ask(dialect)))
    found = endings.of_reply(dialect, body)
    assert isinstance(found, Finish) and found.reason == reply.end.reason


def test_each_of_several_answers_ends_by_itself() -> None:
    """One calls, the other does not: only the first has a call's end."""
    calls = chunk({"tool_calls": [CALL]})
    said = {"index": 1, "delta": {"content": "ok"}, "finish_reason": None}
    ends: list[dict[str, Any]] = [
        {"index": n, "delta": {}, "finish_reason": "stop"} for n in (0, 1)
    ]
    told = [calls, calls | {"choices": [said]}, calls | {"choices": ends}, USED, DONE]
    head = Head(Request("openai_chat", "m", ()), "0a1b", "m", body={"n": 2})
    tap = ChatTap(head)
    passed = world.sent(tap.feed(b"".join(map(replay._event, told))) + tap.close())
    found = [c["finish_reason"] for each in passed for c in each.get("choices", ())]
    assert found[-2:] == ["tool_calls", "stop"] and tap.finished
    message = {"role": "assistant", "tool_calls": [CALL]}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}, ends[1]]}
    now = endings.rewritten("openai_chat", whole)["choices"]
    assert [each["finish_reason"] for each in now] == ["tool_calls", "stop"]


# -- requests


def requests() -> Iterator[Any]:
    for case in replay.cases():
        body = case.send["body"]
        dialect = PATHS[case.send["path"].partition("?")[0]]
        yield pytest.param(dialect, body, case.send.get("headers") or {}, id=case.name)


def patched(dialect: str, body: dict[str, Any], to: Any) -> dict[str, Any]:
    codec = codecs.CODECS[dialect]
    kept = sift(body, RULES[dialect], lambda name: None).body
    sent = codec.patch_request(kept, to, codec.decode_thinking(body))
    sent = {name: value for name, value in sent.items() if value is not None}
    read: dict[str, Any] = orjson.loads(orjson.dumps(sent))
    return read


def offered(dialect: str, body: dict[str, Any], to: Any) -> set[str]:
    request = codecs.decode_request(dialect, body)
    return {tool.name for tool in Toolbox(request, to).offered}


def named(tool: dict[str, Any]) -> str:
    """Chat keeps a tool's name inside."""
    name: str = tool.get("function", tool)["name"]
    return name


@pytest.mark.parametrize(("dialect", "body", "headers"), list(requests()))
def test_a_request_that_passes_through_is_what_the_hub_would_send(
    dialect: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    """To each of its dialect's models, or else it is forced to the hub."""
    targets = [TARGETS[dialect]]
    if dialect == "anthropic_messages":
        targets += [UNTHINKING, world.target("claude-sonnet-4-20250514")]
    for to in targets:
        if foreign.speaks(dialect, body) or "hologram" in repr(body) and "blob" in repr(body):
            continue
        sent = patched(dialect, body, to)
        assert objection(dialect, sent, headers) in ("", STALE, NO_SHAPE)
        hub = codecs.UPSTREAMS[dialect].encode_request(codecs.decode_request(dialect, body), to)
        now = {named(tool) for tool in sent.get("tools", ()) if not tool.get("defer_loading")}
        assert now == {named(tool) for tool in hub.get("tools", ())} - {"structured_answer"}
        assert offered(dialect, sent, to) == offered(dialect, body, to)


STALE = "messages.1.content.0: Invalid `signature` in `thinking` block"
NO_SHAPE = "This model does not support output_config.format."  # forced to the hub, for it


def objection(dialect: str, sent: dict[str, Any], headers: dict[str, str]) -> str:
    path = next(path for path, each in PATHS.items() if each == dialect)
    return replay.objection(record("POST", path, "", headers.items(), orjson.dumps(sent)))
