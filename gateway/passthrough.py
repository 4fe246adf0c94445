"""What a request in the upstream's own dialect must have changed, and nothing else.

The model id; `stream_options.include_usage`, so that we can bill without being asked to; the
thinking budget the plan allows; and, where the balance does not cover the whole output, an output
limit it does cover. Every clamp is told in a header and on the receipt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from gateway import sse
from gateway.catalogue import Model
from gateway.codecs import anthropic_messages, openai_chat
from gateway.ir import Usage
from gateway.taps import ChatTap, MessagesTap, Tap
from hontoni.errors import BadRequest

_LEAST_THINKING = 1_024  # Anthropic refuses less


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire protocol that client and upstream share."""

    name: str
    vendor: str
    path: str
    most_output: Callable[[Model, dict[str, Any]], int]
    limit_output: Callable[[dict[str, Any], int], dict[str, Any]]
    tap: Callable[[str, dict[str, Any]], Tap]
    decode_usage: Callable[[dict[str, Any]], Usage]
    stream_error: Callable[[dict[str, Any]], bytes]


def positive(parsed: dict[str, Any], name: str) -> int | None:
    """A positive integer field, or None if it is absent. Raises BadRequest."""
    value = parsed.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadRequest(f"{name} must be a whole number, not negative.", param=name)
    return value


def _chat_output(model: Model, parsed: dict[str, Any]) -> int:
    asked = positive(parsed, "max_completion_tokens") or positive(parsed, "max_tokens")
    choices = max(1, positive(parsed, "n") or 1)
    return min(asked or model.max_output, model.max_output) * choices


def _chat_limit(parsed: dict[str, Any], tokens: int) -> dict[str, Any]:
    each = max(1, tokens // max(1, parsed.get("n") or 1))
    name = "max_tokens" if parsed.get("max_tokens") else "max_completion_tokens"
    return {name: each}


def _chat_tap(model: str, parsed: dict[str, Any]) -> Tap:
    options = parsed.get("stream_options")
    asked = isinstance(options, dict) and bool(options.get("include_usage"))
    return ChatTap(model, keep_usage=asked)


def _messages_output(model: Model, parsed: dict[str, Any]) -> int:
    asked = positive(parsed, "max_tokens")
    if asked is None:
        raise BadRequest("max_tokens is required.", param="max_tokens")
    return min(asked, model.max_output)


def _messages_limit(parsed: dict[str, Any], tokens: int) -> dict[str, Any]:
    return {"max_tokens": tokens}


def _chat_error(body: dict[str, Any]) -> bytes:
    """An error event and no [DONE]: both SDKs raise on it (protocols.md section 2.1)."""
    return sse.encode("", orjson.dumps(body))


def _messages_error(body: dict[str, Any]) -> bytes:
    return sse.encode("error", orjson.dumps(body))


CHAT = Dialect(
    name="openai_chat",
    vendor="openai",
    path="/v1/chat/completions",
    most_output=_chat_output,
    limit_output=_chat_limit,
    tap=_chat_tap,
    decode_usage=openai_chat.decode_usage,
    stream_error=_chat_error,
)
MESSAGES = Dialect(
    name="anthropic_messages",
    vendor="anthropic",
    path="/v1/messages",
    most_output=_messages_output,
    limit_output=_messages_limit,
    tap=lambda model, parsed: MessagesTap(model),
    decode_usage=anthropic_messages.decode_usage,
    stream_error=_messages_error,
)


def changes(
    dialect: Dialect, model: Model, parsed: dict[str, Any], plan_budget: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The top-level members to change before the vendor sees them, and the clamps to tell of."""
    changed: dict[str, Any] = {"model": model.upstream_id}
    clamps: dict[str, Any] = {}
    if dialect is CHAT and parsed.get("stream"):
        options = parsed.get("stream_options")
        options = dict(options) if isinstance(options, dict) else {}
        if options.get("include_usage") is not True:
            changed["stream_options"] = {**options, "include_usage": True}
    asked = parsed.get("max_tokens")
    if dialect is MESSAGES and isinstance(asked, int) and asked > model.max_output:
        changed["max_tokens"] = model.max_output
        clamps["max_tokens"] = {"asked": asked, "applied": model.max_output, "by": "model"}
    most = changed.get("max_tokens", asked)
    clamp_thinking(parsed, most, plan_budget, changed, clamps)
    return changed, clamps


def clamp_thinking(
    parsed: dict[str, Any],
    max_tokens: Any,
    plan_budget: int,
    changed: dict[str, Any],
    clamps: dict[str, Any],
) -> None:
    """min(request, plan, max_tokens − 1); a budget that ends under the vendor's least is off.

    Clamped and never refused: the most popular agent sends 31,999 on every request, above the
    small plans' budgets (clients.md section 4).
    """
    thinking = parsed.get("thinking")
    if not isinstance(thinking, dict) or not isinstance(thinking.get("budget_tokens"), int):
        return
    asked: int = thinking["budget_tokens"]
    bounds = {"request": asked, "plan": plan_budget}
    if isinstance(max_tokens, int):
        bounds["max_tokens"] = max_tokens - 1
    by, applied = min(bounds.items(), key=lambda bound: bound[1])
    if by == "request":
        return
    if applied < _LEAST_THINKING:
        applied = 0
        changed["thinking"] = {"type": "disabled"}
    else:
        changed["thinking"] = {**thinking, "budget_tokens": applied}
    clamps["thinking"] = {"asked": asked, "applied": applied, "by": by}
