"""The body for Converse. The model, and whether to stream, are said in the URL.

Lossy, as the dialect has no words for it, or not for every model: thinking, `seed`, penalties,
`top_k`, an image's detail and `cache_control` go; a shape of answer is asked for in words; a
choice of several tools, or of none beside a history of calls, is left to the model.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from gateway.dialects.codecs import carrier, media, names, schemas, structured, turns, wire
from gateway.dialects.codecs.stops import native
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import (
    Audio,
    Document,
    Image,
    Item,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolReference,
    ToolResult,
)

DIALECT = "converse"
_FILLER = {"text": "Continue."}
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_ANY_SCHEMA = {"type": "object", "properties": {}}


def encode_request(request: Request, target: Target) -> dict[str, Any]:
    """Without what says nothing: Bedrock refuses what is empty."""
    box = Toolbox(request, target)
    system, items = turns.preamble(request, target)
    system += structured.instruction(request, target, objects=False)
    body = {
        "system": [_part(part, {}) for part in system],
        "messages": _messages(items, target, box),
        "inferenceConfig": _config(request, target),
        "toolConfig": _tools(request, box),
        "requestMetadata": wire.only(user=target.end_user),
    }
    return {name: value for name, value in body.items() if value}


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """Nothing is said about it: each model has words of its own for that."""
    return Thinking()


def _config(request: Request, target: Target) -> dict[str, Any]:
    limit = request.max_output_tokens
    if limit is not None and target.max_output:
        limit = min(limit, target.max_output)
    sampling = request.sampling
    temperature = sampling.temperature
    return wire.only(
        maxTokens=limit,
        temperature=temperature if temperature is None else min(max(temperature, 0.0), 1.0),
        topP=sampling.top_p if temperature is None else None,
        stopSequences=list(native(request, target)) or None,
    )


def _tools(request: Request, box: Toolbox) -> dict[str, Any]:
    """What was called in the history is declared too: Bedrock refuses calls of nothing."""
    offered = [_declared(tool) for tool in box.offered]
    seen = {spec["toolSpec"]["name"] for spec in offered}
    for item in request.items:
        if (
            isinstance(item, ToolCall)
            and (name := box.name(item.namespace, item.name)) not in seen
        ):
            seen.add(name)
            offered.append(_declared(Tool(name)))
    if not offered:
        return {}
    choice = request.tool_choice
    if choice.mode != "required" or not box.offered:
        return {"tools": offered}
    if len(choice.names) == 1:
        return {"tools": offered, "toolChoice": {"tool": {"name": box.name(*choice.names[0])}}}
    return {"tools": offered, "toolChoice": {"any": {}}}


def _declared(tool: Tool) -> dict[str, Any]:
    schema = schemas.ordered(tool.schema) if tool.schema else _ANY_SCHEMA
    spec = wire.only(name=tool.name, description=tool.description)
    return {"toolSpec": spec | {"inputSchema": {"json": schema}}}


def _messages(items: list[Item], target: Target, box: Toolbox) -> list[dict[str, Any]]:
    """Who speaks takes turns, beginning with the user."""
    messages: list[dict[str, Any]] = []
    for turn in turns.turns(items, target):
        role = "assistant" if turn.role == "assistant" else "user"
        content = list(_blocks(turn.items, target, box))
        if content and messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": role, "content": content})
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [_FILLER]})
    if messages[-1]["role"] != "user":
        messages.append({"role": "user", "content": [_FILLER]})
    for message in messages:
        _with_text(message)
    return messages


def _with_text(message: dict[str, Any]) -> None:
    """A document needs some text beside it."""
    kinds = {kind for block in message["content"] for kind in block}
    if "document" in kinds and "text" not in kinds:
        message["content"].insert(0, {"text": "The document:"})


def _blocks(items: Iterable[Item], target: Target, box: Toolbox) -> Iterator[dict[str, Any]]:
    titles: dict[str, int] = {}
    for item in items:
        if isinstance(item, Message):
            yield from _parts(item.parts, titles)
        elif isinstance(item, Reasoning):
            yield from _reasoning(item, target)
        elif isinstance(item, ToolCall):
            used = {
                "toolUseId": names.call_id(item.call_id),
                "name": box.name(item.namespace, item.name),
                "input": wire.arguments(box.args(item)),
            }
            yield {"toolUse": used}
        elif isinstance(item, ToolResult):
            yield {"toolResult": _result(item, titles)}


def _parts(parts: Iterable[Part], titles: dict[str, int]) -> Iterator[dict[str, Any]]:
    for part in parts:
        if not isinstance(part, Text | Refusal) or part.text.strip():
            yield _part(part, titles)


def _result(result: ToolResult, titles: dict[str, int]) -> dict[str, Any]:
    content = list(_parts(result.parts, titles)) or [{"text": "(nothing)"}]
    return {
        "toolUseId": names.call_id(result.call_id),
        "content": content,
        "status": "error" if result.is_error else "success",
    }


def _reasoning(item: Reasoning, target: Target) -> Iterator[dict[str, Any]]:
    for kept in carrier.fitting(item.carriers, target):
        if kept.form == "redacted":
            yield {"reasoningContent": {"redactedContent": kept.data}}
        else:
            said = {"text": "".join(kept.texts or item.text), "signature": kept.data}
            yield {"reasoningContent": {"reasoningText": said}}


def _part(part: Part, titles: dict[str, int]) -> dict[str, Any]:
    match part:
        case Text(text) | Refusal(text):
            return {"text": text}
        case ToolReference():
            return {"text": turns.plain([part])}
        case Document(text=text) if text:
            return {"text": media.titled(part)}
        case Image(data=data, media_type=kind) if data and kind in _IMAGES:
            return {"image": {"format": _IMAGES[kind], "source": {"bytes": data}}}
        case Document(data=data, media_type="application/pdf") if data:
            return {"document": _document(data, titles)}
        case Image() | Document() | Audio() | Opaque():
            return turns.inexpressible(part, DIALECT)
        case _:
            assert_never(part)


def _document(data: str, titles: dict[str, int]) -> dict[str, Any]:
    """Its name is for the model to read, may hold little, and must be its own."""
    titles["document"] = number = titles.get("document", 0) + 1
    return {"format": "pdf", "name": f"document {number}", "source": {"bytes": data}}
