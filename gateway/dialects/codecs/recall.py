"""Secrets for clients that send none of them back (Cursor, Continue, aider, Cline).

The caller keeps what `kept` gives for about an hour, under the client's key and the call's id;
`recalled` puts it back before the call it belongs to. Whom a secret fits is decided as for any
other: here nothing is opened.
"""

from collections.abc import Iterator, Mapping

from gateway.dialects.codecs import carrier
from gateway.dialects.ir import (
    Carrier,
    Item,
    Message,
    Reasoning,
    Reply,
    Request,
    ToolCall,
    ToolResult,
)


def kept(reply: Reply, key: bytes) -> dict[str, list[str]]:
    """The sealed secrets of each call of a reply: its own, and those thought before it."""
    found: dict[str, list[str]] = {}
    thought: list[Carrier] = []
    for item in reply.items:
        if isinstance(item, Reasoning):
            thought += item.carriers
        elif isinstance(item, ToolCall):
            secrets = [*thought, *item.carriers]
            thought = []
            if secrets:
                found[item.call_id] = [carrier.seal(each, key) for each in secrets]
    return found


def missing(request: Request) -> list[str]:
    """The calls that came back without any secret before them or on them."""
    return [item.call_id for item, bare in _calls(request) if bare]


def recalled(request: Request, known: Mapping[str, list[str]]) -> tuple[Item, ...]:
    """The request's items, with what is known of its bare calls back in place."""
    bare = set(missing(request)) & known.keys()
    items: list[Item] = []
    for item in request.items:
        if isinstance(item, ToolCall) and item.call_id in bare:
            secrets = (carrier.closed(each, "", "") for each in known[item.call_id])
            items += [Reasoning(carriers=(each,)) for each in secrets]
        items.append(item)
    return tuple(items)


def _calls(request: Request) -> Iterator[tuple[ToolCall, bool]]:
    thought = False
    for item in request.items:
        if isinstance(item, ToolCall):
            yield item, not (thought or item.carriers)
        elif isinstance(item, Reasoning):
            thought = thought or bool(item.carriers)
        elif isinstance(item, ToolResult) or (isinstance(item, Message) and item.role == "user"):
            thought = False
