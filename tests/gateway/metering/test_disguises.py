"""What a request attaches is held for, however its bytes spell it."""

import base64
import io
from typing import Any

import orjson
import pytest
from reportlab.pdfgen.canvas import Canvas

from hontoni.money import nanos
from tests.gateway.metering.test_holds import PNG, chat, claude, responses, source
from tests.gateway_server import Gateway, fund
from tests.world import Person

ELSEWHERE = "https://example.com/a.pdf"
REMOTE = {"type": "url", "url": "https://example.com/a.pdf"}
WINDOWS = {"claude-opus-4.5": 200_000, "gpt-5.2": 264_000, "gpt-4o": 128_000}


def estimate(
    gateway: Gateway, person: Person, body: dict[str, Any] | bytes, **headers: str
) -> dict[str, Any]:
    """What is decided about a body, of the dialect it looks like."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    dialect = "openai_chat" if b'"messages"' in raw else "openai_responses"
    if b"claude" in raw or b'"source"' in raw:
        dialect = "anthropic_messages"
    with gateway.http(person) as http:
        reply = http.post(f"/v1/estimate?dialect={dialect}", content=raw, headers=headers)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def ascii_pdf(pages: int) -> bytes:
    """Packed, and written in printable letters only."""
    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=1)
    for _ in range(pages):
        canvas.drawString(72, 720, "a " * 400)
        canvas.showPage()
    canvas.save()
    return bytes(byte for byte in file.getvalue() if byte < 128)


@pytest.mark.parametrize(
    ("body", "plain", "spelled"),
    [
        (claude({"type": "document", "source": REMOTE}), b'"document"', rb'"d\u006fcument"'),
        (responses({"type": "input_file", "file_url": ELSEWHERE}), b'file', rb'f\u0069le'),
    ],
)  # fmt: skip
def test_escapes_hide_no_document(
    gateway: Gateway, alice: Person, body: dict[str, Any], plain: bytes, spelled: bytes
) -> None:
    fund(alice, "50")
    raw = orjson.dumps(body).replace(plain, spelled)
    assert plain not in raw
    assert estimate(gateway, alice, raw)["max_input_tokens"] >= WINDOWS[body["model"]]


def test_escapes_hide_no_cache(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    body = claude({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})
    plain = orjson.dumps(body)
    spelled = plain.replace(b"cache_", rb"\u0063ache_")
    holds = [nanos(estimate(gateway, alice, raw)["hold"]) for raw in (plain, spelled)]
    assert holds[1] >= holds[0]


@pytest.mark.parametrize(
    "url", ["HTTPS://example.com/a.png", " https://example.com/a.png", "//example.com/a.png"]
)
def test_an_address_is_an_address_in_any_case(gateway: Gateway, alice: Person, url: str) -> None:
    fund(alice, "50")
    for body in (
        claude({"type": "image", "source": {"type": "url", "url": url}}),
        chat({"type": "image_url", "image_url": {"url": url}}),
        responses({"type": "input_image", "image_url": url}),
    ):
        assert estimate(gateway, alice, body)["max_input_tokens"] > 2_900


def test_a_pdf_behind_a_blank_line_is_a_pdf(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for head in (b"", b"\n", b"junk before it\n"):
        data = base64.b64encode(head + ascii_pdf(60)).decode()
        block = {"type": "document", "source": source(data, "application/pdf")}
        assert estimate(gateway, alice, claude(block))["max_input_tokens"] > 90_000, head


HEIC = base64.b64encode(b"\0\0\0\x18ftypheic" + b"\0" * 9_000).decode()
FILM = base64.b64encode(b"\0\0\0\x18ftypmp42" + b"\0" * 100).decode()
BOOK = base64.b64encode(ascii_pdf(60)).decode()


def picture(data: str, kind: str = "image/png", **more: Any) -> list[dict[str, Any]]:
    """The same in every dialect, for a vendor that reads whatever its bytes are."""
    url = f"data:{kind};base64,{data}"
    model = {"model": "gemini-2.5-pro"}
    return [
        claude({"type": "image", "source": source(data, kind)}, **model),
        chat({"type": "image_url", "image_url": {"url": url}}, **model),
        responses({"type": "input_image", "image_url": url}, **model),
    ]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_what_is_in_a_pictures_place_counts_as_what_it_is(
    gateway: Gateway, alice: Person, at: int
) -> None:
    fund(alice, "50")
    told = [
        estimate(gateway, alice, picture(data)[at])["max_input_tokens"]
        for data in (HEIC, BOOK, FILM)
    ]
    assert told[0] < 8_000 and 30_000 < told[1] < 600_000 and told[2] > 1_000_000


@pytest.mark.parametrize("kind", ["video/mp4", "audio/mp3"])
def test_film_in_a_pictures_place_is_refused(gateway: Gateway, alice: Person, kind: str) -> None:
    fund(alice, "50")
    for body in picture(FILM, kind):
        path = "/v1/responses" if "input" in body else "/v1/chat/completions"
        with gateway.http(alice) as http:
            path = "/v1/messages" if "source" in str(body) else path
            reply = http.post(path, json=body)
        assert (reply.status_code, gateway.vendors.requests) == (400, []), reply.text


def test_a_paper_at_the_address_of_a_picture_is_a_paper(gateway: Gateway, alice: Person) -> None:
    """Gemini fetches it, and reads it as what its name says."""
    fund(alice, "50")
    url = "https://example.com/a.pdf"
    for body in (
        claude({"type": "image", "source": {"type": "url", "url": url}}, model="gemini-2.5-pro"),
        chat({"type": "image_url", "image_url": {"url": url}}, model="gemini-2.5-pro"),
    ):
        assert estimate(gateway, alice, body)["max_input_tokens"] > 1_000_000


def test_a_switch_for_a_long_context_makes_a_document_as_long(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    block = {"type": "document", "source": REMOTE}
    body = claude(block, model="claude-sonnet-4.5")
    beta = {"anthropic-beta": "claude-code-1, context-1m-2025-08-07"}
    assert estimate(gateway, alice, body)["max_input_tokens"] < 300_000
    assert estimate(gateway, alice, body, **beta)["max_input_tokens"] >= 1_000_000


def test_an_honest_picture_is_no_more_than_one(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    body = claude({"type": "image", "source": source(PNG)})
    assert estimate(gateway, alice, body)["max_input_tokens"] < 8_000


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_another_encoding_hides_no_document(
    gateway: Gateway, alice: Person, encoding: str
) -> None:
    """There are vendors whose parsers guess the encoding."""
    fund(alice, "50")
    body = orjson.dumps(claude({"type": "document", "source": REMOTE})).decode().encode(encoding)
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", content=body)
    assert (reply.status_code, gateway.vendors.requests) == (400, [])


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_is_a_number(gateway: Gateway, alice: Person, word: str) -> None:
    fund(alice, "50")
    body = orjson.dumps(claude({"type": "text", "text": "hi"}))[:-1] + b',"temperature":'
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", content=body + word.encode() + b"}")
    assert (reply.status_code, gateway.vendors.requests) == (400, [])
