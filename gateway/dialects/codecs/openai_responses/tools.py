"""Tools and the choice among them, as Responses writes them: flat, and some in namespaces."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import Request, Tool, ToolChoice

_MODES = ("auto", "none", "required")


def decode_tools(tools: Any, where: str) -> Iterator[Tool]:
    for at, tool in enumerate(wire.objects(tools, where)):
        yield from _decode(tool, "", "", f"{where}[{at}]")


def _decode(tool: Mapping[str, Any], namespace: str, note: str, where: str) -> Iterator[Tool]:
    kind = tool.get("type") or "function"
    given = wire.obj(tool.get("function"), where) or tool
    name = wire.text(given.get("name"), f"{where}.name")
    about = wire.text(given.get("description"), f"{where}.description")
    if kind == "namespace":
        for at, each in enumerate(wire.objects(tool.get("tools"), f"{where}.tools")):
            yield from _decode(each, name, "" if at else about, f"{where}.tools[{at}]")
    elif kind == "function":
        yield Tool(
            name or wire.refuse(where, "has no name"),
            about,
            wire.obj(given.get("parameters"), f"{where}.parameters"),
            namespace=namespace,
            namespace_note=note,
            strict=wire.flag(given.get("strict"), f"{where}.strict"),
            deferred=bool(given.get("defer_loading")),
        )
    elif kind == "custom":
        yield _custom(given, name, about, namespace, note, where)
    elif kind == "tool_search" and tool.get("execution") == "client":
        schema = wire.obj(tool.get("parameters"), f"{where}.parameters")
        yield Tool("tool_search", about, schema or None, kind="tool_search")
    else:
        yield Tool(name or str(kind), kind="hosted", raw=tool)


def _custom(
    given: Mapping[str, Any], name: str, about: str, namespace: str, note: str, where: str
) -> Tool:
    form = wire.obj(given.get("format"), f"{where}.format")
    return Tool(
        name or wire.refuse(where, "has no name"),
        about,
        kind="custom",
        namespace=namespace,
        namespace_note=note,
        grammar=form if form.get("type") == "grammar" else None,
        deferred=bool(given.get("defer_loading")),
    )


def decode_choice(body: Mapping[str, Any]) -> ToolChoice:
    choice = body.get("tool_choice")
    parallel = wire.flag(body.get("parallel_tool_calls"), "parallel_tool_calls")
    if isinstance(choice, str):
        if choice not in _MODES:
            wire.refuse("tool_choice", f"{choice!r} is no choice")
        return ToolChoice(choice, parallel=parallel)
    given = wire.obj(choice, "tool_choice")
    if not given:
        return ToolChoice(parallel=parallel)
    if given.get("type") == "allowed_tools":
        tools = wire.objects(given.get("tools"), "tool_choice.tools")
        mode = "required" if given.get("mode") == "required" else "auto"
        return ToolChoice(mode, tuple(map(_name, tools)), parallel)
    return ToolChoice("required", (_name(given),), parallel)


def _name(given: Mapping[str, Any]) -> tuple[str, str]:
    inner = wire.obj(given.get("function"), "tool_choice") or given
    name = wire.text(inner.get("name"), "tool_choice.name") or str(given.get("type"))
    return wire.text(given.get("namespace"), "tool_choice.namespace"), name


def encode_tools(request: Request, box: Toolbox) -> dict[str, Any]:
    """`tools`, `tool_choice` and `parallel_tool_calls`; nothing at all when no tool is left."""
    if not box.offered:
        return {}
    return wire.only(
        tools=encode_list(box.offered),
        tool_choice=_encode_choice(request.tool_choice, box),
        parallel_tool_calls=request.tool_choice.parallel,
    )


def encode_list(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Neighbours of one namespace stand in it together."""
    return list(_grouped(tools))


def _grouped(tools: Iterable[Tool]) -> Iterator[dict[str, Any]]:
    for namespace, group in groupby(tools, key=lambda tool: tool.namespace):
        members = list(group)
        encoded = [_encode_tool(tool) for tool in members]
        if namespace:
            given = {"name": namespace, "description": members[0].namespace_note}
            yield {"type": "namespace", **given, "tools": encoded}
        else:
            yield from encoded


def _encode_tool(tool: Tool) -> dict[str, Any]:
    if tool.raw is not None:
        return dict(tool.raw)
    given = wire.only(name=tool.name, description=tool.description)
    if tool.kind == "custom":
        return {"type": "custom"} | given | wire.only(format=tool.grammar)
    if tool.kind == "tool_search":
        found = wire.only(description=tool.description, parameters=tool.schema)
        return {"type": "tool_search", "execution": "client"} | found
    # Left out, it would mean: strict where the schema allows it.
    strict = bool(tool.strict) and schemas.qualifies(tool.schema)
    parameters = schemas.for_openai(tool.schema)
    return {"type": "function"} | given | {"parameters": parameters, "strict": strict}


def _encode_choice(choice: ToolChoice, box: Toolbox) -> Any:
    named = [
        wire.only(type=_kind(box, *name), namespace=name[0], name=box.name(*name))
        for name in choice.names
    ]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    if named:
        return {"type": "allowed_tools", "mode": choice.mode or "auto", "tools": named}
    return choice.mode


def _kind(box: Toolbox, namespace: str, name: str) -> str:
    kind = box.restore(box.name(namespace, name))[1]
    return "custom" if kind == "custom" else "function"
