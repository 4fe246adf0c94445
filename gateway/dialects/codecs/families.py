"""What each family of models can be asked, by the vendor's own model id.

The table of protocols.md section 1.5, and the rows of 1.3 that depend on the model. The first
pattern that fits is used; a model nobody knows here gets its dialect's plainest rules.
"""

import re
from dataclasses import replace
from typing import Any

from gateway.dialects.ir import Target

_LOW_TO_MAX = ("low", "medium", "high", "max")
_LOW_TO_XMAX = ("low", "medium", "high", "xhigh", "max")
_BUDGET = {"thinking": "budget", "off": "disabled", "sampling": "one", "most_budget": 64_000}
_ADAPTIVE = {"thinking": "adaptive", "off": "disabled", "efforts": _LOW_TO_XMAX}
_NEWEST = _ADAPTIVE | {"sampling": "none", "mid_system": True, "prefill": False}
_EFFORT = {"thinking": "effort", "sampling": "none"}
_LEVEL = {"thinking": "level", "signatures": True, "result_media": True}

_DIALECTS: dict[str, dict[str, Any]] = {
    "anthropic_messages": {"vendor": "anthropic", "stops": 8_191, "sampling": "one"},
    "openai_responses": {"vendor": "openai", "stops": 0, "mid_system": True},
    "openai_chat": {"vendor": "openai", "stops": 4, "mid_system": True},
    "gemini": {"vendor": "google", "stops": 5},
    "converse": {"vendor": "amazon", "stops": 4, "schema": "instruction"},
}
_FAMILIES: tuple[tuple[str, dict[str, Any]], ...] = (
    (r"claude-(sonnet|opus)-4[.-]6", _ADAPTIVE | {"efforts": _LOW_TO_MAX, "sampling": "one"}),
    (r"claude-opus-4[.-]7", _ADAPTIVE | {"sampling": "none"}),
    (r"claude-opus-4[.-]8", _ADAPTIVE | {"sampling": "none", "mid_system": True}),
    (r"claude-(sonnet|haiku)-4[.-]5|claude-opus-4[.-]5", _BUDGET),
    (r"claude-(3|sonnet-4|opus-4)", _BUDGET | {"schema": "tool"}),
    (r"claude-opus-5[.-]5", _NEWEST | {"off": "low"}),
    (r"claude-\w+-5[.-]5", _NEWEST | {"off": "between_tools"}),
    (r"claude-", _NEWEST),
    (r"gpt-5-|gpt-5$", _EFFORT | {"efforts": ("minimal", "low", "medium", "high")}),
    (r"gpt-5\.1", _EFFORT | {"efforts": ("none", "low", "medium", "high")}),
    (r"gpt-5\.[2-5]", _EFFORT | {"efforts": ("none", "low", "medium", "high", "xhigh")}),
    (r"gpt-[5-9]", _EFFORT | {"efforts": ("none", "low", "medium", "high", "xhigh", "max")}),
    (r"o\d", _EFFORT | {"efforts": ("low", "medium", "high")}),
    (
        r"gemini-2\.5-pro",
        {
            "thinking": "budget",
            "least_budget": 128,
            "most_budget": 32_768,
            "schema_with_tools": False,
        },
    ),
    (
        r"gemini-2",
        {
            "thinking": "budget",
            "off": "disabled",
            "least_budget": 1,
            "most_budget": 24_576,
            "schema_with_tools": False,
        },
    ),
    (r"gemini-3-flash", _LEVEL | {"efforts": ("minimal", "low", "medium", "high")}),
    (r"gemini-", _LEVEL | {"efforts": ("low", "medium", "high")}),
)


def vendor(dialect: str) -> str:
    """Whose dialect it is."""
    return str(_DIALECTS[dialect]["vendor"])


def target(model: str, dialect: str, **fields: Any) -> Target:
    """The capabilities of the vendor's `model` behind `dialect`; `fields` decide over the table.

    OpenAI's reasoning models refuse stop sequences in both dialects: those are emulated.
    """
    known = next((rules for name, rules in _FAMILIES if re.match(name, model)), {})
    rules = _DIALECTS[dialect] | known
    if rules.get("thinking") == "effort":
        rules["stops"] = 0
    return replace(Target(dialect=dialect, model=model, **rules), **fields)
