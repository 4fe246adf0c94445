"""Gemini counts cached tokens inside the prompt, and thoughts apart from the candidates."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.dialects.codecs.tokens import apart, count
from gateway.dialects.ir import NO_TALLY, Tally, Usage


def decode_usage(wire: Mapping[str, Any]) -> Usage:
    """A `usageMetadata`, un-nested (protocols.md section 3.2).

    Older Vertex counts the thoughts inside the candidates: then the total gives it away.
    """
    cached, tools = count(wire, "cachedContentTokenCount"), count(wire, "toolUsePromptTokenCount")
    prompt, output = count(wire, "promptTokenCount"), count(wire, "candidatesTokenCount")
    thoughts = count(wire, "thoughtsTokenCount")
    inclusive = thoughts > 0 and count(wire, "totalTokenCount") == prompt + tools + output
    return Usage(
        input=apart(prompt, cached) + tools,
        cache_read=cached,
        output=apart(output, thoughts) if inclusive else output,
        reasoning=min(thoughts, max(output, 0)) if inclusive else thoughts,
    )


_PRICED = {
    ("promptTokensDetails", "AUDIO"): "audio.input",
    ("toolUsePromptTokensDetails", "AUDIO"): "audio.input",
    ("candidatesTokensDetails", "AUDIO"): "audio.output",
    ("candidatesTokensDetails", "IMAGE"): "image.output",
}


def decode_tally(queries: Sequence[str], wire: Mapping[str, Any]) -> Tally:
    """The searches of an answer, and that it searched at all: models are billed by the one or by
    the other. And what of its tokens was no text, where that has a price of its own."""
    calls = {"search_queries": len(queries), "grounded_prompts": 1} if queries else {}
    for (name, modality), counter in _PRICED.items():
        details = wire.get(name)
        for raw in details if isinstance(details, list) else ():
            if isinstance(raw, Mapping) and raw.get("modality") == modality:
                calls[counter] = calls.get(counter, 0) + max(0, count(raw, "tokenCount"))
    return Tally(calls=calls) if calls else NO_TALLY


def encode_usage(usage: Usage) -> dict[str, Any]:
    """The same numbers as `usageMetadata`; cache writes, which it cannot say, are prompt."""
    written = usage.cache_write_5m + usage.cache_write_1h
    prompt = usage.input + usage.cache_read + written
    return {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": usage.output,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": prompt + usage.output + usage.reasoning,
    }
