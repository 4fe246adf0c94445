"""Section 3 of the protocol map: every upstream's own numbers, in six disjoint buckets."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.codecs import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
    tokens,
)
from gateway.dialects.ir import Usage

Decode = Callable[[Mapping[str, Any]], Usage]

COUNTED = [
    pytest.param(
        openai_chat.decode_usage,
        {
            "prompt_tokens": 1000,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens": 77,
            "completion_tokens_details": {"reasoning_tokens": 33},
        },
        Usage(input=600, cache_read=400, output=44, reasoning=33),
        id="#082",
    ),
    pytest.param(
        openai_chat.decode_usage,
        {
            "prompt_tokens": 10,
            "completion_tokens": 6000,
            "completion_tokens_details": {"reasoning_tokens": 6100},
        },
        Usage(input=10, reasoning=6000),
        id="#088",
    ),
    pytest.param(
        openai_responses.decode_usage,
        {
            "input_tokens": 3300,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 3207},
            "output_tokens": 5,
        },
        Usage(input=93, cache_write_5m=3207, output=5),
        id="#089 first call",
    ),
    pytest.param(
        openai_responses.decode_usage,
        {
            "input_tokens": 3300,
            "input_tokens_details": {"cached_tokens": 3207, "cache_write_tokens": 0},
            "output_tokens": 5,
        },
        Usage(input=93, cache_read=3207, output=5),
        id="#089 second call",
    ),
    pytest.param(
        anthropic_messages.decode_usage,
        {
            "input_tokens": 9,
            "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            "output_tokens": 70,
            "output_tokens_details": {"thinking_tokens": 30},
        },
        Usage(9, 20, 60, 40, 40, 30),
        id="anthropic counts the cache apart",
    ),
    pytest.param(
        anthropic_messages.decode_usage,
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [
                {"type": "message", "input_tokens": 10, "output_tokens": 5},
                {"type": "compaction", "input_tokens": 900, "output_tokens": 100},
            ],
        },
        Usage(input=910, output=105),
        id="compaction is not in the top level",
    ),
    pytest.param(
        anthropic_messages.decode_usage,
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [
                {"type": "compaction", "input_tokens": 900, "output_tokens": 100},
                {"type": "fallback_message", "input_tokens": 10, "output_tokens": 5},
            ],
        },
        Usage(input=10, output=5),
        id="a fallback's top level is whole",
    ),
    pytest.param(
        gemini.decode_usage,
        {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 40,
            "toolUsePromptTokenCount": 7,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 157,
        },
        Usage(input=67, cache_read=40, output=20, reasoning=30),
        id="gemini counts thoughts apart",
    ),
    pytest.param(
        gemini.decode_usage,
        {
            "promptTokenCount": 100,
            "candidatesTokenCount": 50,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 150,
        },
        Usage(input=100, output=20, reasoning=30),
        id="older vertex counts thoughts inside",
    ),
]


@pytest.mark.parametrize(("decode", "wire", "usage"), COUNTED)
def test_no_token_is_counted_in_two_buckets(
    decode: Decode, wire: dict[str, Any], usage: Usage
) -> None:
    assert decode(wire) == usage


ALL = [openai_chat, openai_responses, anthropic_messages, gemini]


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.__name__.split(".")[-1])
def test_nulls_and_junk_count_nothing(codec: Any) -> None:
    names = codec.encode_usage(Usage())
    assert codec.decode_usage({}) == Usage()
    assert codec.decode_usage(dict.fromkeys(names)) == Usage()
    assert codec.decode_usage(dict.fromkeys(names, "many")) == Usage()


@pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.__name__.split(".")[-1])
@given(counts=st.tuples(*[st.integers(0, 10**7)] * 6))
def test_a_dialects_own_usage_reads_back_with_nothing_lost(
    codec: Any, counts: tuple[int, ...]
) -> None:
    usage = Usage(*counts)
    back = codec.decode_usage(codec.encode_usage(usage))
    assert sum(back) == sum(counts)
    assert (back.cache_read, back.output, back.reasoning) == (counts[1], counts[4], counts[5])


def test_what_anthropic_can_say_comes_back_exactly() -> None:
    usage = Usage(1, 2, 3, 4, 5, 6)
    encoded = anthropic_messages.encode_usage(usage)
    assert anthropic_messages.decode_usage(encoded) == usage


def test_a_negative_number_survives_for_quarantine() -> None:
    assert openai_chat.decode_usage({"prompt_tokens": -3, "completion_tokens": -1}) == Usage(
        input=-3, output=-1
    )


@pytest.mark.parametrize(
    ("start", "delta", "usage"),
    [
        pytest.param(
            {"input_tokens": 9, "cache_read_input_tokens": 1, "output_tokens": 1},
            {"input_tokens": 9, "cache_read_input_tokens": 1, "output_tokens": 8},
            Usage(input=9, cache_read=1, output=8),
            id="#083",
        ),
        pytest.param(
            {"input_tokens": 50, "output_tokens": 1},
            {"input_tokens": 0, "cache_read_input_tokens": None, "output_tokens": 8},
            Usage(input=50, output=8),
            id="#084",
        ),
        pytest.param(
            {
                "cache_creation_input_tokens": 100,
                "cache_creation": {"ephemeral_1h_input_tokens": 100},
                "output_tokens": 1,
            },
            {"cache_creation_input_tokens": 100, "output_tokens": 8},
            Usage(cache_write_1h=100, output=8),
            id="the split of the cache is kept",
        ),
        pytest.param(
            {"input_tokens": 5, "output_tokens": 3},
            {"output_tokens": 0},
            Usage(input=5),
            id="the output may fall to nothing",
        ),
    ],
)
def test_the_last_snapshot_wins_and_nothing_is_added(
    start: dict[str, Any], delta: dict[str, Any], usage: Usage
) -> None:
    seen = tokens.merge(tokens.merge(None, start), delta)
    assert anthropic_messages.decode_usage(seen) == usage


@pytest.mark.parametrize("told", [1e300, float("inf"), float("nan"), 10**30, -(10**30)])
def test_a_number_beyond_all_numbers_is_still_one_that_json_can_carry(told: float) -> None:
    assert tokens.count({"output_tokens": told}, "output_tokens") == tokens.MOST
