"""Messages and items, read: Chat's, Responses' and Anthropic's, and any mixture of them.

A message's content may hold what is an item elsewhere (a call, its result, what was thought), and
stands beside `tool_calls` and `reasoning_details`; a call that is told in two ways is one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier, summaries, wire
from gateway.dialects.codecs.shapes import parts as shapes
from gateway.dialects.codecs.shapes.tools import decode_tool, decode_tools
from gateway.dialects.ir import (
    Carrier,
    Item,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolDecl,
    ToolReference,
    ToolResult,
)

_SYSTEM = ("system", "developer")
_RESULTS = ("tool", "function")
_CALLS = {
    "function_call": "function",
    "custom_tool_call": "custom",
    "tool_search_call": "tool_search",
}
_PARTS = frozenset(("input_image", "input_file", "input_audio", "image_url", *shapes.TEXTS))


def decode(entry: Mapping[str, Any], where: str, dialect: str) -> Iterator[Item]:
    """The items that an entry of a conversation stands for. BadRequest for what is malformed."""
    kind = str(entry.get("type") or "message")
    if kind == "message":
        yield from _message(entry, where, dialect)
    elif kind in _PARTS:  # a user's part without the message around it
        yield Message("user", (shapes.decode(entry, where, dialect),))
    else:
        yield _item(entry, where, dialect) or Opaque(dialect, entry)


def instructions(content: Any, where: str, dialect: str) -> Iterator[Item]:
    """What stands apart from the messages: the system prompt."""
    parts = tuple(shapes.decode_all(content, where, dialect))
    if any(not isinstance(part, Text) or part.text for part in parts):
        yield Message("system", parts)


def _message(entry: Mapping[str, Any], where: str, dialect: str) -> Iterator[Item]:
    role = wire.text(entry.get("role"), f"{where}.role") or "user"
    if role in _RESULTS:
        yield _tool_message(entry, where, dialect)
    elif role == "assistant":
        yield from _assistant(entry, where, dialect)
    elif role == "user" or role in _SYSTEM:
        name = wire.text(entry.get("name"), f"{where}.name")
        raw = "user" if role == "user" else "system"
        phase = wire.text(entry.get("phase"), f"{where}.phase")
        yield from _content(entry, where, dialect, lambda p: Message(raw, p, phase, name))
    else:
        wire.refuse(f"{where}.role", f"{role!r} is no role")


def _assistant(entry: Mapping[str, Any], where: str, dialect: str) -> Iterator[Item]:
    yield from _thoughts(entry, where)
    phase = wire.text(entry.get("phase"), f"{where}.phase")
    items = list(_content(entry, where, dialect, lambda p: Message("assistant", p, phase)))
    refusal = wire.text(entry.get("refusal"), f"{where}.refusal")
    if refusal:
        items.append(Message("assistant", (Refusal(refusal),)))
    items = [item for item in items if not _is_empty(item)]
    calls = wire.objects(entry.get("tool_calls"), f"{where}.tool_calls")
    named = {item.call_id for item in items if isinstance(item, ToolCall)}
    for at, call in enumerate(calls, 1):
        ttl = shapes.cache(entry) if at == len(calls) and not items else ""
        made = _call(call, ttl, f"{where}.tool_calls[{at - 1}]")
        if made.call_id not in named or not made.call_id:
            items.append(made)
    yield from items
    if entry.get("function_call"):
        function = wire.obj(entry["function_call"], f"{where}.function_call")
        name = wire.text(function.get("name"), f"{where}.function_call.name")
        yield ToolCall(name, name, wire.text(function.get("arguments"), where))


def _is_empty(item: Item) -> bool:
    parts = item.parts if isinstance(item, Message) else (None,)
    return all(isinstance(part, Text) and not part.text for part in parts)


def _content(
    entry: Mapping[str, Any], where: str, dialect: str, say: Callable[[tuple[Part, ...]], Message]
) -> Iterator[Item]:
    """A message's content, in order: its parts gathered, and between them what is an item. The
    message's own mark of a cached prefix is its last part's."""
    if entry.get("content") is None:
        return
    parts: list[Part] = []
    listed = shapes.blocks(entry["content"], f"{where}.content")
    for at, block in enumerate(listed):
        if at == len(listed) - 1 and (ttl := entry.get("cache_control")):
            block = {"cache_control": ttl} | block
        here = f"{where}.content[{at}]"
        item = _item(block, here, dialect)
        if item is None:
            parts += _part(block, here, dialect)
            continue
        if parts:
            yield say(tuple(parts))
            parts = []
        yield item
    if parts:
        yield say(tuple(parts))


def _part(block: Mapping[str, Any], where: str, dialect: str) -> Iterator[Part]:
    kind = block.get("type")
    if kind == "tool_addition":
        yield ToolReference(wire.text(wire.obj(block.get("tool"), where).get("name"), where))
    elif kind == "compaction":
        yield Text(wire.text(block.get("content"), where), shapes.cache(block))
    else:
        yield shapes.decode(block, where, dialect)


def _item(block: Mapping[str, Any], where: str, dialect: str) -> Item | None:
    """The item that a block or an entry is; None for what is a part of a message, or unknown."""
    kind = str(block.get("type"))
    if kind in ("tool_use", *_CALLS):
        return _call_item(block, kind, where)
    if kind == "tool_result":
        return _tool_result(block, where, dialect)
    if kind in ("function_call_output", "custom_tool_call_output", "tool_search_output"):
        return _output(block, kind, where, dialect)
    if kind in ("thinking", "redacted_thinking"):
        return _thinking(block, where)
    if kind == "reasoning":
        return _reasoning(block, where)
    if kind == "additional_tools":
        return ToolDecl(tuple(decode_tools(block.get("tools"), f"{where}.tools")))
    if kind in ("tool_addition", "tool_removal"):
        return _change(block, where)
    if kind == summaries.TRIGGER:
        return Message("user", (Text(summaries.PROMPT),))
    if (summary := summaries.told(block)) is not None:
        return Message("user", (Text(summary),))
    return None


def _change(block: Mapping[str, Any], where: str) -> ToolDecl | None:
    """Tools that come, with their definition, or go; one that is only named was told before."""
    tool = wire.obj(block.get("tool"), where)
    if block.get("type") == "tool_removal":
        name = wire.text(tool.get("name") or block.get("tool_name"), where)
        return ToolDecl((), (name,) if name else ())
    if not tool.get("definition"):
        return None
    return ToolDecl((decode_tool(wire.obj(tool["definition"], where), where),))


# -- calls and their results


def _call_item(block: Mapping[str, Any], kind: str, where: str) -> ToolCall:
    if kind == "tool_use":
        return ToolCall(
            wire.text(block.get("id"), f"{where}.id"),
            wire.text(block.get("name"), f"{where}.name"),
            _args(block.get("input"), f"{where}.input"),
            carriers=_google(block, where),
            cache=shapes.cache(block),
        )
    given = block.get("input" if kind == "custom_tool_call" else "arguments")
    short = _CALLS[kind]
    return ToolCall(
        wire.text(block.get("call_id") or block.get("id"), f"{where}.call_id"),
        wire.text(block.get("name"), f"{where}.name") or short,
        given if isinstance(given, str) else wire.dump(given or {}),
        wire.text(block.get("namespace"), f"{where}.namespace"),
        short,
        _google(block, where),
    )


def _args(given: Any, where: str) -> str:
    """Other gateways keep the text that the model wrote."""
    return given if isinstance(given, str) else wire.dump(wire.obj(given, where))


def _call(call: Mapping[str, Any], ttl: str, where: str) -> ToolCall:
    """One of Chat's `tool_calls`."""
    kind = "custom" if call.get("type") == "custom" or "custom" in call else "function"
    raw = wire.obj(call.get(kind), where) or call
    args = raw.get("input" if kind == "custom" else "arguments")
    return ToolCall(
        call_id=wire.text(call.get("id"), f"{where}.id"),
        name=wire.text(raw.get("name"), f"{where}.name"),
        args=args if isinstance(args, str) else wire.dump(args or {}),
        kind=kind,
        carriers=_google(call, where),
        cache=ttl,
    )


