"""A Messages body on its way to Claude: the client's own, changed only where it must be.

Claude binds its thinking to the exact transcript, so nothing else is touched (protocols.md
section 0). What this model would refuse is repaired: how thinking is asked for, sampling, a
foreign secret, a system message in the middle, tools that join there, an id or a schema in words
that are not its own; and what stands on something that a repair took away falls with it.
"""

import re
from collections.abc import Iterator
from typing import Any

from gateway.dialects.codecs import carrier, dependents, names, schemas, searches, thinking
from gateway.dialects.codecs.anthropic_messages import additions
from gateway.dialects.codecs.anthropic_messages.body import possible
from gateway.dialects.ir import Target, Thinking

_ODD_ID = re.compile(r"[^a-zA-Z0-9_-]")
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}


def patch_request(body: dict[str, Any], target: Target, requested: Thinking) -> dict[str, Any]:
    """`asked` is what the body or the model's suffix says about thinking."""
    patched = body | {"model": target.model}
    limit = body.get("max_tokens")
    if isinstance(limit, int) and target.max_output:
        patched["max_tokens"] = limit = min(limit, target.max_output)
    messages = body.get("messages") or []
    patched["messages"] = list(_messages(messages, target))
    tools = body.get("tools")
    if not target.mid_system:
        tools = additions.settled(tools, messages)
    if isinstance(tools, list) and tools:
        patched["tools"] = additions.somehow_offered(tools)
    _shape(patched)
    settled = thinking.settle(requested, target, limit if isinstance(limit, int) else None)
    settled, choice = possible(settled, target, patched["messages"], patched.get("tool_choice"))
    if choice is not None:
        patched["tool_choice"] = choice
    _think(patched, target, settled)
    return dependents.without_orphans("anthropic_messages", patched)


def _shape(patched: dict[str, Any]) -> None:
    """The shape of the answer, in those words of JSON Schema that Claude takes for it."""
    config = patched.get("output_config")
    if isinstance(config, dict) and isinstance(config.get("format"), dict):
        patched["output_config"] = config | {"format": _formed(config["format"])}
    if isinstance(patched.get("output_format"), dict):
        patched["output_format"] = _formed(patched["output_format"])


def _formed(form: dict[str, Any]) -> dict[str, Any]:
    schema = form.get("schema")
    if not isinstance(schema, dict) or schemas.is_claude_output(schema):
        return form
    return form | {"schema": schemas.for_claude_output(schema)}


def _think(patched: dict[str, Any], target: Target, settled: Thinking) -> None:
    raw = patched.get("thinking") or {}
    shown = {"display": raw["display"]} if "display" in raw else {}
    config = dict(patched.get("output_config") or {})
    if target.thinking == "budget":
        config.pop("effort", None)
    if settled.mode == "budget":
        patched["thinking"] = {"type": "enabled", "budget_tokens": settled.budget} | shown
    elif settled.mode == "adaptive":
        patched["thinking"] = {"type": "adaptive"} | shown
        config |= {"effort": settled.effort} if settled.effort else {}
    elif settled.mode == "between_tools":
        patched["thinking"] = {"type": "between_tools"}
    elif settled.mode == "off":
        patched["thinking"] = {"type": "disabled"}
    if config:
        patched["output_config"] = config
    else:
        patched.pop("output_config", None)
    if target.sampling == "none" or settled.mode not in ("", "off"):
        for name in ("temperature", "top_p", "top_k"):
            patched.pop(name, None)


def _messages(messages: list[Any], target: Target) -> Iterator[Any]:
    """A system message this model has no place for follows, as a user's, the results behind it."""
    waiting: list[Any] = []
    for message in messages:
        if not isinstance(message, dict):
            yield message
        elif message.get("role") == "system" and not target.mid_system:
            waiting += _reminders(message)
        else:
            raw = _without_foreign(message, target)
            if waiting and raw.get("role") == "user" and _has_results(raw):
                raw = {**raw, "content": [*raw["content"], *waiting]}
                waiting = []
            elif waiting:
                yield {"role": "user", "content": waiting}
                waiting = []
            if raw.get("content") != []:
                yield raw
    if waiting:
        yield {"role": "user", "content": waiting}


def _reminders(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    for block in blocks:
        if isinstance(block, dict) and block.get("text"):
            text = f"<system-reminder>\n{block['text']}\n</system-reminder>"
            yield {**block, "text": text}


def _has_results(message: dict[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return any(isinstance(b, dict) and b.get("type") == "tool_result" for b in blocks)


def _without_foreign(message: dict[str, Any], target: Target) -> dict[str, Any]:
    """The message itself, unless it holds a secret of another vendor's or of ours, calls with ids
    that another gateway made, or searches that were not Claude's."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    own = message.get("role") == "assistant"
    told = searches.for_claude(content, target.key) if own else content
    kept = [_with_plain_id(block) for block in told if not _foreign(block)]
    if len(kept) == len(content) and all(a is b for a, b in zip(kept, content, strict=True)):
        return message
    return {**message, "content": kept}


def _with_plain_id(block: Any) -> Any:
    name = _IDS.get(str(block.get("type"))) if isinstance(block, dict) else None
    raw = block.get(name) if name else None
    if not isinstance(raw, str) or not _ODD_ID.search(raw):
        return block
    return block | {name: names.call_id(raw)}


def _foreign(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    if block.get("type") not in ("thinking", "redacted_thinking"):
        return False
    secret = block.get("signature") or block.get("data")
    return isinstance(secret, str) and secret.startswith(carrier.PREFIX)
