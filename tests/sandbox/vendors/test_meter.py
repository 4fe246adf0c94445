"""The vendors' own meter: what the sandbox bills, read beside what it was asked."""

import time
from typing import Any

import httpx
import orjson
import pytest

from sandbox.vendors.meter import Bill, Line
from sandbox.vendors.usage import Tokens, count
from tests.money import papers
from tests.vendors import Vendors
from tests.waiting import until

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.5-pro:generateContent"


def ask(http: httpx.Client, path: str, text: str, **body: Any) -> httpx.Response:
    said: dict[str, Any] = {"messages": [{"role": "user", "content": text}], "model": "gpt-4o"}
    if path == RESPONSES:
        said = {"model": "gpt-5.2", "input": text}
    if path == MESSAGES:
        said |= {"model": "claude-opus-4-6", "max_tokens": 5000}
    if path.startswith("/v1beta"):
        said = {"contents": [{"parts": [{"text": text}]}]}
    reply = http.post(path, json=said | body)
    assert reply.status_code == 200, reply.text
    return reply


def bill(vendors: Vendors) -> Bill:
    """The one bill there is, when its answer is over."""
    (found,) = vendors.sandbox.meter.bills
    until(lambda: found.ended)
    return found


def leave(http: httpx.Client, path: str, body: dict[str, Any], after: bytes) -> None:
    with http.stream("POST", path, json=body) as reply:
        for chunk in reply.iter_raw():
            if after in chunk:
                time.sleep(0.05)
                return


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, GEMINI])
def test_an_answer_is_billed_as_it_was_counted(
    http: httpx.Client, vendors: Vendors, path: str
) -> None:
    ask(http, path, "[[say: one two three]]")
    assert not bill(vendors).left
    tokens = bill(vendors).lines[-1].tokens
    assert (tokens.output, tokens.input) == (
        count("one two three"),
        count("[[say: one two three]]"),
    )


def test_a_refusal_is_not_billed(http: httpx.Client, vendors: Vendors) -> None:
    message = {"role": "user", "content": "[[error: 529]]"}
    assert http.post(CHAT, json={"model": "gpt-4o", "messages": [message]}).status_code == 529
    assert vendors.sandbox.meter.bills == []


def test_reasoning_nobody_sees_is_billed(http: httpx.Client, vendors: Vendors) -> None:
    ask(http, RESPONSES, "[[reason: 30000]] [[say: Yes.]]", reasoning={"effort": "high"})
    assert bill(vendors).lines == (
        Line("message", "gpt-5.2", Tokens(input=8, output=1, reasoning=30_000)),
    )


def test_every_choice_is_billed(http: httpx.Client, vendors: Vendors) -> None:
    ask(http, CHAT, "[[say: one two three]]", n=5)
    assert bill(vendors).output == 5 * count("one two three")


def test_who_leaves_pays_what_was_said_until_then(http: httpx.Client, vendors: Vendors) -> None:
    text = "[[slow: 0.02]] [[say: " + "word " * 100 + "]]"
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": text}]}
    leave(http, CHAT, body, b"word")
    found = bill(vendors)
    assert found.left
    assert 0 < found.said < 0.5
    assert found.lines[-1].tokens.input == count(text)
    assert found.output == round(found.said * count(text[22:-2].strip()))


def test_who_leaves_before_the_first_word_pays_the_thinking_so_far(
    http: httpx.Client, vendors: Vendors
) -> None:
    body = {
        "model": "gpt-5.2",
        "stream": True,
        "input": "[[reason: 1000]] [[ponder: 0.4]] [[say: Yes.]]",
        "reasoning": {"effort": "low"},
    }
    leave(http, RESPONSES, body, b"response.created")
    found = bill(vendors)
    assert found.left
    assert found.lines[-1].tokens.output == 0
    assert 0 < found.lines[-1].tokens.reasoning < 900


def test_a_broken_answer_is_billed_and_says_so(http: httpx.Client, vendors: Vendors) -> None:
    ask(http, CHAT, "[[say: one two three four]] [[midstream]]", stream=True)
    assert bill(vendors).failed
    assert bill(vendors).output == round(count("one two three four") / 2)


