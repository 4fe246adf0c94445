"""The hub: frozen values every dialect meets in. Pure: no I/O, no Django."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in disjoint buckets: no token is counted in two of them.

    OpenAI counts cached tokens inside the prompt and reasoning inside the completion; Anthropic
    counts the cache apart and reasoning inside output; Gemini counts thoughts apart. Each codec's
    `decode_usage` un-nests its own dialect (protocols.md section 3.2).
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
