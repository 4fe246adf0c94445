"""A body is read when it may be of use, and no client's bodies fill the memory."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gateway_server import fund
from tests.security.conftest import Process, heard
from tests.waiting import ENOUGH
from tests.world import Person, person

pytestmark = pytest.mark.any_database
MB = 1024 * 1024
LARGE = 32 * MB


def begun(
    gateway: Process, person: Person, size: int, path: str = "/v1/messages"
) -> socket.socket:
    """A request whose body is announced, and not there yet."""
    lines = ("Host: 127.0.0.1", f"X-API-Key: {person.raw}", f"Content-Length: {size}", "", "")
    return gateway.connect("\r\n".join((f"POST {path} HTTP/1.1", *lines)).encode())


def answer(client: socket.socket) -> tuple[int, dict[str, Any]]:
    """Its status and body, once it is there whole."""
    client.settimeout(20)
    found = b""
    while b"\r\n\r\n" not in found or not found.endswith(b"}"):
        piece = client.recv(65536)
        assert piece, found
        found += piece
    told, _, body = found.partition(b"\r\n\r\n")
    return int(told.split(b" ")[1]), json.loads(body)


def pushed(client: socket.socket, size: int) -> bool:
    """Whether so many bytes were taken before anything was answered."""
    client.settimeout(0.5)
    try:
        for _ in range(size // MB):
            client.sendall(b" " * MB)
    except (TimeoutError, ConnectionError):
        return False
    return True


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
def test_without_money_nothing_large_is_read(hasty: Process, alice: Person, path: str) -> None:
    status, body = answer(begun(hasty, alice, LARGE, path))
    assert (status, body["error"]["code"]) == (402, "insufficient_balance")


def test_without_a_slot_nothing_large_is_read(hasty: Process, alice: Person) -> None:
    """No more of them than the account has slots, however many it begins."""
    fund(alice, "5")
    before = hasty.megabytes()
    first = begun(hasty, alice, LARGE)
    assert pushed(first, LARGE - MB)
    for _ in range(23):
        begun(hasty, alice, LARGE)
    told = [answer(other) for other in hasty.opened[1:]]
    kinds = [(status, body["error"]["type"]) for status, body in told]
    assert kinds.count((429, "rate_limit_error")) > 15
    assert {*kinds} <= {
        (429, "rate_limit_error"),
        (408, "timeout_error"),  # as many as there are slots
        (503, "overloaded_error"),
    }
    assert hasty.megabytes() - before < 60


def test_what_is_held_is_bounded_and_comes_back(
    hasty: Process, alice: Person, bob: Person
) -> None:
    """80 MB in all, and half of it is one account's."""
    for each in (alice, bob):
        fund(each, "5")
    dave = person("dave")
    for _ in range(5):  # on a busy machine the third may ask before or after both are held
        first, second = begun(hasty, alice, LARGE), begun(hasty, bob, LARGE)
        with ThreadPoolExecutor(2) as both:
            assert all(both.map(pushed, (first, second), (LARGE - MB, LARGE - MB)))
        time.sleep(1)  # until what the sockets took is read
        third = begun(hasty, dave, 20 * MB, "/v1/messages/count_tokens")
        status, body = answer(third)
        if status != 408:
            break
        first.close()
        second.close()
        time.sleep(0.5)  # until what they held is given back
    assert (status, body["error"]["type"]) == (503, "overloaded_error")
    with hasty.http() as small:
        headers = {"x-api-key": alice.raw}
        assert small.post("/v1/messages", json={}, headers=headers).status_code == 400
    first.close()
    second.close()
    deadline = time.monotonic() + ENOUGH
    while status == 503 and time.monotonic() < deadline:
        status, _ = answer(begun(hasty, dave, 20 * MB, "/v1/messages/count_tokens"))
    assert status == 408  # it is waited for now


def test_a_withheld_body_is_given_up(hasty: Process, alice: Person) -> None:
    fund(alice, "5")
    client = begun(hasty, alice, LARGE)
    pushed(client, LARGE - MB)
    assert heard(client).startswith(b"HTTP/1.1 408 ")


def test_the_pages_hold_no_more(hasty: Process) -> None:
    """Who is not signed in sends a megabyte at most, and not on forty connections."""
    before = hasty.megabytes()
    clients = []
    for _ in range(39):
        head = f"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {MB}\r\n\r\n"
        clients.append(hasty.connect(head.encode()))
        pushed(clients[-1], MB - 1)
        clients[-1].send(b" " * (MB - 1))
    assert hasty.megabytes() - before < 90
