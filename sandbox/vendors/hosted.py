"""The tools that the vendors run themselves, and how many tokens their results add to the prompt.

The numbers are round ones that a test can work out by hand.
"""

from collections.abc import Mapping

MOST = 100
"""How often a tool may be used at most, where the request does not say."""

RESULT_TOKENS = {
    "web_search": 1_000,
    "web_fetch": 2_500,
    "code_execution": 100,
    "tool_search": 0,  # tools of the request, which the prompt counts already
    "file_search": 800,
    "code_interpreter": 100,
    "image_generation": 0,
    "google_search": 0,  # Google bills the query, not what it found
    "url_context": 2_000,
}


def found(uses: Mapping[str, int]) -> int:
    """Tokens of what the tools found, which the model then reads."""
    return sum(RESULT_TOKENS.get(tool, 0) * times for tool, times in uses.items())


def named(kind: object) -> str:
    """web_search_20250305 → web_search; "" for a type of tool that no vendor runs."""
    if not isinstance(kind, str):
        return ""
    return next((tool for tool in RESULT_TOKENS if kind.startswith(tool)), "")
