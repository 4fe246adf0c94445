"""What a vendor had said when it is left is paid, wherever it lay: no estimate depends on how busy
anybody is."""

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from gateway.metering import calibration
from gateway.plane import drains, watching
from gateway.usage.models import UsageEvent
from tests.gateway.plane.test_faults import at_rest
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.money import world
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"x-request-id: req_raw\r\ntransfer-encoding: chunked\r\n\r\n"
)
LATE = 200  # words


def _word(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    shape = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
    said = orjson.dumps({**shape, "model": "gpt-4o", "choices": [choice]})
    event = b"data: %b\n\n" % said
    return b"%x\r\n%b\r\n" % (len(event), event)


class Vendor:
    """Speaks OpenAI's chat dialect to one client. It has said LATE words more when it notices
    that nobody listens; `deaf`, it never does, and goes on until it cannot."""

    def __init__(self) -> None:
        self.deaf, self.words = False, 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.key = "sk-raw"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        line, _ = self.listening.accept()
        with line:
            line.recv(65_536)
            line.sendall(HEAD)
            self._say(line, 1)
            while not self.deaf and line.recv(65_536):
                pass
            try:
                while self.deaf:
                    self._say(line, 1)
                    time.sleep(0.01)
                self._say(line, LATE)
            except OSError:
                return

    def _say(self, line: socket.socket, words: int) -> None:
        for _ in range(words):
            line.sendall(_word("four"))
            self.words += 1


@pytest.fixture
def vendor(gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """Alice can pay for everything; that she left is seen at once."""
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.001)
    world.unlimited()
    fund(alice, "10")
    calibration.forget()
    speaking: Any = Vendor()
    credential(SimpleNamespace(url=speaking.url, key=speaking.key), "raw", "openai")  # type: ignore[arg-type]
    yield speaking
    speaking.listening.close()


def _left(gateway: Gateway, alice: Person, dialect: str) -> UsageEvent:
    """A stream, left at its first word."""
    body = world.asked(dialect, "gpt-4o", "Say four.", **_limit(dialect))
    world.leave(gateway, alice, dialect, body, after=b"four")
    until(lambda: at_rest(alice), "its slot or its hold is still taken")
    (event,) = gateway.books()
    assert event.aborted and event.estimated and event.details["rule"] == "left"
    return event


def _limit(dialect: str) -> dict[str, int]:
    return {"max_output_tokens" if dialect == "responses" else "max_tokens": 2_000}


@pytest.mark.parametrize("dialect", world.PATHS)
def test_words_under_way_are_paid(
    gateway: Gateway, alice: Person, vendor: Vendor, dialect: str
) -> None:
    event = _left(gateway, alice, dialect)
    assert vendor.words == 1 + LATE == event.output - 1  # and one that it had begun
    assert event.upstream_request_id == "req_raw"


def test_a_vendor_that_does_not_notice_is_cut_off_and_its_words_are_paid(
    gateway: Gateway, alice: Person, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "FAREWELL_SECONDS", 0.2)
    vendor.deaf = True
    event = _left(gateway, alice, "chat")
    assert 1 < event.output <= vendor.words
    assert vendor.words - event.output < event.output  # it was told, and soon
