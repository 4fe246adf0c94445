"""The body for Claude.

Lossy, as the dialect has no words for it: `seed`, penalties, `verbosity` and an image's detail
go; another vendor's reasoning goes; a strict flag goes, as Claude's rules for it differ. A
forced call is kept and thinking turned off for it (Claude refuses both); a model that always
thinks is left to choose by itself.
"""

from collections.abc import Iterator
from typing import Any

from gateway.dialects.codecs import carrier, names, schemas, structured, thinking, wire
from gateway.dialects.codecs.anthropic_messages.parts import cached, encode_part
from gateway.dialects.codecs.anthropic_messages.tools import encode_tools
from gateway.dialects.codecs.stops import native
from gateway.dialects.codecs.tools import Toolbox
from gateway.dialects.codecs.turns import Turn, preamble, turns
from gateway.dialects.ir import (
    Item,
    Message,
    Part,
    Reasoning,
    Request,
    Target,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_BREAKPOINTS = 4
_FILLER = {"role": "user", "content": [{"type": "text", "text": "Continue."}]}
_LONGEST = 64_000  # where the catalogue does not say


def encode_request(request: Request, target: Target) -> dict[str, Any]:
    """Always streamed: a unary answer is the fold of the stream."""
    box = Toolbox(request, target)
    system, items = preamble(request, target)
    system += structured.instruction(request, target, objects=False)
    messages = _messages(items, target, box)
    limit = _limit(request, target)
    tools = encode_tools(request, box, structured.tool(request, target))
    settled = _settled(request, target, limit, messages, tools)
    body: dict[str, Any] = {
        "model": target.model,
        "max_tokens": limit,
        "stream": True,
        "system": [encode_part(part) for part in system],
        "messages": messages,
        **tools,
        **_thinking(settled),
        **_sampling(request, target, settled),
        "output_config": _output_config(request, target, settled),
        "stop_sequences": list(native(request, target)),
        "metadata": wire.only(user_id=target.end_user),
    }
    _few_breakpoints(body)
    return {k: v for k, v in body.items() if v not in ({}, [])}


def _limit(request: Request, target: Target) -> int:
    """The model's own most, where the client names none: 4,096 would cut agents short."""
    most = target.max_output or _LONGEST
    requested = request.max_output_tokens
    return most if requested is None else min(requested, most)


def _messages(items: list[Item], target: Target, box: Toolbox) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in turns(items, target):
        content = list(_blocks(turn, target, box))
        role = "user" if turn.role == "results" else turn.role
        behind_results = messages and _results_only(messages[-1])
        if content and turn.role == "user" and behind_results:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": role, "content": content})
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, _FILLER)
    if messages[-1]["role"] == "assistant":
        _prefill(messages, target)
    return messages


def _results_only(message: dict[str, Any]) -> bool:
    return all(block.get("type") == "tool_result" for block in message["content"])


def _prefill(messages: list[dict[str, Any]], target: Target) -> None:
    """An answer the client began: Claude refuses one that ends in a space, or any from 5 on."""
    last = messages[-1]["content"][-1]
    if not target.prefill or last["type"] != "text":
        messages.append(_FILLER)
    else:
        last["text"] = last["text"].rstrip() or "."


def _blocks(turn: Turn, target: Target, box: Toolbox) -> Iterator[dict[str, Any]]:
    for item in turn.items:
        if isinstance(item, Message):
            yield from _parts(item.parts)
        elif isinstance(item, Reasoning):
            yield from _reasoning(item, target)
        elif isinstance(item, ToolCall):
            block = {
                "type": "tool_use",
                "id": names.call_id(item.call_id),
                "name": box.name(item.namespace, item.name),
                "input": wire.arguments(box.args(item)),
            }
            yield cached(block, item.cache)
        elif isinstance(item, ToolResult):
            yield _result(item)


