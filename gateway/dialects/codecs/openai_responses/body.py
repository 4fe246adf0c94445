"""The body for an OpenAI Responses upstream: the reasoning models.

Lossy, as the dialect has no words for it: `top_k`, `seed`, penalties and `cache_control` go;
stop sequences are watched for by us; a result's error is told in its text. Reasoning is sent
only with OpenAI's own secret, without its id (nothing is stored), and only before what it led
to.
"""

from collections.abc import Iterator
from typing import Any

from gateway.dialects.codecs import carrier, names, schemas, thinking, turns, wire
from gateway.dialects.codecs.openai_responses import history
from gateway.dialects.codecs.openai_responses.parts import encode_parts
from gateway.dialects.codecs.openai_responses.tools import encode_list, encode_tools
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.ir import (
    Item,
    Message,
    Opaque,
    Part,
    Reasoning,
    Request,
    Target,
    Text,
    ToolCall,
    ToolResult,
)

DIALECT = "openai_responses"
_LEAST = 16  # OpenAI refuses a lower `max_output_tokens`.


def encode_request(request: Request, target: Target) -> dict[str, Any]:
    """Always streamed: a unary answer is the fold of the stream."""
    box = Toolbox(request, target)
    system, items = turns.preamble(request, target)
    instructions, raw = _system_first(system, items)
    for turn in turns.turns(items, target):
        raw.extend(each for item in turn.items for each in _item(item, target, box))
    return {
        "model": target.model,
        "input": history.without_orphans(raw) or [_message("user", _input(""))],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "store": False,
        **instructions,
        **encode_tools(request, box),
        **_settings(request, target),
    }


def _system_first(
    system: list[Part], items: list[Item]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One text is what the dialect calls instructions; several stay apart, as a client's cache
    may end at any of them. The input must not be empty."""
    if items and len(system) == 1 and isinstance(system[0], Text):
        return {"instructions": system[0].text}, []
    return {}, [_message("developer", encode_parts(system, "input_text"))] if system else []


def _settings(request: Request, target: Target) -> dict[str, Any]:
    limit = request.max_output_tokens
    if limit is not None:
        limit = max(min(limit, target.max_output or limit), _LEAST)
    free = target.sampling != "none"
    settled = thinking.settle(request.thinking, target, limit)
    shown = settled.effort not in ("", "none") and settled.display != "omitted"
    text = wire.only(format=_format(request), verbosity=request.verbosity)
    return wire.only(
        max_output_tokens=limit,
        reasoning=wire.only(effort=settled.effort, summary="auto" if shown else ""),
        include=["reasoning.encrypted_content"] if target.thinking != "none" else None,
        temperature=request.sampling.temperature if free else None,
        top_p=request.sampling.top_p if free else None,
        text=text,
        prompt_cache_key=request.cache_key,
        safety_identifier=target.end_user,
    )


def _format(request: Request) -> dict[str, Any]:
    output = request.output
    if output.kind == "json_schema":
        schema, strict = schemas.strictly(output.schema, output.strict)
        raw = wire.only(strict=strict, description=output.description)
        return {"type": "json_schema", "name": output.name or "answer", "schema": schema} | raw
    return {"type": "json_object"} if output.kind == "json_object" else {}


def _message(role: str, content: list[dict[str, Any]], phase: str = "") -> dict[str, Any]:
    raw = {"type": "message", "role": role, "content": content}
    return raw | wire.only(phase=phase)


def _input(text: str) -> list[dict[str, Any]]:
    return [{"type": "input_text", "text": text}]


def _item(item: Item, target: Target, box: Toolbox) -> Iterator[dict[str, Any]]:
    if isinstance(item, Message):
        written = "output_text" if item.role == "assistant" else "input_text"
        content = encode_parts(item.parts, written)
        if content:
            role = "developer" if item.role == "system" else item.role
            yield _message(role, content, item.phase)
    elif isinstance(item, Reasoning):
        yield from _reasoning(item, target)
    elif isinstance(item, ToolCall):
        yield _call(item, box)
    elif isinstance(item, ToolResult):
        yield _result(item)
    elif isinstance(item, Opaque) and item.dialect == DIALECT:
        yield dict(item.json)


def _reasoning(item: Reasoning, target: Target) -> Iterator[dict[str, Any]]:
    for kept in carrier.fitting(item.carriers, target):
        texts = kept.texts or item.summary or item.text
        summary = [{"type": "summary_text", "text": text} for text in texts if text]
        yield {"type": "reasoning", "summary": summary, "encrypted_content": kept.data}


def _call(call: ToolCall, box: Toolbox) -> dict[str, Any]:
    raw = {
        "call_id": names.call_id(call.call_id),
        "name": box.name(call.namespace, call.name),
    } | wire.only(namespace=call.namespace)
    if call.kind == "custom":
        return {"type": "custom_tool_call", **raw, "input": call.args}
    if call.kind == "tool_search":
        found = {"call_id": raw["call_id"], "execution": "client", "status": "completed"}
        return {"type": "tool_search_call", **found, "arguments": wire.arguments(call.args)}
    return {"type": "function_call", **raw, "arguments": call.args or "{}"}


def _result(result: ToolResult) -> dict[str, Any]:
    call_id = names.call_id(result.call_id)
    if result.kind == "tool_search":
        found = {"execution": "client", "status": "completed", "tools": encode_list(result.tools)}
        return {"type": "tool_search_output", "call_id": call_id, **found}
    kind = "custom_tool_call_output" if result.kind == "custom" else "function_call_output"
    return {"type": kind, "call_id": call_id, "output": _output(result)}


def _output(result: ToolResult) -> Any:
    """A string where one will do, else parts: images and files stay in the result."""
    mark = "[tool error] " if result.is_error else ""
    if len(result.parts) <= 1 and all(isinstance(part, Text) for part in result.parts):
        return mark + turns.plain(result.parts)
    return (_input(mark.strip()) if mark else []) + encode_parts(result.parts, "input_text")
