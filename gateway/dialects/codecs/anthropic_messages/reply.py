"""A whole reply as one `message`; and an error as a stream ends with it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier, failures, wire
from gateway.dialects.codecs.anthropic_messages.usage import encode_usage
from gateway.dialects.codecs.searches import citation, result, use, uses
from gateway.dialects.codecs.tools import INPUT
from gateway.dialects.ir import (
    Carrier,
    Failed,
    Finish,
    Head,
    HostedCall,
    Message,
    Reasoning,
    Refusal,
    Reply,
    Text,
    ToolCall,
)
from hontoni.errors import page

STOP_REASONS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "context_window": "model_context_window_exceeded",
    "content_filter": "refusal",
    "pause": "pause_turn",
    "compaction": "compaction",
}


def encode_reply(reply: Reply, head: Head) -> dict[str, Any]:
    """Call it with a reply that ended well; an error is answered by its status instead."""
    end = reply.end if isinstance(reply.end, Finish) else Finish("stop")
    return {
        "id": f"msg_{head.reply_id}",
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": _content(reply.items, head.key),
        "stop_reason": STOP_REASONS.get(end.reason, "end_turn"),
        "stop_sequence": end.stop_sequence,
        "usage": encode_usage(reply.usage)
        | uses([item for item in reply.items if isinstance(item, HostedCall)]),
    } | unguarded(head.body)


def unguarded(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of checks that only Claude's vendor makes (`safeguards`): that they were not
    made. An agent that hears nothing takes it for a fault of ours."""
    requested = body.get("safeguards")
    if not isinstance(requested, list) or not requested:
        return {}
    kinds = (each.get("type") for each in requested if isinstance(each, Mapping))
    told = [{"type": str(kind), "status": {"type": "unsupported"}} for kind in kinds if kind]
    return {"safeguard_results": told}


def _content(items: Iterable[Any], key: bytes) -> list[dict[str, Any]]:
    """All blocks but the bare secrets behind the last text (the rule of the encoder)."""
    blocks = [block for item in items for block in _blocks(item, key)]
    end = len(blocks)
    while end and _is_bare(blocks[end - 1]):
        end -= 1
    return blocks[:end] if end and blocks[end - 1]["type"] == "text" else blocks


def _is_bare(block: dict[str, Any]) -> bool:
    return block["type"] == "redacted_thinking" or block.get("thinking") == ""


def _blocks(item: Any, key: bytes) -> Iterator[dict[str, Any]]:
    if isinstance(item, Message):
        said = (part for part in item.parts if isinstance(part, Text | Refusal) and part.text)
        yield from (_text(part, key) for part in said)
    elif isinstance(item, HostedCall):
        yield use(item)
        yield result(item, key)
    elif isinstance(item, Reasoning):
        shown = "\n\n".join(text for text in (*item.summary, *item.text) if text)
        yield from thinking(shown, item.carriers, key)
    elif isinstance(item, ToolCall):
        yield from thinking("", item.carriers, key)
        yield {
            "type": "tool_use",
            "id": item.call_id,
            "name": item.name,
            "input": {INPUT: item.args} if item.kind == "custom" else wire.arguments(item.args),
        }


def _text(part: Text | Refusal, key: bytes) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": part.text}
    notes = part.annotations if isinstance(part, Text) else ()
    return block | ({"citations": [citation(note, key) for note in notes]} if notes else {})


def thinking(shown: str, carriers: Iterable[Carrier], key: bytes) -> list[dict[str, Any]]:
    """A block for what was thought and each secret of it; none when there is neither.

    An empty block without a signature comes back in the history and is refused, so text that
    has none gets a plain carrier: agents want a signature on every block.
    """
    secrets = list(carriers)
    if not secrets and shown:
        secrets = [Carrier("", "", "plain", "")]
    blocks = []
    for each in secrets:
        blocks.append(_block(shown, each, key))
        shown = ""
    return blocks


def _block(shown: str, secret: Carrier, key: bytes) -> dict[str, Any]:
    own = secret.vendor == "anthropic"
    data = secret.data if own else carrier.seal(secret, key)
    if not shown and secret.form in ("redacted", "encrypted_content"):
        return {"type": "redacted_thinking", "data": data}
    return {"type": "thinking", "thinking": shown, "signature": data}


def encode_error(failed: Failed, request_id: str = "") -> dict[str, Any]:
    """What an `error` event holds; a prompt too long is worded so that Claude Code compacts."""
    message = failures.for_anthropic(failed.message, failed.code)
    error = {"type": failed.type, "message": message, **page(failed.code)}
    raw = {"type": "error", "error": error}
    return raw | ({"request_id": request_id} if request_id else {})
