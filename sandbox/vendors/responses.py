"""OpenAI Responses, as OpenAI answers (protocols.md sections 2.2 and 3.1)."""

import time
from collections.abc import Iterator
from typing import Any

import orjson

from sandbox.vendors import compaction, hosted, media, openai, responses_stream
from sandbox.vendors.conversation import Ask, Json, Said, Sent, Tool, mapping, objects, strings
from sandbox.vendors.dialect import fresh, metered, scripted, texts
from sandbox.vendors.lint.responses import check as check
from sandbox.vendors.lint.responses import fits as fits
from sandbox.vendors.meter import Line, Work
from sandbox.vendors.openai import authenticate as authenticate
from sandbox.vendors.openai import error as error
from sandbox.vendors.openai import headers as headers
from sandbox.vendors.openai import unknown_model as unknown_model
from sandbox.vendors.openai import wrong_key as wrong_key
from sandbox.vendors.script import Call, Turn, asks_to_think, can_think
from sandbox.vendors.seal import seal
from sandbox.vendors.usage import CacheUse, Piece, PromptCache, Tokens, dumps, piece
from sandbox.vendors.vendors import Vendor, version_of
from sandbox.vendors.wire import Frame

VENDOR: Vendor = "openai"

_PROMPT_OF_A_PICTURE, _PICTURE = 50, 1_056  # tokens of gpt-image-1, 1024 x 1024, medium
_IDS = {
    "web_search": "ws",
    "file_search": "fs",
    "code_interpreter": "ci",
    "image_generation": "ig",
}

# What a response repeats of its request, and what it says where the request is silent.
_ECHOED: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def read(sent: Sent) -> Ask:
    body = sent.body
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given)
    history = tuple(_said(item) for item in items)
    asked = next((said.text for said in reversed(history) if said.user and said.text), "")
    form = mapping(mapping(body.get("text")).get("format"))
    limit = body.get("max_output_tokens")
    reasoning = mapping(body.get("reasoning"))
    return Ask(
        model=sent.model,
        history=history,
        prompt=tuple(_prompt(body, items)),
        tools=() if body.get("tool_choice") == "none" else tuple(_tools(_offered(body, items))),
        forced=_forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_schema(form),
        limit=limit if isinstance(limit, int) else None,
        thinks=can_think(sent.model, reasoning.get("effort"), asks_to_think(asked)),
        shows=bool(reasoning.get("summary")),
        hosted=_hosted(body, items),
        stream=body.get("stream") is True,
        scope=f"{sent.model}/{body.get('prompt_cache_key')}",
    )


def _said(item: Json) -> Said:
    if str(item.get("type")).endswith("_output"):
        return Said(user=False, results=(_output(item.get("output")),))
    text = texts(item.get("content"), "input_text", "output_text", "text")
    return Said(user=item.get("role") == "user", text=text)


def _output(output: Any) -> str:
    return texts(output, "input_text", "output_text") if not isinstance(output, dict) else ""


def _offered(body: Json, items: list[Json]) -> Iterator[Json]:
    """Tools come with the request, or later as an item of the conversation."""
    yield from objects(body.get("tools"))
    for item in items:
        if item.get("type") in ("additional_tools", "tool_search_output"):
            yield from objects(item.get("tools"))


def _hosted(body: Json, items: list[Json]) -> dict[str, int]:
    """`max_tool_calls` is of all of them together; one at a time it bounds them, too."""
    most = body.get("max_tool_calls")
    cap = most if isinstance(most, int) else hosted.MOST
    kinds = (hosted.named(tool.get("type")) for tool in _offered(body, items))
    return {kind: cap for kind in kinds if kind}


def _tools(offered: Iterator[Json], namespace: str | None = None) -> Iterator[Tool]:
    for tool in offered:
        name = str(tool.get("name"))
        match tool.get("type"):
            case "function":
                yield Tool(name, mapping(tool.get("parameters")), namespace=namespace)
            case "custom":
                yield Tool(name, custom=True, namespace=namespace)
            case "namespace":
                yield from _tools(iter(objects(tool.get("tools"))), name)


