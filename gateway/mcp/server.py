"""The protocol, spoken by its official SDK: which tools there are, and what came of a call.

Nothing but door.py loads this, and not before somebody asks: the SDK is large. Every call is
written down in the account's audit, with what it was called with but no text of a prompt.
"""

import logging
from typing import Any, cast

import orjson
from django.conf import settings
from mcp.server.lowlevel import Server
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as Described
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from accounts.models import User
from accounts.teams import events
from gateway.mcp import tools
from gateway.mcp.door import Caller
from hontoni.db import in_thread

logger = logging.getLogger(__name__)

_MOST_BYTES = 1024 * 1024
_INSTRUCTIONS = (
    "An account at an LLM gateway: what it has and used, why a request was refused or charged, "
    "what a request would cost, its API keys and its plan. Amounts are US dollars. Ask the "
    "account's owner before you make a key or buy anything."
)
_TOOLS = {each.__name__: Tool.from_function(each) for each in (*tools.READ, *tools.CHANGE)}
_READS = {each.__name__ for each in tools.READ}


async def answer(caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
    """One message, and its answer."""
    tools.CALLER.set(caller)
    manager = StreamableHTTPSessionManager(
        _server, stateless=True, json_response=True, max_request_body_size=_MOST_BYTES
    )
    async with manager.run():
        await manager.handle_request(scope, receive, send)


async def _list(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=[_described(tool) for tool in _TOOLS.values()])


def _described(tool: Tool) -> Described:
    reads = tool.name in _READS
    return Described(
        name=tool.name,
        description=" ".join(tool.description.split()),
        input_schema={**tool.parameters, "additionalProperties": False},
        annotations=ToolAnnotations(
            read_only_hint=reads, destructive_hint=not reads, open_world_hint=False
        ),
    )


async def _call(_: Any, params: CallToolRequestParams) -> CallToolResult:
    given = params.arguments or {}
    try:
        found = await _run(params.name, given)
        result = _result(orjson.dumps(found).decode(), found)
    except ToolError as error:
        result = _result(_words(error), None)
    await in_thread(_write_down, tools.CALLER.get(), params.name, given, not result.is_error)
    return result


async def _run(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Raises ToolError."""
    tool = _TOOLS.get(name)
    if tool is None:
        raise ToolError(f"There is no tool {name[:60]}. There are: {', '.join(_TOOLS)}.")
    known = tool.parameters["properties"]
    if unknown := [each for each in given if each not in known]:
        raise ToolError(f"{name} has no parameter {unknown[0][:60]}.")
    try:
        orjson.dumps(given)
    except TypeError as error:  # no door takes it: a number of many digits, a nest of lists
        raise ToolError(f"{name} cannot be asked that: {error}.") from None
    found = await tool.run(given, cast(Any, None))
    return cast(dict[str, Any], found)


def _words(error: ToolError) -> str:
    """For the agent: what a door said, or what is wrong with which parameter."""
    match error.__cause__:
        case ValidationError() as invalid:
            each = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in invalid.errors())
            return "; ".join(each)
        case ToolError() as refused:
            return str(refused)
        case None:
            return str(error)
        case bug:
            logger.error("mcp.tool_failed", exc_info=bug)
            return "Something is broken on our side. It is logged."


def _result(text: str, found: dict[str, Any] | None) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=found,
        is_error=found is None,
    )


def _write_down(caller: Caller, name: str, given: dict[str, Any], good: bool) -> None:
    plain = {key[:60]: value for key, value in given.items() if _is_plain(key, value)}
    events.record(
        caller.account,
        User.objects.filter(pk=caller.person).first(),
        "tool_called",
        name.replace("\0", ""),
        ip=caller.address or None,
        by="API key" if caller.by_key else "token",
        done=good,
        given=dict(list(plain.items())[:10]),
    )


def _is_plain(name: str, value: Any) -> bool:
    """Numbers and short words: no request's text is kept here."""
    if isinstance(value, int | None):
        return "\0" not in name and abs(value or 0) < 2**63
    return isinstance(value, str) and len(value) <= 100 and "\0" not in f"{name}{value}"


_server: Server[Any] = Server(
    "hontoni",
    title="Hontoni",
    version="1",
    instructions=_INSTRUCTIONS,
    website_url=settings.PUBLIC_URL,
    on_list_tools=_list,
    on_call_tool=_call,
)
