"""GET /v1/models as Codex asks for it, by `client_version`: its own metadata of each model.

Without it Codex takes a model it does not know for one with a small window and no reasoning. A
field that it requires and that we have no word on has the value that takes nothing away.
"""

from collections.abc import Iterable
from typing import Any

from gateway.catalogue.sold import Model

_EFFORTS = {
    "none": "Answers without reasoning",
    "minimal": "Reasons as little as it can",
    "low": "Reasons briefly",
    "medium": "Reasons as much as most tasks need",
    "high": "Reasons at length",
    "xhigh": "Reasons as long as it takes",
}
_USUAL = ("low", "medium", "high")
# Codex tells a model what it says here, in place of the words it has for models it knows.
_INSTRUCTIONS = """\
You are a coding agent in the user's terminal. You read and change files and run commands with the
tools you are given; the user sees what you say and what your tools do.

* Find out before you act: read the files that matter, and any AGENTS.md on the way to them.
* Keep to what was asked, in the style of the code around it. Mend causes, not symptoms.
* Change files with the patch tool where there is one. Never undo changes that are not yours, and
  never run what destroys data or history unless the user asked for exactly that.
* Go on until the task is done: run the tests or the program to see that it is, and say what you
  could not check.
* Keep what you say short. Name files as `path:line`. End with what changed and what is left.
"""


def manifest(models: Iterable[Model]) -> list[dict[str, Any]]:
    """What Codex is to know, the first of them its default."""
    return [_entry(model, place) for place, model in enumerate(models)]


def _entry(model: Model, place: int) -> dict[str, Any]:
    efforts = _efforts(model)
    ours = model.vendor == "openai"
    return {
        "slug": model.id,
        "display_name": model.name,
        "description": None,
        "default_reasoning_level": _default(efforts),
        "supported_reasoning_levels": [
            {"effort": each, "description": _EFFORTS[each]} for each in efforts
        ],
        "shell_type": "shell_command",
        "visibility": "list",
        "minimal_client_version": [0, 0, 0],
        "supported_in_api": True,
        "priority": place,
        "availability_nux": None,
        "upgrade": None,
        "base_instructions": _INSTRUCTIONS,
        "supports_reasoning_summaries": bool(efforts),
        "default_reasoning_summary": "auto",
        "support_verbosity": ours and model.dialect == "openai_responses",
        "default_verbosity": None,
        "apply_patch_tool_type": "freeform",
        "web_search_tool_type": "text",
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": True,
        "supports_image_detail_original": False,
        "context_window": model.context_window,
        "max_context_window": model.long_context_window or model.context_window,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if "vision" in model.capabilities else ["text"],
        "supports_search_tool": False,
    }


def _efforts(model: Model) -> list[str]:
    """What it takes; a model that is told a budget or a level is told an effort by us."""
    if "reasoning" not in model.capabilities:
        return []
    words = model.target.efforts if model.target.thinking == "effort" else _USUAL
    return [each for each in _EFFORTS if each in words] or list(_USUAL)


def _default(efforts: list[str]) -> str | None:
    if not efforts:
        return None
    return "medium" if "medium" in efforts else efforts[-1]
