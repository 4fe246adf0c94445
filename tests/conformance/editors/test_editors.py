"""Cursor's requests, on a Claude, a GPT and a Gemini model."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway_server import Gateway, fund
from tests.world import Person

MODELS = ("claude-sonnet-4.5", "gpt-5.2", "gemini-3.1-pro-preview")
FOLDER = Path(__file__).parent / "cursor"
RECORDED = {f"Cursor, {path.stem.replace('-', ' ')}": path for path in sorted(FOLDER.glob("*"))}


def answered(text: str) -> tuple[str, list[str]]:
    """What a stream of Chat said, and which tools it called."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]", text
    chunks: list[dict[str, Any]] = [json.loads(line) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    said = "".join(delta.get("content") or "" for delta in deltas)
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    named = [(call.get("function") or call.get("custom") or {}).get("name") for call in calls]
    return said, [name for name in named if name]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("editor", RECORDED)
def test_an_editor_is_answered(gateway: Gateway, alice: Person, editor: str, model: str) -> None:
    fund(alice, "10")
    recorded = json.loads(RECORDED[editor].read_text())
    with gateway.http(alice) as http:
        reply = http.post(recorded["path"], json={"model": model, **recorded["body"]})
    assert reply.status_code == 200, reply.text
    said, called = answered(reply.text)
    assert said or called
    if "history" in editor:
        assert said == "It prints 42."
    if "blocks" in editor:
        assert said == "It says DATA."
    if "responses" in editor:
        assert called == ["read_file"]
    if "custom" in editor:
        assert called == ["ApplyPatch"]
    (event,) = gateway.books()
    assert event.cost > 0 and event.status == 200
