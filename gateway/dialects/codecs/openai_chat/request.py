"""A Chat Completions body, read.

Read as leniently as clients write: messages or parts without a type, tools flat or nested,
null where nothing is, `cache_control` on whole messages (OpenCode), `functions` of old.
Not kept: `logit_bias`, `prediction`, `service_tier`, `store`, `web_search_options` (no other
dialect has them). Refused: `n` over 1, `logprobs` and spoken answers, which could not be given.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier, media, wire
from gateway.dialects.codecs.openai_chat.tools import decode_choice, decode_tools
from gateway.dialects.ir import (
    Audio,
    Document,
    Image,
    Item,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_CACHE = {"5m": "5m", "1h": "1h"}
_THINKING = frozenset({"thinking", "reasoning", "reasoning_effort", "thinking_budget"})


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    _refuse_unwritable(body)
    return Request(
        dialect="openai_chat",
        model=wire.text(body.get("model"), "model"),
        items=tuple(_items(body)),
        tools=tuple(decode_tools(body)),
        tool_choice=decode_choice(body),
        output=_output(body),
        verbosity=wire.text(body.get("verbosity"), "verbosity"),
        thinking=decode_thinking(body),
        sampling=_sampling(body),
        max_output_tokens=_limit(body),
        stream=bool(wire.flag(body.get("stream"), "stream")),
        include_usage=bool(
            wire.obj(body.get("stream_options"), "stream_options").get("include_usage")
        ),
        cache_key=wire.text(body.get("prompt_cache_key"), "prompt_cache_key"),
        end_user=wire.text(body.get("safety_identifier") or body.get("user"), "user"),
        metadata=wire.obj(body.get("metadata"), "metadata"),
    )


def _limit(body: Mapping[str, Any]) -> int | None:
    """The newer name counts where both are said; 0 is none, as it is for no vendor."""
    for name in ("max_completion_tokens", "max_tokens"):
        if body.get(name) is not None:
            return wire.integer(body[name], name) or None
    return None


def refuse_impossible(body: Mapping[str, Any]) -> None:
    """Nothing: Chat has no words for what only a vendor remembers."""


def _refuse_unwritable(body: Mapping[str, Any]) -> None:
    if (wire.integer(body.get("n"), "n") or 1) > 1:
        wire.unsupported("n", "this model gives one choice a request")
    if body.get("logprobs") or body.get("top_logprobs"):
        wire.unsupported("logprobs", "not available on this model")
    if "audio" in wire.strings(body.get("modalities"), "modalities"):
        wire.unsupported("modalities", "this model answers in text only")


def _items(body: Mapping[str, Any]) -> Iterator[Item]:
    messages = wire.objects(body.get("messages"), "messages")
    if not messages:
        wire.refuse("messages", "must hold at least one message")
    for at, message in enumerate(messages):
        yield from _message(message, f"messages[{at}]")


def _message(message: Mapping[str, Any], where: str) -> Iterator[Item]:
    role = wire.text(message.get("role"), f"{where}.role") or "user"
    if role in ("tool", "function"):
        yield _result(message, where)
    elif role == "assistant":
        yield from _assistant(message, where)
    elif role in ("user", "system", "developer"):
        parts = tuple(_parts(message, where))
        name = wire.text(message.get("name"), f"{where}.name")
        yield Message("user" if role == "user" else "system", parts, name=name)
    else:
        wire.refuse(f"{where}.role", f"{role!r} is no role")


def _assistant(message: Mapping[str, Any], where: str) -> Iterator[Item]:
    yield from _reasoning(message, where)
    parts = list(_parts(message, where))
    refusal = wire.text(message.get("refusal"), f"{where}.refusal")
    if refusal:
        parts.append(Refusal(refusal))
    if any(not isinstance(part, Text) or part.text for part in parts):
        yield Message("assistant", tuple(parts))
    calls = wire.objects(message.get("tool_calls"), f"{where}.tool_calls")
    for at, call in enumerate(calls, 1):
        cache = _cache(message) if at == len(calls) and not parts else ""
        yield _call(call, cache, f"{where}.tool_calls[{at - 1}]")
    if message.get("function_call"):
        function = wire.obj(message["function_call"], f"{where}.function_call")
        name = wire.text(function.get("name"), f"{where}.function_call.name")
        yield ToolCall(name, name, wire.text(function.get("arguments"), where))


def _reasoning(message: Mapping[str, Any], where: str) -> Iterator[Item]:
    """The secrets we sealed come back in `reasoning_details`, one item each; the text beside
    them is only for the eye."""
    details = wire.objects(message.get("reasoning_details"), f"{where}.reasoning_details")
    sealed = [d["data"] for d in details if isinstance(d.get("data"), str)]
    for data in sealed:
        yield Reasoning(carriers=(carrier.closed(data, "", "foreign"),))
    said = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(said, str) and said and not sealed:
        yield Reasoning((said,))


def _call(call: Mapping[str, Any], cache: str, where: str) -> ToolCall:
    kind = "custom" if call.get("type") == "custom" or "custom" in call else "function"
    raw = wire.obj(call.get(kind), where)
    args = raw.get("input" if kind == "custom" else "arguments")
    extra = wire.obj(call.get("extra_content"), where)
    signature = wire.obj(extra.get("google"), where).get("thought_signature")
    found = [signature] if isinstance(signature, str) and signature else []
    return ToolCall(
        call_id=wire.text(call.get("id"), f"{where}.id"),
        name=wire.text(raw.get("name"), f"{where}.name"),
        args=args if isinstance(args, str) else wire.dump(args or {}),
        kind=kind,
        carriers=tuple(carrier.closed(each, "google", "thought_signature") for each in found),
        cache=cache,
    )


def _result(message: Mapping[str, Any], where: str) -> ToolResult:
    call_id = wire.text(message.get("tool_call_id") or message.get("name"), where)
    parts = tuple(_parts({"content": message.get("content")}, where))
    return ToolResult(call_id, parts, cache=_cache(message))


def _parts(message: Mapping[str, Any], where: str) -> Iterator[Part]:
    content, cache = message.get("content"), _cache(message)
    if content is None:
        return
    if isinstance(content, str):
        yield Text(content, cache)
        return
    parts = wire.objects(content, f"{where}.content")
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        yield _part(part, cache if last else "", f"{where}.content[{at}]")


def _part(part: Mapping[str, Any], cache: str, where: str) -> Part:
    cache = _cache(part) or cache
    kind = part.get("type") or ("text" if "text" in part else "")
    if kind in ("text", "input_text", "output_text"):
        return Text(wire.text(part.get("text"), where), cache)
    if kind in ("image_url", "input_image"):
        return _image(part, cache, where)
    if kind in ("file", "input_file"):
        return _file(wire.obj(part.get("file", part), where), cache, where)
    if kind == "refusal":
        return Refusal(wire.text(part.get("refusal"), where))
    if kind == "input_audio":
        sound = wire.obj(part.get("input_audio"), where)
        return Audio(wire.text(sound.get("data"), where), wire.text(sound.get("format"), where))
    return wire.refuse(f"{where}.type", f"{kind!r} is not supported")


def _image(part: Mapping[str, Any], cache: str, where: str) -> Image:
    raw = part.get("image_url")
    image: Mapping[str, Any] = {"url": raw} if isinstance(raw, str) else wire.obj(raw, where)
    url = wire.text(image.get("url"), where)
    detail = wire.text(image.get("detail") or part.get("detail"), where)
    media_type, data = media.split(url, where)
    if data:
        return Image(data=data, media_type=media_type, detail=detail, cache=cache)
    return Image(url=url, detail=detail, cache=cache)


def _file(file: Mapping[str, Any], cache: str, where: str) -> Document:
    title = wire.text(file.get("filename"), where)
    if file.get("file_id"):
        return Document(file_id=wire.text(file["file_id"], where), title=title, cache=cache)
    if file.get("file_url"):
        return Document(url=wire.text(file["file_url"], where), title=title, cache=cache)
    raw = wire.text(file.get("file_data"), where)
    media_type, data = media.split(raw, where)
    data = data or raw
    return Document(
        data=data,
        media_type=media_type or media.sniff(data, media.guess(title, "application/pdf")),
        title=title,
        cache=cache,
    )


def _cache(thing: Mapping[str, Any]) -> str:
    control = thing.get("cache_control")
    if not isinstance(control, dict):
        return ""
    return _CACHE.get(str(control.get("ttl") or "5m"), "5m")


def _output(body: Mapping[str, Any]) -> OutputFormat:
    form = wire.obj(body.get("response_format"), "response_format")
    kind = form.get("type") or "text"
    if kind == "json_object":
        return OutputFormat("json_object")
    if kind != "json_schema":
        return OutputFormat()
    raw = wire.obj(form.get("json_schema"), "response_format.json_schema")
    return OutputFormat(
        "json_schema",
        wire.text(raw.get("name"), "response_format.json_schema.name"),
        wire.obj(raw.get("schema"), "response_format.json_schema.schema"),
        wire.flag(raw.get("strict"), "response_format.json_schema.strict"),
        wire.text(raw.get("description"), "response_format.json_schema.description"),
    )


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """`reasoning_effort`, our documented `thinking_budget`, or what other gateways taught
    clients to send: Anthropic's `thinking`, OpenRouter's `reasoning`."""
    if _THINKING.isdisjoint(body):
        return Thinking()
    raw = wire.obj(body.get("thinking"), "thinking")
    other = wire.obj(body.get("reasoning"), "reasoning")
    effort = wire.text(body.get("reasoning_effort") or other.get("effort"), "reasoning_effort")
    budget = wire.integer(
        body.get("thinking_budget") or raw.get("budget_tokens") or other.get("max_tokens"),
        "thinking_budget",
    )
    if raw.get("type") == "disabled" or effort == "none" or body.get("thinking_budget") == 0:
        return Thinking("off", "none")
    if budget:
        return Thinking("budget", effort, budget)
    if effort or raw.get("type") in ("enabled", "adaptive"):
        return Thinking("effort" if effort else "adaptive", effort)
    return Thinking()


def _sampling(body: Mapping[str, Any]) -> Sampling:
    return Sampling(
        temperature=wire.number(body.get("temperature"), "temperature"),
        top_p=wire.number(body.get("top_p"), "top_p"),
        top_k=wire.integer(body.get("top_k"), "top_k"),
        seed=wire.integer(body.get("seed"), "seed"),
        presence_penalty=wire.number(body.get("presence_penalty"), "presence_penalty"),
        frequency_penalty=wire.number(body.get("frequency_penalty"), "frequency_penalty"),
        stop=wire.strings(body.get("stop"), "stop"),
    )
