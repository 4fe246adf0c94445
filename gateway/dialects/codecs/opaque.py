"""What only its own dialect knows, on its way to a model of another.

The text that can be read in it is kept as text, the rest is left out and told (`leftovers.py`):
agents take a 400 for a reason to stop, and what they sent beside it is as good as before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.dialects.codecs import wire
from gateway.dialects.ir import Item, Message, Opaque, Part, Request, Target, Text, ToolResult

_TEXTS = ("text", "content", "summary", "message", "output")  # where text is, the likeliest first
_DEEPEST = 6


def expressed(request: Request, target: Target) -> tuple[Item, ...]:
    """The items as this target takes them. BadRequest where nothing would be left of them."""
    if not any(map(_has_opaque, request.items)):
        return request.items
    kept = tuple(now for item in request.items for now in _item(item, target))
    if not any(map(_says_something, kept)):
        wire.refuse("content", f"nothing of it is known to {request.model}: {_names(request)}")
    return kept


def left_out(request: Request, target: Target) -> Iterator[str]:
    """The type of each part and item that is not sent as it is."""
    for item in request.items:
        if isinstance(item, Opaque):
            if not _stays(item, "", target):
                yield kind(item.json)
        elif isinstance(item, Message | ToolResult):
            by = item.role if isinstance(item, Message) else ""
            for part in item.parts:
                if isinstance(part, Opaque) and not _stays(part, by, target):
                    yield kind(part.json)


def kind(json: Mapping[str, Any]) -> str:
    """What a block calls itself."""
    return str(json.get("type") or "block")


def readable(json: Any, depth: int = 0) -> str:
    """The text in a block that nobody knows, paragraph by paragraph; "" if there is none."""
    if isinstance(json, str):
        return json
    if depth == _DEEPEST:
        return ""
    if isinstance(json, list):
        texts = (readable(each, depth + 1) for each in json)
    elif isinstance(json, Mapping):
        texts = (readable(json.get(name), depth + 1) for name in _TEXTS)
    else:
        return ""
    return "\n\n".join(text for text in texts if text.strip())


def _has_opaque(item: Item) -> bool:
    if isinstance(item, Message | ToolResult):
        return any(isinstance(part, Opaque) for part in item.parts)
    return isinstance(item, Opaque)


def _stays(thing: Opaque, by: str, target: Target) -> bool:
    """What a vendor's own tools did in a turn of the model belongs to that very answer. Google
    takes no part that it does not know, and what it knows is read here."""
    mine = thing.dialect == target.dialect and target.dialect != "gemini"
    return mine and by != "assistant"


def _item(item: Item, target: Target) -> Iterator[Item]:
    if isinstance(item, Opaque):
        if _stays(item, "", target):
            yield item
        elif text := readable(item.json):
            yield Message(role(item.json), (Text(text),))
    elif isinstance(item, ToolResult):
        yield replace(item, parts=tuple(_parts(item.parts, "", target)))
    elif isinstance(item, Message):
        if parts := tuple(_parts(item.parts, item.role, target)):
            yield replace(item, parts=parts)
    else:
        yield item


def _parts(parts: Iterable[Part], by: str, target: Target) -> Iterator[Part]:
    for part in parts:
        if not isinstance(part, Opaque) or _stays(part, by, target):
            yield part
        elif text := readable(part.json):
            yield Text(text)


def role(json: Mapping[str, Any]) -> str:
    """Whose words they are: the model's where it says so, or else what is told to the model."""
    named = json.get("role")
    if named == "assistant" or "reasoning" in kind(json):
        return "assistant"
    return "system" if named in ("system", "developer") else "user"


def _says_something(item: Item) -> bool:
    if isinstance(item, Message):
        return any(not isinstance(part, Text) or part.text.strip() for part in item.parts)
    return isinstance(item, ToolResult | Opaque)


def _names(request: Request) -> str:
    found = [kind(item.json) for item in request.items if isinstance(item, Opaque)]
    for item in request.items:
        if isinstance(item, Message | ToolResult):
            found += [kind(part.json) for part in item.parts if isinstance(part, Opaque)]
    return ", ".join(dict.fromkeys(found))[:200]
