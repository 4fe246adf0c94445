"""How much a prompt says: what an estimate reckons where no vendor told."""

from typing import Any

import orjson
import pytest

from gateway.metering.estimates import prompt_bytes

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
CHAT_TOOL = {"type": "function", "function": {"name": "read", "parameters": SCHEMA}}
SAID: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Hello."}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]},
    {"input": "Hello."},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello."}]}]},
    {"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]},
]


def test_what_is_said_counts_and_the_json_around_it_does_not() -> None:
    for body in SAID:
        assert prompt_bytes(body) - len("Hello.") in (0, len("text"), len("input_text"))


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("tools", CHAT_TOOL),
        ("tools", {"name": "read", "input_schema": SCHEMA}),
        ("tools", {"functionDeclarations": [{"name": "read", "parameters": SCHEMA}]}),
        ("functions", CHAT_TOOL["function"]),
    ],
)
def test_a_tool_counts_with_all_of_its_json(name: str, tool: dict[str, Any]) -> None:
    assert prompt_bytes({name: [tool]}) == len(orjson.dumps(tool))


@pytest.mark.parametrize("name", ["input", "args"])
def test_so_does_what_it_was_given(name: str) -> None:
    given = {"path": "/etc/hosts", "lines": 20}
    part = {"content": [{name: given}]}
    assert prompt_bytes({"messages": [part]}) == len(orjson.dumps(given))


def test_numbers_and_letters_that_no_json_has_are_counted_all_the_same() -> None:
    odd = {"input": {"n": 10**40, "s": "\ud800"}}
    assert prompt_bytes({"messages": [odd]}) > 40
