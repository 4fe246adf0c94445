"""What Claude Code asks of Claude alone, on every model: its safeguards, and those of Anthropic's
tools that the client runs."""

from typing import Any

import orjson
import pytest

from tests.gateway_server import Gateway, fund
from tests.world import Person

OTHERS = ("gpt-5.2", "gpt-4o", "gemini-2.5-pro")
BETA = {"anthropic-beta": "dangerous-tool-use-2026-09-03,claude-code-20250219"}
SAFEGUARDS = [{"type": "dangerous_tool_use"}]
TOOLS: list[dict[str, Any]] = [
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    {"type": "text_editor_20250124", "name": "str_replace_editor"},
    {"type": "memory_20250818", "name": "memory"},
    {
        "type": "computer_20250124",
        "name": "computer",
        "display_width_px": 1024,
        "display_height_px": 768,
    },
]
CALLS = {
    "bash": {"command": "ls -la"},
    "str_replace_based_edit_tool": {"command": "view", "path": "/a.py"},
    "str_replace_editor": {"command": "undo_edit", "path": "/a.py"},
    "memory": {"command": "view", "path": "/memories"},
    "computer": {"action": "left_click", "coordinate": [10, 20]},
}


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"max_tokens": 500, "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("model", OTHERS)
def test_another_model_says_that_it_has_no_such_safeguard(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    body = ask("Hi", model=model, safeguards=SAFEGUARDS)
    told = [{"type": "dangerous_tool_use", "status": {"type": "unsupported"}}]
    with gateway.http(alice) as http:
        whole = http.post("/v1/messages", json=body, headers=BETA)
        assert whole.json()["safeguard_results"] == told
        streamed = http.post("/v1/messages", json={**body, "stream": True}, headers=BETA)
        plain = http.post("/v1/messages", json=ask("Hi", model=model))
    events = [orjson.loads(x[6:]) for x in streamed.text.split("\n") if x.startswith("data: ")]
    (delta,) = [event["delta"] for event in events if event["type"] == "message_delta"]
    assert delta["safeguard_results"] == told and delta["stop_reason"] == "end_turn"
    assert "safeguard_results" not in plain.json()
    assert "safeguards" not in str(gateway.vendors.last.body)


def test_claude_is_asked_for_them(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = ask("Hi", model="claude-sonnet-4.5", safeguards=SAFEGUARDS, stream=True)
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", json=body, headers=BETA)
    assert reply.status_code == 200 and "x-hontoni-left-out" not in reply.headers
    sent = gateway.vendors.last
    assert sent.body["safeguards"] == SAFEGUARDS
    assert "dangerous-tool-use-2026-09-03" in sent.headers["anthropic-beta"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["type"])
@pytest.mark.parametrize("model", OTHERS)
def test_a_tool_that_the_client_runs_is_called_on_every_model(
    gateway: Gateway, alice: Person, model: str, tool: dict[str, Any]
) -> None:
    fund(alice, "10")
    name, args = tool["name"], CALLS[tool["name"]]
    script = orjson.dumps({"name": name, "args": args}).decode()
    body = ask(f"[[tool: {script}]]", model=model, tools=[tool])
    with gateway.http(alice) as http:
        first = http.post("/v1/messages", json=body)
        assert first.status_code == 200, first.text
        assert "x-hontoni-left-out" not in first.headers
        (call,) = [block for block in first.json()["content"] if block["type"] == "tool_use"]
        assert (call["name"], call["input"]) == (name, args)
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "done"}
        body["messages"] += [
            {"role": "assistant", "content": first.json()["content"]},
            {"role": "user", "content": [result]},
        ]
        second = http.post("/v1/messages", json=body)
        forced = {"type": "tool", "name": name}
        third = http.post(
            "/v1/messages", json=ask("Go", model=model, tools=[tool], tool_choice=forced)
        )
    assert second.status_code == 200 and third.status_code == 200, second.text + third.text
    assert third.json()["stop_reason"] == "tool_use"


def test_claude_is_given_them_as_they_are(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = ask("Hi", model="claude-sonnet-4.5", tools=TOOLS[:2])
    with gateway.http(alice) as http:
        assert http.post("/v1/messages", json=body).status_code == 200
    assert gateway.vendors.last.body["tools"] == TOOLS[:2]
