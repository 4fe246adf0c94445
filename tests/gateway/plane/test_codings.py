"""Compressed request bodies: as if they had come plain, and never more than those may be."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import orjson
import pytest
from backports import zstd
from pytest_django import Settings

from gateway.plane.codings import Coded
from gateway.usage.models import UsageEvent
from hontoni import bodies
from hontoni.errors import BadRequest
from tests.gateway_server import Gateway, fund
from tests.world import Person

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: brotli.compress(body, quality=4),
}
BY_NAME = pytest.mark.parametrize("coding", CODINGS)


def _asked(text: str = "Hello", **more: Any) -> bytes:
    message = {"role": "user", "content": text}
    return orjson.dumps({"model": "gpt-4o", "max_tokens": 100, "messages": [message], **more})


def _undone(coding: str, body: bytes) -> bytes:
    coded = Coded(coding, body)
    while not coded.over:
        coded.step()
    return coded.whole()


@BY_NAME
def test_a_compressed_request_is_answered_as_the_plain_one(
    gateway: Gateway, alice: Person, coding: str
) -> None:
    fund(alice, "10")
    sent = CODINGS[coding](_asked())
    with gateway.http(alice) as http:
        plain = http.post("/v1/chat/completions", content=_asked())
        reply = http.post(
            "/v1/chat/completions", content=sent, headers={"content-encoding": coding.upper()}
        )
    assert reply.status_code == 200, reply.text
    assert reply.json()["usage"] == plain.json()["usage"]
    first, second = gateway.books()
    assert first.cost == second.cost > 0
    assert "content-encoding" not in gateway.vendors.last.headers


DOORS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"stream": True},
    "/v1/messages/count_tokens": {},
    "/v1/responses": {"input": "Hello", "stream": True},
    "/v1/responses?": {"input": "Hello", "background": True},
    "/v1/estimate": {},
    "/v1/v1/messages": {"model": "claude-sonnet-4"},
}


@pytest.mark.parametrize("path", DOORS)
def test_every_door_takes_it(gateway: Gateway, alice: Person, path: str) -> None:
    fund(alice, "10")
    headers = {"content-encoding": "zstd"}
    sent = zstd.compress(_asked(**DOORS[path]))
    if "responses" in path:
        sent = zstd.compress(orjson.dumps({"model": "gpt-5.2", **DOORS[path]}))
    with gateway.http(alice) as http:
        reply = http.post(path, content=sent, headers=headers)
    assert reply.status_code == 200, reply.text


@BY_NAME
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_what_is_not_what_it_says_is_a_400(
    gateway: Gateway, alice: Person, coding: str, path: str
) -> None:
    fund(alice, "10")
    whole = CODINGS[coding](_asked("Hello " * 50))
    with gateway.http(alice) as http:
        for body in (whole[:-1], whole[: len(whole) // 2], whole + b"more", b"{}", _asked()):
            reply = http.post(path, content=body, headers={"content-encoding": coding})
            assert reply.status_code == 400, (body[:9], reply.text)
            assert reply.json()["error"]["code"] == "invalid_encoding"
        nothing = http.post(path, content=b"", headers={"content-encoding": coding})
        assert nothing.status_code == 400
    assert UsageEvent.objects.count() == 0 and gateway.vendors.requests == []


@pytest.mark.parametrize("coding", ["compress", "gzip, zstd", "lz4", "aws-chunked"])
def test_another_coding_is_a_415_that_names_those_there_are(
    gateway: Gateway, alice: Person, coding: str
) -> None:
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", content=b"{}", headers={"content-encoding": coding})
    assert reply.status_code == 415
    assert reply.json()["error"]["code"] == "unsupported_encoding"
    assert reply.headers["accept-encoding"] == "zstd, gzip, deflate, br"


@BY_NAME
def test_what_would_become_too_large_is_a_413_and_leaves_nothing_held(
    gateway: Gateway, alice: Person, settings: Settings, coding: str
) -> None:
    fund(alice, "10")
    bomb = CODINGS[coding](b" " * (33 * 1024 * 1024))
    with gateway.http(alice) as http:
        reply = http.post(
            "/v1/chat/completions", content=bomb, headers={"content-encoding": coding}
        )
        assert reply.status_code == 413, reply.text
        assert reply.json()["error"]["type"] == "request_too_large"
    assert not bodies._held
    assert gateway.chat(alice).status_code == 200


def test_what_becomes_large_waits_for_a_balance_as_what_comes_large(
    gateway: Gateway, alice: Person
) -> None:
    large = zstd.compress(_asked("word " * 400_000))
    assert len(large) < 10_000
    with gateway.http(alice) as http:
        reply = http.post(
            "/v1/chat/completions", content=large, headers={"content-encoding": "zstd"}
        )
    assert reply.status_code == 402


def test_a_bomb_is_undone_no_further_than_asked_for() -> None:
    bomb = zstd.compress(b" " * (512 * 1024 * 1024))
    tracemalloc.start()
    coded = Coded("zstd", bomb)
    while coded.size < 1024 * 1024:
        coded.step()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert coded.size < 2 * 1024 * 1024 and most < 4 * 1024 * 1024 and not coded.over


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_frames_behind_each_other_are_one_body_but_not_without_end(coding: str) -> None:
    pack = CODINGS[coding]
    assert _undone(coding, pack(b"Hel") + pack(b"") + pack(b"lo")) == b"Hello"
    with pytest.raises(BadRequest):
        _undone(coding, pack(b"") * 1000 + pack(b"Hello"))


def test_a_frame_that_wants_more_memory_than_a_sender_may_ask_for_is_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    body = packer.compress(b"a" * 100) + packer.flush()
    whole = zstd.compress(b"a" * (64 << 20), options={zstd.CompressionParameter.window_log: 26})
    for each in (body, whole):
        with pytest.raises(BadRequest):
            _undone("zstd", each)