def _forced(choice: object) -> tuple[str, ...] | None:
    if choice == "required":
        return ()
    chosen = mapping(choice)
    if chosen.get("type") == "allowed_tools":
        names = tuple(str(tool.get("name")) for tool in objects(chosen.get("tools")))
        return names if chosen.get("mode") == "required" else None
    return strings(chosen.get("name")) or None


def _schema(form: Json) -> Json | None:
    if form.get("type") == "json_object":
        return {"type": "object"}
    return mapping(form.get("schema")) if form.get("type") == "json_schema" else None


def _prompt(body: Json, items: list[Json]) -> Iterator[Piece]:
    for tool in objects(body.get("tools")):
        yield piece(dumps(tool))
    if isinstance(body.get("instructions"), str):
        yield piece(body["instructions"])
    elsewhere = media.declared(items, VENDOR)
    for item in items:
        yield from _pieces(item, elsewhere)


def _pieces(item: Json, elsewhere: int | None) -> Iterator[Piece]:
    if "arguments" in item or "input" in item:
        yield piece(str(item.get("name")))
        yield piece(str(item.get("arguments") or item.get("input") or ""))
        return
    content = item.get("content") or item.get("output") or item.get("summary")
    if isinstance(content, str):
        yield piece(content)
    for part in objects(content):
        if isinstance(part.get("text"), str):
            yield piece(part["text"])
        else:
            data = part.get("file_data") or part.get("image_url")
            yield media.document(VENDOR, part, data, elsewhere)


def cached(cache: PromptCache, ask: Ask) -> CacheUse:
    return cache.implicit(ask.scope, ask.prompt)


def tokens(ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
    return scripted(turn, metered(ask, turn, use), nested=True, reasoning_inside=True)


def usage(tokens: Tokens) -> Json:
    """Cached tokens inside the input, reasoning inside the output."""
    output = tokens.output + tokens.reasoning
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.read, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + output,
    }


def counted(tokens: int) -> Json:
    """The answer of /v1/responses/input_tokens."""
    return {"object": "response.input_tokens", "input_tokens": tokens}


def output(sent: Sent, turn: Turn) -> list[Json]:
    """The items of an answer."""
    if compaction.is_asked(sent):
        return [compaction.item(turn.text)]
    items = [_reasoning(sent, turn)] if turn.thinking else []
    container = fresh("cntr_", 48)
    items += [_used(tool, container) for tool, times in turn.uses.items() for _ in range(times)]
    if turn.text or not turn.calls:
        items.append(_message(sent, turn))
    return items + [_call(call) for call in turn.calls]


def _reasoning(sent: Sent, turn: Turn) -> Json:
    asked = mapping(sent.body.get("reasoning")).get("summary")
    summary = [{"type": "summary_text", "text": turn.thinking}] if asked else []
    return {
        "id": fresh("rs_", 48),
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": seal("encrypted_content", turn.thinking),
    }


def _used(tool: str, container: str) -> Json:
    """The call of a tool that OpenAI ran."""
    item: Json = {
        "id": fresh(f"{_IDS[tool]}_", 48),
        "type": f"{tool}_call",
        "status": "completed",
    }
    if tool == "code_interpreter":  # one container a request, however often it is used
        item |= {"container_id": container, "code": "1 + 1", "outputs": None}
    if tool == "image_generation":
        item |= {"result": "", "output_format": "png", "size": "1024x1024", "quality": "low"}
    if tool == "file_search":
        item |= {"queries": ["sandbox"], "results": None}
    if tool == "web_search":
        item |= {"action": {"type": "search", "query": "sandbox"}}
    return item


def _message(sent: Sent, turn: Turn) -> Json:
    part: Json = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
    if turn.finish == "refusal":
        part = {"type": "refusal", "refusal": turn.text}
    item: Json = {
        "id": fresh("msg_", 48),
        "type": "message",
        "role": "assistant",
        "status": "incomplete" if turn.finish == "length" else "completed",
        "content": [part],
    }
    if version_of(sent.model) >= 5.3:
        item["phase"] = "commentary" if turn.calls else "final_answer"
    return item


