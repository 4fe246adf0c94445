"""Anthropic Messages, as Anthropic answers (protocols.md sections 2.3 and 3.1)."""

from collections.abc import Iterator, Mapping

from sandbox.vendors import anthropic_usage, hosted, media, sse
from sandbox.vendors.anthropic_usage import counted as counted
from sandbox.vendors.anthropic_usage import usage as usage
from sandbox.vendors.anthropic_usage import work as work
from sandbox.vendors.conversation import Ask, Json, Said, Sent, Tool, mapping, objects, strings
from sandbox.vendors.dialect import bearer, fresh, metered, scripted, texts
from sandbox.vendors.lint.anthropic import check as check
from sandbox.vendors.lint.anthropic import fits as fits
from sandbox.vendors.script import REFUSAL, Turn
from sandbox.vendors.seal import seal
from sandbox.vendors.usage import CacheUse, Piece, PromptCache, Tokens, dumps, piece, total
from sandbox.vendors.vendors import Vendor, VendorError, version_of
from sandbox.vendors.wire import Frame

VENDOR: Vendor = "anthropic"

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_AT_THE_END = ("output_tokens_details", "iterations", "server_tool_use")
_STOPS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "refusal": "refusal",
}


def authenticate(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    key = headers.get("x-api-key") or bearer(headers)
    if not key:
        raise VendorError("x-api-key header is required", status=401)
    if not headers.get("anthropic-version"):
        raise VendorError("anthropic-version: header is required")
    return key


def wrong_key() -> VendorError:
    return VendorError("invalid x-api-key", status=401)


def unknown_model(model: str) -> VendorError:
    return VendorError(f"model: {model}", status=404)


def error(error: VendorError, request_id: str) -> Json:
    body: Json = {"type": _TYPES.get(error.status, "api_error"), "message": error.message}
    if error.code:
        body["details"] = {"error_code": error.code}
    return {"type": "error", "error": body, "request_id": request_id}


def headers(request_id: str) -> dict[str, str]:
    return {
        "request-id": request_id,
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
    }


def read(sent: Sent) -> Ask:
    body = sent.body
    choice = mapping(body.get("tool_choice"))
    config = mapping(mapping(body.get("output_config")).get("format") or body.get("output_format"))
    limit = body.get("max_tokens")
    budget = mapping(body.get("thinking")).get("budget_tokens")
    kind = choice.get("type")
    offered = objects(body.get("tools"))
    return Ask(
        model=sent.model,
        history=tuple(_said(message) for message in objects(body.get("messages"))),
        prompt=tuple(_prompt(body)),
        tools=() if kind == "none" else tuple(_tools(body)),
        forced={"any": (), "tool": strings(choice.get("name"))}.get(str(kind)),
        parallel=not choice.get("disable_parallel_tool_use"),
        schema=mapping(config.get("schema")) if config.get("type") == "json_schema" else None,
        limit=limit if isinstance(limit, int) and not sent.counting else None,
        stops=strings(body.get("stop_sequences")),
        thinks=mapping(body.get("thinking")).get("type") not in (None, "disabled"),
        budget=budget if isinstance(budget, int) else None,
        shows=_shows_thinking(sent),
        hosted=_hosted(offered),
        advisor=next((str(t.get("model")) for t in offered if _advises(t)), ""),
        compacts="compact" in dumps([body.get("context_management"), body.get("compaction")]),
        stream=body.get("stream") is True,
        scope=sent.model,
    )


def _said(message: Json) -> Said:
    content = message.get("content")
    results = [b for b in objects(content) if b.get("type") == "tool_result"]
    return Said(
        user=message.get("role") == "user",
        text=texts(content, "text"),
        results=tuple(texts(result.get("content"), "text") for result in results),
    )


def _tools(body: Json) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        if tool.get("type") in (None, "custom"):
            yield Tool(str(tool.get("name")), mapping(tool.get("input_schema")))
        elif tool.get("name"):
            yield Tool(str(tool["name"]))


def _hosted(offered: list[Json]) -> dict[str, int]:
    known = ((hosted.named(tool.get("type")), tool.get("max_uses")) for tool in offered)
    return {name: most if isinstance(most, int) else hosted.MOST for name, most in known if name}


def _advises(tool: Json) -> bool:
    return str(tool.get("type")).startswith("advisor_")


def _prompt(body: Json) -> Iterator[Piece]:
    """Tools, system, messages: the order in which the vendor caches."""
    blocks = [*objects(body.get("tools"))]
    system = body.get("system")
    blocks += [{"type": "text", "text": system}] if isinstance(system, str) else objects(system)
    for message in objects(body.get("messages")):
        content = message.get("content")
        plain = [{"type": "text", "text": content}]
        blocks += plain if isinstance(content, str) else objects(content)
    last, elsewhere = len(blocks) - 1, media.declared(body.get("messages"), VENDOR)
    for n, block in enumerate(blocks):
        mark = mapping(
            block.get("cache_control") or (body.get("cache_control") if n == last else None)
        )
        ttl = str(mark.get("ttl") or "5m") if mark else ""
        inner = objects(block.get("content")) if block.get("type") == "tool_result" else []
        for part in inner[:-1]:
            yield _piece(part, "", elsewhere)
        yield _piece(inner[-1] if inner else block, ttl, elsewhere)


def _piece(block: Json, ttl: str, elsewhere: int | None) -> Piece:
    match block.get("type"):
        case "text":
            return piece(str(block.get("text")), ttl)
        case "thinking":
            return piece(str(block.get("thinking")), ttl)
        case "image" | "document":
            source = mapping(block.get("source"))
            if (text := media.plain(source)) is not None:
                return Piece(dumps(source), text, ttl)
            if source.get("type") == "content":
                inside = [_piece(part, "", elsewhere) for part in objects(source.get("content"))]
                return Piece(dumps(source), total(inside), ttl)
            return media.document(VENDOR, source, source.get("data"), elsewhere, ttl)
        case "tool_result" if isinstance(block.get("content"), str):
            return piece(block["content"], ttl)
    return piece(dumps({k: v for k, v in block.items() if k != "cache_control"}), ttl)


def cached(cache: PromptCache, ask: Ask) -> CacheUse:
    return cache.explicit(ask.scope, ask.prompt)


def tokens(ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
    return scripted(turn, metered(ask, turn, use), nested=False, reasoning_inside=True)


def content(sent: Sent, turn: Turn) -> list[Json]:
    """The blocks of an answer."""
    blocks = list(anthropic_usage.used(turn))
    if turn.thinking:
        shown = turn.thinking if _shows_thinking(sent) else ""
        blocks.append(
            {"type": "thinking", "thinking": shown, "signature": seal("thinking", shown)}
        )
        if turn.redacted:
            blocks.append({"type": "redacted_thinking", "data": seal("redacted", turn.thinking)})
    if turn.text or not turn.calls:
        blocks.append({"type": "text", "text": turn.text})
    for call in turn.calls:
        blocks.append(
            {"type": "tool_use", "id": fresh("toolu_"), "name": call.name, "input": call.args}
        )
    return blocks


def _shows_thinking(sent: Sent) -> bool:
    """From 4.7 on thinking is shown only to those who ask (protocols.md 1.5)."""
    display = mapping(sent.body.get("thinking")).get("display")
    return display != "omitted" and (bool(display) or version_of(sent.model) < 4.7)


def _message(sent: Sent, turn: Turn, blocks: list[Json]) -> Json:
    refused = turn.finish == "refusal"
    details = {"type": "refusal", "category": None, "explanation": REFUSAL} if refused else None
    return {
        "id": fresh("msg_"),
        "type": "message",
        "role": "assistant",
        "model": sent.model,
        "content": blocks,
        "stop_reason": turn.raw_finish or _STOPS[turn.finish],
        "stop_sequence": turn.stop,
        "stop_details": details,
    }


def whole(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Json:
    message = _message(sent, turn, content(sent, turn))
    if not turn.has_usage:
        return message
    return {**message, "usage": usage(tokens) | anthropic_usage.beside(sent, ask, turn, tokens)}


def events(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterator[Frame]:
    final = usage(tokens) | anthropic_usage.beside(sent, ask, turn, tokens)
    message = _message(sent, turn, [])
    start: Json = {**message, "stop_reason": None, "stop_sequence": None, "stop_details": None}
    if turn.has_usage:
        start["usage"] = {k: v for k, v in final.items() if k not in _AT_THE_END}
        start["usage"]["output_tokens"] = 1
    yield _event("message_start", {"message": start})
    for index, block in enumerate(content(sent, turn)):
        yield from _block(index, block)
    ends = {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details")}
    apart = ("cache_creation", "service_tier", "inference_geo", "speed")
    delta: Json = {"delta": ends}
    if turn.has_usage:
        delta["usage"] = {k: v for k, v in final.items() if k not in apart}
    yield _event("message_delta", delta)
    yield _event("message_stop")


def _block(index: int, block: Json) -> Iterator[Frame]:
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}
    opened = {**block, **empty.get(block["type"], {})}
    if block["type"] == "tool_use":
        opened["input"] = {}
    yield _event("content_block_start", {"index": index, "content_block": opened})
    if index == 0:
        yield _event("ping")
    for delta in _deltas(block):
        thought = delta["type"] in ("thinking_delta", "signature_delta")
        said = {"index": index, "delta": delta}
        yield _event("content_block_delta", said, content=True, thought=thought)
    yield _event("content_block_stop", {"index": index})


def _deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            for word in sse.words(block["text"]):
                yield {"type": "text_delta", "text": word}
        case "thinking":
            for word in sse.words(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": word}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            # The vendor streams nothing more for a call without arguments.
            for part in sse.pieces(dumps(block["input"])) if block["input"] else ():
                yield {"type": "input_json_delta", "partial_json": part}


def broken(sent: Sent, turn: Turn, frames: list[Frame]) -> Frame:
    failure = {"type": "overloaded_error", "message": "Overloaded"}
    return _event("error", {"error": failure, "request_id": fresh("req_")})


def _event(
    kind: str, fields: Json | None = None, *, content: bool = False, thought: bool = False
) -> Frame:
    told = {"type": kind, **(fields or {})}
    return sse.event(told, kind, content=content, thought=thought)
