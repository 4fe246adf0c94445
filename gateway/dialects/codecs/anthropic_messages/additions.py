"""Tools that join or leave in the middle of a conversation, for a Claude that has no words for it.

Its tools are what they are by the end of the conversation: what was added can be called from the
beginning, what was removed cannot. A system message says the rest (`patch.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

_LATER = "defer_loading"


def settled(tools: Any, messages: Iterable[Any]) -> Any:
    """The tools as the conversation leaves them: the list itself if it changes nothing."""
    added: dict[str, Mapping[str, Any] | None] = {}
    gone: set[str] = set()
    for block in _changes(messages):
        raw = block.get("tool")
        tool = raw if isinstance(raw, Mapping) else {}
        defined = tool.get("definition")
        name = str((defined or tool).get("name") or block.get("tool_name") or "")
        if block.get("type") == "tool_removal":
            gone.add(name)
            added.pop(name, None)
        else:
            gone.discard(name)
            added[name] = defined if isinstance(defined, Mapping) else added.get(name)
    if not added and not gone:
        return tools
    return _with(tools if isinstance(tools, list) else [], added, gone)


def _with(
    tools: list[Any], added: Mapping[str, Mapping[str, Any] | None], gone: set[str]
) -> list[Any]:
    kept = [tool for tool in tools if _name(tool) not in gone]
    known = {_name(tool) for tool in kept}
    now = [at_once(tool) if _name(tool) in added else tool for tool in kept]
    return now + [at_once(d) for name, d in added.items() if d is not None and name not in known]


def somehow_offered(tools: list[Any]) -> list[Any]:
    """The tools, of which one at least is offered from the beginning: where nobody could ever look
    for one, all of them are."""
    if all(isinstance(tool, Mapping) and tool.get(_LATER) for tool in tools):
        return [at_once(tool) for tool in tools]
    return tools


def at_once(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that nobody has to look for."""
    return {name: value for name, value in tool.items() if name != _LATER}


def _name(tool: Any) -> str:
    return str(tool.get("name")) if isinstance(tool, Mapping) else ""


def _changes(messages: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for message in messages:
        if isinstance(message, Mapping) and message.get("role") == "system":
            content = message.get("content")
            for block in content if isinstance(content, list) else ():
                if isinstance(block, Mapping) and block.get("type") in (
                    "tool_addition",
                    "tool_removal",
                ):
                    yield block
