"""A Messages body on its way to Claude: the client's own, changed only where it must be.

Claude binds its thinking to the exact transcript, so nothing else is touched (protocols.md
section 0). What this model would refuse is repaired: how thinking is asked for, sampling, a
foreign secret, a system message in the middle.
"""

from collections.abc import Iterator
from typing import Any

from gateway.dialects.codecs import carrier, thinking
from gateway.dialects.codecs.anthropic_messages.body import lost_its_thinking
from gateway.dialects.ir import Target, Thinking


def patch_request(body: dict[str, Any], target: Target, requested: Thinking) -> dict[str, Any]:
    """`asked` is what the body or the model's suffix says about thinking."""
    patched = body | {"model": target.model}
    limit = body.get("max_tokens")
    if isinstance(limit, int) and target.max_output:
        patched["max_tokens"] = limit = min(limit, target.max_output)
    patched["messages"] = list(_messages(body.get("messages") or [], target))
    settled = thinking.settle(requested, target, limit if isinstance(limit, int) else None)
    _think(patched, target, _possible(patched, target, settled))
    return patched


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """A patched body for the one retry after Claude called a signature stale: no thinking is
    left in it, and none is asked for where Claude would miss it."""
    messages = [_unthought(message) for message in body["messages"]]
    bare = body | {"messages": [m for m in messages if m.get("content") != []]}
    enabled = (body.get("thinking") or {}).get("type") == "enabled"
    if enabled and lost_its_thinking(bare["messages"]):
        bare["thinking"] = {"type": "disabled"}
    return bare


def _unthought(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return message | {"content": [block for block in content if not _is_thought(block)]}


def _is_thought(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in ("thinking", "redacted_thinking")


def _possible(patched: dict[str, Any], target: Target, settled: Thinking) -> Thinking:
    """A forced call, or a call whose thinking is gone, does without thinking."""
    if settled.mode in ("", "off") or target.off != "disabled":
        return settled
    forced = (patched.get("tool_choice") or {}).get("type") in ("any", "tool")
    lost = target.thinking == "budget" and lost_its_thinking(patched["messages"])
    return Thinking("off") if forced or lost else settled


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
            raw = _without_foreign(message)
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


def _without_foreign(message: dict[str, Any]) -> dict[str, Any]:
    """The message itself, unless it holds a secret of another vendor's, or of ours."""
    content = message.get("content")
    if message.get("role") != "assistant" or not isinstance(content, list):
        return message
    kept = [block for block in content if not _foreign(block)]
    return message if len(kept) == len(content) else {**message, "content": kept}


def _foreign(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    secret = block.get("signature") or block.get("data")
    return isinstance(secret, str) and secret.startswith(carrier.PREFIX)