def _google(call: Mapping[str, Any], where: str) -> tuple[Carrier, ...]:
    """Google's own convention for a signature on a call."""
    extra = wire.obj(call.get("extra_content"), where)
    signature = wire.obj(extra.get("google"), where).get("thought_signature")
    found = [signature] if isinstance(signature, str) and signature else []
    return tuple(carrier.closed(each, "google", "thought_signature") for each in found)


def _tool_message(entry: Mapping[str, Any], where: str, dialect: str) -> ToolResult:
    call_id = entry.get("tool_call_id") or entry.get("tool_use_id") or entry.get("name")
    parts = tuple(shapes.decode_all(entry.get("content"), f"{where}.content", dialect))
    failed = bool(entry.get("is_error"))
    return ToolResult(wire.text(call_id, where), parts, failed, cache=shapes.cache(entry))


def _tool_result(block: Mapping[str, Any], where: str, dialect: str) -> ToolResult:
    call_id = block.get("tool_use_id") or block.get("tool_call_id")
    return ToolResult(
        wire.text(call_id, f"{where}.tool_use_id"),
        tuple(shapes.decode_all(block.get("content"), f"{where}.content", dialect)),
        is_error=bool(block.get("is_error")),
        cache=shapes.cache(block),
    )


def _output(item: Mapping[str, Any], kind: str, where: str, dialect: str) -> ToolResult:
    call_id = wire.text(item.get("call_id"), f"{where}.call_id")
    if kind == "tool_search_output":
        tools = tuple(decode_tools(item.get("tools"), f"{where}.tools"))
        names = ", ".join(tool.name for tool in tools) or "none"
        return ToolResult(call_id, (Text(f"Found: {names}"),), kind="tool_search", tools=tools)
    output = item.get("output")
    if isinstance(output, dict):
        output = wire.dump(output)
    parts = tuple(shapes.decode_all(output, f"{where}.output", dialect))
    return ToolResult(call_id, parts, kind="custom" if kind.startswith("custom") else "function")


