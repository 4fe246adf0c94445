"""Google Gemini generateContent, as Google answers (protocols.md sections 2.4 and 3.1)."""

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.vendors import hosted, media, sse
from sandbox.vendors.conversation import Ask, Json, Said, Sent, Tool, mapping, objects, strings
from sandbox.vendors.dialect import fresh, metered, scripted
from sandbox.vendors.lint.gemini import check as check
from sandbox.vendors.lint.gemini import fits as fits
from sandbox.vendors.meter import Line, Work
from sandbox.vendors.script import Call, Turn
from sandbox.vendors.seal import seal
from sandbox.vendors.usage import CacheUse, Piece, PromptCache, Tokens, count, dumps, piece
from sandbox.vendors.vendors import Vendor, VendorError, version_of
from sandbox.vendors.wire import Frame

VENDOR: Vendor = "google"

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_INFO = "type.googleapis.com/google.rpc."


def authenticate(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    if key := headers.get("x-goog-api-key") or query.get("key"):
        return key
    raise VendorError(
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
        status=403,
    )


def wrong_key() -> VendorError:
    detail = {
        "@type": f"{_INFO}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return VendorError("API key not valid. Please pass a valid API key.", details=[detail])


def unknown_model(model: str) -> VendorError:
    return VendorError(
        f"models/{model} is not found for API version v1beta, or is not supported for "
        "generateContent. Call ListModels to see the list of available models.",
        status=404,
    )


def error(error: VendorError, request_id: str) -> Json:
    status = _STATUSES.get(error.status, "UNKNOWN")
    body: Json = {"code": error.status, "message": error.message, "status": status}
    details = error.details
    if error.status == 429 and not details:
        details = [{"@type": f"{_INFO}RetryInfo", "retryDelay": "1s"}]
    return {"error": {**body, "details": details} if details else body}


def headers(request_id: str) -> dict[str, str]:
    return {"server": "scaffolding on HTTPServer2", "x-content-type-options": "nosniff"}


def request(body: Json) -> Json:
    """The request counted by countTokens, which may be wrapped."""
    return mapping(body.get("generateContentRequest")) or body


def read(sent: Sent) -> Ask:
    body = request(sent.body)
    config = mapping(body.get("generationConfig"))
    contents = objects(body.get("contents"))
    limit = config.get("maxOutputTokens")
    thinking = mapping(config.get("thinkingConfig"))
    streams = sent.path.endswith(":streamGenerateContent")
    calling = mapping(mapping(body.get("toolConfig")).get("functionCallingConfig"))
    return Ask(
        model=sent.model,
        history=tuple(_said(content) for content in contents),
        prompt=tuple(_prompt(body, contents)),
        tools=() if calling.get("mode") == "NONE" else tuple(_tools(body)),
        forced=strings(calling.get("allowedFunctionNames"))
        if calling.get("mode") == "ANY"
        else None,
        schema=_schema(config),
        limit=limit if isinstance(limit, int) else None,
        stops=strings(config.get("stopSequences")),
        thinks=version_of(sent.model) >= 2.5 and thinking.get("thinkingBudget") != 0,
        budget=_budget(thinking.get("thinkingBudget")),
        shows=thinking.get("includeThoughts") is True,
        hosted=_hosted(body),
        stream=streams and sent.query.get("alt") == "sse",
        scope=sent.model,
    )


def _said(content: Json) -> Said:
    parts = objects(content.get("parts"))
    texts = [p["text"] for p in parts if isinstance(p.get("text"), str) and not p.get("thought")]
    results = [_result(mapping(p["functionResponse"])) for p in parts if "functionResponse" in p]
    return Said(content.get("role") != "model", "\n".join(texts), tuple(results))


def _result(answered: Json) -> str:
    response = mapping(answered.get("response"))
    values = list(response.values())
    return values[0] if len(values) == 1 and isinstance(values[0], str) else dumps(response)


def _tools(body: Json) -> Iterator[Tool]:
    for group in objects(body.get("tools")):
        for function in objects(group.get("functionDeclarations")):
            schema = function.get("parametersJsonSchema") or function.get("parameters")
            yield Tool(str(function.get("name")), mapping(schema))


def _budget(told: object) -> int | None:
    """-1 lets the model choose."""
    return told if isinstance(told, int) and told >= 0 else None


_HOSTED = {
    "googleSearch": "google_search",
    "codeExecution": "code_execution",
    "urlContext": "url_context",
}


def _hosted(body: Json) -> dict[str, int]:
    offered = {name for group in objects(body.get("tools")) for name in group}
    return {_HOSTED[name]: hosted.MOST for name in _HOSTED if name in offered}


def _schema(config: Json) -> Json | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return mapping(schema) or {"type": "object"}


def _prompt(body: Json, contents: list[Json]) -> Iterator[Piece]:
    for group in objects(body.get("tools")):
        for function in objects(group.get("functionDeclarations")):
            yield piece(dumps(function))
    elsewhere = media.declared(contents, VENDOR)
    for content in [mapping(body.get("systemInstruction")), *contents]:
        for part in objects(content.get("parts")):
            yield _piece(part, elsewhere)


def _piece(part: Json, elsewhere: int | None) -> Piece:
    if isinstance(part.get("text"), str):
        return piece(part["text"])
    if heard := _heard(part):
        return Piece(dumps(part), heard)
    if "inlineData" in part or "fileData" in part:
        data = mapping(part.get("inlineData")).get("data")
        return media.document(VENDOR, part, data, elsewhere)
    return piece(dumps(part.get("functionCall") or part.get("functionResponse") or {}))


def _heard(part: Json) -> int:
    """Tokens of a recording: 32 a second of 32,000 bytes."""
    inline = mapping(part.get("inlineData"))
    if not str(inline.get("mimeType")).startswith("audio/"):
        return 0
    return max(1, len(str(inline.get("data"))) * 3 // 4_000)


def _sound(sent: Sent) -> int:
    contents = objects(request(sent.body).get("contents"))
    return sum(_heard(part) for content in contents for part in objects(content.get("parts")))


def cached(cache: PromptCache, ask: Ask) -> CacheUse:
    return cache.implicit(ask.scope, ask.prompt)


def tokens(ask: Ask, turn: Turn, use: CacheUse) -> Tokens:
    return scripted(turn, metered(ask, turn, use), nested=True, reasoning_inside=False)


def work(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Work:
    """Gemini 3 bills each search, older ones the prompt that was grounded by any; what other
    tools found is input."""
    searches, sound = turn.uses.get("google_search", 0), _sound(sent)
    grounded = {"search_queries": searches} if _by_query(ask.model) else {"grounded_prompts": 1}
    return Work(
        vendor=VENDOR,
        model=ask.model,
        lines=(Line("message", ask.model, tokens),),
        calls=(grounded if searches else {}) | ({"audio.input": sound} if sound else {}),
        finish=turn.raw_finish or turn.finish,
        broken=bool(turn.breaks),
        scripted=bool(turn.usage),
    )


def _by_query(model: str) -> bool:
    return version_of(model) >= 3


def usage(tokens: Tokens, found: int = 0, sound: int = 0) -> Json:
    """Cached tokens inside the prompt, thoughts outside the candidates, and what tools found
    outside the prompt."""
    counted: Json = {
        "promptTokenCount": tokens.prompt - found,
        "candidatesTokenCount": tokens.output,
        "totalTokenCount": tokens.prompt + tokens.output + tokens.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt - found - sound}],
    }
    if sound:
        counted["promptTokensDetails"].append({"modality": "AUDIO", "tokenCount": sound})
    if found:
        counted["toolUsePromptTokenCount"] = found
    if tokens.read:
        counted["cachedContentTokenCount"] = tokens.read
    if tokens.reasoning:
        counted["thoughtsTokenCount"] = tokens.reasoning
    return counted


def counted(tokens: int) -> Json:
    """The answer of countTokens."""
    return {
        "totalTokens": tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    }


def parts(sent: Sent, turn: Turn) -> list[Json]:
    """The parts of an answer, one for each call. The signature sits where Google puts it."""
    config = mapping(mapping(sent.body.get("generationConfig")).get("thinkingConfig"))
    found: list[Json] = []
    if turn.thinking and config.get("includeThoughts"):
        found.append({"text": turn.thinking, "thought": True})
    for _ in range(turn.uses.get("code_execution", 0)):
        found.append({"executableCode": {"language": "PYTHON", "code": "1 + 1"}})
        found.append({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}})
    if turn.text or not turn.calls:
        found.append({"text": turn.text})
    found += [_call(sent, call) for call in turn.calls]
    signature = {"thoughtSignature": seal("thought_signature", turn.thinking)}
    if turn.calls and turn.thinking:
        found[-len(turn.calls)] |= signature
    elif turn.thinking and version_of(sent.model) >= 3:
        found[-1] |= signature
    return found


def _call(sent: Sent, call: Call) -> Json:
    function: Json = {"name": call.name, "args": call.args}
    if version_of(sent.model) >= 3:
        function["id"] = fresh("", 8)
    return {"functionCall": function}


def _reply(sent: Sent, counted: Json | None, ident: str) -> Json:
    reply: Json = {"modelVersion": sent.model, "responseId": ident}
    return {**reply, "usageMetadata": counted} if counted is not None else reply


def _candidate(found: list[Json], finish: str | None, turn: Turn) -> Json:
    candidate: Json = {"content": {"parts": found, "role": "model"}, "index": 0}
    if not finish:
        return candidate
    searches = turn.uses.get("google_search", 0)
    if searches:
        queries = [f"sandbox {n}" for n in range(searches)]
        candidate["groundingMetadata"] = {"webSearchQueries": queries, "groundingChunks": []}
    return {**candidate, "finishReason": finish}


def _finish(turn: Turn) -> str:
    return turn.raw_finish or ("MAX_TOKENS" if turn.finish == "length" else "STOP")


def _blocked(turn: Turn) -> Json:
    """A refused prompt has no candidates at all."""
    reason = turn.raw_finish or "PROHIBITED_CONTENT"
    return {"promptFeedback": {"blockReason": reason}}


def whole(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Any:
    counted = usage(tokens, hosted.found(turn.uses), _sound(sent)) if turn.has_usage else None
    reply = _reply(sent, counted, fresh("", 22))
    if turn.finish == "refusal":
        body = {**_blocked(turn), **reply}
    else:
        body = {"candidates": [_candidate(parts(sent, turn), _finish(turn), turn)], **reply}
    # streamGenerateContent without alt=sse answers with an array of replies.
    return [body] if sent.path.endswith(":streamGenerateContent") else body


def events(sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterator[Frame]:
    ident, final = fresh("", 22), usage(tokens, hosted.found(turn.uses), _sound(sent))
    if turn.finish == "refusal":
        yield _event({**_blocked(turn), **_reply(sent, final, ident)})
        return
    said = 0
    for part in parts(sent, turn):
        for piece_of in _streamed(part):
            said += count(piece_of.get("text") or "")
            now = {**final, "candidatesTokenCount": min(said, tokens.output)}
            now["totalTokenCount"] = tokens.prompt + tokens.reasoning + now["candidatesTokenCount"]
            reply = _reply(sent, now if turn.has_usage else None, ident)
            told = {"candidates": [_candidate([piece_of], None, turn)], **reply}
            yield _event(told, content=True, thought=bool(part.get("thought")))
    end = _candidate([{"text": ""}], _finish(turn), turn)
    yield _event({"candidates": [end], **_reply(sent, final if turn.has_usage else None, ident)})


def _streamed(part: Json) -> Iterator[Json]:
    """Text word by word, its signature on an empty part behind it; a call whole."""
    if "text" not in part:
        yield part
        return
    bare = {key: value for key, value in part.items() if key != "thoughtSignature"}
    for word in sse.words(part["text"]):
        yield {**bare, "text": word}
    if "thoughtSignature" in part:
        yield {"text": "", "thoughtSignature": part["thoughtSignature"]}


def broken(sent: Sent, turn: Turn, frames: list[Frame]) -> Frame:
    overloaded = VendorError("The model is overloaded. Please try again later.", status=503)
    return _event(error(overloaded, ""))


def _event(data: Json, *, content: bool = False, thought: bool = False) -> Frame:
    return sse.event(data, content=content, thought=thought, end="\r\n")
