"""A Chat Completions body, read.

Read as leniently as clients write (`codecs.shapes`), with null where nothing is, and `functions`
of old.
`web_search_options` is a tool elsewhere, and one here. Not kept: `logit_bias`, `prediction`,
`service_tier`, `store` (no other dialect has them). Refused: `n` over 1, `logprobs` and spoken
answers, which could not be given.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import wire
from gateway.dialects.codecs.shapes import tools, turns
from gateway.dialects.codecs.tools import as_declared
from gateway.dialects.ir import (
    UNSAID,
    Item,
    OutputFormat,
    Request,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
)

DIALECT = "openai_chat"
_THINKING = frozenset({"thinking", "reasoning", "reasoning_effort", "thinking_budget"})


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    _refuse_unwritable(body)
    offered = tuple(_tools(body))
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=tuple(as_declared(_items(body), offered)),
        tools=offered,
        tool_choice=_choice(body),
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
    """Anthropic's system prompt may stand beside the messages (Cursor)."""
    messages = wire.objects(body.get("messages"), "messages")
    if not messages:
        wire.refuse("messages", "must hold at least one message")
    if body.get("system"):
        yield from turns.instructions(body["system"], "system", DIALECT)
    for at, message in enumerate(messages):
        yield from turns.decode(message, f"messages[{at}]", DIALECT)


def _tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    yield from tools.decode_tools(body.get("tools"), "tools")
    yield from tools.decode_tools(body.get("functions"), "functions")
    if (options := body.get("web_search_options")) is not None:
        raw = wire.obj(options, "web_search_options")
        yield Tool("web_search", kind="hosted", raw={"type": "web_search", **raw})


def _choice(body: Mapping[str, Any]) -> ToolChoice:
    parallel = wire.flag(body.get("parallel_tool_calls"), "parallel_tool_calls")
    return tools.decode_choice(body.get("tool_choice") or body.get("function_call"), parallel)


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
        return UNSAID
    raw = wire.obj(body.get("thinking"), "thinking")
    other = wire.obj(body.get("reasoning"), "reasoning")
    enabled = wire.flag(other.get("enabled"), "reasoning.enabled")
    shown = "omitted" if wire.flag(other.get("exclude"), "reasoning.exclude") else ""
    effort = wire.text(body.get("reasoning_effort") or other.get("effort"), "reasoning_effort")
    budget = wire.integer(
        body.get("thinking_budget") or raw.get("budget_tokens") or other.get("max_tokens"),
        "thinking_budget",
    )
    off = raw.get("type") == "disabled" or enabled is False or body.get("thinking_budget") == 0
    if off or effort == "none":
        return Thinking("off", "none")
    if budget:
        return Thinking("budget", effort, budget, shown)
    if effort or enabled or raw.get("type") in ("enabled", "adaptive"):
        return Thinking("effort" if effort else "adaptive", effort, None, shown)
    return UNSAID


def _sampling(body: Mapping[str, Any]) -> Sampling:
    return Sampling(
        temperature=wire.number(body.get("temperature"), "temperature"),
        top_p=wire.number(body.get("top_p"), "top_p"),
        top_k=wire.integer(body.get("top_k"), "top_k"),
        seed=wire.integer(body.get("seed"), "seed"),
        presence_penalty=wire.number(body.get("presence_penalty"), "presence_penalty"),
        frequency_penalty=wire.number(body.get("frequency_penalty"), "frequency_penalty"),
        stop=wire.strings(body.get("stop") or body.get("stop_sequences"), "stop"),
    )
