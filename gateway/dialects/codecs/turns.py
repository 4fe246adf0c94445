"""The items of a conversation, gathered into the turns that upstreams with messages want.

* Results stand directly behind the calls they answer, whatever came between.
* A system message in the middle stays in its place: where the upstream has none, it becomes a
  user's text wrapped as a reminder. It is never hoisted: that changes what it is about, and
  breaks the cached prefix.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import NoReturn

from gateway.dialects.codecs import opaque, wire
from gateway.dialects.ir import (
    Item,
    Message,
    Part,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    ToolCall,
    ToolDecl,
    ToolReference,
    ToolResult,
)

_BILLING = "x-anthropic-billing-header:"


@dataclass(slots=True)
class Turn:
    """`role` is system, user, assistant or results; only the assistant's has many kinds."""

    role: str
    items: list[Item] = field(default_factory=list)


def preamble(request: Request, target: Target) -> tuple[list[Part], list[Item]]:
    """The leading system parts, and the rest. Claude Code's billing line is Anthropic's only."""
    raw = opaque.expressed(request, target)
    items: list[Item] = [item for item in raw if not isinstance(item, ToolDecl)]
    leading = list(takewhile(_is_system, items))
    parts = [part for item in leading if isinstance(item, Message) for part in item.parts]
    if target.vendor != "anthropic":
        parts = [p for p in parts if not (isinstance(p, Text) and p.text.startswith(_BILLING))]
    return [p for p in parts if not isinstance(p, Text) or p.text], items[len(leading) :]


def _is_system(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "system"


def turns(items: Iterable[Item], target: Target) -> Iterator[Turn]:
    """Assistant items gathered, results gathered behind their calls, the rest one by one."""
    turn = Turn("")
    for item in _results_first(items):
        placed = item if target.mid_system else _reminder(item)
        role = _role(placed)
        if role != turn.role or role in ("user", "system"):
            if turn.items:
                yield turn
            turn = Turn(role)
        turn.items.append(placed)
    if turn.items:
        yield turn


def _role(item: Item) -> str:
    if isinstance(item, ToolResult):
        return "results"
    return item.role if isinstance(item, Message) else "assistant"


def _results_first(items: Iterable[Item]) -> Iterator[Item]:
    open_calls: set[str] = set()
    waiting: list[Item] = []
    for item in items:
        if isinstance(item, ToolCall):
            yield from waiting
            waiting = []
            open_calls.add(item.call_id)
        elif isinstance(item, ToolResult):
            open_calls.discard(item.call_id)
        elif open_calls and isinstance(item, Message) and item.role != "assistant":
            waiting.append(item)
            continue
        yield item
        if waiting and not open_calls:
            yield from waiting
            waiting = []
    yield from waiting


def _reminder(item: Item) -> Item:
    if not isinstance(item, Message) or item.role != "system":
        return item
    wrapped = (
        replace(part, text=f"<system-reminder>\n{part.text}\n</system-reminder>")
        if isinstance(part, Text) and part.text
        else part
        for part in item.parts
    )
    return Message("user", tuple(wrapped))


def plain(parts: Iterable[Part]) -> str:
    """The text of a result for an upstream that takes text only; media go elsewhere."""
    said = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            said.append(part.text)
        elif isinstance(part, ToolReference):
            said.append(f"Loaded tool {part.name}")
    return "\n\n".join(said)


def inexpressible(part: Part, dialect: str) -> NoReturn:
    """BadRequest for a part that is known, and that this target has no words for: what it shows
    cannot be told in any others."""
    kind = type(part).__name__.lower()
    wire.unsupported("content", f"{kind} cannot be sent to this model ({dialect})")


def says_something(item: Item) -> bool:
    """Not an empty message, and not reasoning: that is nothing without its secret."""
    if isinstance(item, Message):
        return any(not isinstance(part, Text) or part.text for part in item.parts)
    return not isinstance(item, Reasoning)
