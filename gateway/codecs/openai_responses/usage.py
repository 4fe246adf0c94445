"""Responses counts as Chat does, under other names: cache and reasoning inside the totals."""

from collections.abc import Mapping
from typing import Any

from gateway.codecs.tokens import apart, count
from gateway.ir import Usage


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
