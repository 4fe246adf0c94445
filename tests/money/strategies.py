"""What the free rider draws from: every door, every model's kind, every trick we have met."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.money.shapes import CHAT, MESSAGES, RESPONSES, Shape

MODELS = (
    *("gpt-4o", "gpt-4o-mini", "gpt-5.2", "gpt-5.2-codex", "gpt-5.4-mini", "gpt-5-mini"),
    *("claude-haiku-4.5", "claude-opus-4.5", "claude-opus-4.6", "claude-sonnet-4.5"),
    *("claude-sonnet-4", "gemini-2.5-pro", "gemini-3-flash-preview"),
)
_PLAIN, _LONG = ("", "", "", ":high", ":max"), ("", "-1m", ":high-1m")
_HAVE_LONG = ("claude-sonnet-4", "claude-sonnet-4.5", "claude-opus-4.6", "gpt-4o")

_NUMBERS = ("0", "1", "2", "5", "128", "129", "1000000000", "-1", "true", "1.5", '"3"', "null")
_MEMBERS = (
    *(f'"n": {number}' for number in _NUMBERS),
    *(f'"{name}": {number}' for number in ("1", "16", "20000") for name in (
        "max_tokens", "max_completion_tokens", "max_output_tokens", "MAX_TOKENS", "Max_Tokens",
        "max_\\u0074okens", "N", "\\u006e")),
    '"model": "gpt-4o-mini"', '"MODEL": "claude-opus-4.6"', '"m\\u006fdel": "claude-opus-4.6"',
    '"stream": true', '"Stream": true', '"stream": false', '"stream_options": {}',
    '"stream_options": {"include_usage": false}', '"stream_options": {"include_usage": true}',
    '"service_tier": "priority"', '"service_tier": "flex"', '"service_tier": "auto"',
    '"service_tier": "default"', '"service_tier": "scale"', '"Service_Tier": "priority"',
    '"inference_geo": "us"', '"inference_geo": "global"', '"Inference_Geo": "us"',
    '"speed": "fast"', '"speed": "standard"', '"fallbacks": [{"model": "claude-opus-4-6"}]',
    '"mcp_servers": [{"type": "url", "url": "https://example.com/mcp", "name": "mine"}]',
    '"container": "container_1"', '"background": true', '"store": true',
    '"web_search_options": {}',
    '"prediction": {"type": "content", "content": "word0 word1"}', '"modalities": ["text"]',
    '"audio": {"voice": "alloy", "format": "mp3"}', '"next_years_member": {"a": 1}',
    '"reasoning": {"effort": "xhigh", "summary": "auto"}', '"reasoning_effort": "high"',
    '"reasoning": {"effort": "low"}, "reasoning": {"effort": "xhigh"}',
    '"thinking": {"type": "enabled", "budget_tokens": 1024}', '"thinking_budget": 4096',
    '"thinking": {"type": "disabled"}', '"temperature": 1', '"parallel_tool_calls": false',
    '"max_tool_calls": 3', '"max_tool_calls": 100000', '"truncation": "auto"',
    '"output_config": {"effort": "max"}', '"output_config": {"next_years": 1}',
    '"context_management": {"edits": [{"type": "compact_20260112"}]}',
    '"metadata": {"user_id": "x"}', '"logprobs": true', '"top_logprobs": 3',
    '"tool_choice": "required"', '"tool_choice": {"type": "any"}',
)  # fmt: skip
_TOOLS = (
    '{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}',
    '{"type": "function", "name": "look", "parameters": {"type": "object"}}',
    '{"name": "look", "input_schema": {"type": "object"}}',
    '{"type": "mcp", "server_label": "mine", "server_url": "https://example.com/mcp"}',
    '{"type": "mcp_toolset", "mcp_server_name": "mine"}',
    '{"type": "bar_20270101", "name": "bar"}',
    '{"type": "Web_Search_20250305", "name": "web_search"}',
    '{"type": "web_search_preview"}',
    '{"type": "web_search_20250305", "name": "web_search", "max_uses": 1000000}',
    '{"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-9"}',
    '{"type": "advisor_20260301", "name": "advisor", "model": "claude-haiku-4-5-20251001"}',
    '{"googleSearch": {}}',
    '{"codeExecution": {}}',
    '{"type": "computer_use_preview", "display_width": 10, "display_height": 10}',
    '{"type": "bash_20250124", "name": "bash"}',
)
_BETAS = (
    "", "", "advisor-tool-2026-03-01", "compact-2026-01-12", "fast-mode-2026-02-01",
    "context-1m-2025-08-07", "mcp-client-2025-11-20", "next-year-2027-01-01",
    "interleaved-thinking-2025-05-14", "context-management-2025-06-27,compact-2026-01-12",
)  # fmt: skip
_USES = (
    "web_search", "web_fetch", "code_execution", "tool_search", "advisor", "compaction",
    "file_search", "code_interpreter", "image_generation", "google_search",
)  # fmt: skip


def _seldom(usual: object, other: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Mostly as usual: a request with every trick at once is refused for the first."""
    return st.integers(0, 3).flatmap(lambda n: other if n == 0 else st.just(usual))


