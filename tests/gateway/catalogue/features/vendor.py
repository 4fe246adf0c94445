"""What a vendor answers, and what it was asked, in the shapes that its own documentation shows."""

from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from sandbox.vendors.faults import Fault
from tests.gateway_server import Gateway
from tests.world import Person

HI = [{"role": "user", "content": "hi"}]


def message(usage: Mapping[str, Any], content: Any = None) -> dict[str, Any]:
    """A whole answer of Claude's."""
    text = [{"type": "text", "text": "ok"}]
    told: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
    }
    told |= {"stop_reason": "end_turn", "stop_sequence": None}
    return told | {"content": content or text, "usage": dict(usage)}


def message_stream(usage: Mapping[str, Any], blocks: tuple[Any, ...] = ()) -> bytes:
    """The same, streamed: the counters of tools and the iterations come at its end."""
    start = message({"input_tokens": usage["input_tokens"], "output_tokens": 1}, [])
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for at, block in enumerate((*blocks, {"type": "text", "text": "ok"})):
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        events.append({"type": "content_block_stop", "index": at})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": dict(usage)})
    return sse([*events, {"type": "message_stop"}])


def response(usage: Mapping[str, Any], output: Any = (), **more: Any) -> dict[str, Any]:
    """A whole answer of OpenAI's."""
    said = {"type": "output_text", "text": "ok", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    told = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed"}
    told |= {"model": "gpt", "output": [*output, item | {"content": [said]}]}
    return told | {"usage": dict(usage)} | more


def response_stream(usage: Mapping[str, Any], output: Any = (), **more: Any) -> bytes:
    """The same, streamed; the last event leaves its output empty, as some hosts do."""
    whole = response(usage, output, **more)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": whole | {"status": "in_progress", "usage": None}}
    ]
    for at, item in enumerate(whole["output"]):
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    events.append({"type": "response.completed", "response": whole | {"output": []}})
    return sse([each | {"sequence_number": at} for at, each in enumerate(events)])


def sse(events: list[dict[str, Any]]) -> bytes:
    return b"".join(
        b"event: " + str(each["type"]).encode() + b"\ndata: " + orjson.dumps(each) + b"\n\n"
        for each in events
    )


def answers(gateway: Gateway, reply: Any) -> None:
    """The next answer of whichever vendor is asked: a body, or a stream."""
    if isinstance(reply, bytes):
        head = {"content-type": "text/event-stream"}
        gateway.vendors.faults.append(Fault(headers=head, body=reply))
    else:
        gateway.vendors.faults.append(Fault(body=orjson.dumps(reply)))


def messages(
    gateway: Gateway, person: Person, model: str, betas: str = "", **body: Any
) -> httpx.Response:
    """Ask Claude natively."""
    headers = {"anthropic-version": "2023-06-01"} | ({"anthropic-beta": betas} if betas else {})
    asked = {"model": model, "max_tokens": 1000, "messages": HI} | body
    with gateway.http(person) as http:
        return http.post("/v1/messages", json=asked, headers=headers)


def responses(gateway: Gateway, person: Person, model: str, **body: Any) -> httpx.Response:
    """Ask OpenAI natively."""
    with gateway.http(person) as http:
        asked = {"model": model, "input": "hi", "max_output_tokens": 1000} | body
        return http.post("/v1/responses", json=asked)


def sent(gateway: Gateway) -> dict[str, Any]:
    """The body of the last request that a vendor got."""
    body: dict[str, Any] = gateway.vendors.requests[-1].body
    return body


def dumps(value: Any) -> bytes:
    return orjson.dumps(value)
