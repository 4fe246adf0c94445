"""What tests rely on: the recorder and the faults."""

import json
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from sandbox.vendors import faults
from sandbox.vendors.app import make_app
from sandbox.vendors.faults import Fault
from sandbox.vendors.recorder import hashed
from tests.vendors import KEY, Vendors

CHAT = "/v1/chat/completions"


def asked(text: str = "[[say: one two]]", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def test_it_keeps_what_it_received_but_no_secret(http: httpx.Client, vendors: Vendors) -> None:
    http.post(f"{CHAT}?key=top-secret", json=asked("Hé"), headers={"x-trace": "7"})
    kept = vendors.last
    assert (kept.method, kept.path, kept.status) == ("POST", CHAT, 200)
    assert kept.headers["x-trace"] == "7"
    assert kept.headers["authorization"] == hashed(f"Bearer {KEY}")
    assert kept.body == json.loads(kept.raw) == asked("Hé")
    assert "top-secret" not in kept.query
    assert KEY not in str(kept.as_json())


def test_it_keeps_refused_requests_too(http: httpx.Client, vendors: Vendors) -> None:
    reply = http.post(CHAT, content=b"{not json")
    assert reply.status_code == 400
    assert (vendors.last.raw, vendors.last.body) == (b"{not json", None)
    assert vendors.last.refusal == reply.json()["error"]["message"]


def test_it_forgets_on_reset(http: httpx.Client, vendors: Vendors) -> None:
    vendors.faults.append(Fault(status=500))
    vendors.sandbox.reset()
    assert http.post(CHAT, json=asked()).status_code == 200
    assert len(vendors.requests) == 1


def test_a_fault_happens_once_and_where_it_is_meant(http: httpx.Client, vendors: Vendors) -> None:
    vendors.faults.append(Fault(status=503, body=b"{}", path="/messages"))
    assert http.post(CHAT, json=asked()).status_code == 200
    assert http.post("/v1/messages", json=asked()).status_code == 503
    assert len(vendors.faults) == 0


def test_an_html_page_in_place_of_an_answer(http: httpx.Client, vendors: Vendors) -> None:
    vendors.faults.append(faults.html_page())
    reply = http.post(CHAT, json=asked())
    assert (reply.status_code, reply.headers["content-type"]) == (502, "text/html")


def test_an_error_as_the_first_event_of_a_200(http: httpx.Client, vendors: Vendors) -> None:
    vendors.faults.append(faults.error_first(b'{"type":"error"}'))
    reply = http.post(CHAT, json=asked(stream=True))
    assert reply.status_code == 200
    assert reply.text == 'event: error\ndata: {"type":"error"}\n\n'


def test_broken_bodies(http: httpx.Client, vendors: Vendors) -> None:
    vendors.faults.extend([faults.half_json(), faults.bad_gzip(), faults.long_line(1000)])
    with pytest.raises(json.JSONDecodeError):
        http.post(CHAT, json=asked()).json()
    with pytest.raises(httpx.DecodingError):
        http.post(CHAT, json=asked())
    assert b"\n" not in http.post(CHAT, json=asked(stream=True)).content


def test_a_stream_bent_in_every_way_says_the_same(http: httpx.Client, vendors: Vendors) -> None:
    def unspaced(data: bytes) -> bytes:
        return data.replace(b"data: ", b"data:")

    vendors.faults.append(Fault(crlf=True, pieces=3, edit=unspaced, delay=0.01, silence=0.01))
    body = http.post(CHAT, json=asked(stream=True)).content
    events = [line for line in body.split(b"\r\n") if line.startswith(b"data:{")]
    deltas = [json.loads(event[5:])["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content") or "" for delta in deltas) == "one two"


def test_a_stream_without_its_end(http: httpx.Client, vendors: Vendors) -> None:
    vendors.faults.extend([faults.no_done(), Fault(end_after=50), Fault(cut_after=50)])
    assert b"[DONE]" not in http.post(CHAT, json=asked(stream=True)).content
    assert len(http.post(CHAT, json=asked(stream=True)).content) == 50
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(CHAT, json=asked(stream=True))


def test_comments_between_events(http: httpx.Client) -> None:
    body = http.post(CHAT, json=asked("[[comments]] hi", stream=True)).text
    assert body.startswith(": keep-alive\n\ndata: {")


def test_a_cut_unary_answer_is_half_of_it(http: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(CHAT, json=asked("[[cut]]"))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, asked()),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}),
        ("/v1/moderations", {"model": "omni-moderation-latest", "input": "hi"}),
        ("/v1/images/generations", {"model": "gpt-image-1", "prompt": "a house"}),
        ("/v1/audio/speech", {"model": "tts-1", "input": "hi", "voice": "alloy"}),
    ],
)
def test_one_that_remembers_nothing_answers_all_the_same(path: str, body: dict[str, Any]) -> None:
    """As `make run` starts it."""
    forgetful = TestClient(make_app(keys={KEY}, history=0))
    reply = forgetful.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})
    assert reply.status_code == 200, reply.text
