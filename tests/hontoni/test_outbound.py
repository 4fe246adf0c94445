"""Who is asked may be an enemy: what they answer costs us neither memory nor patience."""

import gzip
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import brotli
import pytest

from hontoni import outbound

Answering = Callable[[Any], None]


@contextmanager
def listening(answer: Answering) -> Iterator[str]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            try:
                answer(self.request)
            except OSError:
                gone.set()

    gone = Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def drip(start: bytes, each: bytes) -> Answering:
    """Something now and then, for as long as anybody listens."""

    def answer(connection: Any) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(each)
            Event().wait(0.05)

    return answer


def test_a_head_that_drips_is_not_waited_for() -> None:
    with (
        listening(drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as url,
        pytest.raises(outbound.Failed, match="does not answer"),
    ):
        outbound.ask("POST", url, private=True, seconds=0.4)


def test_of_a_body_that_drips_what_came_is_known() -> None:
    with listening(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"y")) as url:
        answer = outbound.ask("GET", url, private=True, seconds=2)
    assert (answer.status, answer.whole) == (200, False) and set(answer.body) <= set(b"y")


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_what_is_packed_is_not_unpacked(coding: str) -> None:
    """A few bytes would be many millions."""
    plain = bytes(50_000_000)
    packed = brotli.compress(plain, quality=1) if coding == "br" else gzip.compress(plain, 1)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    with listening(lambda connection: connection.sendall(head.encode() + packed)) as url:
        answer = outbound.ask("GET", url, private=True, most_bytes=300)
    assert answer.body == packed[:300] and not answer.whole


def test_no_packing_is_asked_for() -> None:
    asked: list[bytes] = []

    def answer(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    class Keeping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(65536))
            answer(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Keeping) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        assert outbound.ask("GET", url, private=True).status == 204
        server.shutdown()
    assert b"accept-encoding: identity" in asked[0].lower()


@pytest.mark.parametrize(
    "url",
    [
        *("https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/"),
        *("https://[::ffff:7f00:1]/", "https://[2002:7f00:1::]/", "https://localhost./"),
    ],
)
def test_an_address_of_ours_is_not_connected_to_however_it_is_written(url: str) -> None:
    with pytest.raises(outbound.Failed, match=r"public internet|no address"):
        outbound.ask("POST", url, content=b"{}")
