"""Tools that a vendor runs itself, and which of another vendor's is the same.

Only what is simple and loses nothing is translated: a search of the live web without filters, and
running code without files. The rest is left out, and told.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.dialects.ir import Request, Target, Tool

SEARCH, CODE = "web_search", "code_execution"
_WORDS = (
    ("web_search", SEARCH),
    ("code_execution", CODE),
    ("code_interpreter", CODE),
)
# What Gemini calls them.
GEMINI = {SEARCH: "googleSearch", CODE: "codeExecution"}
# What says no more than the tool alone does.
_SAYS_NOTHING = {
    SEARCH: {"type", "name", "cache_control", "max_uses", "search_context_size", "strict"},
    CODE: {"type", "name", "cache_control", "container", "strict"},
}


def word(tool: Tool) -> str:
    """Our word for what a hosted tool does, or "" where no other vendor has the same."""
    raw: Mapping[str, Any] = tool.raw or {}
    kind = str(raw.get("type"))
    ours = next((ours for begins, ours in _WORDS if kind.startswith(begins)), "")
    if not ours or not _said(raw) <= _SAYS_NOTHING[ours]:
        return ""
    return "" if _files(raw.get("container")) else ours


def _said(raw: Mapping[str, Any]) -> set[str]:
    """Codex says `external_web_access: false` to every model: nothing live is meant then."""
    live = raw.get("external_web_access") in (None, True)
    named = {name for name, value in raw.items() if value is not None}
    return named - {"external_web_access"} if live else named


def _files(container: Any) -> bool:
    given = container if isinstance(container, dict) else {}
    return isinstance(container, str) or bool(given.keys() - {"type"})


def runs(tool: Tool, request: Request, target: Target) -> bool:
    """Whether the target has the same tool, and takes it beside the request's others: Gemini
    takes functions or its own tools, not both."""
    return word(tool) in target.hosts and not _functions(request.tools)


def _functions(tools: Iterable[Tool]) -> bool:
    return any(tool.kind != "hosted" for tool in tools)


def run(request: Request, target: Target) -> list[str]:
    """What the target calls those of the request's tools that it runs itself."""
    words = (word(t) for t in request.tools if t.kind == "hosted" and runs(t, request, target))
    return [GEMINI[each] for each in dict.fromkeys(words)]
