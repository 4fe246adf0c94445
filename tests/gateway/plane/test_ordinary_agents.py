"""Five dollars are enough for what ordinary agents ask, and their tools come along."""

from typing import Any

import pytest

from gateway.usage.quarantine.models import UsageQuarantine
from hontoni.money import nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway.metering.test_holds import PNG, claude, pdf, source
from tests.gateway_server import Gateway, fund
from tests.world import Person

SCHEMA = {"type": "object", "properties": {"path": {"type": "string", "description": "x " * 60}}}
CLAUDE_TOOLS = [
    {
        "name": f"mcp__server__tool_{n}",
        "description": "What it does. " * 25,
        "input_schema": SCHEMA,
    }
    for n in range(200)
]
CODEX_TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": f"tool_{n}", "description": "x " * 200, "parameters": SCHEMA}
    for n in range(20)
]
CACHED = {
    "type": "text",
    "text": "You are an agent. " * 500,
    "cache_control": {"type": "ephemeral"},
}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "claude-opus-4.5"])
@pytest.mark.parametrize("stream", [False, True])
def test_two_hundred_tools(gateway: Gateway, alice: Person, model: str, stream: bool) -> None:
    fund(alice, "5")
    body: dict[str, Any] = {
        "tools": CLAUDE_TOOLS,
        "system": [CACHED],
        "max_tokens": 32_000,
        "stream": stream,
    }
    reply = vendor.messages(gateway, alice, model, **body)
    assert reply.status_code == 200, reply.text
    assert vendor.sent(gateway)["max_tokens"] == 32_000
    assert "x-hontoni-left-out" not in reply.headers


@pytest.mark.parametrize("model", ["gpt-5.2-codex", "gpt-5.4"])
def test_codex_keeps_its_search(gateway: Gateway, alice: Person, model: str) -> None:
    fund(alice, "5")
    tools = [*CODEX_TOOLS, {"type": "web_search", "external_web_access": True}]
    body = {"model": model, "input": "hi", "stream": True, "tools": tools, "store": False}
    with gateway.http(alice) as http:
        reply = http.post("/v1/responses", json=body | {"instructions": "Be brief. " * 1_500})
    assert reply.status_code == 200, reply.text
    sent = vendor.sent(gateway)
    assert sent["tools"][-1]["type"] == "web_search" and 1 <= sent["max_tool_calls"] <= 4
    assert "x-hontoni-left-out" not in reply.headers


@pytest.mark.parametrize(("dollars", "uses"), [("5", 8), ("0.5", 4), ("0.06", 1)])
def test_a_search_is_used_as_often_as_the_balance_covers(
    gateway: Gateway, alice: Person, dollars: str, uses: int
) -> None:
    """Also where it is forced, as Claude Code forces its own."""
    fund(alice, dollars)
    choice = {"type": "tool", "name": "web_search"}
    for stream in (False, True):
        more: dict[str, Any] = {"tools": [SEARCH], "tool_choice": choice, "stream": stream}
        reply = vendor.messages(gateway, alice, "claude-haiku-4.5", **more)
        assert reply.status_code == 200, reply.text
        assert 1 <= vendor.sent(gateway)["tools"][0]["max_uses"] <= uses


def test_a_page_is_read_up_to_what_is_held(gateway: Gateway, alice: Person) -> None:
    fund(alice, "5")
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch"}
    for told, sent in ((None, 50_000), (9_000, 9_000), (10**9, 50_000)):
        tool = fetch | ({"max_content_tokens": told} if told else {})
        vendor.messages(gateway, alice, "claude-haiku-4.5", tools=[tool])
        assert vendor.sent(gateway)["tools"][0]["max_content_tokens"] == sent


def test_a_picture_and_twenty_pages(gateway: Gateway, alice: Person) -> None:
    fund(alice, "5")
    paper = {"type": "document", "source": source(pdf(20, "word " * 400), "application/pdf")}
    image = {"type": "image", "source": source(PNG)}
    for block in (paper, image):
        body = claude(block, max_tokens=8_000)
        with gateway.http(alice) as http:
            reply = http.post("/v1/messages", json=body)
        assert reply.status_code == 200, reply.text
    assert all(nanos("0") < event.cost < event.hold for event in gateway.books())
    assert not UsageQuarantine.objects.exists()
