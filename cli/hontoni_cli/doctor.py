"""Whether a tool reaches the gateway: with what its own files say, step by step, to a request."""

import os
from collections.abc import Callable
from typing import Any

from hontoni_cli.clients.client import CHAT, GENERATE, MESSAGES, RESPONSES, TOOLS, Client, Place
from hontoni_cli.gateway import Answer, Failed, Gateway

Say = Callable[[str], None]

_PROMPT, _MOST = "Say ok.", 64


def check(client: Client, say: Say, *, free: bool) -> bool:
    """Says of each step whether it is good; whether all were. With `free` nothing is asked that
    costs."""
    say(f"{client.title}")
    place = client.read()
    if place is None:
        say(f"  BAD   It is not set up: hontoni setup {client.name}")
        return False
    key = place.key or os.environ.get("HONTONI_API_KEY", "")
    if not key:
        say("  -     Its key is in a store of its own: with HONTONI_API_KEY it is tried, too.")
        return True
    if client.overruled:
        say(f"  -     The shell sets {', '.join(client.overruled)}: that goes before its files.")
    gateway = Gateway(place.url, key)
    steps: list[tuple[str, Callable[[], str]]] = [
        ("reaches", lambda: _reaches(gateway)),
        ("key", lambda: _key(gateway)),
    ]
    if client.dialect == TOOLS:
        steps.append(("tools", lambda: _tools(gateway)))
    else:
        steps.append(("dialect", lambda: _dialect(gateway, client, place)))
        if not free:
            steps.append(("request", lambda: _request(gateway, client, place)))
    return all(_step(say, name, step) for name, step in steps)


def _step(say: Say, name: str, step: Callable[[], str]) -> bool:
    try:
        say(f"  good  {step()}")
    except Failed as failed:
        say(f"  BAD   {name}: {failed}")
        return False
    except (LookupError, TypeError, AttributeError):
        say(f"  BAD   {name}: It answers, but not as a gateway does: is the address right?")
        return False
    return True


def _reaches(gateway: Gateway) -> str:
    Gateway(gateway.url).get("/healthz")
    return f"{gateway.url} answers."


def _key(gateway: Gateway) -> str:
    found = gateway.get("/v1/key")
    shown = f"Its key is {found['name']} (…{found['last4']})"
    return f"{shown}, with ${found['available']} to spend." if found["available"] else f"{shown}."


def _dialect(gateway: Gateway, client: Client, place: Place) -> str:
    """Its dialect is understood, of its model; nothing is charged."""
    path = "/v1/estimate" + ("?dialect=gemini" if client.dialect == GENERATE else "")
    found = gateway.post(path, {**body(client.dialect, place.model), "model": place.model}).content
    if found["refusal"]:
        raise Failed(found["refusal"]["message"])
    return f"Its dialect works: {found['model']}, at most ${found['most_cost']} for a word."


def _request(gateway: Gateway, client: Client, place: Place) -> str:
    answer = send(gateway, client.dialect, place.model)
    cost = answer.headers.get("X-Hontoni-Cost", "?")
    return f"A request went end to end: {answer.headers.get('X-Request-Id')}, ${cost}."


def _tools(gateway: Gateway) -> str:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    found = gateway.post("/mcp", message, accept).content
    return f"It has {len(found['result']['tools'])} tools of the account's."


def send(gateway: Gateway, dialect: str, model: str) -> Answer:
    """One request as that dialect has it. Raises Failed."""
    path = {
        CHAT: "/v1/chat/completions",
        RESPONSES: "/v1/responses",
        MESSAGES: "/v1/messages",
        GENERATE: f"/v1beta/models/{model}:generateContent",
    }[dialect]
    headers = {"anthropic-version": "2023-06-01"} if dialect == MESSAGES else {}
    if dialect == GENERATE:
        headers["x-goog-api-key"] = gateway.token
    return gateway.post(path, body(dialect, model), headers)


def body(dialect: str, model: str) -> dict[str, Any]:
    """The smallest request."""
    message = {"role": "user", "content": _PROMPT}
    match dialect:
        case "responses":
            return {"model": model, "input": _PROMPT, "max_output_tokens": _MOST}
        case "gemini":
            contents = [{"role": "user", "parts": [{"text": _PROMPT}]}]
            return {"contents": contents, "generationConfig": {"maxOutputTokens": _MOST}}
    return {"model": model, "messages": [message], "max_tokens": _MOST}
