"""One client without a key can neither occupy the gateway nor fill its memory."""

import socket
import time
from contextlib import suppress

import pytest

from tests.gateway_server import fund
from tests.security.conftest import Process, heard
from tests.waiting import ENOUGH, until
from tests.world import Person

pytestmark = pytest.mark.any_database
HEAD = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
MB = 1024 * 1024
LONG = 200  # pieces, five a second: twenty times what anybody is waited for


def head(path: str, *lines: str) -> bytes:
    told = "".join(f"{line}\r\n" for line in lines)
    return HEAD % path.encode() + told.encode()


def is_open(client: socket.socket) -> bool:
    client.settimeout(0.01)
    try:
        return bool(client.recv(1))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_silent_connections_keep_nobody_out(hasty: Process) -> None:
    silent = [hasty.connect() for _ in range(200)]
    with hasty.http() as beside, hasty.http("127.0.0.2") as elsewhere:
        assert beside.get("/healthz").status_code == 200
        assert elsewhere.get("/healthz").status_code == 200
    assert sum(map(is_open, silent)) <= 40  # as many as an address may have
    for each in silent:
        heard(each)  # until it is closed


def test_who_works_is_not_put_out_by_who_is_silent(hasty: Process) -> None:
    """An idle connection goes last, and one that is being answered never."""
    with hasty.http() as kept:
        assert kept.get("/healthz").status_code == 200
        for _ in range(100):
            hasty.connect()
        (connection,) = kept._transport._pool.connections  # type: ignore[attr-defined]
        assert kept.get("/healthz").status_code == 200
        assert kept._transport._pool.connections == [connection]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/v1/messages", "/api/auth/login", "/"])
def test_half_a_head_is_not_waited_for(hasty: Process, path: str) -> None:
    client = hasty.connect(head(path))
    for _ in range(LONG):  # a little of it now and then is no more than nothing
        time.sleep(0.2)
        try:
            client.sendall(b"x-a: b\r\n")
        except ConnectionError:
            break
    else:
        pytest.fail("it was waited for")
    assert b" 408 " in heard(client).partition(b"\r\n")[0]


def test_half_a_body_is_not_waited_for(hasty: Process, alice: Person) -> None:
    fund(alice, "5")
    key = f"Authorization: Bearer {alice.raw}"
    doors = (head("/v1/messages", key), head("/api/auth/login"), head("/webhooks/stripe"))
    for door in doors:
        client = hasty.connect(door, b"Content-Length: 2000\r\n\r\n", b"{")
        assert b" 408 " in heard(client).partition(b"\r\n")[0]


