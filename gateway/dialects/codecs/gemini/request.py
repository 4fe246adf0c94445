"""A Gemini body, read, as the door spells it (`spelling.canonical`): `model` and `stream`, which
Google has in its URLs, are members.

Not kept: `safetySettings`, `labels`, media resolutions (no other dialect has them). Refused:
several candidates, log probabilities and answers that are no text, which could not be given; and
`cachedContent`, which lies in an account that all customers share.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import wire
from gateway.dialects.codecs.gemini.contents import decode_contents, decode_instruction
from gateway.dialects.codecs.gemini.tools import decode_choice, decode_schema, decode_tools
from gateway.dialects.ir import UNSAID, Item, OutputFormat, Request, Sampling, Thinking

DIALECT = "gemini"
_DYNAMIC = -1  # a thinking budget that is the model's to choose
_TEXT, _JSON, _ENUM = ("", "text/plain"), "application/json", "text/x.enum"


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    config = wire.obj(body.get("generationConfig"), "generationConfig")
    _refuse_impossible(body, config)
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=tuple(_items(body)),
        tools=tuple(decode_tools(body.get("tools"))),
        tool_choice=decode_choice(body.get("toolConfig")),
        output=_output(config),
        thinking=decode_thinking(body),
        sampling=_sampling(config),
        max_output_tokens=_number(config, "maxOutputTokens") or None,
        stream=bool(body.get("stream")),
        include_usage=True,
    )


def _refuse_impossible(body: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    if (_number(config, "candidateCount") or 1) > 1:
        wire.unsupported("generationConfig.candidateCount", "there is one candidate a request")
    for name in ("responseLogprobs", "logprobs"):
        if config.get(name):
            wire.unsupported(f"generationConfig.{name}", "not available here")
    kinds = wire.strings(config.get("responseModalities"), "generationConfig.responseModalities")
    if any(kind.upper() not in ("TEXT", "MODALITY_UNSPECIFIED") for kind in kinds):
        wire.unsupported("generationConfig.responseModalities", "answers here are text")
    if body.get("cachedContent"):
        wire.unsupported("cachedContent", "send the whole prompt: what repeats is cached unasked")


def _items(body: Mapping[str, Any]) -> Iterator[Item]:
    contents = body.get("contents")
    if isinstance(contents, str):
        contents = [{"parts": [{"text": contents}]}]
    given = wire.objects(contents, "contents")
    if not given:
        wire.refuse("contents", "must hold at least one content")
    yield from decode_instruction(body.get("systemInstruction"))
    yield from decode_contents(given)


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """What a body says about thinking."""
    config = wire.obj(body.get("generationConfig"), "generationConfig")
    raw = wire.obj(config.get("thinkingConfig"), "generationConfig.thinkingConfig")
    if not raw:
        return UNSAID
    shown = "summarized" if raw.get("includeThoughts") else "omitted"
    level = wire.text(raw.get("thinkingLevel"), "thinkingLevel").lower()
    budget = _number(raw, "thinkingBudget")
    if level and level != "thinking_level_unspecified":
        return Thinking("effort", level, None, shown)
    if budget == 0:
        return Thinking("off", "none")
    if budget is None or budget == _DYNAMIC:
        return Thinking("adaptive", "", None, shown)
    return Thinking("budget", "", budget, shown)


def _output(config: Mapping[str, Any]) -> OutputFormat:
    kind = wire.text(config.get("responseMimeType"), "generationConfig.responseMimeType")
    if kind in _TEXT:
        return OutputFormat()
    if kind == _ENUM:
        wire.unsupported("generationConfig.responseMimeType", f"use {_JSON}, with an enum in it")
    if kind != _JSON:
        wire.refuse("generationConfig.responseMimeType", f"text/plain or {_JSON}")
    for name in ("responseJsonSchema", "responseSchema"):
        if given := wire.obj(config.get(name), f"generationConfig.{name}"):
            return OutputFormat("json_schema", "", decode_schema(given))
    return OutputFormat("json_object")


def _sampling(config: Mapping[str, Any]) -> Sampling:
    def number(name: str) -> float | None:
        return wire.number(config.get(name), f"generationConfig.{name}")

    return Sampling(
        temperature=number("temperature"),
        top_p=number("topP"),
        top_k=_number(config, "topK"),
        seed=_number(config, "seed"),
        presence_penalty=number("presencePenalty"),
        frequency_penalty=number("frequencyPenalty"),
        stop=wire.strings(config.get("stopSequences"), "generationConfig.stopSequences"),
    )


def _number(config: Mapping[str, Any], name: str) -> int | None:
    return wire.integer(config.get(name), f"generationConfig.{name}")
