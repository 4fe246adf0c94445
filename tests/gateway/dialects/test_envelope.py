"""What is recognized by what is around its text comes to the same as what is read to the end."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from gateway.dialects.codecs.reader import Reader
from gateway.dialects.envelope import Envelope
from gateway.dialects.ir import Head, Request, Target
from gateway.dialects.stream_reader import Tap
from gateway.dialects.stream_readers import ChatTap, MessagesTap, ResponsesTap
from gateway.dialects.translator import Translator
from tests.gateway.dialects import streams

pytestmark = pytest.mark.any_database

_TEXTS = [
    *("Hello", " world", 'a "quoted" word', "back\\slash", "\\", '\\"', "line\nbreak", "\t", ""),
    *("phở bò 🍜", "data: [DONE]", "message_stop", "content_block_stop", '"usage":{}', "[DONE]"),
    *("response.reasoning_text.delta", '{"content":"x"}', "\u2028", "x" * 300, '"', "reasoning"),
]


def _sse(data: dict[str, Any], *, named: bool = False) -> bytes:
    name = f"event: {data['type']}\n".encode() if named else b""
    return name + b"data: " + orjson.dumps(data) + b"\n\n"


def _chat() -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: Any = None, **more: Any) -> bytes:
        return _sse(streams.chunk(delta, finish, obfuscation="aB3xyz", **more))

    thinks = [chunk({"content": None, "reasoning_content": text}) for text in _TEXTS]
    speaks = [chunk({"content": text}) for text in _TEXTS]
    call = streams.CALL | {"function": {"name": "f", "arguments": ""}}
    more = [{"index": 0, "function": {"arguments": text}} for text in ('{"a"', ':"b', '"}')]
    calls = [chunk({"tool_calls": [each]}) for each in (call, *more)]
    ends = [chunk({}, "tool_calls"), _sse(streams.USED), streams.DONE.encode()]
    opening = chunk({"role": "assistant", "content": ""})
    return [opening, *thinks, *speaks, chunk({"content": "a"}, created=2), *calls, *ends]


def _messages() -> list[bytes]:
    def delta(**fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": 0, "delta": fields}

    def block(deltas: list[dict[str, Any]], **opened: Any) -> list[dict[str, Any]]:
        start = {"type": "content_block_start", "index": 0, "content_block": opened}
        return [start, *deltas, {"type": "content_block_stop", "index": 0}]

    thinks = [delta(type="thinking_delta", thinking=text) for text in _TEXTS]
    speaks = [delta(type="text_delta", text=text) for text in _TEXTS]
    parts = [delta(type="input_json_delta", partial_json=t) for t in ('{"a"', ':"b', '"}')]
    events = streams.block(
        *block(thinks, type="thinking", thinking="", signature=""),
        *block(speaks, type="text", text=""),
        {"type": "ping"},
        *block(parts, type="tool_use", id="toolu_1", name="f", input={}),
        stop="tool_use",
    )
    return [_sse(event, named=True) for event in events]


def _responses() -> list[bytes]:
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    thought = {"type": "response.reasoning_text.delta", **at}
    text = {"type": "response.output_text.delta", **at}
    whole = streams.response("completed", streams.MESSAGE)
    first, *_, last = streams.streamed("response.completed", whole)
    said = [
        event | {"delta": each, "logprobs": [], "obfuscation": "f00"}
        for event in (thought, text, text)
        for each in _TEXTS
    ]
    numbered = [{**event, "sequence_number": n} for n, event in enumerate([first, *said, last])]
    return [_sse(event, named=True) for event in numbered]


def _cuts(events: list[bytes]) -> Iterator[list[bytes]]:
    """The same, as it may be read: by events, several at once, in the middle of them."""
    whole = b"".join(events)
    yield events
    yield [b"".join(events[n : n + 3]) for n in range(0, len(events), 3)]
    yield [whole[at : at + 97] for at in range(0, len(whole), 97)]
    yield [whole]


def _head(dialect: str) -> Head:
    return Head(Request(dialect, "mine", (), stream=True), "r" * 24, "mine", 1, 9, body={})


_TAPS: list[tuple[type[Tap], str, Callable[[], list[bytes]]]] = [
    (ChatTap, "openai_chat", _chat),
    (MessagesTap, "anthropic_messages", _messages),
    (ResponsesTap, "openai_responses", _responses),
]
_BY_READ = [pytest.param(n, id=name) for n, name in enumerate(("event", "three", "97", "all"))]


@pytest.fixture
def recognized(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each of what was compared with an envelope fitted."""
    found: list[bool] = []
    texts = Envelope.texts

    def watched(envelope: Envelope, data: bytes) -> Any:
        spans = texts(envelope, data)
        found.append(bool(spans))
        return spans

    monkeypatch.setattr(Envelope, "texts", watched)
    return found


