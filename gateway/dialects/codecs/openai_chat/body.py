"""The body for a Chat upstream: gpt-4o, gpt-4.1 and compatible hosts.

Lossy, as the dialect has no words for it: text after a call stands before it; `cache_control`
and `top_k` go; reasoning is replayed only to hosts that want it, and not what another vendor's
own tools did. A result's error is told in its text, and its images follow the results in a user's
message.
"""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from gateway.dialects.codecs import media, names, schemas, stops, structured, thinking, wire
from gateway.dialects.codecs.openai_chat.tools import encode_tools
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.codecs.turns import (
    Turn,
    inexpressible,
    plain,
    preamble,
    says_something,
    turns,
)
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
    ToolCall,
    ToolReference,
    ToolResult,
)

DIALECT = "openai_chat"


def encode_request(request: Request, target: Target) -> dict[str, Any]:
    """Always streamed, always with usage: a unary answer is the fold of the stream."""
    box = Toolbox(request, target)
    system, items = preamble(request, target)
    raw = structured.instruction(request, target, objects=True)
    system += raw
    messages = [{"role": "system", "content": _content(system)}] if system else []
    for turn in turns(items, target):
        messages.extend(_turn(turn, box, target))
    return {
        "model": target.model,
        "messages": messages or [{"role": "user", "content": ""}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **encode_tools(request, box),
        **_settings(request, target),
    }


def _settings(request: Request, target: Target) -> dict[str, Any]:
    limit = request.max_output_tokens
    if limit is not None and target.max_output:
        limit = min(limit, target.max_output)
    sampling = request.sampling
    free = target.sampling != "none"
    settled = thinking.settle(request.thinking, target, limit)
    return wire.only(
        # gpt-5 refuses `max_tokens`; compatible hosts often know nothing else.
        **{"max_completion_tokens" if target.vendor == "openai" else "max_tokens": limit},
        reasoning_effort=settled.effort,
        temperature=sampling.temperature if free else None,
        top_p=sampling.top_p if free else None,
        presence_penalty=sampling.presence_penalty if free else None,
        frequency_penalty=sampling.frequency_penalty if free else None,
        seed=sampling.seed,
        stop=list(stops.native(request, target)) or None,
        response_format=_format(request, target),
        prompt_cache_key=request.cache_key,
        user=target.end_user,
    )


def _format(request: Request, target: Target) -> dict[str, Any]:
    output = request.output
    if output.kind == "json_schema" and target.schema == "native":
        schema, strict = schemas.strictly(output.schema, output.strict)
        raw = wire.only(
            name=output.name or "answer", strict=strict, description=output.description
        )
        return {"type": "json_schema", "json_schema": raw | {"schema": schema}}
    return {} if output.kind == "text" else {"type": "json_object"}


def _turn(turn: Turn, box: Toolbox, target: Target) -> Iterator[dict[str, Any]]:
    if turn.role == "assistant":
        yield from _assistant(turn.items, box, target)
    elif turn.role == "results":
        yield from _results([item for item in turn.items if isinstance(item, ToolResult)])
    else:
        for item in turn.items:
            if isinstance(item, Message) and says_something(item):
                named = wire.only(name=item.name)
                yield {"role": turn.role, "content": _content(item.parts), **named}


def _assistant(items: Iterable[Item], box: Toolbox, target: Target) -> Iterator[dict[str, Any]]:
    parts = [p for i in items if isinstance(i, Message) for p in i.parts]
    calls = [_call(item, box) for item in items if isinstance(item, ToolCall)]
    refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    content = _content([part for part in parts if not isinstance(part, Refusal)])
    if content or calls or refusal:
        yield {
            "role": "assistant",
            "content": content or None,
            **wire.only(refusal=refusal, tool_calls=calls or None),
            **(_replayed(items) if calls and target.replays else {}),
        }


def _replayed(items: Iterable[Item]) -> dict[str, Any]:
    """What the model thought before it called, where it refuses to go on without it."""
    thought = (text for i in items if isinstance(i, Reasoning) for text in i.text or i.summary)
    return wire.only(reasoning_content="".join(thought))


def _call(call: ToolCall, box: Toolbox) -> dict[str, Any]:
    function = {"name": box.name(call.namespace, call.name), "arguments": box.args(call) or "{}"}
    return {"id": names.call_id(call.call_id), "type": "function", "function": function}


def _results(results: list[ToolResult]) -> Iterator[dict[str, Any]]:
    shown: list[Part] = []
    for result in results:
        said = plain(result.parts)
        yield {
            "role": "tool",
            "tool_call_id": names.call_id(result.call_id),
            "content": f"[tool error] {said}" if result.is_error else said,
        }
        shown += [p for p in result.parts if not isinstance(p, Text | Refusal | ToolReference)]
    if shown:
        yield {"role": "user", "content": [_part(part) for part in shown]}


def _content(parts: Iterable[Part]) -> Any:
    """A string where one will do: hosts that know no parts exist."""
    said = [part for part in parts if not isinstance(part, Text) or part.text]
    if not said:
        return ""
    if len(said) == 1 and isinstance(said[0], Text):
        return said[0].text
    return [_part(part) for part in said]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text}
        case ToolReference():
            return {"type": "text", "text": plain([part])}
        case Image(file_id=file_id) if file_id:
            return inexpressible(part, DIALECT)
        case Image():
            url = media.join(part.media_type, part.data) if part.data else part.url
            return {"type": "image_url", "image_url": wire.only(url=url, detail=part.detail)}
        case Document():
            return _document(part)
        case Audio():
            sound = {"data": part.data, "format": part.format}
            return {"type": "input_audio", "input_audio": sound}
        case Opaque():
            return inexpressible(part, DIALECT)
        case _:
            assert_never(part)


def _document(part: Document) -> dict[str, Any]:
    if part.text:
        return {"type": "text", "text": media.titled(part)}
    if not part.data:
        wire.unsupported("content", "a document must be sent as base64 to this model")
    file = {
        "filename": part.title or "document.pdf",
        "file_data": media.join(part.media_type, part.data),
    }
    return {"type": "file", "file": file}
