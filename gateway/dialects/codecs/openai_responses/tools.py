"""Tools and the choice among them, written for Responses: flat, and some in namespaces."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import Request, Tool, ToolChoice


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
    parameters, strict = schemas.for_openai(tool.schema, tool.strict)
    return {"type": "function"} | given | {"parameters": parameters, "strict": bool(strict)}


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
