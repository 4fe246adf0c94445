"""Whatever arrives, from either side: a clear 400, or one clean end. Never a crash."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import codecs
from gateway.dialects.ir import Failed, Finish
from hontoni.errors import BadRequest
from tests.gateway.dialects.codecs import world
from tests.gateway.dialects.codecs.test_sdks import MODELS, RECORDED
from tests.gateway.dialects.codecs.test_to_anthropic_messages import CODEX_TOOLS
from tests.gateway.dialects.codecs.world import (
    assistant,
    function,
    tool,
    tool_call,
    tool_result,
    tool_use,
    user,
)

JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, 5, -1.5, True, "junk", "", [], [7], [None], {}, {"a": 1}, [[]]]
)

BODIES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s", "cache_control": {"type": "ephemeral"}},
            user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]),
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "x"}],
                "reasoning_details": [{"data": "hn1.x"}],
                "tool_calls": [tool_call("a", "f")],
            },
            {"role": "tool", "tool_call_id": "a", "content": "r"},
            user([{"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERi0="}}]),
        ],
        "tools": [function("f"), {"type": "custom", "custom": {"name": "c", "format": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "stop": ["X"],
        "stream_options": {"include_usage": True},
        "reasoning_effort": "high",
    },
    "openai_responses": {
        "model": "m",
        "input": [
            user([{"type": "input_text", "text": "x"}]),
            {"type": "reasoning", "summary": [{"text": "s"}], "encrypted_content": "hn1.x"},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": [{"text": "r"}]},
        ],
        "tools": CODEX_TOOLS,
        "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
        "reasoning": {"effort": "high"},
    },
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 9_000,
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            user([world.image("iVBO")]),
            assistant(
                {"type": "thinking", "thinking": "t", "signature": "hn1.x"}, tool_use("a", "f")
            ),
            user(
                [tool_result("a", [{"type": "document", "source": {"type": "text", "data": "x"}}])]
            ),
            {"role": "system", "content": "x", "output_config": {"effort": "low"}},
        ],
        "tools": [tool("f")],
        "tool_choice": {"type": "tool", "name": "f"},
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
    },
}


def spoiled(data: st.DataObject, value: Any) -> Any:
    """`value` with one thing in it, at a random depth, replaced by junk."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 9)) == 0:
        return data.draw(JUNK)
    at = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at] = spoiled(data, value[at])
    return copy


@pytest.mark.parametrize("dialect", BODIES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_spoiled_body_is_answered_or_refused(dialect: str, data: st.DataObject) -> None:
    body = spoiled(data, BODIES[dialect])
    if not isinstance(body, dict):
        return
    try:
        request = codecs.decode_request(dialect, body)
        for model in MODELS.values():
            to = world.target(model)
            codecs.UPSTREAMS[to.dialect].encode_request(request, to)
    except BadRequest as refused:
        assert refused.message and refused.param is not None


@pytest.mark.parametrize("path", RECORDED)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_spoiled_stream_ends_once_for_every_client(path: Any, data: st.DataObject) -> None:
    events = world.sent(path.read_bytes())
    at = data.draw(st.integers(0, len(events) - 1))
    events[at] = spoiled(data, events[at])
    done = [
        "[DONE]" if event == {"done": True} else orjson.dumps(event).decode() for event in events
    ]
    stream = world.frames(*done)
    to = world.target(MODELS[path.parent.name])
    for client in codecs.CODECS:
        request = world.ask(client)
        found = world.read(request, to, stream)
        assert [isinstance(event, Finish | Failed) for event in found].count(True) == 1
        world.send(request, found)
