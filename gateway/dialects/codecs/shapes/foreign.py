"""Whether a body keeps to the words of its path's dialect.

One that does not is understood all the same (the rest of this package), but no vendor of that
dialect would take its bytes as they are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_BLOCKS = {
    "openai_chat": "text image_url input_audio file refusal",
    "openai_responses": """
        input_text output_text input_image input_file input_audio refusal reasoning_text
        summary_text message reasoning function_call function_call_output custom_tool_call
        custom_tool_call_output tool_search_call tool_search_output additional_tools
    """,
    "anthropic_messages": """
        text image document search_result tool_reference tool_use tool_result thinking
        redacted_thinking tool_addition tool_removal compaction
    """,
}
_OWN = {dialect: frozenset(kinds.split()) for dialect, kinds in _BLOCKS.items()}
_FOREIGN = {
    dialect: frozenset().union(*_OWN.values()) - own - {"message", "compaction"}
    for dialect, own in _OWN.items()
}
# Members of messages, and roles, that are another dialect's.
_MEMBERS = {
    "openai_chat": frozenset({"tool_use_id"}),
    "openai_responses": frozenset({"tool_calls", "tool_call_id", "reasoning_content"}),
    "anthropic_messages": frozenset(
        {"tool_calls", "tool_call_id", "reasoning_content", "reasoning_details"}
    ),
}
_ROLES = {
    "openai_chat": frozenset[str](),
    "openai_responses": frozenset({"tool", "function"}),
    "anthropic_messages": frozenset({"tool", "function", "developer"}),
}
_CONVERSATION = {
    "openai_chat": "messages",
    "openai_responses": "input",
    "anthropic_messages": "messages",
}
_APART = ("system", "stop_sequences")  # Anthropic's, beside Chat's messages
_FUNCTIONS = (None, "function", "custom")
_INSIDE = ("content", "output")


def speaks(dialect: str, body: Mapping[str, Any]) -> bool:
    """Whether something in it is said in another dialect's words."""
    if dialect == "openai_chat" and not body.get("messages") and body.get("input"):
        return True  # Cursor's
    if dialect == "openai_chat" and any(body.get(name) for name in _APART):
        return True
    tools = body.get("tools")
    if type(tools) is list and any(_tool(dialect, tool) for tool in tools):
        return True
    if _choice(dialect, body.get("tool_choice")):
        return True
    entries = body.get(_CONVERSATION[dialect])
    return type(entries) is list and _entries(dialect, entries)


def _entries(dialect: str, entries: Iterable[Any]) -> bool:
    foreign, members, roles = _FOREIGN[dialect], _MEMBERS[dialect], _ROLES[dialect]
    for entry in entries:
        if type(entry) is not dict:
            continue
        if not members.isdisjoint(entry) or entry.get("role") in roles:
            return True
        if entry.get("type") in foreign:
            return True
        for name in _INSIDE:
            inner = entry.get(name)
            if type(inner) is list and _blocks(foreign, inner):
                return True
    return False


def _blocks(foreign: frozenset[str], blocks: list[Any]) -> bool:
    for block in blocks:
        if type(block) is not dict:
            return True  # texts in a list: every dialect has blocks there
        if block.get("type") in foreign:
            return True
        inner = block.get("content")
        if type(inner) is list and _blocks(foreign, inner):
            return True
    return False


def _tool(dialect: str, tool: Any) -> bool:
    if type(tool) is not dict or tool.get("type") not in _FUNCTIONS:
        return False
    if dialect == "openai_chat":
        return "function" not in tool and "custom" not in tool and "name" in tool
    if dialect == "openai_responses":
        return "type" not in tool or "function" in tool or "input_schema" in tool
    return tool.get("type") == "function" or "function" in tool or "parameters" in tool


def _choice(dialect: str, choice: Any) -> bool:
    if choice is None or type(choice) not in (str, dict):
        return False
    kind: Any = choice.get("type") if type(choice) is dict else None
    if dialect == "anthropic_messages":
        return kind not in ("auto", "any", "tool", "none")
    if kind is None:
        return bool(choice == "any")
    if dialect == "openai_chat":
        return kind != "allowed_tools" and type(choice.get(kind)) is not dict
    return kind in ("auto", "any", "tool", "none", "required") or "function" in choice
