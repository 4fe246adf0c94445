"""The tools of one request as an upstream sees them, and its calls as the client knows them.

* Namespaces are folded into names (`ns__name`) and restored; names are made to fit.
* A custom tool is shown as a function with one string, its grammar in the description. A client
  that declares one on Chat in Responses' flat shape (Cursor) knows no custom calls there: it is
  told of a function's, with the raw text as arguments, and sends it back so.
* OpenAI Responses knows both, and is shown them as they are.
* A deferred tool is shown once a result refers to it; until then it does not exist.
* A hosted tool runs at its own vendor: elsewhere it is dropped, unless it is forced, or the
  target has the same one (codecs/hosted.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.dialects.codecs import hosted, wire
from gateway.dialects.codecs.names import Known, Names
from gateway.dialects.ir import (
    Item,
    Message,
    Request,
    Target,
    Tool,
    ToolCall,
    ToolChoice,
    ToolDecl,
    ToolReference,
    ToolResult,
)

INPUT = "input"  # the one property of a custom tool shown as a function
_SEARCH = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "What the tool should do."}},
    "required": ["query"],
}


class Toolbox:
    """What is offered to `target`, and the way back from its names."""

    __slots__ = ("_kinds", "_names", "_native", "_plain", "offered")

    def __init__(self, request: Request, target: Target) -> None:
        self._native = target.dialect == "openai_responses"
        tools = list(_known(request, target))
        called = [(i.namespace, i.name) for i in request.items if isinstance(i, ToolCall)]
        known = dict.fromkeys([(tool.namespace, tool.name) for tool in tools] + called)
        self._names = Names(map(self._key, known), target.dialect)
        self._kinds = {self._key((tool.namespace, tool.name)): tool.kind for tool in tools}
        chat = request.dialect == "openai_chat"
        self._plain = {self._key((t.namespace, t.name)) for t in tools if chat and t.flat}
        self.offered = [self._shown(tool) for tool in tools]

    def _key(self, known: Known) -> Known:
        return ("", known[1]) if self._native else known

    def name(self, namespace: str, name: str) -> str:
        """The name of a tool on the wire."""
        return self._names.wire(*self._key((namespace, name)))

    def args(self, call: ToolCall) -> str:
        """The arguments of a call in the history, as this upstream wants them."""
        wrapped = call.kind == "custom" and not self._native
        return wire.dump({INPUT: call.args}) if wrapped else call.args

    def restore(self, name: str) -> tuple[Known, str]:
        """The client's (namespace, name) and kind of what the upstream called."""
        known = self._names.restore(name)
        return known, self._kinds.get(known, "function")

    def is_plain(self, known: Known) -> bool:
        """Whether the client takes its calls for a function's, though their arguments are text."""
        return self._key(known) in self._plain

    def _shown(self, tool: Tool) -> Tool:
        if tool.kind == "hosted":
            return tool
        named = replace(tool, name=self.name(tool.namespace, tool.name))
        return named if self._native else _as_function(named)


def as_declared(items: Iterable[Item], tools: Iterable[Tool]) -> Iterator[Item]:
    """A history, with the calls of custom tools as such, whatever a client calls them."""
    custom = {tool.name for tool in tools if tool.kind == "custom"}
    calls = set()
    for item in items:
        if isinstance(item, ToolCall) and item.name in custom and item.kind == "function":
            calls.add(item.call_id)
            item = replace(item, kind="custom")
        elif isinstance(item, ToolResult) and item.call_id in calls:
            item = replace(item, kind="custom")
        yield item


def _as_function(tool: Tool) -> Tool:
    shown = replace(tool, kind="function", namespace="", namespace_note="", grammar=None)
    if tool.namespace_note:
        note = f"{tool.description}\n\n{tool.namespace}: {tool.namespace_note}"
        shown = replace(shown, description=note.strip())
    if tool.kind == "custom":
        return replace(shown, schema=_wrapped(tool))
    if tool.kind == "tool_search":
        return replace(shown, schema=tool.schema or _SEARCH)
    return shown


def _wrapped(tool: Tool) -> dict[str, object]:
    about = "The raw text the tool takes, without JSON around it."
    grammar = tool.grammar or {}
    if grammar.get("definition"):
        syntax, definition = grammar.get("syntax", "lark"), grammar["definition"]
        about += f" It follows this {syntax} grammar:\n{definition}"
    return {
        "type": "object",
        "properties": {INPUT: {"type": "string", "description": about}},
        "required": [INPUT],
        "additionalProperties": False,
    }


def _known(request: Request, target: Target) -> Iterator[Tool]:
    """Every tool callable now, the first of a name only."""
    (loaded, gone), seen = _loaded(request), set()
    for tool, found in _declared(request):
        key = (tool.kind == "hosted", tool.namespace, tool.name)
        if key in seen or tool.name in gone or not _callable(tool, request, target):
            continue
        if tool.deferred and not found and tool.name not in loaded:
            continue
        seen.add(key)
        yield tool


def _callable(tool: Tool, request: Request, target: Target) -> bool:
    names = request.tool_choice.names
    chosen = not names or (tool.namespace, tool.name) in names
    if tool.kind == "hosted" and not hosted.runs(tool, request, target):
        if names and chosen and request.tool_choice.mode == "required":
            wire.unsupported("tool_choice", f"{tool.name} is not available on {request.model}")
        return False
    return chosen or _sayable(request.tool_choice, target)


def _sayable(choice: ToolChoice, target: Target) -> bool:
    """Whether the target has words for this choice, so that every tool stays in the prompt."""
    if target.dialect == "anthropic_messages":
        return choice.mode == "required" and len(choice.names) == 1
    return choice.mode == "required" or target.dialect != "gemini"


def _declared(request: Request) -> Iterator[tuple[Tool, bool]]:
    """Each tool, and whether it was found by a search or sent along the way."""
    yield from ((tool, False) for tool in request.tools)
    for item in request.items:
        if isinstance(item, ToolDecl | ToolResult):
            yield from ((tool, True) for tool in item.tools)


def _loaded(request: Request) -> tuple[set[str], set[str]]:
    """The names of tools that a conversation brought along, and of those that it took away."""
    loaded: set[str] = set()
    gone: set[str] = set()
    for item in request.items:
        if isinstance(item, ToolDecl):
            gone |= {*item.removed}
            gone -= {tool.name for tool in item.tools}
        elif isinstance(item, Message | ToolResult):
            named = {part.name for part in item.parts if isinstance(part, ToolReference)}
            loaded |= named
            gone -= named
    return loaded - gone, gone
