"""A Messages body, read.

Not kept, as it concerns Anthropic's own service only: `context_management`, `container`,
`service_tier`, betas, a message's `id`. Refused, because ignoring it would lose something:
`thread`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import wire
from gateway.dialects.codecs.shapes import tools, turns
from gateway.dialects.ir import Item, OutputFormat, Request, Sampling, Thinking
from hontoni.errors import BadRequest

DIALECT = "anthropic_messages"


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    refuse_impossible(body)
    config = wire.obj(body.get("output_config"), "output_config")
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=tuple(_items(body)),
        tools=tuple(tools.decode_tools(body.get("tools"), "tools")),
        tool_choice=tools.decode_choice(body.get("tool_choice"), None),
        output=_output(config.get("format") or body.get("output_format")),
        thinking=decode_thinking(body),
        sampling=Sampling(
            temperature=wire.number(body.get("temperature"), "temperature"),
            top_p=wire.number(body.get("top_p"), "top_p"),
            top_k=wire.integer(body.get("top_k"), "top_k"),
            stop=wire.strings(body.get("stop_sequences"), "stop_sequences"),
        ),
        max_output_tokens=wire.integer(body.get("max_tokens"), "max_tokens"),
        stream=bool(wire.flag(body.get("stream"), "stream")),
        include_usage=True,
        end_user=wire.text(wire.obj(body.get("metadata"), "metadata").get("user_id"), "metadata"),
    )


def refuse_impossible(body: Mapping[str, Any]) -> None:
    """BadRequest for a conversation of which the body holds only the newest part: what the vendor
    remembers of it, nobody here has counted."""
    if body.get("thread"):
        # The SDK reads this code and sends the whole conversation instead.
        raise BadRequest(
            "thread: not available on this model",
            param="thread",
            code="unsupported_parameter",
            details={"error_code": "thread_unsupported_request"},
        )


def _items(body: Mapping[str, Any]) -> Iterator[Item]:
    messages = wire.objects(body.get("messages"), "messages")
    if not messages:
        wire.refuse("messages", "must hold at least one message")
    yield from turns.instructions(body.get("system"), "system", DIALECT)
    for at, message in enumerate(messages):
        yield from turns.decode(message, f"messages[{at}]", DIALECT)


def _output(form: Any) -> OutputFormat:
    raw = wire.obj(form, "output_config.format")
    if raw.get("type") != "json_schema":
        return OutputFormat()
    schema = wire.obj(raw.get("schema"), "output_config.format.schema")
    return OutputFormat("json_schema", "", schema)


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """What a body says about thinking. The last message with an effort of its own decides it."""
    config = wire.obj(body.get("output_config"), "output_config")
    effort = wire.text(config.get("effort"), "output_config.effort")
    for at, message in enumerate(wire.objects(body.get("messages"), "messages")):
        if "output_config" in message:
            where = f"messages[{at}].output_config"
            own = wire.obj(message["output_config"], where)
            effort = wire.text(own.get("effort"), f"{where}.effort") or effort
    raw = wire.obj(body.get("thinking"), "thinking")
    display = wire.text(raw.get("display"), "thinking.display")
    kind = raw.get("type")
    if kind == "disabled":
        return Thinking("off", "none")
    if kind == "enabled":
        budget = wire.integer(raw.get("budget_tokens"), "thinking.budget_tokens")
        return Thinking("budget", effort, budget, display)
    if kind in ("adaptive", "between_tools"):
        return Thinking(kind, effort, None, display)
    return Thinking("effort", effort) if effort else Thinking()
