"""A vendor at its worst: nothing crashes or is billed falsely, every stream ends in its form."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.plane import watching
from sandbox.vendors import faults
from sandbox.vendors.faults import Fault
from tests.gateway.plane.test_translation import MODELS, PATHS, ask
from tests.gateway_server import Gateway, fund
from tests.world import Person

LONG = "[[say: a fairly long text that takes a good many events to be told whole]]"
OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
FAULTS: dict[str, Callable[[], Fault]] = {
    "an HTML page": lambda: faults.html_page(),
    "an HTML page with 200": lambda: faults.html_page(200),
    "half of a JSON": faults.half_json,
    "bad gzip": faults.bad_gzip,
    "200 with an error first": lambda: faults.error_first(OVERLOADED),
    "a line of 5 MB": faults.long_line,
    "a line without end": lambda: faults.long_line(33 << 20),
    "no terminal event": lambda: Fault(end_after=900),
    "a cut connection": lambda: Fault(cut_after=900),
    "a reply of nonsense": lambda: Fault(
        headers={"content-type": "text/event-stream"}, body=b'data: {"choices": 7, "type": []}\n\n'
    ),
}
ENDS = {
    "openai_chat": '"error":',
    "openai_responses": "event: response.failed",
    "anthropic_messages": "event: error",
}


def check_bad(dialect: str, reply: Any, stream: bool) -> None:
    if reply.status_code == 200:
        assert stream
        assert ENDS[dialect] in reply.text.rstrip().split("\n\n")[-1]
    else:
        error = reply.json()["error"]
        assert reply.status_code in (500, 503, 504) and "<html" not in error["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_broken_answer_is_an_error_and_free(
    gateway: Gateway, alice: Person, dialect: str, fault: str, stream: bool
) -> None:
    fund(alice, "50")
    for model in MODELS:
        if fault == "no terminal event" and (not stream or model.startswith("gemini")):
            continue  # a unary body needs none, and Gemini's streams have none
        gateway.vendors.faults.append(FAULTS[fault]())
        reply = ask(gateway, alice, dialect, model, LONG, stream=stream)
        gateway.vendors.faults.clear()
        check_bad(dialect, reply, stream)
    assert all(event.cost == 0 for event in gateway.books())


@pytest.mark.parametrize(
    ("stream", "silent"),
    [(False, 0), (True, 0), (True, 3)],
    ids=["unary", "streamed", "in mid-answer"],
)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_vendor_silent_for_too_long_is_left_and_free(
    gateway: Gateway, alice: Person, impatient: None, dialect: str, stream: bool, silent: int
) -> None:
    fund(alice, "50")
    for model in MODELS:
        gateway.vendors.faults.append(Fault(silence=30, silence_at=silent))
        reply = ask(gateway, alice, dialect, model, LONG, stream=stream)
        gateway.vendors.faults.clear()
        if reply.status_code == 200:
            assert stream and ENDS[dialect] in reply.text.rstrip().split("\n\n")[-1]
        else:
            assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_timeout")
    assert all(event.cost == 0 for event in gateway.books())


@pytest.mark.parametrize("pieces", [1, 7], ids=["byte by byte", "in sevens"])
@pytest.mark.parametrize("dialect", PATHS)
def test_crlf_and_any_cut_change_nothing(
    gateway: Gateway, alice: Person, dialect: str, pieces: int
) -> None:
    fund(alice, "50")
    for model in MODELS:
        gateway.vendors.faults.append(Fault(crlf=True, pieces=pieces))
        reply = ask(gateway, alice, dialect, model, "[[say: Xin chào 🌊]]", stream=True)
        assert "chào" in reply.text or "ch\\u00e0o" in reply.text
        assert ENDS[dialect] not in reply.text.rstrip().split("\n\n")[-1]
    assert all(event.cost > 0 and not event.estimated for event in gateway.books())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_silent_vendor_is_heard_of_all_the_while(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch, dialect: str, model: str
) -> None:
    """Before its headers, and between its events."""
    fund(alice, "10")
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(watching, "KEEP_ALIVE_SECONDS", 0.05)
    gateway.vendors.faults.append(Fault(delay=0.4, silence=0.4, silence_at=3))
    reply = ask(gateway, alice, dialect, model, LONG, stream=True)
    assert reply.status_code == 200 and "told" in reply.text
    marks = {
        "openai_chat": (": keep-alive",),
        "anthropic_messages": ("event: ping",),
        "openai_responses": ("event: keepalive", ": keep-alive"),
    }[dialect]
    blocks = reply.text.rstrip().split("\n\n")
    kept = [at for at, block in enumerate(blocks) if block.startswith(marks)]
    assert kept[0] <= 2 and len(kept) > 3 and kept[-1] > 3
    (event,) = gateway.books()
    assert event.cost > 0 and event.status == 200


@pytest.mark.parametrize("dialect", PATHS)
def test_a_failure_after_a_long_silence_is_told_in_the_stream(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    fund(alice, "10")
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(watching, "KEEP_ALIVE_SECONDS", 0.05)
    for model in MODELS:
        gateway.vendors.faults.append(Fault(status=529, body=OVERLOADED, delay=0.4))
        reply = ask(gateway, alice, dialect, model, LONG, stream=True)
        assert reply.status_code == 200
        assert ENDS[dialect] in reply.text.rstrip().split("\n\n")[-1]
    assert all(event.cost == 0 for event in gateway.books())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_prompt_too_long_is_worded_so_that_agents_compact(
    gateway: Gateway, alice: Person, dialect: str, model: str
) -> None:
    fund(alice, "50")
    told = {
        "error": {
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
            "message": "This model's maximum context length is 128000 tokens. However, your "
            "messages resulted in 130001 tokens.",
        }
    }
    gateway.vendors.faults.append(Fault(status=400, body=orjson.dumps(told)))
    reply = ask(gateway, alice, dialect, model, "hi")
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "context_length_exceeded"
    if dialect == "anthropic_messages":
        assert error["message"] == "prompt is too long: 130001 tokens > 128000 maximum"


STALE = {
    "error": {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    }
}


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.2"])
def test_reasoning_the_vendor_calls_stale_is_left_out_and_tried_once_more(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "50")
    dialect = "anthropic_messages" if model.startswith("claude") else "openai_responses"
    secret: Any = (
        {"type": "thinking", "thinking": "hm", "signature": "c2VjcmV0"}
        if model.startswith("claude")
        else {"type": "reasoning", "summary": [], "encrypted_content": "c2VjcmV0"}
    )
    said: list[Any] = [{"role": "user", "content": "hi"}]
    if model.startswith("claude"):
        said.append({"role": "assistant", "content": [secret, {"type": "text", "text": "yes"}]})
        body: dict[str, Any] = {"messages": [*said, {"role": "user", "content": "[[say: ok]]"}]}
    else:
        answer = {"role": "assistant", "content": [{"type": "output_text", "text": "yes"}]}
        body = {"input": [*said, secret, answer, {"role": "user", "content": "[[say: ok]]"}]}
    gateway.vendors.faults.append(Fault(status=400, body=orjson.dumps(STALE)))
    reply = ask(gateway, alice, dialect, model, "", **body)
    assert reply.status_code == 200, reply.text
    first, second = gateway.vendors.requests
    assert b"c2VjcmV0" in first.raw and b"c2VjcmV0" not in second.raw
    gateway.vendors.faults.extend([Fault(status=400, body=orjson.dumps(STALE))] * 2)
    assert ask(gateway, alice, dialect, model, "", **body).status_code == 400
    assert len(gateway.vendors.requests) == 4


@pytest.mark.parametrize("numbers", ["-5 10 0 0", "900000000 10 0 0", "10 900000000 0 0"])
@pytest.mark.parametrize("model", MODELS)
def test_numbers_that_cannot_be_true_are_set_aside_and_an_estimate_is_billed(
    gateway: Gateway, alice: Person, model: str, numbers: str
) -> None:
    fund(alice, "50")
    text = f"[[usage: {numbers}]] [[say: hello there]]"
    reply = ask(gateway, alice, "openai_chat", model, text, stream=True, max_tokens=300)
    assert reply.status_code == 200 and "[DONE]" in reply.text
    (event,) = gateway.books()
    assert event.estimated and 0 < event.cost <= event.hold
    assert event.output < 100 and event.input < 100
    assert set(event.details["quarantine"]) >= {"input", "output"}
