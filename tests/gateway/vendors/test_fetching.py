"""Images by URL for a vendor that wants bytes: fetched, and never from inside our own network."""

import base64
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

from gateway.plane import admission, watching
from gateway.vendors import fetching
from hontoni import bodies
from tests.gateway.plane.test_translation import ask
from tests.gateway_server import Gateway, fund, settled
from tests.world import Person

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)


class Pictures(BaseHTTPRequestHandler):
    """A site with one picture, a redirect into the private network, and too much of everything."""

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            time.sleep(0.4)
            self.path = self.path.partition("?")[2]
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        body = PNG if self.path == "/dot" else b"x" * 5000
        self.send_response(404 if self.path == "/gone" else 200)
        self.send_header("Content-Type", "image/jpg")  # a wrong label: the bytes decide
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site of the tests counts as public; nothing else inside does."""
    real = fetching.is_public
    monkeypatch.setattr(fetching, "is_public", lambda a: a == "127.0.0.1" or real(a))


def show(gateway: Gateway, person: Person, url: str, **fields: Any) -> Any:
    parts = [
        {"type": "text", "text": "[[say: A dot.]]"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    messages = [{"role": "user", "content": parts}]
    return ask(gateway, person, "openai_chat", "gemini-2.5-pro", "", messages=messages, **fields)


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("path", ["/dot", "/away?/dot"])
def test_a_picture_is_fetched_and_known_by_its_bytes(
    gateway: Gateway, alice: Person, site: str, path: str
) -> None:
    fund(alice, "10")
    assert show(gateway, alice, site + path).status_code == 200
    parts = gateway.vendors.last.body["contents"][0]["parts"]
    (picture,) = [part["inlineData"] for part in parts if "inlineData" in part]
    assert picture == {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(("path", "end"), [("/slow?/dot", "[DONE]"), ("/slow?/gone", '"error":')])
def test_a_stream_is_kept_alive_while_a_picture_is_fetched(
    gateway: Gateway,
    alice: Person,
    site: str,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    end: str,
) -> None:
    fund(alice, "10")
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(watching, "KEEP_ALIVE_SECONDS", 0.05)
    reply = show(gateway, alice, site + path, stream=True)
    assert reply.status_code == 200 and reply.text.startswith(": keep-alive")
    assert end in reply.text.rstrip().split("\n\n")[-1]
    (event,) = gateway.books()
    assert (event.cost > 0) is (end == "[DONE]")


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(
    "path",
    [
        "/gone",
        "/away?http://10.0.0.1/",
        "/away?http://localhost:1/",
        "/away?/away",
        "/away?file:/x",
    ],
)
def test_what_leads_nowhere_or_inside_is_refused(
    gateway: Gateway, alice: Person, site: str, path: str
) -> None:
    fund(alice, "10")
    reply = show(gateway, alice, site + path)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_image_url"
    assert gateway.vendors.requests == []
    (event,) = gateway.books()
    assert event.cost == 0


@pytest.mark.usefixtures("reachable")
def test_too_much_is_refused(
    gateway: Gateway, alice: Person, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "10")
    monkeypatch.setattr(fetching, "MOST_BYTES", 4000)
    assert show(gateway, alice, f"{site}/big").status_code == 400


def test_our_own_network_is_not_reached_by_name_or_number(
    gateway: Gateway, alice: Person, site: str
) -> None:
    fund(alice, "10")
    port = site.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0", "2130706433"):
        assert show(gateway, alice, f"http://{host}:{port}/dot").status_code == 400


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_the_public_internet_is_public(address: str, public: bool) -> None:
    assert fetching.is_public(address) is public


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("same", [False, True])
def test_what_is_fetched_is_bounded_in_all(
    gateway: Gateway, alice: Person, site: str, settings: Settings, same: bool
) -> None:
    """Each of them is small, and all of them together are not: nothing is asked, nothing held.
    One that stands there often is sent as often."""
    fund(alice, "10")
    settings.MAX_FETCHED_BYTES = 12_000
    for pictures, status in ((2, 200), (3, 400)):
        urls = [f"{site}/{0 if same else each}" for each in range(pictures)]
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        reply = ask(
            gateway,
            alice,
            "openai_chat",
            "gemini-2.5-pro",
            "",
            messages=[{"role": "user", "content": parts}],
        )
        assert reply.status_code == status, reply.text
    assert reply.json()["error"]["code"] == "invalid_image_url"
    assert len(gateway.vendors.requests) == 1
    settled(gateway.vendors)
    assert not admission.LIVE and not bodies._held


@pytest.mark.usefixtures("reachable")
def test_what_is_fetched_counts_as_held(
    gateway: Gateway, alice: Person, site: str, settings: Settings
) -> None:
    fund(alice, "10")
    settings.MAX_BODIES_BYTES = 12_000  # half of it is hers, and base64 is a third more
    assert show(gateway, alice, f"{site}/dot").status_code == 200
    reply = show(gateway, alice, f"{site}/large")
    assert reply.status_code == 503 and reply.headers["retry-after"]
    assert not bodies._held


@pytest.mark.parametrize(
    "address",
    [
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "fec0::1", "2002:a00:1::"),
        *(
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        ),
        *(
            "2606:4700::5efe:a00:1",
            "fe80::1%eth0",
            "192.0.0.8",
            "0.0.0.0",
            "100.64.0.1",
            "ff0e::1",
        ),
    ],
)
def test_an_inner_address_is_known_in_every_disguise(address: str) -> None:
    assert not fetching.is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::"]
)
def test_an_outer_address_is_none(address: str) -> None:
    assert fetching.is_public(address)
