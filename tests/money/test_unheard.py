"""What tools did in an answer that was not heard to its end is paid as it was held."""

from typing import Any

import pytest

from gateway.metering import calibration
from gateway.usage.models import UsageEvent
from tests.gateway.plane.test_faults import at_rest
from tests.gateway_server import Gateway, fund
from tests.money import world
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database

MANY = "[[slow: 0.1]] [[say: " + "one two three four " * 40 + "]]"
ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-6"}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
CODE = {"type": "code_execution_20250825", "name": "code_execution"}
FINDER = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
BETAS = "advisor-tool-2026-03-01,compact-2026-01-12"
BOUNDS = {
    "seconds": ("DRAIN_SECONDS", 0.3),
    "bytes": ("DRAIN_BYTES", 300),
    "number": ("DRAINS_AT_ONCE", 0),
}


@pytest.fixture
def payer(gateway: Gateway, alice: Person) -> Person:
    world.unlimited()
    calibration.forget()
    return fund(alice, "100")


def left(gateway: Gateway, payer: Person, dialect: str, body: dict[str, Any]) -> UsageEvent:
    """Left early, and not heard out: lawful all the same (the fixture looks)."""
    headers = {"anthropic-beta": BETAS} if dialect == "messages" else {}
    world.leave(gateway, payer, dialect, body, after=b"three", headers=headers)
    until(lambda: at_rest(payer), "its slot or its hold is still taken")
    event = world.receipt(gateway)
    assert (event.estimated, event.details["rule"]) == (True, "estimated")
    assert world.due(gateway) * 3 // 4 <= event.cost <= event.hold
    return event


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("advice", ["[[advise: 50000 20000]]", "[[advise: 900 30000]]"])
def test_an_advisor_nobody_heard_out_is_paid(
    gateway: Gateway, payer: Person, settings: Any, bound: str, advice: str
) -> None:
    setattr(settings, *BOUNDS[bound])
    body = world.asked("messages", "claude-haiku-4.5", f"{advice} {MANY}", tools=[ADVISOR])
    event = left(gateway, payer, "messages", body)
    kinds = [line["kind"] for line in event.details["lines"]]
    assert kinds.count("advisor_message") == 1


@pytest.mark.parametrize(
    ("tool", "use"),
    [
        (SEARCH, "web_search 5"),
        (FETCH, "web_fetch 3"),
        (CODE, "code_execution 4"),
        (FINDER, "tool_search 6"),
    ],
)
def test_what_claude_did_is_paid_though_nobody_heard_it_out(
    gateway: Gateway, payer: Person, settings: Any, tool: dict[str, Any], use: str
) -> None:
    settings.DRAIN_SECONDS = 0.3
    body = world.asked("messages", "claude-haiku-4.5", f"[[use: {use}]] {MANY}", tools=[tool])
    left(gateway, payer, "messages", body)


def test_a_summary_nobody_heard_out_is_paid(
    gateway: Gateway, payer: Person, settings: Any
) -> None:
    settings.DRAINS_AT_ONCE = 0
    text = "[[compact: 30000 9000]] " + MANY + "word " * 30_000
    edits = {"edits": [{"type": "compact_20260112"}]}
    body = world.asked("messages", "claude-sonnet-4.6", text, context_management=edits)
    left(gateway, payer, "messages", body)


@pytest.mark.parametrize(
    ("tool", "use"),
    [
        ({"type": "web_search"}, "web_search 4"),
        ({"type": "file_search", "vector_store_ids": ["vs_1"]}, "file_search 3"),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, "code_interpreter 2"),
        ({"type": "image_generation"}, "image_generation 1"),
    ],
)
def test_what_openai_did_is_paid_though_nobody_heard_it_out(
    gateway: Gateway, payer: Person, settings: Any, tool: dict[str, Any], use: str
) -> None:
    settings.DRAIN_SECONDS = 0.3
    body = world.asked("responses", "gpt-5.4-mini", f"[[use: {use}]] {MANY}", tools=[tool])
    left(gateway, payer, "responses", body | {"reasoning": {"effort": "none"}})
