"""What a vendor may call stale in a conversation, taken out of it: its own reasoning."""

from dataclasses import replace
from typing import Any

from gateway.dialects.ir import Reasoning, ToolCall

_SECRETS = ("thinking", "redacted_thinking", "reasoning")


def without_secrets(items: Any) -> Any:
    """A conversation as its vendor's dialect has it."""
    if not isinstance(items, list):
        return items
    kept = [item for item in items if not _is_secret(item)]
    return [
        {**item, "content": [b for b in item["content"] if not _is_secret(b)]}
        if isinstance(item, dict) and isinstance(item.get("content"), list)
        else item
        for item in kept
    ]


def _is_secret(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") in _SECRETS


def without_carriers(item: Any) -> Any:
    """An item of one that goes through the hub."""
    return replace(item, carriers=()) if isinstance(item, Reasoning | ToolCall) else item
