"""Pages that are read by us, and those that are not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import orjson
import pytest

from gateway.dialects.codecs import pages
from gateway.vendors import fetching
from gateway.vendors.web import reading
from tests.gateway.plane.web.world import (
    call,
    calls_of,
    messages,
    post,
)
from tests.gateway_server import Gateway, fund
from tests.world import Person

FETCH = {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 3}
HTML = b"""<html><head><title>Tin</title><script>steal()</script></head><body><nav>Home</nav>
<main><h1>On tin</h1><p>Tin   melts at 232 degrees.</p></main></body></html>"""


class Site(BaseHTTPRequestHandler):
    """A page, a redirect into our own network, and a file that is no text."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        kinds = {"/zip": "application/zip", "/odd": "text/plain; charset=zip"}
        kind = kinds.get(self.path, "text/html; charset=utf-8")
        self.send_response(404 if self.path == "/gone" else 200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(HTML if self.path != "/long" else b"<p>" + b"tin " * 100_000)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """It counts as public; nothing else inside does."""
    real = fetching.is_public
    monkeypatch.setattr(fetching, "is_public", lambda a: a == "127.0.0.1" or real(a))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Site.seen.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fetched(gateway: Gateway, person: Person, url: str, said: str, **tool: Any) -> Any:
    written = call("web_fetch", url=url).replace("/", "\\u002f")  # which names it to nobody
    text = f"{said} {written}"
    body = messages(text, "gpt-4o", tools=[{**FETCH, **tool}])
    reply = post(gateway, person, "/v1/messages", body).json()
    (result,) = [b for b in reply["content"] if b["type"] == "web_fetch_tool_result"]
    return result["content"]


def test_a_page_that_was_named_is_read_as_text(web: Gateway, alice: Person, site: str) -> None:
    fund(alice, "10")
    content = fetched(web, alice, f"{site}/tin", f"Read {site}/tin.")
    assert content["url"] == f"{site}/tin" and content["content"]["title"] == "Tin"
    text = content["content"]["source"]["data"]
    assert text == "On tin\nTin melts at 232 degrees."
    assert "Tin melts" in orjson.dumps(web.vendors.last.body).decode()
    (event,) = web.books()
    assert calls_of(event) == {"web_fetch": 1} and event.cost <= event.hold


def test_what_cannot_be_read_is_told_by_anthropics_words(
    web: Gateway, alice: Person, site: str
) -> None:
    fund(alice, "10")
    for url, said, code, tool in (
        (f"{site}/secret?of=ours", "Hi", "url_not_allowed", {}),  # nobody has named it
        (f"{site}/gone", f"{site}/gone", "url_not_accessible", {}),
        (f"{site}/away", f"{site}/away", "url_not_accessible", {}),
        ("http://169.254.169.254/x", "http://169.254.169.254/x", "url_not_accessible", {}),
        (f"{site}/zip", f"{site}/zip", "unsupported_content_type", {}),
        (f"{site}/tin", f"{site}/tin", "url_not_allowed", {"allowed_domains": ["example.com"]}),
        (f"{site}/tin", f"{site}/tin", "url_not_allowed", {"blocked_domains": ["127.0.0.1"]}),
    ):
        assert fetched(web, alice, url, said, **tool)["error_code"] == code, url
    assert not any("secret" in path for path in Site.seen)
    assert {tuple(calls_of(event)) for event in web.books()} == {()}


def test_a_long_page_is_cut_to_what_was_held_for(web: Gateway, alice: Person, site: str) -> None:
    fund(alice, "10")
    content = fetched(web, alice, f"{site}/long", f"{site}/long", max_content_tokens=100)
    assert len(content["content"]["source"]["data"]) <= 300
    whole = fetched(web, alice, f"{site}/long", f"{site}/long")
    assert len(whole["content"]["source"]["data"]) <= pages.MOST_PAGE_BYTES
    assert all(event.cost <= event.hold for event in web.books())


def test_responses_opens_a_page_it_has_found(web: Gateway, alice: Person, site: str) -> None:
    fund(alice, "10")
    body = {
        "model": "gpt-4o-mini",
        "input": f"{site}/tin" + call("open_page", url=f"{site}/tin"),
        "tools": [{"type": "web_search"}],
        "max_tool_calls": 2,
    }
    items = post(web, alice, "/v1/responses", body).json()["output"]
    (opened,) = [item for item in items if item["type"] == "web_search_call"]
    assert opened["action"] == {"type": "open_page", "url": f"{site}/tin"}


def test_a_page_in_no_language_is_read_all_the_same(
    web: Gateway, alice: Person, site: str
) -> None:
    fund(alice, "10")
    content = fetched(web, alice, f"{site}/odd", f"{site}/odd")
    assert "Tin" in content["content"]["source"]["data"]


def test_what_breaks_at_a_page_is_a_call_that_failed_and_the_rest_is_paid(
    web: Gateway, alice: Person, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(body: bytes) -> tuple[str, str]:
        raise RuntimeError("a page that nobody thought of")

    monkeypatch.setattr(reading, "_of_html", broken)
    fund(alice, "10")
    content = fetched(web, alice, f"{site}/tin", f"{site}/tin")
    assert content["error_code"] == "unavailable"
    (event,) = web.books()
    assert event.status == 200 and event.cost > 0
