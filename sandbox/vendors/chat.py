"""OpenAI Chat Completions, as OpenAI answers (protocols.md sections 2.1 and 3.1)."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace

from sandbox.vendors import media, openai, sse
from sandbox.vendors.conversation import Ask, Json, Said, Sent, Tool, mapping, objects, strings
from sandbox.vendors.dialect import fresh, metered, scripted, texts
from sandbox.vendors.lint.chat import check as check
from sandbox.vendors.lint.chat import fits as fits
from sandbox.vendors.meter import Line, Work
from sandbox.vendors.openai import authenticate as authenticate
from sandbox.vendors.openai import error as error
from sandbox.vendors.openai import headers as headers
from sandbox.vendors.openai import unknown_model as unknown_model
from sandbox.vendors.openai import wrong_key as wrong_key
from sandbox.vendors.script import Call, Turn, asks_to_think, can_think
from sandbox.vendors.usage import CacheUse, Piece, PromptCache, Tokens, dumps, piece
from sandbox.vendors.vendors import Vendor
from sandbox.vendors.wire import Frame

VENDOR: Vendor = "openai"

_FINISHES = {
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "refusal": "stop",
}


def read(sent: Sent) -> Ask:
    body = sent.body
    history = tuple(_said(message) for message in objects(body.get("messages")))
    asked = next((s.text for s in reversed(history) if s.user and s.text), "")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return Ask(
        model=sent.model,
        history=history,
        prompt=tuple(_prompt(body)),
        tools=() if body.get("tool_choice") == "none" else tuple(_tools(body)),
        forced=_forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_schema(mapping(body.get("response_format"))),
        limit=limit if isinstance(limit, int) else None,
        stops=strings(body.get("stop")),
        thinks=can_think(sent.model, body.get("reasoning_effort"), asks_to_think(asked)),
        choices=_choices(sent),
        stream=body.get("stream") is True,
        scope=f"{sent.model}/{body.get('prompt_cache_key')}",
    )


def _said(message: Json) -> Said:
    text = texts(message.get("content"), "text", "refusal")
    if message.get("role") == "tool":
        return Said(user=False, results=(text,))
    return Said(user=message.get("role") == "user", text=text)


def _tools(body: Json) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        custom = tool.get("type") == "custom"
        described = mapping(tool.get("custom" if custom else "function"))
        yield Tool(str(described.get("name")), mapping(described.get("parameters")), custom)


def _forced(choice: object) -> tuple[str, ...] | None:
    if choice == "required":
        return ()
    chosen = mapping(choice)
    if chosen.get("type") == "allowed_tools":
        allowed = mapping(chosen.get("allowed_tools"))
        named = [
            mapping(t.get("function") or t.get("custom")) for t in objects(allowed.get("tools"))
        ]
        names = tuple(str(tool.get("name")) for tool in named)
        return names if allowed.get("mode") == "required" else None
    tool = mapping(chosen.get("function") or chosen.get("custom"))
    return strings(tool.get("name")) or None


def _schema(wanted: Json) -> Json | None:
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    if wanted.get("type") == "json_schema":
        return mapping(mapping(wanted.get("json_schema")).get("schema"))
    return None


def _prompt(body: Json) -> Iterator[Piece]:
    for tool in objects(body.get("tools")):
        yield piece(dumps(tool))
    elsewhere = media.declared(body.get("messages"), VENDOR)
    for message in objects(body.get("messages")):
        content = message.get("content")
        if isinstance(content, str):
            yield piece(content)
        for part in objects(content):
            if isinstance(part.get("text"), str):
                yield piece(part["text"])
            else:
                shown = mapping(part.get("image_url")).get("url")
                data = mapping(part.get("file")).get("file_data") or shown
                yield media.document(VENDOR, part, data, elsewhere)
        for call in objects(message.get("tool_calls")):
            called = mapping(call.get("function") or call.get("custom"))
            yield piece(str(called.get("name")))
            yield piece(str(called.get("arguments") or called.get("input") or ""))


def cached(cache: PromptCache, ask: Ask) -> CacheUse:
    return cache.implicit(ask.scope, ask.prompt)


def tokens(ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
    if not turn.usage:
        return metered(ask, turn, use)
    given = scripted(turn, metered(ask, turn, use), nested=True, reasoning_inside=True)
    output, reasoning = given.output * ask.choices, given.reasoning * ask.choices
    return replace(given, output=output, reasoning=reasoning)


def work(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Work:
    """The tier is the one that the answer names."""
    return Work(
        vendor=VENDOR,
        model=ask.model,
        lines=(Line("message", ask.model, tokens),),
        tier=turn.tier or openai.tier(sent),
        finish=turn.raw_finish or turn.finish,
        broken=bool(turn.breaks),
        scripted=bool(turn.usage),
    )


def usage(tokens: Tokens) -> Json:
    """Cached tokens inside the prompt, reasoning inside the completion."""
    completion = tokens.output + tokens.reasoning
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": completion,
        "total_tokens": tokens.prompt + completion,
        "prompt_tokens_details": {"cached_tokens": tokens.read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _finish(turn: Turn) -> str:
    return turn.raw_finish or _FINISHES[turn.finish]


def _choices(sent: Sent) -> int:
    n = sent.body.get("n")
    return n if isinstance(n, int) else 1


def _base(sent: Sent, turn: Turn, kind: str) -> Json:
    return {
        "id": fresh("chatcmpl-", 29),
        "object": kind,
        "created": int(time.time()),
        "model": sent.model,
        "service_tier": turn.tier or openai.tier(sent),
        "system_fingerprint": "fp_5a4db0c5a3",
    }


def _call(call: Call, ident: str, *, empty: bool = False) -> Json:
    if call.custom:
        custom = {"name": call.name, "input": "" if empty else call.text}
        return {"id": ident, "type": "custom", "custom": custom}
    function = {"name": call.name, "arguments": "" if empty else call.text}
    return {"id": ident, "type": "function", "function": function}


def whole(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Json:
    choices = [
        {
            "index": index,
            "message": _message(turn),
            "logprobs": _logprobs(turn.text) if sent.body.get("logprobs") else None,
            "finish_reason": _finish(turn),
        }
        for index in range(_choices(sent))
    ]
    body = {**_base(sent, turn, "chat.completion"), "choices": choices}
    return {**body, "usage": usage(tokens)} if turn.has_usage else body


def _message(turn: Turn) -> Json:
    refused = turn.finish == "refusal"
    message: Json = {
        "role": "assistant",
        "content": None if refused or (turn.calls and not turn.text) else turn.text,
        "refusal": turn.text if refused else None,
        "annotations": [],
    }
    if turn.calls:
        message["tool_calls"] = [_call(call, fresh("call_")) for call in turn.calls]
    return message


def _logprobs(text: str) -> Json:
    said = [
        {"token": word, "logprob": -0.1, "bytes": list(word.encode()), "top_logprobs": []}
        for word in sse.words(text)
    ]
    return {"content": said, "refusal": None}


def events(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterator[Frame]:
    options = mapping(sent.body.get("stream_options"))
    base = _base(sent, turn, "chat.completion.chunk")
    if options.get("include_usage") and turn.has_usage:
        base["usage"] = None
    if options.get("include_obfuscation") is not False:
        base["obfuscation"] = secrets.token_urlsafe(6)
    for index in range(_choices(sent)):
        for delta, finish in _deltas(turn):
            content = finish is None and "role" not in delta
            logprobs = None
            if sent.body.get("logprobs") and delta.get("content"):
                logprobs = _logprobs(delta["content"])
            choice = {
                "index": index,
                "delta": delta,
                "logprobs": logprobs,
                "finish_reason": finish,
            }
            yield sse.event({**base, "choices": [choice]}, content=content)
    if "usage" in base:
        yield sse.event({**base, "choices": [], "usage": usage(tokens)})
    yield sse.DONE


def _deltas(turn: Turn) -> Iterator[tuple[Json, str | None]]:
    refused = turn.finish == "refusal"
    silent = turn.calls and not turn.text
    yield {"role": "assistant", "content": None if silent else "", "refusal": None}, None
    for word in sse.words(turn.text):
        yield {"refusal" if refused else "content": word}, None
    for index, call in enumerate(turn.calls):
        yield {"tool_calls": [{"index": index, **_call(call, fresh("call_"), empty=True)}]}, None
        kind, key = ("custom", "input") if call.custom else ("function", "arguments")
        for part in sse.pieces(call.text):
            yield {"tool_calls": [{"index": index, kind: {key: part}}]}, None
    yield {}, _finish(turn)


def broken(sent: Sent, turn: Turn, frames: list[Frame]) -> Frame:
    return sse.event(openai.server_error())
