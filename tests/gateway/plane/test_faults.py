"""When something breaks: Redis, the vendor, the client's line, the client itself.

Always: a clean error in the client's dialect, nothing charged that was not produced, and every
slot and hold free again.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from gateway.usage.models import UsageEvent
from gateway.vendors.access import introduce
from hontoni import redis
from hontoni.money import nanos
from hontoni.valkey import Valkey
from ratelimits import keys, limiter
from sandbox.vendors import faults
from sandbox.vendors.faults import Fault
from tests.gateway_server import Gateway, fund
from tests.ports import free_port
from tests.waiting import until
from tests.world import Person

WHILE = "[[slow: 0.05]] [[say: " + "one two three " * 10 + "]]"
LONG = "[[slow: 0.05]] [[say: " + "one two three four five six " * 40 + "]]"


def open_requests(person: Person) -> int:
    found: int = redis.sync().zcard(keys.open_requests(keys.shard(person.user.pk)))
    return found


def at_rest(person: Person) -> bool:
    """No slot taken, nothing held."""
    found = limiter.read_account_sync(person.user.pk)
    return open_requests(person) == 0 and (found is None or found.held == 0)


def ask(text: str = "Hello", **changes: Any) -> dict[str, Any]:
    message = {"role": "user", "content": text}
    return {"model": "gpt-4o", "messages": [message], "max_tokens": 1000} | changes


# -- Redis ---------------------------------------------------------------------------------------


@pytest.fixture
def own_valkey(gateway: Gateway, tmp_path: Path, settings: Settings) -> Iterator[Valkey]:
    """A durable Valkey for this test alone, in the place of everybody's."""
    before = settings.REDIS_URL
    with Valkey(tmp_path, tmp_path / "own.sock") as mine:
        settings.REDIS_URL = f"unix://{mine.socket}"
        redis.sync.cache_clear()
        _reconnect(gateway)
        yield mine
        if mine.process is None or mine.process.poll() is not None:
            mine.start()
        gateway.books()
    settings.REDIS_URL = before
    redis.sync.cache_clear()
    _reconnect(gateway)


def _reconnect(gateway: Gateway) -> None:
    """The running server opens its pipe anew, to where the settings point now."""
    for loop in list(redis._pipes):
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(redis.close(), loop).result(10)


def _kill(valkey: Valkey) -> None:
    assert valkey.process is not None
    valkey.process.kill()
    valkey.process.wait()
    valkey.socket.unlink(missing_ok=True)


