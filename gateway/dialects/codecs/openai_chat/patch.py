"""A Chat body on its way to a Chat model: the client's own, changed only where it must be."""

from typing import Any

from gateway.dialects.codecs import dependents, names, thinking
from gateway.dialects.ir import Target, Thinking

# `max_output_tokens` is of another dialect: no vendor takes it here, and nothing is held by it.
_OURS = ("thinking_budget", "thinking", "reasoning", "max_output_tokens")
_CALLS = frozenset(("tool_calls", "tool_call_id"))
_LIMITS = ("max_completion_tokens", "max_tokens")
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias")


def patch_request(body: dict[str, Any], target: Target, requested: Thinking) -> dict[str, Any]:
    """`asked` is what the body or the model's suffix says about thinking.

    Usage is always asked for: a stream without it could not be billed.
    """
    patched = {k: v for k, v in body.items() if k not in _OURS}
    patched["model"] = target.model
    if patched.get("max_completion_tokens") is not None:
        patched.pop("max_tokens", None)  # one limit is sent: the one that is held
    if target.thinking == "effort" and patched.get("max_tokens") is not None:
        limit = patched.pop("max_tokens")
        patched.setdefault("max_completion_tokens", limit)
    for name in _LIMITS:
        if target.max_output and isinstance(patched.get(name), int):
            patched[name] = min(patched[name], target.max_output)
    settled = thinking.settle(requested, target, patched.get("max_completion_tokens"))
    patched.pop("reasoning_effort", None)
    if settled.effort:
        patched["reasoning_effort"] = settled.effort
    if target.sampling == "none":
        patched = {k: v for k, v in patched.items() if k not in _SAMPLING}
    if patched.get("stream"):
        options = patched.get("stream_options") or {}
        patched["stream_options"] = options | {"include_usage": True}
    if isinstance(patched.get("messages"), list):
        patched["messages"] = [
            message
            if type(message) is dict and _CALLS.isdisjoint(message)
            else _acceptable(message)
            for message in patched["messages"]
        ]
    return dependents.without_orphans("openai_chat", patched)


def _acceptable(message: Any) -> Any:
    """A message with calls, or of a result, as OpenAI takes it: no content is null there, or an
    empty text, and never an empty list (Cursor)."""
    if isinstance(message, dict) and message.get("content") == []:
        message = message | {"content": "" if message.get("role") == "tool" else None}
    return _with_short_ids(message)


def _with_short_ids(message: Any) -> Any:
    """The message itself, unless its calls have ids longer than OpenAI's: other gateways hide
    secrets in them."""
    if not isinstance(message, dict):
        return message
    raw = message.get("tool_call_id")
    if isinstance(raw, str) and len(raw) > names.LONGEST_ID:
        return message | {"tool_call_id": names.call_id(raw)}
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or all(not _is_long(call) for call in calls):
        return message
    short = [c | {"id": names.call_id(c["id"])} if _is_long(c) else c for c in calls]
    return message | {"tool_calls": short}


def _is_long(call: Any) -> bool:
    raw = call.get("id") if isinstance(call, dict) else None
    return isinstance(raw, str) and len(raw) > names.LONGEST_ID
