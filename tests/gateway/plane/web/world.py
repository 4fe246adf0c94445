"""A search provider, and what customers ask that searches."""

from typing import Any

import orjson

from gateway.catalogue import snapshot
from gateway.usage.models import UsageEvent
from gateway.vendors import vault
from gateway.vendors.web import searching
from gateway.vendors.web.models import SearchProvider
from tests.gateway_server import Gateway
from tests.vendors import KEY
from tests.world import Person

MODELS = ("gpt-4o", "gpt-5.2")
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
