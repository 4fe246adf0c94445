"""One small world for the codecs: a key, a few models, and translation from end to end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.dialects import codecs, sse
from gateway.dialects.codecs import families
from gateway.dialects.codecs.fold import fold
from gateway.dialects.ir import Event, Head, Message, Reply, Request, Target, Text

KEY = b"a key for tests"
RECORDINGS = Path(__file__).parent.parent / "recordings"
DIALECT = {
    "gpt-4": "openai_chat",
    "gpt-5": "openai_responses",
    "cla": "anthropic_messages",
    "ama": "converse",
}


def target(model: str, dialect: str = "", **fields: Any) -> Target:
    """A vendor's model behind its usual dialect."""
    usual = next((d for name, d in DIALECT.items() if model.startswith(name)), "gemini")
    return families.target(model, dialect or usual, **{"key": KEY} | fields)


def upstream(dialect: str, body: dict[str, Any], model: str, **fields: Any) -> dict[str, Any]:
    """The body that reaches `model` for a client's `body`."""
    to = target(model, **fields)
    request = codecs.decode_request(dialect, {"model": model} | body)
    return codecs.UPSTREAMS[to.dialect].encode_request(request, to)


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": list(messages) or [user("hi")], **fields}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def ask(dialect: str, body: dict[str, Any] | None = None) -> Request:
    """A request that asks for nothing special."""
    others: dict[str, dict[str, Any]] = {
        "openai_responses": {"input": "hi"},
        "gemini": {"contents": [{"parts": [{"text": "hi"}]}]},
    }
    plain = others.get(dialect) or chat()
    return codecs.decode_request(dialect, {"model": "m", **plain, **(body or {})})


def head(request: Request, body: dict[str, Any] | None = None, **fields: Any) -> Head:
    told: dict[str, Any] = {"reply_id": "0a1b", "model": "m", "created": 1790000000, "key": KEY}
    return Head(request=request, body=body or {}, **told | fields)


def frames(*events: Any) -> bytes:
    """Upstream bytes: a dict is an event named by its type, as both vendors do it."""
    sent = b""
    for event in events:
        if isinstance(event, str):
            sent += sse.encode("", event.encode())
        else:
            sent += sse.encode(str(event.get("type") or ""), orjson.dumps(event))
    return sent


def read(request: Request, to: Target, *chunks: bytes) -> list[Event]:
    """What the client will be told of an upstream's bytes."""
    reader = codecs.reader(request, to, "0a1b")
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return events + reader.close()


def send(request: Request, events: Iterable[Event], body: dict[str, Any] | None = None) -> bytes:
    """The stream the client gets."""
    encoder = codecs.CLIENTS[request.dialect].Encoder(head(request, body))
    return b"".join(encoder.feed(event) for event in events)


def sent(stream: bytes) -> list[dict[str, Any]]:
    """A client's stream, parsed; `[DONE]` as {"done": True}."""
    splitter = sse.Splitter()
    split = splitter.feed(stream) + splitter.close()
    return [{"done": True} if f.data == b"[DONE]" else orjson.loads(f.data) for f in split]


def unary(request: Request, reply: Reply, body: dict[str, Any] | None = None) -> dict[str, Any]:
    return codecs.CLIENTS[request.dialect].encode_reply(reply, head(request, body))


def answer(request: Request, to: Target, *chunks: bytes) -> dict[str, Any]:
    """The unary reply: the fold of the stream."""
    return unary(request, fold(read(request, to, *chunks)))


def said(reply: Reply) -> str:
    """All the text of a reply."""
    parts = (p for item in reply.items if isinstance(item, Message) for p in item.parts)
    return "".join(part.text for part in parts if isinstance(part, Text))


def row(*numbers: str) -> pytest.MarkDecorator:
    """The cases of protocols.md section 6 that a test holds, in its id (see conftest.py)."""
    return pytest.mark.parametrize("row", ["#" + "+#".join(numbers)], indirect=True)


def tool_use(call_id: str, name: str, told: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": told or {}}


def tool_result(call_id: str, content: Any = "done", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def tool_call(call_id: str, name: str, args: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": args}}


def function(name: str, **schema: Any) -> dict[str, Any]:
    """A tool as Chat writes it."""
    parameters = {"type": "object", "properties": {}} | schema
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def tool(name: str, **fields: Any) -> dict[str, Any]:
    """A tool as Messages writes it."""
    return {"name": name, "input_schema": {"type": "object", "properties": {}}} | fields


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def image(data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source}
