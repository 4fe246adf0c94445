"""Tools and the choice among them, read: nested or flat, in whatever dialect's words."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import client_tools, wire
from gateway.dialects.codecs.shapes.parts import cache
from gateway.dialects.ir import Tool, ToolChoice

_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_FUNCTIONS = ("function", "custom")


def decode_tools(tools: Any, where: str) -> Iterator[Tool]:
    """Each tool; those of a namespace one by one."""
    for at, tool in enumerate(wire.objects(tools, where)):
        yield from _decode(tool, "", "", f"{where}[{at}]")


def decode_tool(tool: Mapping[str, Any], where: str) -> Tool:
    """One tool. BadRequest for a namespace, where only one may stand."""
    found = [*_decode(tool, "", "", where)]
    return found[0] if len(found) == 1 else wire.refuse(where, "must be one tool")


def _decode(tool: Mapping[str, Any], namespace: str, note: str, where: str) -> Iterator[Tool]:
    kind = tool.get("type") or "function"
    given: Mapping[str, Any] = wire.obj(tool.get(kind), where) if kind in _FUNCTIONS else {}
    given = given or wire.obj(tool.get("function"), where) or tool
    name = wire.text(given.get("name"), f"{where}.name")
    about = wire.text(given.get("description"), f"{where}.description")
    if kind == "namespace":
        for at, each in enumerate(wire.objects(tool.get("tools"), f"{where}.tools")):
            yield from _decode(each, name, "" if at else about, f"{where}.tools[{at}]")
    elif _is_function(kind, given):
        yield _function(tool, given, namespace, note, where)
    elif kind == "custom":
        yield Tool(
            name or wire.refuse(where, "has no name"),
            about,
            kind="custom",
            namespace=namespace,
            namespace_note=note,
            grammar=_grammar(given, where),
            deferred=bool(given.get("defer_loading")),
            flat=given is tool,
        )
    elif kind == "tool_search" and tool.get("execution") == "client":
        schema = wire.obj(tool.get("parameters"), f"{where}.parameters")
        yield Tool("tool_search", about, schema or None, kind="tool_search")
    elif (known := client_tools.told(tool)) is not None:
        yield Tool(name or known.name, about or known.about, known.schema, cache=cache(tool))
    else:
        yield Tool(name or str(kind), kind="hosted", raw=tool)


def _is_function(kind: Any, given: Mapping[str, Any]) -> bool:
    """Anthropic's own are called custom, and have a schema; OpenAI's custom ones have none."""
    return kind == "function" or (kind == "custom" and "input_schema" in given)


def _function(
    tool: Mapping[str, Any], given: Mapping[str, Any], namespace: str, note: str, where: str
) -> Tool:
    schema = next((given[n] for n in ("parameters", "input_schema") if given.get(n)), None)
    return Tool(
        wire.text(given.get("name"), f"{where}.name") or wire.refuse(where, "has no name"),
        wire.text(given.get("description"), f"{where}.description"),
        wire.obj(schema, f"{where}.parameters"),
        namespace=namespace,
        namespace_note=note,
        strict=wire.flag(given.get("strict"), f"{where}.strict"),
        deferred=bool(given.get("defer_loading") or tool.get("defer_loading")),
        cache=cache(tool),
    )


def _grammar(given: Mapping[str, Any], where: str) -> Mapping[str, Any] | None:
    """Responses writes it flat, Chat in an object of its own."""
    form = wire.obj(given.get("format"), f"{where}.format")
    nested = wire.obj(form.get("grammar"), where)
    if nested:
        return nested
    return form if form.get("type") == "grammar" or "definition" in form else None


def decode_choice(choice: Any, parallel: bool | None) -> ToolChoice:
    """Of a word, or an object of any dialect's: one tool, some of them, or a word with a type."""
    if isinstance(choice, str):
        mode = _MODES.get(choice) or wire.refuse("tool_choice", f"{choice!r} is no choice")
        return ToolChoice(mode, parallel=parallel)
    given = wire.obj(choice, "tool_choice")
    disabled = wire.flag(given.get("disable_parallel_tool_use"), "tool_choice")
    parallel = parallel if disabled is None else not disabled
    kind = given.get("type")
    if not given:
        return ToolChoice(parallel=parallel)
    if isinstance(kind, str) and kind in _MODES:
        return ToolChoice(_MODES[kind], parallel=parallel)
    if kind == "allowed_tools":
        allowed = wire.obj(given.get("allowed_tools", given), "tool_choice.allowed_tools")
        names = [named(each) for each in wire.objects(allowed.get("tools"), "tool_choice.tools")]
        mode = "required" if allowed.get("mode") == "required" else "auto"
        return ToolChoice(mode, tuple(names), parallel)
    name = named(given)
    return ToolChoice("required", (name,) if name[1] else (), parallel)


def named(given: Mapping[str, Any]) -> tuple[str, str]:
    """(namespace, name) of a tool that is pointed at; one that its vendor runs is named by its
    type."""
    kind = str(given.get("type") or "function")
    inner = wire.obj(given.get(kind) or given.get("function"), "tool_choice") or given
    name = wire.text(inner.get("name"), "tool_choice.name")
    namespace = wire.text(given.get("namespace"), "tool_choice.namespace")
    return namespace, name or ("" if kind in ("tool", *_FUNCTIONS) else kind)
