"""The body for Gemini.

Lossy, as the dialect has no words for it: `verbosity`, an image's detail, `cache_control` and
whether calls may be parallel go. Gemini 2.5 takes a schema or tools, not both: with tools the
shape is told in words. A call without its signature, in the turn at hand, gets the sentinel
Google documents for it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from gateway.dialects.codecs import (
    carrier,
    hosted,
    media,
    names,
    schemas,
    structured,
    thinking,
    turns,
    wire,
)
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
    Tool,
    ToolCall,
    ToolReference,
    ToolResult,
)

DIALECT = "gemini"
_FILLER = {"role": "user", "parts": [{"text": "Continue."}]}
SENTINEL = "skip_thought_signature_validator"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def encode_request(request: Request, target: Target) -> dict[str, Any]:
    """The body alone: the model and whether to stream are said in Gemini's URL."""
    box = Toolbox(request, target)
    system, items = turns.preamble(request, target)
    raw = structured.instruction(request, target, objects=True, tools=bool(box.offered))
    body = {
        "systemInstruction": {"parts": [_part(part) for part in [*system, *raw]]},
        "contents": _contents(items, target, box),
        "generationConfig": _config(request, target) | ({} if raw else _format(request)),
        **_tools(request, box),
    }
    if not body["systemInstruction"]["parts"]:
        del body["systemInstruction"]
    return body


def _config(request: Request, target: Target) -> dict[str, Any]:
    limit = request.max_output_tokens
    if limit is not None and target.max_output:
        limit = min(limit, target.max_output)
    sampling = request.sampling
    return wire.only(
        maxOutputTokens=limit,
        temperature=sampling.temperature,
        topP=sampling.top_p,
        topK=sampling.top_k,
        seed=sampling.seed,
        presencePenalty=sampling.presence_penalty,
        frequencyPenalty=sampling.frequency_penalty,
        stopSequences=list(native(request, target)) or None,
        thinkingConfig=_thinking(request, target, limit),
    )


def _thinking(request: Request, target: Target, limit: int | None) -> dict[str, Any]:
    """Level or budget, never both: Gemini refuses that."""
    settled = thinking.settle(request.thinking, target, limit)
    shown = settled.display != "omitted"
    if settled.mode == "level":
        return wire.only(thinkingLevel=settled.effort, includeThoughts=shown)
    if settled.mode == "budget":
        return {"thinkingBudget": settled.budget, "includeThoughts": shown}
    return {"thinkingBudget": 0} if settled.mode == "off" else {}


def _format(request: Request) -> dict[str, Any]:
    if request.output.kind == "text":
        return {}
    raw: dict[str, Any] = {"responseMimeType": "application/json"}
    if request.output.kind == "json_schema":
        raw["responseJsonSchema"] = schemas.for_gemini_output(request.output.schema)
    return raw


def _tools(request: Request, box: Toolbox) -> dict[str, Any]:
    if not box.offered:
        return {}
    if box.offered[0].kind == "hosted":  # never beside functions (codecs/hosted.py)
        own = dict.fromkeys(hosted.word(tool) for tool in box.offered)
        return {"tools": [{hosted.GEMINI[word]: {}} for word in own]}
    choice = request.tool_choice
    allowed = [box.name(*name) for name in choice.names] if choice.mode == "required" else None
    config = wire.only(mode=_MODES.get(choice.mode, ""), allowedFunctionNames=allowed or None)
    raw = {"tools": [{"functionDeclarations": [_declared(tool) for tool in box.offered]}]}
    return raw | ({"toolConfig": {"functionCallingConfig": config}} if config else {})


def _declared(tool: Tool) -> dict[str, Any]:
    raw = wire.only(name=tool.name, description=tool.description)
    return raw | {"parametersJsonSchema": schemas.for_gemini(tool.schema)}


def _contents(items: list[Item], target: Target, box: Toolbox) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    calls: list[ToolCall] = []
    for turn in turns.turns(items, target):
        if turn.role == "results":
            answers = [item for item in turn.items if isinstance(item, ToolResult)]
            parts = list(_results(answers, calls, target, box))
        else:
            parts = list(_said(turn.items, target, box))
        if parts:
            contents.append({"role": "model" if turn.role == "assistant" else "user"})
            contents[-1]["parts"] = parts
        calls = [item for item in turn.items if isinstance(item, ToolCall)]
    if not contents or contents[0]["role"] != "user":
        contents.insert(0, _FILLER)
    if target.signatures:
        _sign(contents)
    return contents


def _sign(contents: list[dict[str, Any]]) -> None:
    """Only the turn since the last thing a user said is validated, the first call of a step."""
    for content in reversed(contents):
        if content["role"] == "user":
            if not any("functionResponse" in part for part in content["parts"]):
                return
            continue
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", SENTINEL)


def _said(items: Iterable[Item], target: Target, box: Toolbox) -> Iterator[dict[str, Any]]:
    """A signature belongs to the part behind it; the last one, to a part of its own."""
    signature = ""
    for item in items:
        if isinstance(item, Message):
            for part in item.parts:
                if not isinstance(part, Text) or part.text:
                    yield _part(part) | wire.only(thoughtSignature=signature)
                    signature = ""
        elif isinstance(item, Reasoning):
            signature = _signature(item, target) or signature
        elif isinstance(item, ToolCall):
            own = _signature(item, target) or signature
            yield {"functionCall": _call(item, box)} | wire.only(thoughtSignature=own)
            signature = ""
    if signature:
        yield {"text": "", "thoughtSignature": signature}


def _signature(item: Reasoning | ToolCall, target: Target) -> str:
    return next((kept.data for kept in carrier.fitting(item.carriers, target)), "")


def _call(call: ToolCall, box: Toolbox) -> dict[str, Any]:
    return {
        "id": names.call_id(call.call_id),
        "name": box.name(call.namespace, call.name),
        "args": wire.arguments(box.args(call)),
    }


def _results(
    results: list[ToolResult], calls: list[ToolCall], target: Target, box: Toolbox
) -> Iterator[dict[str, Any]]:
    """In one content, in the order of the calls, as many as there were calls."""
    by_id = {result.call_id: result for result in results}
    beside: list[Part] = []
    for call in calls:
        result = by_id.get(call.call_id) or ToolResult(call.call_id, (), is_error=True)
        shown = [part for part in result.parts if isinstance(part, Image | Document)]
        raw: dict[str, Any] = {
            "id": names.call_id(call.call_id),
            "name": box.name(call.namespace, call.name),
            "response": {"error" if result.is_error else "output": turns.plain(result.parts)},
        }
        if target.result_media and shown:
            raw["parts"] = [_part(part) for part in shown]
        else:
            beside += shown
        yield {"functionResponse": raw}
    yield from map(_part, beside)


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text) | Refusal(text):
            return {"text": text}
        case ToolReference():
            return {"text": turns.plain([part])}
        case Document(text=text) if text:
            return {"text": media.titled(part)}
        case Image(data=data, media_type=kind) | Document(data=data, media_type=kind) if data:
            return {"inlineData": {"mimeType": media.still(kind), "data": data}}
        case Image(url=url) | Document(url=url) if url and media.readable(url):
            return {"fileData": {"fileUri": url, "mimeType": media.guess(url)}}
        case Audio(data, kind):
            return {"inlineData": {"mimeType": f"audio/{kind}", "data": data}}
        case Image() | Document() | Opaque():
            return turns.inexpressible(part, DIALECT)
        case _:
            assert_never(part)
