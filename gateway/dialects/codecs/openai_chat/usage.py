"""Chat counts cached tokens inside the prompt and reasoning inside the completion.

Compatible hosts differ: DeepSeek tells its cached tokens as `prompt_cache_hit_tokens`, Kimi as
`cached_tokens`, and xAI counts reasoning beside the completion, which its total gives away.
"""

from collections.abc import Mapping
from typing import Any

from gateway.dialects.codecs.tokens import apart, count
from gateway.dialects.ir import NO_TALLY, Tally, Usage

_PROMPT, _COMPLETION = "prompt_tokens_details", "completion_tokens_details"
_CACHED_APART = ("prompt_cache_hit_tokens", "cached_tokens")
_SOUNDS = (("audio.input", _PROMPT), ("audio.output", _COMPLETION))


def decode_usage(wire: Mapping[str, Any]) -> Usage:
    """The `usage` of a reply or of a chunk, un-nested (protocols.md section 3.2)."""
    prompt, completion = wire.get(_PROMPT), wire.get(_COMPLETION)
    cached = count(prompt, "cached_tokens") if prompt else _told_apart(wire)
    written = count(prompt, "cache_write_tokens") if prompt else 0
    output = count(wire, "completion_tokens")
    # Some hosts report more reasoning than completion.
    reasoning = count(completion, "reasoning_tokens") if completion else 0
    if reasoning > 0 and count(wire, "total_tokens") == _total(wire) + reasoning:
        output += reasoning
    reasoning = min(reasoning, max(output, 0))
    return Usage(
        input=apart(count(wire, "prompt_tokens"), cached, written),
        cache_read=cached,
        cache_write_5m=written,
        output=apart(output, reasoning),
        reasoning=reasoning,
    )


def _total(wire: Mapping[str, Any]) -> int:
    """Of the two sums."""
    return count(wire, "prompt_tokens") + count(wire, "completion_tokens")


def _told_apart(wire: Mapping[str, Any]) -> int:
    for name in _CACHED_APART:
        if name in wire and (told := count(wire, name)):
            return told
    return 0


def decode_tally(reply: Mapping[str, Any]) -> Tally:
    """What a reply, or a chunk of it, tells beside tokens: the service tier that was applied, and
    what of the tokens was sound."""
    tier, usage = reply.get("service_tier"), reply.get("usage")
    applied = {"service_tier": tier} if isinstance(tier, str) else {}
    calls = _sounds(usage) if isinstance(usage, dict) else {}
    return Tally(calls=calls, applied=applied) if applied or calls else NO_TALLY


def _sounds(usage: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, details in _SOUNDS:
        if (raw := usage.get(details)) and (tokens := count(raw, "audio_tokens")) > 0:
            found[name] = tokens
    return found


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Every field present and a number: SDKs and agents read them unasked."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input + usage.cache_read + written
    completion = usage.output + usage.reasoning
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
