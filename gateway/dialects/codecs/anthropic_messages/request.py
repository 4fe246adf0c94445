"""A Messages body, read.

Not kept, as it concerns Anthropic's own service only: `context_management`, `container`,
`service_tier`, betas, a message's `id`. A `tool_removal` is ignored. Refused, because ignoring
it would lose something: `thread`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier, wire
from gateway.dialects.codecs.anthropic_messages.parts import cache, decode_part
from gateway.dialects.codecs.anthropic_messages.tools import (
    decode_choice,
    decode_tool,
    decode_tools,
)
from gateway.dialects.ir import (
    Item,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolDecl,
    ToolReference,
    ToolResult,
)
from hontoni.errors import BadRequest

DIALECT = "anthropic_messages"


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    refuse_impossible(body)
    config = wire.obj(body.get("output_config"), "output_config")
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=tuple(_items(body)),
        tools=tuple(decode_tools(body)),
        tool_choice=decode_choice(body),
        output=_output(config.get("format") or body.get("output_format")),
        thinking=decode_thinking(body),
        sampling=Sampling(
            temperature=wire.number(body.get("temperature"), "temperature"),
            top_p=wire.number(body.get("top_p"), "top_p"),
            top_k=wire.integer(body.get("top_k"), "top_k"),
            stop=wire.strings(body.get("stop_sequences"), "stop_sequences"),
        ),
        max_output_tokens=wire.integer(body.get("max_tokens"), "max_tokens"),
        stream=bool(wire.flag(body.get("stream"), "stream")),
        include_usage=True,
        end_user=wire.text(wire.obj(body.get("metadata"), "metadata").get("user_id"), "metadata"),
    )


def refuse_impossible(body: Mapping[str, Any]) -> None:
    """BadRequest for a conversation of which the body holds only the newest part: what the vendor
    remembers of it, nobody here has counted."""
    if body.get("thread"):
        # The SDK reads this code and sends the whole conversation instead.
        raise BadRequest(
            "thread: not available on this model",
            param="thread",
            code="unsupported_parameter",
            details={"error_code": "thread_unsupported_request"},
        )


def _items(body: Mapping[str, Any]) -> Iterator[Item]:
    messages = wire.objects(body.get("messages"), "messages")
    if not messages:
        wire.refuse("messages", "must hold at least one message")
    system = tuple(_parts(body.get("system"), "system"))
    if system:
        yield Message("system", system)
    for at, message in enumerate(messages):
        yield from _message(message, f"messages[{at}]")


def _message(message: Mapping[str, Any], where: str) -> Iterator[Item]:
    role, content = message.get("role"), message.get("content")
    if role == "assistant":
        yield from _assistant(content, where)
    elif role == "user":
        yield from _user(content, where)
    elif role == "system":
        yield from _system(content, where)
    else:
        wire.refuse(f"{where}.role", f"{role!r} is no role")


def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return wire.objects(content, f"{where}.content")


def _parts(content: Any, where: str) -> Iterator[Part]:
    for at, block in enumerate(_blocks(content, where)):
        yield decode_part(block, f"{where}.content[{at}]")


def _user(content: Any, where: str) -> Iterator[Item]:
    parts: list[Part] = []
    for at, block in enumerate(_blocks(content, where)):
        if block.get("type") == "tool_result":
            if parts:
                yield Message("user", tuple(parts))
                parts = []
            yield _result(block, f"{where}.content[{at}]")
        else:
            parts.append(decode_part(block, f"{where}.content[{at}]"))
    if parts:
        yield Message("user", tuple(parts))


def _result(block: Mapping[str, Any], where: str) -> ToolResult:
    return ToolResult(
        wire.text(block.get("tool_use_id"), f"{where}.tool_use_id"),
        tuple(_parts(block.get("content"), where)),
        is_error=bool(block.get("is_error")),
        cache=cache(block),
    )


def _system(content: Any, where: str) -> Iterator[Item]:
    """In the middle of a conversation it may also bring tools."""
    parts: list[Part] = []
    for at, block in enumerate(_blocks(content, where)):
        if block.get("type") == "tool_addition":
            tool = wire.obj(block.get("tool"), where)
            if tool.get("definition"):
                yield ToolDecl((decode_tool(wire.obj(tool["definition"], where), where),))
            else:
                parts.append(ToolReference(wire.text(tool.get("name"), where)))
        elif block.get("type") != "tool_removal":
            parts.append(decode_part(block, f"{where}.content[{at}]"))
    if parts:
        yield Message("system", tuple(parts))


def _assistant(content: Any, where: str) -> Iterator[Item]:
    texts: list[Part] = []
    for at, block in enumerate(_blocks(content, where)):
        if block.get("type") in ("text", "compaction"):
            texts.append(_said(block, where))
            continue
        if texts:
            yield Message("assistant", tuple(texts))
            texts = []
        yield _assistant_block(block, f"{where}.content[{at}]")
    if texts:
        yield Message("assistant", tuple(texts))


def _said(block: Mapping[str, Any], where: str) -> Text:
    text = block.get("text") if block["type"] == "text" else block.get("content")
    return Text(wire.text(text, where), cache(block))


def _assistant_block(block: Mapping[str, Any], where: str) -> Item:
    kind = block.get("type")
    if kind == "thinking":
        thought = wire.text(block.get("thinking"), f"{where}.thinking")
        signature = wire.text(block.get("signature"), f"{where}.signature")
        kept = [carrier.closed(s, "anthropic", "signature") for s in [signature] if s]
        return Reasoning((thought,) if thought else (), carriers=tuple(kept))
    if kind == "redacted_thinking":
        data = wire.text(block.get("data"), f"{where}.data")
        return Reasoning(carriers=(carrier.closed(data, "anthropic", "redacted"),))
    if kind == "tool_use":
        return ToolCall(
            wire.text(block.get("id"), f"{where}.id"),
            wire.text(block.get("name"), f"{where}.name"),
            wire.dump(wire.obj(block.get("input"), f"{where}.input")),
            cache=cache(block),
        )
    if kind in ("image", "document"):
        return Message("assistant", (decode_part(block, where),))
    return Opaque(DIALECT, block)


def _output(form: Any) -> OutputFormat:
    raw = wire.obj(form, "output_config.format")
    if raw.get("type") != "json_schema":
        return OutputFormat()
    schema = wire.obj(raw.get("schema"), "output_config.format.schema")
    return OutputFormat("json_schema", "", schema)


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """What a body says about thinking. The last message with an effort of its own decides it."""
    config = wire.obj(body.get("output_config"), "output_config")
    effort = wire.text(config.get("effort"), "output_config.effort")
    for at, message in enumerate(wire.objects(body.get("messages"), "messages")):
        where = f"messages[{at}].output_config"
        own = wire.obj(message.get("output_config"), where)
        effort = wire.text(own.get("effort"), f"{where}.effort") or effort
    raw = wire.obj(body.get("thinking"), "thinking")
    display = wire.text(raw.get("display"), "thinking.display")
    kind = raw.get("type")
    if kind == "disabled":
        return Thinking("off", "none")
    if kind == "enabled":
        budget = wire.integer(raw.get("budget_tokens"), "thinking.budget_tokens")
        return Thinking("budget", effort, budget, display)
    if kind in ("adaptive", "between_tools"):
        return Thinking(kind, effort, None, display)
    return Thinking("effort", effort) if effort else Thinking()
