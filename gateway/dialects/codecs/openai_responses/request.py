"""A Responses body, read.

What still points at a kept response here is refused in OpenAI's own words, whose documented
remedy is to send the whole input; but for a pointer at reasoning, which is left out. Not kept:
`store`, `include`, `truncation`, `service_tier`, `client_metadata`, ids of items. An item type
nobody knows is kept whole and sent to no other dialect as it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import summaries, wire
from gateway.dialects.codecs.openai_responses import history
from gateway.dialects.codecs.shapes import tools, turns
from gateway.dialects.codecs.tools import as_declared
from gateway.dialects.ir import (
    Item,
    Message,
    OutputFormat,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolChoice,
)

DIALECT = "openai_responses"
_STORED = ("previous_response_id", "conversation", "prompt")


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    refuse_impossible(body)
    if body.get("top_logprobs"):
        wire.unsupported("top_logprobs", "not available on this model")
    text = wire.obj(body.get("text"), "text")
    options = wire.obj(body.get("stream_options"), "stream_options")
    compacts = summaries.asks(body.get("input"))
    offered = tuple(tools.decode_tools(body.get("tools"), "tools"))
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=tuple(as_declared(_items(body), offered)),
        tools=offered,
        tool_choice=ToolChoice("none") if compacts else _choice(body),
        output=OutputFormat() if compacts else _output(text.get("format")),
        verbosity=wire.text(text.get("verbosity"), "text.verbosity"),
        thinking=decode_thinking(body),
        sampling=Sampling(
            temperature=wire.number(body.get("temperature"), "temperature"),
            top_p=wire.number(body.get("top_p"), "top_p"),
        ),
        max_output_tokens=wire.integer(body.get("max_output_tokens"), "max_output_tokens"),
        stream=bool(wire.flag(body.get("stream"), "stream")),
        include_usage=bool(options.get("include_usage")),
        cache_key=wire.text(body.get("prompt_cache_key"), "prompt_cache_key"),
        end_user=wire.text(body.get("safety_identifier") or body.get("user"), "user"),
        metadata=wire.obj(body.get("metadata"), "metadata"),
        compacts=compacts,
    )


def refuse_impossible(body: Mapping[str, Any]) -> None:
    """BadRequest for what needs a stored response."""
    for name in _STORED:
        if body.get(name):
            _not_stored(name)
    raw = body.get("input")
    for at, item in enumerate(raw if isinstance(raw, list) else ()):
        if isinstance(item, dict) and _is_reference(item) and not history.is_to_reasoning(item):
            _not_stored(f"input[{at}]")


def _is_reference(item: Mapping[str, Any]) -> bool:
    """An item that only points at one: its type may be left out."""
    return item.get("type") == "item_reference" or item.keys() == {"id"}


def _not_stored(param: str) -> None:
    wire.refuse(
        param,
        "nothing is kept that it could mean; send the whole input instead",
        code="previous_response_not_found",
    )


def _items(body: Mapping[str, Any]) -> Iterator[Item]:
    instructions = wire.text(body.get("instructions"), "instructions")
    if instructions:
        yield Message("system", (Text(instructions),))
    raw = body.get("input")
    if isinstance(raw, str):
        yield Message("user", (Text(raw),))
        return
    items = wire.objects(raw, "input")
    if not items and not instructions:
        wire.refuse("input", "must hold at least one item")
    for at, item in enumerate(items):
        yield from turns.decode(item, f"input[{at}]", DIALECT)


def _choice(body: Mapping[str, Any]) -> ToolChoice:
    parallel = wire.flag(body.get("parallel_tool_calls"), "parallel_tool_calls")
    return tools.decode_choice(body.get("tool_choice"), parallel)


def _output(form: Any) -> OutputFormat:
    raw = wire.obj(form, "text.format")
    if raw.get("type") == "json_object":
        return OutputFormat("json_object")
    if raw.get("type") != "json_schema":
        return OutputFormat()
    return OutputFormat(
        "json_schema",
        wire.text(raw.get("name"), "text.format.name"),
        wire.obj(raw.get("schema"), "text.format.schema"),
        wire.flag(raw.get("strict"), "text.format.strict"),
        wire.text(raw.get("description"), "text.format.description"),
    )


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """What a body says about thinking."""
    raw = wire.obj(body.get("reasoning"), "reasoning")
    effort = wire.text(raw.get("effort"), "reasoning.effort")
    if effort == "none":
        return Thinking("off", "none")
    return Thinking("effort", effort) if effort else Thinking()
