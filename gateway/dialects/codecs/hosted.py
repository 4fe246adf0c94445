"""Tools that a vendor runs itself, and which of another vendor's is the same.

Only what is simple and loses nothing is translated: a search of the live web without filters, and
running code without files. Where the target has no such tool, searching the web and reading its
pages may be run on the way (`Target.ours`): the model is offered a function in its place, and
`dialects.rounds` knows its calls. The rest is left out, and told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.dialects.ir import Request, Target, Tool, ToolChoice

SEARCH, CODE = "web_search", "code_execution"
FETCH = "web_fetch"
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


# -- Run on the way ------------------------------------------------------------------------------


class Helped(NamedTuple):
    """A tool that is run on the way: our word for it, what its client calls it, and as it was
    declared."""

    tool: str
    name: str
    declared: Mapping[str, Any]


_OPENS = "open_page"  # what Responses has within its search
_OURS = (("web_search", SEARCH), ("web_fetch", FETCH), ("urlContext", FETCH))
_TEXT = {"type": "string"}
_ABOUT = {
    SEARCH: "Searches the live web. Gives titles, addresses and excerpts of pages. Where an "
    "answer rests on one of them, cite it as a Markdown link to its address.",
    FETCH: "Reads one page of the web, and gives its text. Only addresses that stood in the "
    "conversation or in results of a search can be read. Cite it as a Markdown link.",
}
_TAKES = {
    SEARCH: {"query": _TEXT | {"description": "What to search for"}},
    FETCH: {"url": _TEXT | {"description": "The address, with http:// or https://"}},
}


def ours(raw: Mapping[str, Any]) -> str:
    """Our word for a tool that can be run on the way, as a client declares it; "" for another."""
    kind = str(raw.get("type"))
    found = next((word for begins, word in _OURS if kind.startswith(begins)), "")
    return found if raw.get("external_web_access") in (None, True) else ""


def helped(request: Request, target: Target) -> dict[str, Helped]:
    """The request's tools that are run on the way, by the names of the functions that stand for
    them; of one kind the first."""
    if not target.ours or not any(tool.kind == "hosted" for tool in request.tools):
        return {}
    taken = {tool.name for tool in request.tools if tool.kind != "hosted"}
    found: dict[str, Helped] = {}
    for tool in request.tools:
        raw: Mapping[str, Any] = tool.raw or {}
        if tool.kind != "hosted" or ours(raw) not in target.ours or runs(tool, request, target):
            continue
        if any(each.tool == ours(raw) and each.name != _OPENS for each in found.values()):
            continue
        found[_free(ours(raw), taken)] = Helped(ours(raw), tool.name, raw)
        if request.dialect == "openai_responses" and FETCH in target.ours:
            found[_free(_OPENS, taken)] = Helped(FETCH, _OPENS, raw)
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that no other tool has."""
    while name in taken:
        name += "_live"
    taken.add(name)
    return name


def offered(request: Request, known: Mapping[str, Helped]) -> Request:
    """The same, with functions for the tools that are run on the way."""
    if not known:
        return request
    words = {each.tool for each in known.values()}
    tools = [t for t in request.tools if t.kind != "hosted" or ours(t.raw or {}) not in words]
    tools += [_function(name, each) for name, each in known.items()]
    return replace(request, tools=tuple(tools), tool_choice=_chosen(request.tool_choice, known))


def _function(name: str, known: Helped) -> Tool:
    takes = _TAKES[known.tool]
    schema = {"type": "object", "properties": takes, "required": list(takes)}
    return Tool(name, _ABOUT[known.tool], schema | {"additionalProperties": False})


def _chosen(choice: ToolChoice, known: Mapping[str, Helped]) -> ToolChoice:
    """A choice that names such a tool, by its name or its type, means its function."""
    functions: dict[tuple[str, str], str] = {}
    for name, each in known.items():
        functions.setdefault(("", each.name), name)
        functions.setdefault(("", str(each.declared.get("type"))), name)
        functions.setdefault(("", each.tool), name)
    names = tuple(("", functions[name]) if name in functions else name for name in choice.names)
    return choice if names == choice.names else replace(choice, names=names)


def onward(request: Request, known: Mapping[str, Helped], *, spent: bool) -> Request:
    """The same in a later round: nothing is forced any more; `spent`: the tools that are run on
    the way may be used no more."""
    choice = request.tool_choice
    if choice.mode == "required":
        choice = replace(choice, mode="auto", names=())
    if not spent:
        return replace(request, tool_choice=choice)
    others = tuple(tool for tool in request.tools if tool.name not in known)
    if others:
        return replace(request, tools=others, tool_choice=choice)
    return replace(request, tool_choice=replace(choice, mode="none", names=()))
