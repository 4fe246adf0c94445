"""Anthropic counts the cache apart from the input, and thinking inside the output."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.codecs.tokens import apart, count
from gateway.ir import Usage


def decode_usage(wire: Mapping[str, Any]) -> Usage:
    """The `usage` of a message, un-nested (protocols.md section 3.2).

    The top level leaves out what compaction used, so those iterations are added; unless a
    fallback served the message, whose top level is complete.
    """
    counted = [wire, *_compactions(wire)]
    return Usage(*map(sum, zip(*map(_decode_one, counted), strict=True)))


def _decode_one(wire: Mapping[str, Any]) -> Usage:
    written = count(wire, "cache_creation_input_tokens")
    hourly = min(count(wire, "cache_creation", "ephemeral_1h_input_tokens"), max(written, 0))
    output = count(wire, "output_tokens")
    thinking = min(count(wire, "output_tokens_details", "thinking_tokens"), max(output, 0))
    return Usage(
        input=count(wire, "input_tokens"),
        cache_read=count(wire, "cache_read_input_tokens"),
        cache_write_5m=apart(written, hourly),
        cache_write_1h=hourly,
        output=apart(output, thinking),
        reasoning=thinking,
    )


def _compactions(wire: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    iterations = wire.get("iterations")
    entries = [each for each in iterations or () if isinstance(each, Mapping)]
    if any(each.get("type") == "fallback_message" for each in entries):
        return
    yield from (each for each in entries if each.get("type") == "compaction")


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Every field present and a number: an agent without them loops (clients.md section 3)."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output + usage.reasoning,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }
