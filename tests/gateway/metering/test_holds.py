"""The hold is a true bound: whatever a request attaches, repeats or calls by another name."""

import base64
import io
import json
from typing import Any

import pytest
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from hontoni.money import nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 90_000).decode()
TEXT = "word " * 20_000  # 100 kB


def pdf(pages: int, line: str = "Hello") -> str:
    """A small file of so many pages, in base64."""
    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=1)
    for _ in range(pages):
        canvas.drawString(72, 720, line)
        canvas.showPage()
    canvas.save()
    return base64.b64encode(file.getvalue()).decode()


def estimate(gateway: Gateway, person: Person, body: dict[str, Any]) -> dict[str, Any]:
    with gateway.http(person) as http:
        dialect = "anthropic_messages" if body["model"].startswith("claude") else ""
        reply = http.post(f"/v1/estimate?dialect={dialect}", json=body)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def claude(*blocks: Any, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": [*blocks, {"type": "text", "text": "Hello"}]}]
    body = {"model": "claude-opus-4.5", "max_tokens": 16, "messages": messages}
    return body | more


def chat(*parts: Any, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": "Hello"}]}]
    return {"model": "gpt-4o", "max_tokens": 16, "messages": messages, **more}


def responses(*parts: Any, **more: Any) -> dict[str, Any]:
    told = [{"role": "user", "content": [*parts, {"type": "input_text", "text": "Hello"}]}]
    return {"model": "gpt-5.2", "max_output_tokens": 16, "input": told, **more}


def source(data: str, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "base64", "media_type": kind, "data": data}


PRETENDER = {"type": "image_url", "text": TEXT}
PLAIN = {"type": "text", "media_type": "text/plain", "data": TEXT}
RESULT = {"type": "tool_result", "tool_use_id": "t1"}
PACKED = base64.b64encode(b"PK\3\4" * 50).decode()
PRETENDERS: list[dict[str, Any]] = [
    claude(
        messages=[
            {"role": "user", "content": "Hello"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "t1", "name": "f", "input": PRETENDER},
                ],
            },
            {"role": "user", "content": [RESULT | {"content": "ok"}]},
        ]
    ),
    claude({"type": "image", "source": source(TEXT)}),
    claude({"type": "image", "text": TEXT}),
    claude(tools=[{"name": "f", "input_schema": {"type": "image", "description": TEXT}}]),
    claude({"type": "document", "source": PLAIN}),
    chat({"type": "image_url", "image_url": {"url": "data:image/png;base64," + TEXT}}),
    chat({"type": "image_url", "text": TEXT}),
    chat(tools=[{"type": "function", "function": {"name": "f", "parameters": PRETENDER}}]),
    chat(metadata={"type": "image", "x": TEXT}),
    responses({"type": "input_image", "image_url": TEXT}),
]  # fmt: skip


@pytest.mark.parametrize("body", PRETENDERS)
def test_text_that_calls_itself_an_image_is_text(
    gateway: Gateway, alice: Person, body: dict[str, Any]
) -> None:
    fund(alice, "50")
    assert estimate(gateway, alice, body)["max_input_tokens"] >= len(TEXT)


