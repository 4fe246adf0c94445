"""The history of a conversation, as OpenAI takes it where nothing is stored.

* Reasoning goes by its secret and without its id; without a secret it would not be found, so it is
  left out. So is reasoning that led nowhere: OpenAI refuses it.
* An id ties an item to the reasoning before it: where that goes, the ids of what it led to go.
* Ids that another gateway made are none of OpenAI's.
* A compaction of ours, which is a summary, is said as one.
"""

from collections.abc import Iterator
from typing import Any

from gateway.dialects.codecs import carrier, names, summaries
from gateway.dialects.ir import Target

_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fc",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctc",
}
_LED_TO = ("reasoning", "function_call", "custom_tool_call", "tool_search_call")


def repaired(items: list[Any], target: Target) -> list[Any]:
    """A client's items; each is itself where nothing is wrong with it."""
    return [_plain(item) for item in without_orphans(list(_known(items, target)))]


def without_orphans(items: list[Any]) -> list[Any]:
    """Reasoning must stand before what it led to; what led nowhere is refused."""
    kept: list[Any] = []
    for item in reversed(items):
        if _kind(item) != "reasoning" or _was_led_to(kept[-1] if kept else None):
            kept.append(item)
    return kept[::-1]


def _was_led_to(item: Any) -> bool:
    kind = _kind(item)
    own = isinstance(item, dict) and item.get("role") == "assistant"
    return own or kind in _LED_TO or (kind.endswith("_call") and kind != "message")


def _known(items: list[Any], target: Target) -> Iterator[Any]:
    """Without reasoning that OpenAI would not know, and the ids that stood on it."""
    bare = False
    for item in items:
        kind = _kind(item)
        if is_to_reasoning(item):
            bare = True
        elif kind == "compaction" and (summary := summaries.told(item)) is not None:
            yield {"type": "message", "role": "user", "content": summary}
        elif kind == "reasoning":
            kept = _reasoning(item, target)
            bare = bare or kept is None
            if kept is not None:
                yield kept
        else:
            bare = bare and not _is_told(item)
            yield _without(item, "id") if bare and kind in _PREFIXES else item


def is_to_reasoning(item: Any) -> bool:
    """Whether it only points at reasoning: an answer can do without it."""
    if not isinstance(item, dict) or not str(item.get("id")).startswith("rs_"):
        return False
    return item.get("type") == "item_reference" or item.keys() == {"id"}


def _is_told(item: Any) -> bool:
    """Whether somebody else than the model said it: there a turn of the model ends."""
    return isinstance(item, dict) and item.get("role") in ("user", "system", "developer")


def _reasoning(item: Any, target: Target) -> dict[str, Any] | None:
    secret = item.get("encrypted_content")
    if not isinstance(secret, str) or not secret:
        return None
    closed = [carrier.closed(secret, "openai", "encrypted_content")]
    for each in carrier.fitting(closed, target):
        return _without(item, "id") | {"encrypted_content": each.data}
    return None


def _plain(item: Any) -> Any:
    """With ids that OpenAI takes."""
    if not isinstance(item, dict):
        return item
    raw, prefix = item.get("id"), _PREFIXES.get(_kind(item))
    if prefix and isinstance(raw, str) and not raw.startswith(prefix):
        item = _without(item, "id")
    call_id = item.get("call_id")
    if isinstance(call_id, str) and len(call_id) > names.LONGEST_ID:
        item = item | {"call_id": names.call_id(call_id)}
    return item


def _kind(item: Any) -> str:
    return str(item.get("type") or "message") if isinstance(item, dict) else ""


def _without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in item.items() if each != name}
