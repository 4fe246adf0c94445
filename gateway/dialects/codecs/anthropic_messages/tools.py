"""Tools and the choice among them, as Messages writes them."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.codecs.anthropic_messages.parts import cache, cached
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import Request, Tool, ToolChoice

_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "required"}


def decode_tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    for at, tool in enumerate(wire.objects(body.get("tools"), "tools")):
        yield decode_tool(tool, f"tools[{at}]")


def decode_tool(tool: Mapping[str, Any], where: str) -> Tool:
    """Without a type, or of type custom, it is a function; any other runs at Anthropic."""
    kind = tool.get("type") or "custom"
    name = wire.text(tool.get("name"), f"{where}.name")
    if kind != "custom":
        return Tool(name or str(kind), kind="hosted", raw=tool)
    return Tool(
        name or wire.refuse(where, "has no name"),
        wire.text(tool.get("description"), f"{where}.description"),
        wire.obj(tool.get("input_schema"), f"{where}.input_schema"),
        strict=wire.flag(tool.get("strict"), f"{where}.strict"),
        deferred=bool(tool.get("defer_loading")),
        cache=cache(tool),
    )


def decode_choice(body: Mapping[str, Any]) -> ToolChoice:
    given = wire.obj(body.get("tool_choice"), "tool_choice")
    disabled = wire.flag(given.get("disable_parallel_tool_use"), "tool_choice")
    parallel = None if disabled is None else not disabled
    if not given:
        return ToolChoice()
    mode = _MODES.get(str(given.get("type")))
    if mode is None:
        wire.refuse("tool_choice.type", f"{given.get('type')!r} is no choice")
    if given["type"] != "tool":
        return ToolChoice(mode, parallel=parallel)
    name = wire.text(given.get("name"), "tool_choice.name")
    return ToolChoice(mode, (("", name),), parallel)


def encode_tools(request: Request, box: Toolbox, answer: Tool | None) -> dict[str, Any]:
    """`tools` and `tool_choice`. Claude knows no allowed set: the others were left out already.

    `answer` is the tool a structured answer is given through: forced alone, or beside the
    others any one is.
    """
    if not box.offered and answer is None:
        return {}
    tools = [_encode_tool(tool) for tool in box.offered]
    if answer is not None:
        tools.insert(0, _encode_tool(answer))
        return {"tools": tools, "tool_choice": _forced(answer, alone=len(tools) == 1)}
    return {"tools": tools} | wire.only(tool_choice=_encode_choice(request.tool_choice, box))


def _encode_tool(tool: Tool) -> dict[str, Any]:
    if tool.raw is not None:
        return dict(tool.raw)
    given = wire.only(name=tool.name, description=tool.description)
    return cached(given | {"input_schema": schemas.for_anthropic(tool.schema)}, tool.cache)


def _forced(answer: Tool, *, alone: bool) -> dict[str, Any]:
    return {"type": "tool", "name": answer.name} if alone else {"type": "any"}


def _encode_choice(choice: ToolChoice, box: Toolbox) -> dict[str, Any]:
    single = {} if choice.parallel is None else {"disable_parallel_tool_use": not choice.parallel}
    if choice.mode == "none":
        return {"type": "none"}
    if choice.mode != "required":
        given = choice.mode or single
        return {"type": "auto"} | single if given else {}
    if len(choice.names) == 1:
        return {"type": "tool", "name": box.name(*choice.names[0])} | single
    return {"type": "any"} | single