def test_line_feeds_between_requests_keep_no_connection(hasty: Process) -> None:
    client = hasty.connect(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    with pytest.raises(ConnectionError):
        for _ in range(LONG):
            time.sleep(0.2)
            client.sendall(b"\r\n")


def test_who_asks_nothing_more_is_let_go(hasty: Process) -> None:
    asked = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    client, other = hasty.connect(asked), hasty.connect()
    answer = b""

    def is_let_go() -> bool:
        nonlocal answer
        other.sendall(asked)  # who goes on asking stays
        other.settimeout(ENOUGH)
        assert other.recv(65536)
        client.settimeout(0.2)
        with suppress(TimeoutError):
            while piece := client.recv(65536):
                answer += piece
            return True
        return False

    until(is_let_go)
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/api/auth/me", "/"])
@pytest.mark.parametrize("kind", ["many", "long", "endless", "in the line"])
def test_headers_have_bounds(hasty: Process, path: str, kind: str) -> None:
    opening = head(path)
    sent = {
        "many": b"".join(b"x-%d: 1\r\n" % each for each in range(101)) + b"\r\n",
        "long": b"x-a: " + b"a" * 40_000 + b"\r\n\r\n",
        "endless": b"x-a: " + b"a" * 5 * MB,
        "in the line": b"",
    }[kind]
    if kind == "in the line":
        opening = head(f"{path}?" + "a" * 40_000) + b"\r\n"
    client = hasty.connect()
    with suppress(ConnectionError):  # it may have answered, and listens no more
        client.sendall(opening + sent)
    status, _, rest = heard(client).partition(b"\r\n")
    assert b" 431 " in status
    if path != "/":
        assert b'"code":"headers_too_large"' in rest and b'"request_id":"req_' in rest


def test_headers_within_bounds_are_read(hasty: Process) -> None:
    lines = [f"x-{each}: {'a' * 300}" for each in range(90)]
    client = hasty.connect(head("/v1/messages", *lines, "Content-Length: 0"), b"\r\n")
    client.settimeout(10)
    assert b" 401 " in client.recv(100)


def test_headers_take_no_memory(hasty: Process) -> None:
    before = hasty.megabytes()
    for _ in range(3):
        client = hasty.connect(head("/"))
        try:
            for _ in range(64):
                client.sendall(b"x-a: " + b"a" * MB + b"\r\n")
        except ConnectionError:
            pass
        client.close()
    assert hasty.megabytes() - before < 30


@pytest.mark.parametrize("kind", ["trailers", "extensions"])
def test_what_comes_beside_a_body_has_bounds(hasty: Process, kind: str, alice: Person) -> None:
    fund(alice, "5")
    key = f"Authorization: Bearer {alice.raw}"
    client = hasty.connect(head("/v1/messages", key, "Transfer-Encoding: chunked"), b"\r\n")
    try:
        client.sendall(b"1\r\n{\r\n")
        client.sendall(b"0\r\n" if kind == "trailers" else b"1;")
        for _ in range(200):
            client.sendall(b"x-a: " + b"a" * 60_000 + b"\r\n" if kind == "trailers" else b"a" * MB)
    except ConnectionError:
        pass
    assert b" 400 " in heard(client).partition(b"\r\n")[0]


def test_a_trailer_is_no_header(hasty: Process, alice: Person, bob: Person) -> None:
    """Who signs in at the end of a body does not."""
    client = hasty.connect(head("/v1/messages", "Transfer-Encoding: chunked"), b"\r\n")
    client.sendall(b"2\r\n{}\r\n0\r\nx-api-key: " + alice.raw.encode() + b"\r\n\r\n")
    client.settimeout(10)
    assert b" 401 " in client.recv(1000)


def test_a_length_of_five_thousand_digits_is_a_number(hasty: Process, alice: Person) -> None:
    """Zeros before a number are legal."""
    zeros = f"Content-Length: {'0' * 5000}2"
    for path, status in (("/api/auth/login", b" 400 "), ("/v1/messages", b" 400 ")):
        key = f"Authorization: Bearer {alice.raw}" if path.startswith("/v1") else "x-a: b"
        client = hasty.connect(head(path, key, zeros), b"\r\n{}")
        client.settimeout(10)
        assert status in client.recv(1000).partition(b"\r\n")[0]


def test_what_is_asked_ahead_takes_no_memory(hasty: Process) -> None:
    """Thousands of requests at once, on one connection, behind one that takes its time."""
    before = hasty.megabytes()
    ahead = b"GET /v1?aaaaaaaaaaa HTTP/1.1\r\n\r\n" * 8000
    for _ in range(3):
        client = hasty.connect(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + ahead[:32])
        with suppress(ConnectionError):
            for _ in range(8):
                client.sendall(ahead)
        heard(client)  # until it is closed
    assert hasty.megabytes() - before < 40
    assert "after write_eof" not in hasty.log.read_text()


def test_a_few_requests_asked_ahead_are_answered_in_order(hasty: Process) -> None:
    asked = [b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n" % path for path in (b"/healthz", b"/v1/no")]
    client = hasty.connect(b"\r\n".join([*asked, asked[0] + b"Connection: close\r\n\r\n"]))
    told = heard(client)
    assert [piece[:3] for piece in told.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/live", "Content-Length: 9"),
        ("/live", "Transfer-Encoding: chunked"),
        ("/live?" + "a" * 20_000, "X-A: b"),
    ],
    ids=["a body", "chunks", "a long line"],
)
def test_half_a_handshake_is_not_waited_for(hasty: Process, path: str, line: str) -> None:
    """A websocket's: what speaks it takes neither a body nor a line of 8 KiB."""
    asked = HEAD.replace(b"POST", b"GET") % path.encode()
    shaking = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    client = hasty.connect(asked + shaking + key + line.encode() + b"\r\n\r\n")
    client.settimeout(8)
    with suppress(ConnectionError):
        while client.recv(4096):
            pass