def _parts(parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
    yield from (encode_part(p) for p in parts if not isinstance(p, Text) or p.text.strip())


def _result(result: ToolResult) -> dict[str, Any]:
    block = {
        "type": "tool_result",
        "tool_use_id": names.call_id(result.call_id),
        "content": list(_parts(result.parts)),
    }
    return cached(block | ({"is_error": True} if result.is_error else {}), result.cache)


def _reasoning(item: Reasoning, target: Target) -> Iterator[dict[str, Any]]:
    for kept in carrier.fitting(item.carriers, target):
        if kept.form == "redacted":
            yield {"type": "redacted_thinking", "data": kept.data}
        else:
            thought = "".join(kept.texts or item.text)
            yield {"type": "thinking", "thinking": thought, "signature": kept.data}


def _settled(
    request: Request,
    target: Target,
    limit: int,
    messages: list[dict[str, Any]],
    tools: dict[str, Any],
) -> Thinking:
    settled = thinking.settle(request.thinking, target, limit)
    settled, choice = possible(settled, target, messages, tools.get("tool_choice"))
    if choice is not None:
        tools["tool_choice"] = choice
    return settled


def possible(
    settled: Thinking, target: Target, messages: list[Any], choice: Any
) -> tuple[Thinking, dict[str, Any] | None]:
    """How much of the thinking Claude takes beside the rest, and the choice of tools to send in
    place of the client's, if that is another. A forced call, an answer that was begun, or a call
    whose thinking is gone does without; a model that always thinks chooses by itself."""
    if settled.mode in ("", "off"):
        return settled, None
    forced = isinstance(choice, dict) and choice.get("type") in ("any", "tool")
    begun = bool(messages) and _role(messages[-1]) == "assistant"
    if target.off != "disabled":
        return settled, {"type": "auto"} if forced else None
    lost = target.thinking == "budget" and lost_its_thinking(messages)
    return (Thinking("off") if forced or begun or lost else settled), None


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def lost_its_thinking(messages: list[dict[str, Any]]) -> bool:
    """Older models refuse to think on after a call of this turn whose thinking is gone."""
    for message in reversed(messages):
        content = message.get("content")
        kinds = [block.get("type") for block in content] if isinstance(content, list) else [""]
        if message.get("role") == "assistant":
            if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
                return True
        elif "tool_result" not in kinds:
            return False
    return False


def _thinking(settled: Thinking) -> dict[str, Any]:
    display = "omitted" if settled.display == "omitted" else "summarized"
    if settled.mode == "budget":
        return {"thinking": {"type": "enabled", "budget_tokens": settled.budget}}
    if settled.mode == "adaptive":
        return {"thinking": {"type": "adaptive", "display": display}}
    if settled.mode == "between_tools":
        return {"thinking": {"type": "between_tools"}}
    return {"thinking": {"type": "disabled"}} if settled.mode == "off" else {}


def _output_config(request: Request, target: Target, settled: Thinking) -> dict[str, Any]:
    effort = settled.effort if settled.mode == "adaptive" else ""
    config = wire.only(effort=effort)
    if request.output.kind == "json_schema" and target.schema == "native":
        schema = schemas.for_claude_output(request.output.schema)
        config["format"] = {"type": "json_schema", "schema": schema}
    return config


def _sampling(request: Request, target: Target, settled: Thinking) -> dict[str, Any]:
    """0..1 and one of the two for Claude up to 4.6; nothing from 4.7 on, or while thinking."""
    if target.sampling == "none" or settled.mode not in ("", "off"):
        return {}
    sampling = request.sampling
    temperature = sampling.temperature
    if temperature is not None:
        temperature = min(max(temperature, 0.0), 1.0)
    top_p = sampling.top_p if temperature is None else None
    return wire.only(temperature=temperature, top_p=top_p, top_k=sampling.top_k)


def _few_breakpoints(body: dict[str, Any]) -> None:
    """Claude takes four: the first, for what never changes, and the last three."""
    blocks = [*body.get("tools", ()), *body["system"]]
    blocks += [block for message in body["messages"] for block in message["content"]]
    marked = [block for block in blocks if "cache_control" in block]
    for block in marked[1 : 1 - _BREAKPOINTS]:
        del block["cache_control"]