def test_compaction_and_advice_are_lines_of_their_own(
    http: httpx.Client, vendors: Vendors
) -> None:
    reply = http.post(
        MESSAGES,
        headers={"anthropic-beta": "compact-2026-01-12,advisor-tool-2026-03-01"},
        json={
            "model": "claude-haiku-4-5-20251001",
            "max_tokens": 500,
            "messages": [
                {
                    "role": "user",
                    "content": "[[advise: 50000 3000]] [[compact: 180000 3500]] [[say: ok]]",
                }
            ],
            "tools": [{"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-6"}],
            "context_management": {"edits": [{"type": "compact_20260112"}]},
        },
    )
    told = reply.json()["usage"]["iterations"]
    assert [each["type"] for each in told] == ["compaction", "advisor_message", "message"]
    compaction, advice, message = bill(vendors).lines
    assert compaction.tokens == Tokens(input=180_000, output=3_500)
    assert (advice.model, advice.tokens.output) == ("claude-opus-4-6", 3_000)
    assert reply.json()["usage"]["input_tokens"] == message.tokens.input < 1_000


@pytest.mark.parametrize(
    ("path", "tool", "directive", "calls"),
    [
        (
            MESSAGES,
            {"type": "web_search_20250305", "name": "web_search"},
            "web_search",
            {"web_search_requests": 3},
        ),
        (
            MESSAGES,
            {"type": "code_execution_20250825", "name": "code_execution"},
            "code_execution",
            {"code_execution_containers": 1},
        ),
        (RESPONSES, {"type": "web_search"}, "web_search", {"web_search_call": 3}),
        (
            RESPONSES,
            {"type": "code_interpreter"},
            "code_interpreter",
            {"code_interpreter_call": 1},
        ),
        (
            RESPONSES,
            {"type": "image_generation"},
            "image_generation",
            {"image_gen.input_text": 150, "image_gen.output_image": 3_168},
        ),
        (GEMINI, {"googleSearch": {}}, "google_search", {"grounded_prompts": 1}),
    ],
)
def test_tools_that_the_vendor_runs_are_billed_by_call(
    http: httpx.Client, vendors: Vendors, path: str, tool: Any, directive: str, calls: Any
) -> None:
    reply = ask(http, path, f"[[use: {directive} 3]] [[say: ok]]", tools=[tool])
    assert bill(vendors).calls == calls
    assert reply.content.count(tool.get("type", "webSearchQueries").split("_2")[0].encode()) >= 1
    assert bill(vendors).lines[-1].tokens.input >= count(f"[[use: {directive} 3]] [[say: ok]]")


def test_a_tool_is_used_as_often_as_it_may_and_only_if_offered(
    http: httpx.Client, vendors: Vendors
) -> None:
    ask(http, MESSAGES, "[[use: web_search 3]] [[use: web_fetch 2]]", tools=[
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
    ])  # fmt: skip
    assert bill(vendors).calls == {"web_search_requests": 2}


def test_geography_speed_and_tier_are_those_served(http: httpx.Client, vendors: Vendors) -> None:
    usage = ask(http, MESSAGES, "hi", inference_geo="us").json()["usage"]
    assert usage["inference_geo"] == bill(vendors).work.geo == "us"
    vendors.sandbox.reset()
    told = ask(http, RESPONSES, "[[tier: default]] hi", service_tier="priority").json()
    assert told["service_tier"] == bill(vendors).work.tier == "default"


@pytest.mark.parametrize("packed", [False, True])
def test_a_pdf_counts_by_its_pages(http: httpx.Client, vendors: Vendors, packed: bool) -> None:
    data = papers.pdf(300, packed=packed)
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    content = [{"type": "document", "source": source}, {"type": "text", "text": "Sum it up."}]
    http.post(
        MESSAGES,
        json={
            "model": "claude-opus-4-6",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": content}],
        },
    )
    assert bill(vendors).lines[-1].tokens.input == 300 * 2_500 + count("Sum it up.")


def test_a_document_elsewhere_counts_as_it_is_declared(
    http: httpx.Client, vendors: Vendors
) -> None:
    text = "[[document: 100 pages]]"
    content = [
        {"type": "input_file", "file_url": "https://example.com/book.pdf"},
        {"type": "input_text", "text": text},
    ]
    http.post(
        RESPONSES, json={"model": "gpt-5.2", "input": [{"role": "user", "content": content}]}
    )
    assert bill(vendors).lines[-1].tokens.input == 100 * 1_500 + count(text)


def test_the_bills_are_served_to_tests(http: httpx.Client, vendors: Vendors) -> None:
    reply = ask(http, CHAT, "[[say: hi]]")
    told = orjson.loads(orjson.dumps(bill(vendors).as_json()))
    assert told["request_id"] == reply.headers["x-request-id"]
    assert told["lines"][0]["tokens"]["output"] == 1
