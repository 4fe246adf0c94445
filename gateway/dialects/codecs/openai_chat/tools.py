"""Tools and the choice among them, as Chat writes them."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import schemas, wire
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import Request, Tool, ToolChoice

_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def decode_tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    """Nested or flat, one by one: Cursor mixes them in one list."""
    for at, tool in enumerate(wire.objects(body.get("tools"), "tools")):
        yield _tool(tool, f"tools[{at}]")
    for at, function in enumerate(wire.objects(body.get("functions"), "functions")):
        yield _tool({"type": "function", "function": function}, f"functions[{at}]")


def _tool(tool: Mapping[str, Any], where: str) -> Tool:
    kind = tool.get("type") or "function"
    if kind not in ("function", "custom"):
        return Tool(str(tool.get("name") or kind), kind="hosted", raw=tool)
    given = wire.obj(tool.get(kind), where) or tool
    name = wire.text(given.get("name"), f"{where}.name") or wire.refuse(where, "has no name")
    about = wire.text(given.get("description"), f"{where}.description")
    if kind == "custom":
        form = wire.obj(given.get("format"), f"{where}.format")
        grammar = wire.obj(form.get("grammar"), where) or (form if "definition" in form else None)
        return Tool(name, about, kind="custom", grammar=grammar)
    return Tool(
        name,
        about,
        wire.obj(given.get("parameters") or given.get("input_schema"), f"{where}.parameters"),
        strict=wire.flag(given.get("strict"), f"{where}.strict"),
        cache="5m" if tool.get("cache_control") else "",
    )


def decode_choice(body: Mapping[str, Any]) -> ToolChoice:
    choice = body.get("tool_choice") or body.get("function_call")
    parallel = wire.flag(body.get("parallel_tool_calls"), "parallel_tool_calls")
    if isinstance(choice, str):
        mode = _MODES.get(choice) or wire.refuse("tool_choice", f"{choice!r} is no choice")
        return ToolChoice(mode, parallel=parallel)
    given = wire.obj(choice, "tool_choice")
    if not given:
        return ToolChoice(parallel=parallel)
    if given.get("type") == "allowed_tools":
        allowed = wire.obj(given.get("allowed_tools", given), "tool_choice.allowed_tools")
        names = [_name(each) for each in wire.objects(allowed.get("tools"), "tool_choice.tools")]
        mode = "required" if allowed.get("mode") == "required" else "auto"
        return ToolChoice(mode, tuple(("", name) for name in names), parallel)
    return ToolChoice("required", (("", _name(given)),), parallel)


def _name(given: Mapping[str, Any]) -> str:
    kind = str(given.get("type") or "function")
    inner = wire.obj(given.get(kind), "tool_choice") or given
    return wire.text(inner.get("name"), "tool_choice.name") or kind


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
    strict = tool.strict and schemas.qualifies(tool.schema)
    given = wire.only(name=tool.name, description=tool.description, strict=strict)
    parameters = schemas.for_openai(tool.schema)
    return {"type": "function", "function": given | {"parameters": parameters}}


def _encode_choice(choice: ToolChoice, box: Toolbox) -> Any:
    named = [{"type": "function", "function": {"name": box.name(*n)}} for n in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    if named:
        allowed = {"mode": choice.mode or "auto", "tools": named}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return choice.mode
