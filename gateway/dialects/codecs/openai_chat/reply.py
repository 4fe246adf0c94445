"""A whole reply as one `chat.completion`; and an error as a stream ends with it."""

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.dialects.codecs import carrier
from gateway.dialects.codecs.openai_chat.usage import encode_usage
from gateway.dialects.ir import (
    Annotation,
    Carrier,
    Failed,
    Finish,
    Head,
    Message,
    Part,
    Reasoning,
    Refusal,
    Reply,
    Text,
    ToolCall,
)
from hontoni.errors import page

_GAP = "\n\n"  # between messages, for Chat has room for one only
FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "context_window": "length",
    "content_filter": "content_filter",
}


def encode_reply(reply: Reply, head: Head) -> dict[str, Any]:
    """Call it with a reply that ended well; an error is answered by its status instead."""
    reason = reply.end.reason if isinstance(reply.end, Finish) else "stop"
    choice = {
        "index": 0,
        "message": _message(reply, head.key),
        "logprobs": None,
        "finish_reason": FINISH.get(reason, "stop"),
    }
    return {
        "id": f"chatcmpl-{head.reply_id}",
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [choice],
        "usage": encode_usage(reply.usage),
    }


def _message(reply: Reply, key: bytes) -> dict[str, Any]:
    messages = [item for item in reply.items if isinstance(item, Message)]
    said = [text for message in messages if (text := _text(message.parts))]
    refusal = "".join(p.text for m in messages for p in m.parts if isinstance(p, Refusal))
    calls = [_call(item, key) for item in reply.items if isinstance(item, ToolCall)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _GAP.join(said) if said or not (calls or refusal) else None,
        "refusal": refusal or None,
        "annotations": list(_annotations(messages)),
    }
    if calls:
        message["tool_calls"] = calls
    return message | _reasoning(reply, key)


def _text(parts: Iterable[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


def _annotations(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """In the characters of the whole content (`_message`)."""
    start = 0
    for message in messages:
        at = start
        for part in message.parts:
            if isinstance(part, Text):
                yield from (citation(note, at) for note in part.annotations)
                at += len(part.text)
        start = at + len(_GAP) if at > start else start


def citation(note: Annotation, start: int) -> dict[str, Any]:
    """Of a text that begins at `start`."""
    cited = {"url": note.url, "title": note.title}
    span = {"start_index": start + note.start, "end_index": start + note.end}
    return {"type": "url_citation", "url_citation": cited | span}


def _reasoning(reply: Reply, key: bytes) -> dict[str, Any]:
    items = [item for item in reply.items if isinstance(item, Reasoning)]
    said = "\n\n".join(text for item in items for text in (*item.summary, *item.text) if text)
    carriers = [c for item in items for c in item.carriers]
    details = [
        {"type": "reasoning.encrypted", "index": at, "data": carrier.seal(c, key)}
        for at, c in enumerate(carriers)
    ]
    shown: dict[str, Any] = {"reasoning_content": said} if said else {}
    return shown | ({"reasoning_details": details} if details else {})


def _call(call: ToolCall, key: bytes) -> dict[str, Any]:
    raw = {"id": call.call_id} | signature(call.carriers, key)
    if call.kind == "custom":
        return raw | {"type": "custom", "custom": {"name": call.name, "input": call.args}}
    function = {"name": call.name, "arguments": call.args or "{}"}
    return raw | {"type": "function", "function": function}


def signature(carriers: Iterable[Carrier], key: bytes) -> dict[str, Any]:
    """Google's own place for it in Chat; the Vercel SDK sends it back from there."""
    for each in carriers:
        return {"extra_content": {"google": {"thought_signature": carrier.seal(each, key)}}}
    return {}


def encode_error(failed: Failed) -> dict[str, Any]:
    """Both SDKs raise from the top-level `error`."""
    return {
        "error": {
            "message": failed.message,
            "type": failed.type,
            "code": failed.code,
            "param": None,
            **page(failed.code),
        }
    }
