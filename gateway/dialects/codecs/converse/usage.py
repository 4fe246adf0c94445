"""Converse counts the cache apart from the input, and reasoning, untold, inside the output."""

from collections.abc import Mapping
from typing import Any

from gateway.dialects.codecs.tokens import count
from gateway.dialects.ir import Usage


def decode_usage(wire: Mapping[str, Any]) -> Usage:
    """The `usage` of a reply, or of the metadata that end a stream."""
    return Usage(
        input=count(wire, "inputTokens"),
        cache_read=count(wire, "cacheReadInputTokens"),
        cache_write_5m=count(wire, "cacheWriteInputTokens"),
        output=count(wire, "outputTokens"),
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """The same numbers, as Converse tells them."""
    written = usage.cache_write_5m + usage.cache_write_1h
    output = usage.output + usage.reasoning
    return {
        "inputTokens": usage.input,
        "outputTokens": output,
        "totalTokens": usage.input + usage.cache_read + written + output,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": written,
    }
