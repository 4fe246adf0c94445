"""A Completions body, read.

A model that chats is told to do what a completion is: to go on where the text ends, or to write
what belongs between it and `suffix`, and nothing else. Refused, as they could not be given:
several prompts, several completions, tokens by their numbers, and log probabilities.
"""

from collections.abc import Mapping
from typing import Any

from gateway.dialects.codecs import wire
from gateway.dialects.ir import UNSAID, Message, Request, Sampling, Text, Thinking

DIALECT = "openai_completions"
_CONTINUE = (
    "You are a text completion engine. The user's message is the beginning of a text. Answer with "
    "what comes next in it and nothing else: begin exactly where it ends, do not repeat it, do "
    "not comment on it, and put no code fence around it."
)
_FILL = (
    "You are a text completion engine. The user's message is a text with a gap at <|gap|>. Answer "
    "with what belongs into the gap and nothing else: repeat nothing of what stands before or "
    "after it, do not comment on it, and put no code fence around it."
)
_GAP = "<|gap|>"


def decode_request(body: dict[str, Any]) -> Request:
    """BadRequest, naming the field, for what is malformed or cannot be given."""
    _refuse_impossible(body)
    prompt, suffix = prompt_of(body), wire.text(body.get("suffix"), "suffix")
    told, asked = (_FILL, f"{prompt}{_GAP}{suffix}") if suffix else (_CONTINUE, prompt)
    options = wire.obj(body.get("stream_options"), "stream_options")
    return Request(
        dialect=DIALECT,
        model=wire.text(body.get("model"), "model"),
        items=(Message("system", (Text(told),)), Message("user", (Text(asked),))),
        thinking=decode_thinking(body),
        sampling=Sampling(
            temperature=wire.number(body.get("temperature"), "temperature"),
            top_p=wire.number(body.get("top_p"), "top_p"),
            seed=wire.integer(body.get("seed"), "seed"),
            presence_penalty=wire.number(body.get("presence_penalty"), "presence_penalty"),
            frequency_penalty=wire.number(body.get("frequency_penalty"), "frequency_penalty"),
            stop=wire.strings(body.get("stop"), "stop"),
        ),
        max_output_tokens=wire.integer(body.get("max_tokens"), "max_tokens") or None,
        stream=bool(wire.flag(body.get("stream"), "stream")),
        include_usage=bool(options.get("include_usage")),
        end_user=wire.text(body.get("user"), "user"),
    )


def prompt_of(body: Mapping[str, Any]) -> str:
    """The one text. BadRequest for several, and for tokens."""
    given = body.get("prompt")
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        return given[0]
    if isinstance(given, list):
        wire.unsupported("prompt", "one text a request, and no tokens")
    return wire.text(given, "prompt")


def _refuse_impossible(body: Mapping[str, Any]) -> None:
    for name in ("n", "best_of"):
        if (wire.integer(body.get(name), name) or 1) > 1:
            wire.unsupported(name, "there is one completion a request")
    if body.get("logprobs") is not None:
        wire.unsupported("logprobs", "not available here: chat models tell none of a completion")


def decode_thinking(body: Mapping[str, Any]) -> Thinking:
    """It has no word for it but the one that Chat has."""
    effort = wire.text(body.get("reasoning_effort"), "reasoning_effort")
    return Thinking("off" if effort == "none" else "effort", effort) if effort else UNSAID