def _call(call: Call) -> Json:
    item: Json = {
        "id": fresh("ctc_" if call.custom else "fc_", 48),
        "type": "custom_tool_call" if call.custom else "function_call",
        "status": "completed",
        "call_id": fresh("call_"),
        "name": call.name,
        "input" if call.custom else "arguments": call.text,
    }
    return {**item, "namespace": call.namespace} if call.namespace else item


def _calls(turn: Turn) -> dict[str, int]:
    calls = {f"{tool}_call": times for tool, times in turn.uses.items()}
    if "code_interpreter_call" in calls:
        calls["code_interpreter_call"] = 1
    if pictures := calls.pop("image_generation_call", 0):
        calls["image_gen.input_text"] = pictures * _PROMPT_OF_A_PICTURE
        calls["image_gen.output_image"] = pictures * _PICTURE
    return calls


def _tool_usage(turn: Turn) -> Json:
    """The counters that tools have of their own."""
    calls = _calls(turn)
    read, drawn = calls.get("image_gen.input_text", 0), calls.get("image_gen.output_image", 0)
    return {
        "image_gen": {
            "input_tokens": read,
            "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
            "output_tokens": drawn,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": drawn},
            "total_tokens": read + drawn,
        },
        "web_search": {"num_requests": calls.get("web_search_call", 0)},
    }


def work(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Work:
    """Calls by the type of their items, code by its container, pictures by their own tokens; the
    tier is the one that the answer names."""
    return Work(
        vendor=VENDOR,
        model=ask.model,
        lines=(Line("message", ask.model, tokens),),
        calls=_calls(turn),
        tier=turn.tier or openai.tier(sent),
        finish=turn.raw_finish or turn.finish,
        broken=bool(turn.breaks),
        scripted=bool(turn.usage),
    )


def _response(sent: Sent, turn: Turn) -> Json:
    body = sent.body
    reasoning = {"effort": None, "summary": None, **mapping(body.get("reasoning"))}
    text = {"format": {"type": "text"}, "verbosity": "medium", **mapping(body.get("text"))}
    echoed = {key: body.get(key, default) for key, default in _ECHOED.items()}
    return {
        "id": fresh("resp_", 48),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": sent.model,
        "output": [],
        "reasoning": reasoning,
        "service_tier": turn.tier or openai.tier(sent),
        "text": text,
        "usage": None,
        **echoed,
    }


def _finished(response: Json, turn: Turn, items: list[Json], tokens: Tokens) -> Json:
    ended: Json = {"status": "completed", "completed_at": int(time.time()), "output": items}
    if turn.finish == "length" or turn.raw_finish:
        ended |= {"status": "incomplete"}
        ended |= {"incomplete_details": {"reason": turn.raw_finish or "max_output_tokens"}}
    if turn.has_usage:
        ended["usage"] = usage(tokens)
    if turn.uses:
        ended["tool_usage"] = _tool_usage(turn)
    return {**response, **ended}


def _failed(response: Json, turn: Turn) -> Json:
    failure = openai.server_error()["error"]
    error = {"code": "server_error", "message": failure["message"]}
    return {**response, "status": "failed", "error": error}


def whole(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Json:
    if compaction.at_its_door(sent):
        return compaction.whole(sent, turn.text, usage(tokens))
    response = _response(sent, turn)
    if turn.breaks == "failed":
        return _failed(response, turn)
    return _finished(response, turn, output(sent, turn), tokens)


def events(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterator[Frame]:
    response = _response(sent, turn)
    finished = _finished(response, turn, output(sent, turn), tokens)
    options = mapping(sent.body.get("stream_options"))
    hides = options.get("include_obfuscation") is not False
    return responses_stream.events(response, finished, obfuscated=hides)


def broken(sent: Sent, turn: Turn, frames: list[Frame]) -> Frame:
    """`response.failed` for [[failed]], the bare `error` event for [[midstream]]."""
    number = {"sequence_number": len(frames)}
    if turn.breaks == "failed":
        begun = orjson.loads(frames[0].data.partition(b"data: ")[2])["response"]
        return responses_stream.event(
            "response.failed", {**number, "response": _failed(begun, turn)}
        )
    failure = openai.server_error()["error"]
    failure = {"code": "server_error", "message": failure["message"], "param": None}
    return responses_stream.event("error", {**number, **failure})
