"""How much a request can use at most, and what it may have used when nobody tells us.

A token of any vendor's tokenizer covers at least one byte of text, so the bytes of the request
are a bound that no prompt can exceed: holding them, no request overdraws. The likely number is a
third of that; it decides what the least affordable hold is.
"""

import re
from typing import Any, NamedTuple

from gateway.catalogue import Model
from gateway.ir import Usage
from hontoni import money

# What an image costs at most, in tokens, by vendor (the vendors' vision
# pages). gpt-4o-mini multiplies its image tokens by about 33.
_IMAGE_TOKENS = {"anthropic": 5_000, "openai": 2_500, "google": 2_600}
_IMAGE_TOKENS_OF = {"gpt-4o-mini": 50_000}
_OVERHEAD_TOKENS = 700  # the vendors' own system text for tools
BYTES_PER_TOKEN = 3
FIRST_STEP_TOKENS = 2_048  # output paid for before a stream's hold must be extended
_IMAGE = re.compile(rb'"(?:image|image_url|input_image)"')


class Estimate(NamedTuple):
    """Input tokens: never more than `most`, probably about `likely`, of which `attached` are what
    pictures and documents come to. Output: at most `output`. `blind`: nobody can say how long the
    prompt is before the vendor does, so all of `most` is held or the request refused."""

    likely: int
    most: int
    output: int
    cached: bool
    attached: int = 0
    blind: bool = False


class Hold(NamedTuple):
    """Nano-dollars: `full` covers the dearest outcome, `floor` the prompt and a first step."""

    full: int
    floor: int


def estimate(model: Model, body: bytes, parsed: dict[str, Any], max_output: int) -> Estimate:
    """Bound a request's tokens from its bytes. `max_output` is all its choices together."""
    size, images = len(body), 0
    if _IMAGE.search(body):
        attached, images = _images(parsed)
        size -= attached
    pictures = images * _IMAGE_TOKENS_OF.get(model.id, _IMAGE_TOKENS[model.vendor])
    return Estimate(
        likely=size // BYTES_PER_TOKEN + pictures + 8,
        most=size + pictures + _OVERHEAD_TOKENS,
        output=max_output,
        cached=b'"cache_control"' in body,
    )


def hold(model: Model, estimated: Estimate) -> Hold:
    """What to hold for it, at the price frozen in `model`."""
    rates = model.price.rates
    long_above = model.price.long_context_above
    if model.price.long_rates and long_above and estimated.most > long_above:
        rates = model.price.long_rates
    written = max(rates[2], rates[3]) if estimated.cached else 0
    per_input, per_output = max(rates[0], rates[1], written), max(rates[4], rates[5])
    first = min(FIRST_STEP_TOKENS, estimated.output)
    return Hold(
        full=money.per_million(estimated.most * per_input + estimated.output * per_output),
        floor=money.per_million(estimated.likely * per_input + first * per_output),
    )


def affordable_output(model: Model, estimated: Estimate, held: int) -> int:
    """The most output tokens that `held` nano-dollars pay for, the likely prompt included."""
    rates = model.price.rates
    written = max(rates[2], rates[3]) if estimated.cached else 0
    prompt = money.per_million(estimated.likely * max(rates[0], rates[1], written))
    per_output = max(rates[4], rates[5])
    if not per_output:
        return estimated.output
    return max(1, (held - prompt) * money.MILLION // per_output)


def absurd(usage: Usage, model: Model, estimated: Estimate) -> bool:
    """Whether a vendor's numbers cannot be true: below nothing, or beyond all it could take."""
    if min(usage) < 0:
        return True
    context = max(model.context_window, model.long_context_window or 0, estimated.most)
    output = max(model.max_output, estimated.output)
    return sum(usage) > context + output or sum(usage[4:]) > 2 * output


def shared(usage: Usage, shown: int, said: int) -> Usage:
    """The same with its text up to a stop sequence only: `shown` of the `said` bytes."""
    return usage._replace(output=-(-usage.output * shown // said) if said else 0)


_UNSAID = frozenset(
    ("type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "cache_control")
)
_PROMPTS = ("system", "instructions", "messages", "input", "tools", "functions")


def _is_data(text: str) -> bool:
    """Base64 of a picture or a document: long, and not a space in it."""
    return len(text) > 4_096 and " " not in text[:4_096]


def prompt_bytes(parsed: dict[str, Any]) -> int:
    """Bytes of what a prompt says: without the JSON around it and without what is attached."""
    size, pending = 0, [parsed[name] for name in _PROMPTS if name in parsed]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            size += 0 if _is_data(node) else len(node.encode("utf-8", "replace"))
        elif isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            pending.extend(value for name, value in node.items() if name not in _UNSAID)
    return size


_IMAGE_TYPES = frozenset(("image", "image_url", "input_image"))


def _images(value: Any) -> tuple[int, int]:
    """Bytes of image data in a body, and the number of images. Documents stay counted by bytes:
    a page of text has no bound of its own."""
    size = count = 0
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            kind = node.get("type")  # a schema may have a property of that name
            if isinstance(kind, str) and kind in _IMAGE_TYPES:
                count += 1
                size += _longest_text(node)
            else:
                pending.extend(node.values())
    return size, count


def _longest_text(block: Any) -> int:
    """The length of the longest string in an image block: its data, or its URL."""
    longest, pending = 0, [block]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            longest = max(longest, len(node))
        elif isinstance(node, dict):
            pending.extend(node.values())
    return longest
