"""Who leaves before the numbers pays what the vendor's tools did meanwhile."""

import socket
from typing import Any

import httpx
import pytest

from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from sandbox.vendors.faults import Fault
from tests.gateway.catalogue.features import vendor
from tests.gateway.catalogue.features.test_pricing import (
    ADVISED,
    ADVISOR,
    COMPACTED,
    COMPACTION,
    SEARCH,
)
from tests.gateway.plane.test_faults import at_rest
from tests.gateway.plane.test_hidden_work import leave_after
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

# These bend the vendor's answers, so its own meter did not make them.
pytestmark = pytest.mark.outside_the_law

SEARCHED = {
    "input_tokens": 60_000,
    "output_tokens": 100,
    "server_tool_use": {"web_search_requests": 2},
}
FOUND = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
NUMBERS = [b"event: message_delta", b"event: response.completed"]


def pausing(gateway: Gateway, stream: bytes) -> None:
    """The next answer: silent for a while before it tells its numbers."""
    (at,) = (stream.index(mark) for mark in NUMBERS if mark in stream)
    head = {"content-type": "text/event-stream"}
    fault = Fault(headers=head, body=stream, pieces=at, silence=1.0, silence_at=1)
    gateway.vendors.faults.append(fault)


def settled(gateway: Gateway, person: Person) -> UsageEvent:
    until(lambda: at_rest(person), "its slot or its hold is still taken")
    (event,) = gateway.books()
    assert gateway.balance(person) == nanos("50") - event.cost
    return event


def claude(**more: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-4.5", "max_tokens": 1_000, "messages": vendor.HI} | more


GPT = {"model": "gpt-5.4-mini", "input": "hi", "max_output_tokens": 1_000}


@pytest.mark.parametrize(
    ("usage", "blocks", "more", "cost"),
    [
        (ADVISED, (), {"tools": [ADVISOR]}, "0.3265"),
        (SEARCHED, (FOUND, FOUND), {"tools": [SEARCH]}, "0.0805"),
        (COMPACTED, (), COMPACTION, "0.2255"),
    ],
    ids=["advisor", "search", "compaction"],
)
def test_leaving_at_the_last_word_makes_no_tool_free(
    gateway: Gateway,
    alice: Person,
    usage: dict[str, Any],
    blocks: tuple[Any, ...],
    more: dict[str, Any],
    cost: str,
) -> None:
    fund(alice, "50")
    pausing(gateway, vendor.message_stream(usage, blocks))
    leave_after(gateway, alice, "/v1/messages", claude(**more), b'"ok"')
    event = settled(gateway, alice)
    assert (event.cost, event.details["rule"]) == (nanos(cost), "drained")


def test_leaving_a_tool_at_work_makes_it_no_cheaper(gateway: Gateway, alice: Person) -> None:
    """Before a word was said."""
    fund(alice, "50")
    stream = vendor.message_stream(SEARCHED, (FOUND,))
    at = stream.index(b"server_tool_use")
    at = stream.index(b"\n\n", at) + 2
    head = {"content-type": "text/event-stream"}
    gateway.vendors.faults.append(
        Fault(headers=head, body=stream, pieces=at, silence=1.0, silence_at=1)
    )
    leave_after(gateway, alice, "/v1/messages", claude(tools=[SEARCH]), b"server_tool_use")
    event = settled(gateway, alice)
    assert (event.cost, event.details["rule"]) == (nanos("0.0805"), "drained")


def test_a_whole_answer_with_tools_that_nobody_waits_for_is_paid(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    gateway.vendors.faults.append(Fault(body=vendor.dumps(vendor.message(ADVISED)), delay=2.0))
    body = vendor.dumps(claude(tools=[ADVISOR]))
    head = f"Host: here\r\nAuthorization: Bearer {alice.raw}\r\nContent-Length: {len(body)}\r\n"
    address = httpx.URL(gateway.url)
    with socket.create_connection((address.host, address.port)) as client:
        client.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + body)
        until(lambda: not gateway.vendors.faults, "the vendor was never asked")
    event = settled(gateway, alice)
    assert (event.cost, event.details["rule"]) == (nanos("0.3265"), "drained")


def test_so_it_is_at_openai(gateway: Gateway, alice: Person) -> None:
    """Where it does not reason, and nothing else is hidden."""
    fund(alice, "50")
    usage = {"input_tokens": 60_000, "output_tokens": 100}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    body = GPT | {"reasoning": {"effort": "none"}, "tools": [{"type": "web_search"}]}
    pausing(gateway, vendor.response_stream(usage, (search,)))
    leave_after(gateway, alice, "/v1/responses", body, b'"ok"')
    event = settled(gateway, alice)
    assert (event.cost, event.details["rule"]) == (nanos("0.03416"), "drained")
