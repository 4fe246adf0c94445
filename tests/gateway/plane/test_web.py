"""The web for models whose vendor does not look at it: searched and read by us, on the way."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.catalogue import snapshot
from gateway.usage.models import UsageEvent
from gateway.vendors import vault
from gateway.vendors.web import searching
from gateway.vendors.web.models import SearchProvider
from tests.gateway_server import Gateway, fund
from tests.vendors import KEY
from tests.world import Person

MODELS = ("gpt-4o", "gpt-5.2", "gemini-2.5-pro")
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}


def provider(gateway: Gateway, shape: str = "searxng", **more: Any) -> SearchProvider:
    row = SearchProvider(name=shape, shape=shape, base_url=gateway.vendors.url, internal=True)
    for name, value in more.items():
        setattr(row, name, value)
    row.sealed, row.entered_for = vault.seal(KEY), row.home
    row.save()
    snapshot.forget()
    searching.forget()
    return row


@pytest.fixture
def web(gateway: Gateway) -> Iterator[Gateway]:
    provider(gateway)
    yield gateway
    searching.forget()
    snapshot.forget()


def call(name: str, **args: Any) -> str:
    return f"[[tool: {orjson.dumps({'name': name, 'args': args}).decode()}]]"


def messages(text: str, model: str = "gpt-5.2", **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 500, "messages": said, "tools": [SEARCH], **more}


def post(gateway: Gateway, person: Person, path: str, body: dict[str, Any]) -> Any:
    with gateway.http(person) as http:
        reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply


def events(text: str) -> list[dict[str, Any]]:
    lines = (line[6:] for line in text.split("\n") if line.startswith("data: "))
    return [orjson.loads(line) for line in lines if line != "[DONE]"]


def calls_of(event: UsageEvent) -> dict[str, int]:
    lines = event.details.get("lines", ())
    return {line["name"]: line["calls"] for line in lines if line["kind"] == "calls"}


@pytest.mark.parametrize("model", MODELS)
def test_claude_codes_search_is_run_for_another_vendors_model(
    web: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    text = call("web_search", query="cobalt prices") + "[[say: See {result}]]"
    reply = post(web, alice, "/v1/messages", messages(text, model)).json()
    kinds = [block["type"] for block in reply["content"] if block["type"] != "thinking"]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text"], reply
    use, result, said = (b for b in reply["content"] if b["type"] != "thinking")
    assert use["input"] == {"query": "cobalt prices"} and use["name"] == "web_search"
    assert result["tool_use_id"] == use["id"] and use["id"].startswith("srvtoolu_")
    assert result["content"][0]["url"] == "https://example.com/cobalt-prices/1"
    assert result["content"][0]["encrypted_content"]
    assert "https://example.com/cobalt-prices/1" in said["text"]
    assert reply["stop_reason"] == "end_turn"
    assert reply["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert [each.query for each in web.vendors.sandbox.searches] == ["cobalt prices"]
    (event,) = web.books()
    assert calls_of(event) == {"web_search": 1}
    assert len(event.details["rounds"]) == 1 and event.cost <= event.hold
