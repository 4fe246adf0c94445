"""A Chat body on its way to a Chat model: the client's own, changed only where it must be."""

from typing import Any

from gateway.dialects.codecs import thinking
from gateway.dialects.ir import Target, Thinking

# `max_output_tokens` is of another dialect: no vendor takes it here, and nothing is held by it.
_OURS = ("thinking_budget", "thinking", "reasoning", "max_output_tokens")
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
    return patched


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """The body itself: Chat carries none."""
    return body
