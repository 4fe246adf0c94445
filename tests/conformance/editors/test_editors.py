"""Cursor's requests, on a Claude, a GPT and a Gemini model.

A file of `cursor/` is one: `raw` is what is sent, byte for byte, but for the name of the model and
for `play`, which is put behind the words `after` to tell the sandbox what to answer. `source` says
where the request, or its shape, is public.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.dialects.replay import objection
from tests.gateway_server import Gateway, fund
from tests.world import Person

MODELS = ("claude-sonnet-4.5", "gpt-5.2", "gemini-3.1-pro-preview")
FOLDER = Path(__file__).parent / "cursor"
RECORDED = {f"Cursor, {path.stem.replace('-', ' ')}": path for path in sorted(FOLDER.glob("*"))}


def deltas(text: str) -> list[dict[str, Any]]:
    """Of an answer of Chat's, streamed or whole."""
    if not text.startswith("data: "):
        return [choice["message"] for choice in json.loads(text)["choices"]]
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]", text
    chunks: list[dict[str, Any]] = [json.loads(line) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def read(text: str) -> tuple[str, list[list[str]]]:
    """What was said, and which tools were called with which arguments: all that Cursor reads of a
    call is its `function`."""
    calls: dict[int, list[str]] = {}
    found = deltas(text)
    for delta in found:
        for at, call in enumerate(delta.get("tool_calls") or ()):
            known = calls.setdefault(call.get("index", at), ["", ""])
            known[0] += call["function"].get("name") or ""
            known[1] += call["function"].get("arguments") or ""
    return "".join(delta.get("content") or "" for delta in found), list(calls.values())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("editor", RECORDED)
def test_an_editor_is_answered(gateway: Gateway, alice: Person, editor: str, model: str) -> None:
    fund(alice, "10")
    recorded = json.loads(RECORDED[editor].read_text())
    raw = recorded["raw"].replace(json.dumps(recorded["model"]), json.dumps(model), 1)
    quoted = json.dumps(recorded["play"], ensure_ascii=False)[1:-1]
    asked = raw.replace(recorded["after"], f"{recorded['after']} {quoted}", 1)
    with gateway.http(alice) as http:
        json_body = {"content-type": "application/json"}
        reply = http.post(recorded["path"], content=asked.encode(), headers=json_body)
    assert reply.status_code == 200, reply.text
    said, called = read(reply.text)
    expect = recorded["expect"]
    assert expect.get("text", "") in said
    wanted = expect.get("calls", [])
    assert [_plain(call) for call in called] == [_plain(call) for call in wanted]
    assert objection(gateway.vendors.last) == ""
    (event,) = gateway.books()
    assert event.cost > 0 and event.status == 200


def _plain(call: list[str]) -> tuple[str, Any]:
    """Arguments that are JSON mean the same however they are spaced."""
    try:
        return call[0], json.loads(call[1])
    except ValueError:
        return call[0], call[1]