@pytest.mark.parametrize("cut", _BY_READ)
@pytest.mark.parametrize(("kind", "dialect", "made"), _TAPS, ids=[each[1] for each in _TAPS])
def test_what_passes_through_is_the_same_and_counts_the_same(
    kind: type[Tap],
    dialect: str,
    made: Callable[[], list[bytes]],
    cut: int,
    recognized: list[bool],
) -> None:
    quick, thorough = kind(_head(dialect)), kind(_head(dialect))
    thorough._lessons = 0
    for piece in list(_cuts(made()))[cut]:
        assert quick.feed(piece) == thorough.feed(piece)
        for name in ("text_bytes", "thought_bytes", "finished", "reported", "usage", "reasoned"):
            assert getattr(quick, name) == getattr(thorough, name), name
        assert (quick.ended, quick.error) == (thorough.ended, thorough.error)
        assert quick._newest == thorough._newest or kind is not ResponsesTap
    assert quick.finished and quick.text_bytes and quick.thought_bytes
    if cut == 0:
        assert sum(recognized) > len(_TEXTS)


@pytest.mark.parametrize("cut", _BY_READ)
@pytest.mark.parametrize("client", ["openai_chat", "anthropic_messages", "openai_responses"])
@pytest.mark.parametrize(("_", "vendor", "made"), _TAPS, ids=[each[1] for each in _TAPS])
def test_what_is_translated_is_the_same(
    _: type[Tap],
    vendor: str,
    made: Callable[[], list[bytes]],
    client: str,
    cut: int,
    recognized: list[bool],
) -> None:
    target = Target(dialect=vendor, vendor="v", model="m")
    quick, thorough = (Translator(_head(client), target) for _ in range(2))
    thorough._reader._lessons = 0
    for piece in list(_cuts(made()))[cut]:
        assert quick.feed(piece) == thorough.feed(piece)
        assert quick.text_bytes == thorough.text_bytes
    assert (quick.usage, quick.error, quick.finished) == (thorough.usage, None, True)
    if cut == 0:
        assert sum(recognized) > len(_TEXTS) // 2


def _reader() -> Reader:
    target = Target(dialect="openai_chat", vendor="v", model="m")
    return Translator(_head("anthropic_messages"), target)._reader


@pytest.mark.parametrize("text", [b"\xff", b"a\x01b", b"\\x", b"\\ud83d"])
def test_a_text_that_is_no_json_is_none_in_an_envelope_either(text: bytes) -> None:
    quick, thorough = _reader(), _reader()
    thorough._lessons = 0
    good = _sse(streams.chunk({"content": "good"}))
    for piece in (good, good, good, good.replace(b"good", text)):
        assert quick.feed(piece) == thorough.feed(piece)
    assert quick.over == thorough.over


def test_a_stream_whose_every_event_is_another_is_not_learnt_for_ever() -> None:
    tap = ChatTap(_head("openai_chat"))
    for n in range(100):
        tap.feed(_sse(streams.chunk({"content": "a"}, id=f"c{n}")))
    assert tap.text_bytes == 100
    assert tap._lessons == 0
