"""Tools and the choice among them, written for Messages."""

from typing import Any

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.codecs.anthropic_messages.parts import cached
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import Request, Tool, ToolChoice


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
