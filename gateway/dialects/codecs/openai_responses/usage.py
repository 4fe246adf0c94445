"""Responses counts as Chat does, under other names: cache and reasoning inside the totals."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.dialects.codecs.tokens import apart, count
from gateway.dialects.ir import Tally, Usage

_ACTIONS = (None, "search")  # of a web search: opening a page or looking through it is no search
_CLIENTS = ("function_call", "custom_tool_call", "local_shell_call", "computer_call")


def decode_usage(wire: Mapping[str, Any]) -> Usage:
    """The `usage` of a response, un-nested (protocols.md section 3.2)."""
    cached = count(wire, "input_tokens_details", "cached_tokens")
    written = count(wire, "input_tokens_details", "cache_write_tokens")
    output = count(wire, "output_tokens")
    reasoning = min(count(wire, "output_tokens_details", "reasoning_tokens"), max(output, 0))
    return Usage(
        input=apart(count(wire, "input_tokens"), cached, written),
        cache_read=cached,
        cache_write_5m=written,
        output=apart(output, reasoning),
        reasoning=reasoning,
    )


def decode_tally(reply: Mapping[str, Any]) -> Tally:
    """What a response tells beside tokens in all: its tools' calls, by its own counters where it
    has them, else by its items; the images' tokens; and the service tier."""
    tier = reply.get("service_tier")
    calls = _items(reply.get("output") or ())
    raw = reply.get("tool_usage")
    if isinstance(raw, dict) and "web_search" in raw:
        calls["web_search_call"] = count(raw, "web_search", "num_requests")
    if isinstance(raw, dict) and "image_gen" in raw:
        calls |= _images(raw)
    return Tally(calls=calls, applied={"service_tier": tier} if isinstance(tier, str) else {})


def _items(output: Iterable[Any]) -> dict[str, int]:
    """Calls by the type of their item; of code, the containers it ran in."""
    seen: dict[str, set[Any]] = {}
    for at, item in enumerate(output):
        kind = item.get("type") if isinstance(item, dict) else None
        if not isinstance(kind, str) or not kind.endswith("_call") or kind in _CLIENTS:
            continue
        action = item.get("action")
        searches = not isinstance(action, dict) or action.get("type") in _ACTIONS
        if kind == "web_search_call" and not searches:
            continue
        seen.setdefault(kind, set()).add(str(item.get("container_id") or at))
    return {kind: len(found) for kind, found in seen.items()}


def _images(raw: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of the images, apart by what they cost."""
    output = count(raw, "image_gen", "output_tokens")
    text = min(count(raw, "image_gen", "output_tokens_details", "text_tokens"), output)
    pictures = count(raw, "image_gen", "input_tokens_details", "image_tokens")
    return {
        "image_gen.input_text": apart(count(raw, "image_gen", "input_tokens"), pictures),
        "image_gen.input_image": pictures,
        "image_gen.output_text": text,
        "image_gen.output_image": apart(output, text),
    }


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Both details always hold integers: Codex retries five times over a missing one."""
    written = usage.cache_write_5m + usage.cache_write_1h
    total_in = usage.input + usage.cache_read + written
    total_out = usage.output + usage.reasoning
    return {
        "input_tokens": total_in,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
        },
        "output_tokens": total_out,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": total_in + total_out,
    }