def test_without_redis_nothing_is_sold_and_it_recovers_by_itself(
    gateway: Gateway, own_valkey: Valkey, alice: Person
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    before = gateway.balance(alice)
    own_valkey.stop()
    for path, body in (
        ("/v1/chat/completions", ask()),
        ("/v1/messages", ask(model="claude-sonnet-4")),
    ):
        with gateway.http(alice) as http:
            refused = http.post(path, json=body)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "overloaded_error"
    assert len(gateway.vendors.requests) == 1
    own_valkey.start()
    assert gateway.chat(alice).status_code == 200
    assert gateway.balance(alice) < before
    assert UsageEvent.objects.count() == 2 and at_rest(alice)


def test_a_restart_of_redis_in_mid_stream_loses_no_answer_and_no_money(
    gateway: Gateway, own_valkey: Valkey, alice: Person
) -> None:
    fund(alice, "10")
    with (
        gateway.http(alice) as http,
        http.stream("POST", "/v1/chat/completions", json=ask(WHILE, stream=True)) as reply,
    ):
        chunks = reply.iter_bytes()
        next(chunks)
        _kill(own_valkey)
        own_valkey.start()
        rest = b"".join(chunks)
    assert b"data: [DONE]" in rest and b'"error"' not in rest
    until(lambda: at_rest(alice), "the request is still open")
    (event,) = gateway.books()
    assert event.cost > 0 and not event.estimated and event.status == 200
    assert gateway.balance(alice) == nanos("10") - event.cost


@pytest.mark.parametrize("stream", [False, True])
def test_what_redis_missed_is_settled_when_it_is_back(
    gateway: Gateway, own_valkey: Valkey, alice: Person, stream: bool
) -> None:
    fund(alice, "10")
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(gateway.chat, alice, "[[delay: 1]] [[say: hello]]", stream=stream)
        until(lambda: gateway.vendors.requests, "the vendor was not asked")
        _kill(own_valkey)
        reply = asked.result()
    assert reply.status_code == 200 and "hello" in reply.text and '"error"' not in reply.text
    own_valkey.start()
    (event,) = until(gateway.books, "nobody settled it")
    assert at_rest(alice)
    assert (event.status, event.estimated) == (200, False)
    assert event.cost > 0 and gateway.balance(alice) == nanos("10") - event.cost


# -- The vendor ----------------------------------------------------------------------------------

UNARY = [
    (Fault(delay=30), 504, "upstream_timeout"),
    (Fault(cut_after=20), 500, "upstream_error"),
    (faults.html_page(502), 500, "upstream_error"),
    (faults.html_page(200), 500, "upstream_error"),
    (faults.half_json(), 500, "upstream_error"),
    (faults.bad_gzip(), 500, "upstream_error"),
    (Fault(status=503, body=b""), 503, "upstream_overloaded"),
    (Fault(body=b"[1, 2]"), 500, "upstream_error"),
]
STREAMED = [
    *UNARY[:3],
    (faults.html_page(200), 500, "upstream_error"),
    (Fault(headers={"content-type": "text/event-stream"}, body=b""), 500, "upstream_error"),
    (faults.error_first(b'{"type":"error","error":{"type":"overloaded_error"}}'), 503, None),
]
DIALECTS = [
    ("/v1/chat/completions", ask()),
    ("/v1/messages", ask(model="claude-sonnet-4")),
]


@pytest.mark.parametrize(("path", "body"), DIALECTS)
@pytest.mark.parametrize(
    ("stream", "fault", "status", "code"),
    [(False, *each) for each in UNARY] + [(True, *each) for each in STREAMED],
)
def test_a_vendor_that_fails_is_a_clean_error_and_free(
    gateway: Gateway,
    alice: Person,
    impatient: None,
    path: str,
    body: dict[str, Any],
    stream: bool,
    fault: Fault,
    status: int,
    code: str | None,
) -> None:
    fund(alice, "10")
    gateway.vendors.faults.append(fault)
    with gateway.http(alice) as http:
        reply = http.post(path, json=body | {"stream": stream})
    assert reply.status_code == status, reply.text
    told = reply.json()
    assert told["type"] == "error" and told["request_id"] == reply.headers["request-id"]
    assert code is None or told["error"]["code"] == code
    assert "nginx" not in reply.text
    (event,) = gateway.books()
    assert (event.cost, event.status) == (0, status)
    assert at_rest(alice)


@pytest.mark.parametrize(("path", "body"), DIALECTS)
@pytest.mark.parametrize("fault", [Fault(cut_after=900), Fault(silence=30, silence_at=4)])
def test_a_stream_that_breaks_off_ends_with_an_error_and_is_free(
    gateway: Gateway,
    alice: Person,
    impatient: None,
    path: str,
    body: dict[str, Any],
    fault: Fault,
) -> None:
    fund(alice, "10")
    gateway.vendors.faults.append(fault)
    text = "[[say: " + "a long answer of many words " * 20 + "]]"
    message = [{"role": "user", "content": text}]
    with gateway.http(alice) as http:
        reply = http.post(path, json=body | {"stream": True, "messages": message})
    assert reply.status_code == 200
    assert '"error":{' in reply.text and "[DONE]" not in reply.text
    (event,) = gateway.books()
    assert event.cost == 0 and at_rest(alice)


def test_a_vendor_nobody_listens_for_is_a_500(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hontoni.asgi import v1

    assert v1.upstream is not None
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setitem(v1.upstream.own, "openai", introduce("own", "openai", nowhere, "key"))
    fund(alice, "10")
    reply = gateway.chat(alice)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "upstream_error")
    assert nowhere.removeprefix("http://") not in reply.text
    (event,) = gateway.books()
    assert event.cost == 0 and event.upstream_status is None and at_rest(alice)


# -- The client ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), DIALECTS)
def test_a_client_that_leaves_pays_for_what_was_produced(
    gateway: Gateway, alice: Person, path: str, body: dict[str, Any]
) -> None:
    fund(alice, "10")
    message = [{"role": "user", "content": LONG}]
    with gateway.http(alice) as http:
        asked = body | {"stream": True, "messages": message}
        with http.stream("POST", path, json=asked) as reply:
            chunks, read = reply.iter_bytes(), b""
            while read.count(b"data: ") < 12:
                read += next(chunks)
    assert gateway.vendors.ended(gateway.vendors.last).aborted
    until(lambda: at_rest(alice), "its slot or its hold is still taken")
    (event,) = gateway.books()
    assert (event.aborted, event.estimated, event.error) == (True, True, "client_closed")
    produced = len(read)  # bytes of the wire: more than the tokens of the text in it
    assert 0 < event.output < produced
    assert event.cost == event.price.input * event.input // 10**6 + (
        event.price.output * event.output // 10**6
    )


