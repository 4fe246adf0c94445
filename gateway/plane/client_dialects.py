"""The dialects clients speak, as the data plane needs them beside their codecs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.catalogue.sold import Model
from gateway.dialects.stream_readers import ChatTap, MessagesTap, ResponsesTap, Tap
from hontoni.errors import BadRequest

# What holds a prompt may be; instructions, and what points at a stored response, are the codec's.
_LISTS: dict[str, tuple[type, ...]] = {
    "messages": (list,),
    "input": (list, str),
    "contents": (list, str),
}


_MOST_CHOICES = {"google": 8}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`prompts` and `limits` name the members that hold the prompt and the output limit. Without a
    `tap` nothing passes through: the hub answers for every model."""

    name: str
    prompts: tuple[str, ...]
    limits: tuple[str, ...]
    tap: type[Tap] | None
    needs_limit: bool = False
    most_choices: int = 1  # `n`, as the vendors cap it

    def limits_of(self, parsed: dict[str, Any]) -> tuple[str, ...]:
        """The members that limit this body's output, the one that counts first: of a body in
        another dialect (Cursor's) that dialect's."""
        if len(self.prompts) == 2 and not parsed.get("messages"):
            return DIALECTS["openai_responses"].limits
        return self.limits

    def choices(self, model: Model, parsed: dict[str, Any]) -> int:
        """How many answers are asked for. Raises BadRequest for more than a vendor gives."""
        n = positive(parsed, "n") if "n" in parsed else None
        if n is None:
            return 1
        most = min(self.most_choices, _MOST_CHOICES.get(model.vendor, self.most_choices))
        if not 1 <= n <= most:
            raise BadRequest(f"n must be between 1 and {most}.", param="n")
        return n

    def check(self, parsed: dict[str, Any]) -> None:
        """The least a body must have. Raises BadRequest."""
        for name in self.prompts:
            if value := parsed.get(name):
                if name in _LISTS and not isinstance(value, _LISTS[name]):
                    raise BadRequest(f"{name} must be a list.", param=name)
                return
        name = self.prompts[0]
        raise BadRequest(f"{name} is required and must not be empty.", param=name)

    def limit(self, parsed: dict[str, Any]) -> int | None:
        """The limit of its output that a body names. Raises BadRequest."""
        for name in self.limits_of(parsed):
            if (limit := positive(parsed, name)) is not None:
                return limit
        if self.needs_limit:
            raise BadRequest(f"{self.limits[0]} is required.", param=self.limits[0])
        return None

    def most_output(self, model: Model, parsed: dict[str, Any], limit: int | None) -> int:
        """How many tokens may come back, all choices together. Raises BadRequest."""
        return self.room(model, limit) * self.choices(model, parsed) + predicted(parsed)

    def room(self, model: Model, limit: int | None) -> int:
        """How many tokens one answer may take: the model's most where no limit is said, or 0,
        which is none where none is needed."""
        if limit is None or (limit == 0 and not self.needs_limit):
            return model.max_output
        return min(limit, model.max_output)

    def limit_output(self, parsed: dict[str, Any], tokens: int) -> dict[str, Any]:
        """The members that ask for no more than that."""
        limits = self.limits_of(parsed)
        name = next((name for name in limits if parsed.get(name)), limits[0])
        most = max(1, tokens // max(1, parsed.get("n") or 1))
        return {name: min(most, parsed.get(name) or most)}


def predicted(parsed: dict[str, Any]) -> int:
    """Tokens of output that a prediction may cost beyond every limit: what of it was wrong is
    billed as output, and a token has a byte at least."""
    given = parsed.get("prediction")
    return len(orjson.dumps(given.get("content"))) if isinstance(given, dict) else 0


def positive(parsed: dict[str, Any], name: str) -> int | None:
    """A whole number that is not negative, or None if it is absent. Raises BadRequest."""
    value = parsed.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadRequest(f"{name} must be a whole number, not negative.", param=name)
    return value


CHAT = Dialect(
    name="openai_chat",
    prompts=("messages", "input"),  # Cursor posts Responses bodies here
    limits=("max_completion_tokens", "max_tokens"),
    tap=ChatTap,
    most_choices=128,
)
MESSAGES = Dialect(
    name="anthropic_messages",
    prompts=("messages",),
    limits=("max_tokens",),
    tap=MessagesTap,
    needs_limit=True,
)
RESPONSES = Dialect(
    name="openai_responses",
    prompts=("input", "instructions", "previous_response_id", "prompt", "conversation"),
    limits=("max_output_tokens",),
    tap=ResponsesTap,
)
COMPLETIONS = Dialect(
    name="openai_completions", prompts=("prompt",), limits=("max_tokens",), tap=None
)
GEMINI = Dialect(
    name="gemini",
    prompts=("contents",),
    limits=("maxOutputTokens",),  # where the door puts it (gemini_door.py)
    tap=None,
)
DIALECTS = {dialect.name: dialect for dialect in (CHAT, MESSAGES, RESPONSES, GEMINI, COMPLETIONS)}


def of(name: str, parsed: dict[str, Any], headers: Mapping[bytes, bytes]) -> Dialect:
    """The dialect of that name; without one, what the body looks like. Raises BadRequest."""
    if name:
        if name not in DIALECTS:
            raise BadRequest(f"dialect is one of {', '.join(DIALECTS)}.", param="dialect")
        return DIALECTS[name]
    if parsed.get("contents"):
        return GEMINI
    if not parsed.get("messages"):
        return RESPONSES
    tools = parsed.get("tools")
    shaped = isinstance(tools, list) and any(
        isinstance(tool, dict) and "input_schema" in tool for tool in tools
    )
    claude = "system" in parsed or "thinking" in parsed or "stop_sequences" in parsed
    return MESSAGES if b"anthropic-version" in headers or shaped or claude else CHAT
