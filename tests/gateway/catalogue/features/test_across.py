"""Another dialect's words: a vendor's tool where the target has the same, else told."""

from typing import Any

import orjson

from hontoni.money import nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway_server import Gateway, fund
from tests.world import Person

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
RUN = {"type": "code_interpreter", "container": {"type": "auto"}}


def grounded(*queries: str) -> bytes:
    """Gemini's stream, whose grounding comes with its last words."""
    usage = {"promptTokenCount": 1_000, "candidatesTokenCount": 100, "totalTokenCount": 1_100}
    part = {"content": {"role": "model", "parts": [{"text": "ok"}]}, "index": 0}
    web = [{"web": {"uri": "https://example.com", "title": "Example"}}]
    found = {"webSearchQueries": list(queries), "groundingChunks": web}
    last = part | {"finishReason": "STOP"} | ({"groundingMetadata": found} if queries else {})
    chunks = [{"candidates": [each], "usageMetadata": usage} for each in (part, last)]
    return b"".join(b"data: %s\r\n\r\n" % orjson.dumps(chunk) for chunk in chunks)


def test_gemini_searches_for_any_client_at_its_own_price(gateway: Gateway, alice: Person) -> None:
    fund(alice, "100")
    plain = {"gemini-2.5-pro": "0.00225", "gemini-3.1-pro-preview": "0.00175"}
    for model, searched in (("gemini-2.5-pro", "0.035"), ("gemini-3.1-pro-preview", "0.028")):
        for ask, tool in (
            (vendor.messages, SEARCH),
            (vendor.responses, {"type": "web_search"}),
        ):
            for stream in (False, True):
                vendor.answers(gateway, grounded("one", "two"))
                reply = ask(gateway, alice, model, tools=[tool], stream=stream)
                assert reply.status_code == 200, reply.text
                assert vendor.sent(gateway)["tools"] == [{"googleSearch": {}}]
                assert "toolConfig" not in vendor.sent(gateway)
                event = gateway.books()[-1]
                assert event.cost == nanos(plain[model]) + nanos(searched)
                assert event.cost <= event.hold and "left_out" not in event.details
    vendor.answers(gateway, grounded())
    vendor.messages(gateway, alice, "gemini-2.5-pro", tools=[SEARCH])
    assert gateway.books()[-1].cost == nanos(plain["gemini-2.5-pro"])


def test_gemini_runs_code_for_its_tokens(gateway: Gateway, alice: Person) -> None:
    fund(alice, "100")
    vendor.answers(gateway, grounded())
    vendor.responses(gateway, alice, "gemini-2.5-pro", tools=[RUN])
    assert vendor.sent(gateway)["tools"] == [{"codeExecution": {}}]
    assert gateway.books()[-1].cost == nanos("0.00225")


def test_what_is_not_the_same_there_is_left_out_and_told(gateway: Gateway, alice: Person) -> None:
    """Codex's search means no live web; Gemini takes no functions beside its own tools."""
    fund(alice, "100")
    cached = {"type": "web_search", "external_web_access": False}
    cases: list[tuple[Any, str, dict[str, Any], str]] = [
        (vendor.responses, "gemini-2.5-pro", {"tools": [cached]}, "tool:web_search"),
        (vendor.messages, "gemini-2.5-pro", {"tools": [LOOK, SEARCH]},
         "tool:web_search_20250305"),
        (vendor.messages, "gpt-4o", {"tools": [LOOK, SEARCH]}, "tool:web_search_20250305"),
        (vendor.messages, "gpt-5.2", {"speed": "fast", "mcp_servers": [{"url": "x"}]},
         "member:speed, member:mcp_servers"),
        (vendor.messages, "gpt-5.2", {"service_tier": "auto", "metadata": {}}, ""),
        (vendor.responses, "claude-sonnet-4.6", {"service_tier": "flex", "store": False},
         "member:service_tier"),
    ]  # fmt: skip
    for ask, model, body, told in cases:
        reply = ask(gateway, alice, model, **body)
        assert reply.status_code == 200, reply.text
        assert reply.headers.get("x-hontoni-left-out", "") == told
        event = gateway.books()[-1]
        assert ", ".join(event.details.get("left_out", ())) == told
    assert event.cost > 0