def _named() -> st.SearchStrategy[str]:
    """A model, and a variant it has."""
    plain = st.tuples(st.sampled_from(MODELS), st.sampled_from(_PLAIN))
    long = st.tuples(st.sampled_from(_HAVE_LONG), st.sampled_from(_LONG))
    return (plain | plain | long).map("".join)


_EDITS = '"context_management": {"edits": [{"type": "compact_20260112"}]}'
_CLAUDE, _GPT = ("claude-haiku-4.5", "claude-opus-4.6"), ("gpt-5.2", "gpt-5.4-mini", "gpt-4o")
_RARE: list[dict[str, Any]] = [
    {"dialect": MESSAGES, "model": "claude-opus-4.6", "extra": ('"inference_geo": "us"',)},
    {
        "dialect": MESSAGES,
        "model": "claude-opus-4.6",
        "extra": ('"speed": "fast"',),
        "beta": "fast-mode-2026-02-01",
    },
    {
        "dialect": MESSAGES,
        "model": "claude-haiku-4.5",
        "use": "advisor",
        "beta": "advisor-tool-2026-03-01",
    },
    {
        "dialect": MESSAGES,
        "model": "claude-opus-4.6",
        "use": "compaction",
        "beta": "compact-2026-01-12",
        "extra": (_EDITS,),
    },
]
_PRICED: list[dict[str, Any]] = [
    *(
        {"dialect": MESSAGES, "model": model, "use": use}
        for use in ("web_search", "web_fetch", "code_execution", "tool_search")
        for model in _CLAUDE
    ),
    *(
        {"dialect": RESPONSES, "model": model, "use": use}
        for use in ("web_search", "file_search", "code_interpreter", "image_generation")
        for model in _GPT
    ),
    *(
        {"dialect": dialect, "model": model, "use": "google_search"}
        for dialect in (MESSAGES, RESPONSES)
        for model in ("gemini-2.5-pro", "gemini-3-flash-preview")
    ),
    *(
        {"dialect": dialect, "model": model, "extra": (f'"service_tier": "{tier}"',)}
        for dialect in (CHAT, RESPONSES)
        for model in _GPT
        for tier in ("flex", "priority", "auto", "default")
    ),
    *_RARE * 5,
    *(
        {"dialect": dialect, "model": model, "media": media}
        for dialect, model in ((MESSAGES, "claude-opus-4.6"), (RESPONSES, "gpt-5.2"))
        for media in ("url", "file", "packed", "pdf", "fake")
    ),
]
PRICED = [Shape(**each) for each in _PRICED]
_BASH = '{"type": "bash_20250124", "name": "bash"}'
CUT = [  # short answers to short prompts, left early: a word or a tool more is a quarter of them
    Shape(stream=True, words=0, leave=291, tools=('{"name": "look", "input_schema": {}}', _BASH)),
    Shape(dialect=MESSAGES, stream=True, words=14, leave=143, tools=(_BASH,)),
    Shape(dialect=RESPONSES, stream=True, words=4, leave=600),
    Shape(dialect=RESPONSES, model="gpt-4o-mini", words=2, leave=0),
    Shape(model="gpt-4o-mini", stream=True, words=0, leave=0),
]
_ANY: st.SearchStrategy[Shape] = st.builds(
    Shape,
    dialect=st.sampled_from([CHAT, RESPONSES, MESSAGES]),
    model=_named(),
    stream=st.booleans(),
    words=st.integers(0, 40),
    reason=_seldom(0, st.sampled_from([1, 100, 1_000, 10_000])),
    limit=_seldom(None, st.sampled_from([0, 1, 2, 16, 17, 1_024, 4_000, 64_000, 10**9, -1])),
    stop=_seldom(None, st.integers(-1, 10)),
    leave=st.integers(0, 9).flatmap(lambda n: st.integers(0, 4_000) if n == 0 else st.just(-1)),
    media=_seldom("", st.sampled_from(["pdf", "packed", "url", "file", "picture", "fake"])),
    pages=st.sampled_from([1, 3, 50, 100]),
    thinking=_seldom("", st.sampled_from(["low", "high", "summarized", "omitted"])),
    use=_seldom("", st.sampled_from(_USES)),
    times=st.integers(1, 12),
    fails=st.sampled_from([0] * 20 + [1, 1, 1, 2]),
    cached=_seldom("", st.sampled_from(["5m", "1h"])),
    poor=st.integers(0, 7).map(lambda n: n == 0),
    beta=_seldom("", st.sampled_from(_BETAS)),
    extra=_seldom((), st.lists(st.sampled_from(_MEMBERS), max_size=3).map(tuple)),
    tools=_seldom((), st.lists(st.sampled_from(_TOOLS), max_size=2).map(tuple)),
)


def _priced(shape: Shape, what: dict[str, Any]) -> Shape:
    """Something with a price of its own, asked where it can be had."""
    return replace(shape, **{"tools": (), "extra": (), "media": "", "stop": None} | what)


shapes = _ANY | _ANY | st.builds(_priced, _ANY, st.sampled_from(_PRICED))
