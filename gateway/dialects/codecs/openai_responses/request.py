"""A Responses body, read.

Stateless: what points at a stored response is refused in OpenAI's own words, whose documented
remedy is to send the whole input. Not kept: `store`, `include`, `truncation`, `service_tier`,
`client_metadata`, ids of items. An item type nobody knows is kept whole and sent to no other
dialect.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier, wire
from gateway.dialects.codecs.openai_responses.parts import decode_parts
from gateway.dialects.codecs.openai_responses.tools import decode_choice, decode_tools
from gateway.dialects.ir import (
    Item,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolDecl,
    ToolResult,
)

DIALECT = "openai_responses"
_STORED = ("previous_response_id", "conversation", "prompt")


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    refuse_impossible(body)
    if body.get("top_logprobs"):
        wire.unsupported("top_logprobs", "not available on this model")
    text = wire.obj(body.get("text"), "text")
    options = wire.obj(body.get("stream_options"), "stream_options")
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=tuple(_items(body)),
        tools=tuple(decode_tools(body.get("tools"), "tools")),
        tool_choice=decode_choice(body),
        output=_output(text.get("format")),
        verbosity=wire.text(text.get("verbosity"), "text.verbosity"),
        thinking=decode_thinking(body),
        sampling=Sampling(
            temperature=wire.number(body.get("temperature"), "temperature"),
            top_p=wire.number(body.get("top_p"), "top_p"),
        ),
        max_output_tokens=wire.integer(body.get("max_output_tokens"), "max_output_tokens"),
        stream=bool(wire.flag(body.get("stream"), "stream")),
        include_usage=bool(options.get("include_usage")),
        cache_key=wire.text(body.get("prompt_cache_key"), "prompt_cache_key"),
        end_user=wire.text(body.get("safety_identifier") or body.get("user"), "user"),
        metadata=wire.obj(body.get("metadata"), "metadata"),
    )


def refuse_impossible(body: Mapping[str, Any]) -> None:
    """BadRequest for what needs a stored response."""
    for name in _STORED:
        if body.get(name):
            _not_stored(name)
    raw = body.get("input")
    for at, item in enumerate(raw if isinstance(raw, list) else ()):
        if isinstance(item, dict) and _is_reference(item):
            _not_stored(f"input[{at}]")
    if body.get("background"):
        wire.unsupported("background", "not available; leave it out and wait for the answer")


def _is_reference(item: Mapping[str, Any]) -> bool:
    """An item that only points at one: its type may be left out."""
    return item.get("type") == "item_reference" or item.keys() == {"id"}


def _not_stored(param: str) -> None:
    wire.refuse(
        param,
        "nothing is stored here; send the whole input instead",
        code="previous_response_not_found",
    )


def _items(body: Mapping[str, Any]) -> Iterator[Item]:
    instructions = wire.text(body.get("instructions"), "instructions")
    if instructions:
        yield Message("system", (Text(instructions),))
    raw = body.get("input")
    if isinstance(raw, str):
        yield Message("user", (Text(raw),))
        return
    items = wire.objects(raw, "input")
    if not items and not instructions:
        wire.refuse("input", "must hold at least one item")
    for at, item in enumerate(items):
        yield from _item(item, f"input[{at}]")


def _item(item: Mapping[str, Any], where: str) -> Iterator[Item]:
    kind = item.get("type") or "message"
    if kind == "message":
        yield _message(item, where)
    elif kind == "reasoning":
        yield _reasoning(item, where)
    elif kind in ("function_call", "custom_tool_call", "tool_search_call"):
        yield _call(item, kind, where)
    elif kind in ("function_call_output", "custom_tool_call_output", "tool_search_output"):
        yield _result(item, kind, where)
    elif kind == "additional_tools":
        yield ToolDecl(tuple(decode_tools(item.get("tools"), f"{where}.tools")))
    elif kind == "compaction_trigger":
        wire.unsupported(where, "compaction is not available on this model")
    else:
        yield Opaque(DIALECT, item)


def _message(item: Mapping[str, Any], where: str) -> Message:
    role = wire.text(item.get("role"), f"{where}.role") or "user"
    if role not in ("user", "assistant", "system", "developer"):
        wire.refuse(f"{where}.role", f"{role!r} is no role")
    return Message(
        "system" if role == "developer" else role,
        tuple(decode_parts(item.get("content"), f"{where}.content")),
        wire.text(item.get("phase"), f"{where}.phase"),
    )


def _reasoning(item: Mapping[str, Any], where: str) -> Reasoning:
    secret = wire.text(item.get("encrypted_content"), f"{where}.encrypted_content")
    kept = [carrier.closed(s, "openai", "encrypted_content") for s in [secret] if s]
    return Reasoning(
        _texts(item.get("content"), f"{where}.content"),
        _texts(item.get("summary"), f"{where}.summary"),
        tuple(kept),
    )


def _texts(parts: Any, where: str) -> tuple[str, ...]:
    raw = wire.objects(parts, where)
    return tuple(wire.text(part.get("text"), where) for part in raw)


def _call(item: Mapping[str, Any], kind: str, where: str) -> ToolCall:
    args = item.get("input" if kind == "custom_tool_call" else "arguments")
    short = {"function_call": "function", "custom_tool_call": "custom"}.get(kind, "tool_search")
    return ToolCall(
        wire.text(item.get("call_id") or item.get("id"), f"{where}.call_id"),
        wire.text(item.get("name"), f"{where}.name") or short,
        args if isinstance(args, str) else wire.dump(args or {}),
        wire.text(item.get("namespace"), f"{where}.namespace"),
        short,
    )


def _result(item: Mapping[str, Any], kind: str, where: str) -> ToolResult:
    call_id = wire.text(item.get("call_id"), f"{where}.call_id")
    if kind == "tool_search_output":
        tools = tuple(decode_tools(item.get("tools"), f"{where}.tools"))
        names = ", ".join(tool.name for tool in tools) or "none"
        return ToolResult(call_id, (Text(f"Found: {names}"),), kind="tool_search", tools=tools)
    output = item.get("output")
    if isinstance(output, dict):
        output = wire.dump(output)
    parts = tuple(decode_parts(output, f"{where}.output"))
    return ToolResult(call_id, parts, kind="custom" if kind.startswith("custom") else "function")


def _output(form: Any) -> OutputFormat:
    raw = wire.obj(form, "text.format")
    if raw.get("type") == "json_object":
        return OutputFormat("json_object")
    if raw.get("type") != "json_schema":
        return OutputFormat()
    return OutputFormat(
        "json_schema",
        wire.text(raw.get("name"), "text.format.name"),
        wire.obj(raw.get("schema"), "text.format.schema"),
        wire.flag(raw.get("strict"), "text.format.strict"),
        wire.text(raw.get("description"), "text.format.description"),
    )


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """What a body says about thinking."""
    raw = wire.obj(body.get("reasoning"), "reasoning")
    effort = wire.text(raw.get("effort"), "reasoning.effort")
    if effort == "none":
        return Thinking("off", "none")
    return Thinking("effort", effort) if effort else Thinking()