def test_a_client_that_leaves_before_anything_came_pays_nothing(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http, pytest.raises(httpx.ReadTimeout):
        http.post("/v1/chat/completions", json=ask("[[delay: 20]]"), timeout=0.3)
    assert gateway.vendors.ended(gateway.vendors.last).aborted
    until(lambda: at_rest(alice), "its slot or its hold is still taken")
    (event,) = gateway.books()
    assert (event.cost, event.aborted, event.status) == (0, True, 499)


def test_a_client_that_leaves_while_it_is_admitted_gives_its_slot_back(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    redis.sync().client_pause(600, all=True)
    with gateway.http(alice) as http, pytest.raises(httpx.ReadTimeout):
        http.post("/v1/chat/completions", json=ask(), timeout=0.2)
    until(lambda: at_rest(alice), "its slot or its hold is still taken")
    assert gateway.chat(alice).status_code == 200  # its plan has one slot
    assert len(gateway.vendors.requests) == 2


def test_a_client_that_stops_reading_does_not_stop_the_gateway(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "10")
    fund(bob, "10")
    huge = "[[say: " + "word " * 200_000 + "]]"
    with (
        gateway.http(alice) as http,
        http.stream("POST", "/v1/chat/completions", json=ask(huge, stream=True)),
    ):
        assert gateway.chat(bob).status_code == 200
    until(lambda: at_rest(alice), "its slot or its hold is still taken")


REFUSED: list[tuple[dict[str, str], bytes, int]] = [
    ({"content-encoding": "compress"}, b"{}", 415),
    ({}, b"[" * 100_000 + b"]" * 100_000, 400),
    ({}, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    ({}, b'{"model": "gpt-4o", "messages": "none"}', 400),
    ({}, b'{"model": "gpt-4o", "messages": [], "n": 1e9}', 400),
    ({}, b'{"model": ["gpt-4o"], "messages": []}', 400),
    ({}, b'{"model": "gpt-4o", "messages": [], "messages": 1}', 400),
    ({}, b'\xff\xfe{"model"', 400),
    ({}, b"", 400),
    ({}, b"null", 400),
]


@pytest.mark.parametrize(("headers", "body", "status"), REFUSED)
def test_a_body_that_makes_no_sense_is_refused(
    gateway: Gateway, alice: Person, headers: dict[str, str], body: bytes, status: int
) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        for path in ("/v1/chat/completions", "/v1/messages"):
            reply = http.post(path, content=body, headers=headers)
            assert reply.status_code == status, reply.text
            assert reply.json()["error"]["type"] == "invalid_request_error"
    assert UsageEvent.objects.count() == 0 and gateway.vendors.requests == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_32_mb_is_a_413(gateway: Gateway, alice: Person, announced: bool) -> None:
    fund(alice, "10")
    size = 32 * 1024 * 1024 + 1
    parts = (b" " * 65_536 for _ in range(size // 65_536 + 1))
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", content=b" " * size if announced else parts)
    assert reply.status_code == 413
    assert reply.json()["error"]["type"] == "request_too_large"
    assert gateway.chat(alice).status_code == 200


def test_an_image_nested_too_deep_to_count_is_no_bug(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    image = b'{"type":"image","source":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}"
    body = (
        b'{"model":"claude-sonnet-4","max_tokens":9,"messages":[{"role":"user","content":['
        + image
        + b"]}]}"
    )
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", content=body)
    assert reply.status_code == 400 and reply.json()["error"]["type"] == "invalid_request_error"
    assert gateway.vendors.requests == [] and gateway.books() == []