# -- what was thought


def _thinking(block: Mapping[str, Any], where: str) -> Reasoning:
    if block.get("type") == "redacted_thinking":
        data = wire.text(block.get("data"), f"{where}.data")
        return Reasoning(carriers=(carrier.closed(data, "anthropic", "redacted"),))
    thought = wire.text(block.get("thinking"), f"{where}.thinking")
    signature = wire.text(block.get("signature"), f"{where}.signature")
    kept = [carrier.closed(s, "anthropic", "signature") for s in [signature] if s]
    return Reasoning((thought,) if thought else (), carriers=tuple(kept))


def _reasoning(item: Mapping[str, Any], where: str) -> Reasoning:
    secret = wire.text(item.get("encrypted_content"), f"{where}.encrypted_content")
    kept = [carrier.closed(s, "openai", "encrypted_content") for s in [secret] if s]
    return Reasoning(
        _texts(item.get("content"), f"{where}.content"),
        _texts(item.get("summary"), f"{where}.summary"),
        tuple(kept),
    )


def _texts(parts: Any, where: str) -> tuple[str, ...]:
    return tuple(wire.text(part.get("text"), where) for part in shapes.blocks(parts, where))


def _thoughts(entry: Mapping[str, Any], where: str) -> Iterator[Item]:
    """Beside a message: the secrets we sealed come back in `reasoning_details`, one item each;
    the text beside them is only for the eye."""
    details = wire.objects(entry.get("reasoning_details"), f"{where}.reasoning_details")
    sealed = [d["data"] for d in details if isinstance(d.get("data"), str)]
    for data in sealed:
        yield Reasoning(carriers=(carrier.closed(data, "", "foreign"),))
    said = entry.get("reasoning_content") or entry.get("reasoning")
    if isinstance(said, str) and said and not sealed:
        yield Reasoning((said,))