@pytest.mark.parametrize(
    "body",
    [
        claude({"type": "image", "source": source(PNG)}),
        claude(
            {
                "type": "tool_result",
                "tool_use_id": "t1",
                "content": [{"type": "image", "source": source(PNG)}],
            }
        ),
        chat({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
        responses({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}),
    ],
)
def test_a_picture_costs_a_pictures_most(
    gateway: Gateway, alice: Person, body: dict[str, Any]
) -> None:
    fund(alice, "50")
    told = estimate(gateway, alice, body)
    assert 2_000 < told["max_input_tokens"] < 8_000


POINTED = [
    claude({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}),
    claude({"type": "document", "source": source(PACKED, "x/y")}),
    claude({"type": "document", "source": source(base64.b64encode(b"%PDF-1.7 broken").decode())}),
    responses({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
]  # fmt: skip


@pytest.mark.parametrize("body", POINTED)
def test_what_only_its_vendor_can_measure_is_held_as_the_whole_context(
    gateway: Gateway, alice: Person, body: dict[str, Any]
) -> None:
    fund(alice, "50")
    window = {"claude-opus-4.5": 200_000, "gpt-5.2": 264_000, "gpt-4o": 128_000}[body["model"]]
    told = estimate(gateway, alice, body)
    assert told["max_input_tokens"] >= window
    assert nanos(told["least_hold"]) == nanos(told["hold"])


def test_who_cannot_afford_the_whole_document_is_refused_before_a_vendor_is_asked(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.5")
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", json=POINTED[0])
    assert (reply.status_code, gateway.vendors.requests) == (402, [])


@pytest.mark.parametrize("pages", [1, 12, 300])
def test_a_pdf_is_held_by_its_pages(gateway: Gateway, alice: Person, pages: int) -> None:
    fund(alice, "50")
    data = pdf(pages)
    block = {"type": "document", "source": source(data, "application/pdf")}
    most = estimate(gateway, alice, claude(block))["max_input_tokens"]
    assert min(200_000, pages * 3_000) <= most <= 202_000
    assert most < 10_000 or pages > 1


def test_a_small_pdf_with_much_text_is_held_by_its_text(gateway: Gateway, alice: Person) -> None:
    """Compressed to little, drawn over and over by a form."""
    fund(alice, "50")
    data = pdf(1, "a " * 40_000)
    assert len(data) < 20_000
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}
    block = {"type": "file", "file": file}
    assert estimate(gateway, alice, chat(block))["max_input_tokens"] > 80_000


def test_a_locked_pdf_counts_as_the_whole_context(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    writer, file = PdfWriter(PdfReader(io.BytesIO(base64.b64decode(pdf(1))))), io.BytesIO()
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(file)
    data = base64.b64encode(file.getvalue()).decode()
    block = {"type": "document", "source": source(data, "application/pdf")}
    assert estimate(gateway, alice, claude(block))["max_input_tokens"] >= 200_000


def test_film_has_no_bound(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    video = {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}
    with gateway.http(alice) as http:
        reply = http.post("/v1/chat/completions", json=chat(video))
    assert (reply.status_code, gateway.vendors.requests) == (400, [])


@pytest.mark.parametrize("n", [0, -1, 129, 10**30, 1.0, 1e9, True, "2"])
def test_n_is_what_the_vendor_gives(gateway: Gateway, alice: Person, n: Any) -> None:
    fund(alice, "50")
    reply = gateway.chat(alice, n=n)
    assert reply.status_code == 400 and "n must be" in reply.text
    assert gateway.vendors.requests == [] and gateway.balance(alice) == nanos("50")


def test_the_hold_covers_every_choice(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    one, many = (estimate(gateway, alice, chat(n=n, max_tokens=1000)) for n in (1, 128))
    assert many["max_output_tokens"] == 128 * one["max_output_tokens"] == 128_000


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_where_there_are_no_choices_there_is_one(
    gateway: Gateway, alice: Person, path: str
) -> None:
    fund(alice, "50")
    body = claude(n=2) if path == "/v1/messages" else responses(n=2)
    with gateway.http(alice) as http:
        reply = http.post(path, json=body)
    assert reply.status_code == 400 and "n must be between 1 and 1" in reply.text


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "claude-sonnet-4.5"])
def test_of_two_limits_the_one_that_is_held_is_sent(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "50")
    long = "[[say: " + "word " * 3_000 + "]]"
    reply = gateway.chat(
        alice, long, model=model, max_completion_tokens=50, max_tokens=16_000, max_output_tokens=1
    )
    assert reply.status_code == 200
    sent = gateway.vendors.last.body
    limits = {name: sent[name] for name in sent if name.startswith("max_") and "tokens" in name}
    limits.pop("max_output_tokens", None) if model == "gpt-4o" else None
    assert list(limits.values()) == [50]
    (event,) = gateway.books()
    assert event.cost <= event.hold and event.output <= 50


MODEL, SAYS = '"model":"gpt-4o"', '"messages":[{"role":"user","content":"x"}]'
PART = '"messages":[{"role":"user","content":[{"type":"text","type":"image_url","text":"x"}]}]'
TWICE = [
    (f'{MODEL},"model":"gpt-4o-mini",{SAYS}', "model"),
    (f'{MODEL},"max_tokens":9,"max_tokens":9,{SAYS}', "max_tokens"),
    (f'{MODEL},"max_\\u0074okens":9,"max_tokens":9,{SAYS}', "max_tokens"),
    # What is escaped makes up for the quotes that are missing.
    (MODEL + ',"messages":[{"role":"user","a":1,"a":"\\u0022\\u0022"}]', "messages[0].a"),
    (f"{MODEL},{PART}", "messages[0].content[0].type"),
    (f'"MODEL":"gpt-4o-mini",{MODEL},{SAYS}', "MODEL"),
    (f'{MODEL},"Max_Tokens":16000,"max_tokens":1,{SAYS}', "Max_Tokens"),
    (f'{MODEL},"N":100,{SAYS}', "N"),
    (f'{MODEL},"\\u004e":100,{SAYS}', "N"),
    (f'"model":"gpt-5.2","reasoning":{{"Effort":"max"}},{SAYS}', "reasoning.Effort"),
    (f'{MODEL},"tools":[{{"Type":"web_search"}}],{SAYS}', "tools[0].Type"),
    (f'{MODEL},"max_tokens":9,"max_tokens":9,{SAYS[:-4]}{"x" * 300_000}"}}]', "max_tokens"),
]


@pytest.mark.parametrize(("body", "name"), TWICE)
def test_what_is_said_twice_or_in_another_case_is_named(
    gateway: Gateway, alice: Person, body: str, name: str
) -> None:
    fund(alice, "50")
    with gateway.http(alice) as http:
        reply = http.post("/v1/chat/completions", content="{" + body + "}")
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == name
    assert gateway.vendors.requests == [] and gateway.balance(alice) == nanos("50")


def test_what_only_describes_may_say_what_it_likes(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    schema = '{"type":"object","properties":{"Model":{"type":"string","type":"string"}}}'
    tool = '{"type":"function","function":{"name":"f","parameters":' + schema + "}}"
    body = (
        f'{{{MODEL},"messages":[{{"role":"user","content":"a \\u0022word\\u0022"}}],'
        f'"tools":[{tool}],"metadata":{{"a":"1","a":"2"}}}}'
    )
    with gateway.http(alice) as http:
        assert http.post("/v1/chat/completions", content=body).status_code == 200


def test_what_a_translation_says_more_often_is_held_for(gateway: Gateway, alice: Person) -> None:
    """An enumeration of values of several types is one under each of them."""
    fund(alice, "50")
    values = [f"value {n} " * 20 for n in range(300)]
    node = {"type": ["string", "integer", "number", "boolean", "array", "null"], "enum": values}
    schema = {"type": "object", "properties": {"a": node}, "required": ["a"]}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {
        "model": "gemini-2.5-pro",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Hi"}],
        "response_format": shape,
    }
    with gateway.http(alice) as http:
        reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    sent = len(json.dumps(gateway.vendors.last.body, separators=(",", ":")))
    assert sent > 3 * len(json.dumps(body))
    (event,) = gateway.books()
    assert event.hold >= sent * event.price.input // 1_000_000 > event.cost
