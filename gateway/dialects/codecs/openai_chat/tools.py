"""Tools and the choice among them, written for Chat."""

from typing import Any

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import Request, Tool, ToolChoice


def encode_tools(request: Request, box: Toolbox) -> dict[str, Any]:
    """`tools`, `tool_choice` and `parallel_tool_calls`; nothing at all when no tool is left."""
    if not box.offered:
        return {}
    return wire.only(
        tools=[_encode_tool(tool) for tool in box.offered],
        tool_choice=_encode_choice(request.tool_choice, box),
        parallel_tool_calls=request.tool_choice.parallel,
    )


def _encode_tool(tool: Tool) -> dict[str, Any]:
    if tool.raw is not None:
        return dict(tool.raw)
    parameters, strict = schemas.for_openai(tool.schema, tool.strict)
    given = wire.only(name=tool.name, description=tool.description, strict=strict)
    return {"type": "function", "function": given | {"parameters": parameters}}


def _encode_choice(choice: ToolChoice, box: Toolbox) -> Any:
    named = [{"type": "function", "function": {"name": box.name(*n)}} for n in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    if named:
        allowed = {"mode": choice.mode or "auto", "tools": named}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return choice.mode
