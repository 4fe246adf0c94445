"""How much a request can use at most, and what it may have used when nobody tells us.

A token of any vendor's tokenizer covers at least one byte of text, so the bytes of the request
are a bound that no prompt can exceed: holding them, no request overdraws. The likely number is a
third of that; it decides what the least affordable hold is.
"""

import json
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from gateway.catalogue.own_prices.terms import Rates
from gateway.catalogue.sold import Model
from gateway.dialects.ir import Usage
from gateway.metering import documents, sound
from gateway.metering.documents import Attached
from hontoni import money

_OVERHEAD_TOKENS = 700  # the vendors' own system text for tools
BYTES_PER_TOKEN = 3
CACHES_WHEN_ASKED = "anthropic"
FIRST_STEP_TOKENS = 2_048  # output paid for before a stream's hold must be extended


class Estimate(NamedTuple):
    """Input tokens: never more than `most`, probably about `likely`, of which `attached` are what
    pictures and documents come to. Output: at most `output`. `blind`: nobody can say how long the
    prompt is before the vendor does, so all of `most` is held or the request refused. `heard` and
    `spoken`: tokens of either that may be sound, which costs more. `whole`: none of it can be done
    without the rest, so that all is held or the request refused."""

    likely: int
    most: int
    output: int
    cached: bool
    attached: int = 0
    blind: bool = False
    heard: int = 0
    spoken: int = 0
    whole: bool = False


class Hold(NamedTuple):
    """Nano-dollars: `full` covers the dearest outcome, `floor` the prompt and a first step."""

    full: int
    floor: int


def estimate(
    model: Model,
    body: bytes,
    max_output: int,
    attached: Attached = documents.NOTHING,
    *,
    spelled: bool,
    spoken: bool = False,
) -> Estimate:
    """Bound a request's tokens from its bytes. `max_output` is all its choices together; `spelled`
    if words may hide in it (documents.spelled), `spoken` if the answer may be sound."""
    size = len(body) - attached.data
    return Estimate(
        size // BYTES_PER_TOKEN + attached.likely + 8,
        size + attached.most + _OVERHEAD_TOKENS,
        max_output,
        model.vendor == CACHES_WHEN_ASKED and (spelled or b'"cache_control"' in body),
        attached.likely,
        attached.blind,
        attached.heard,
        max_output if spoken else 0,
    )


def hold(model: Model, estimated: Estimate) -> Hold:
    """What to hold for it, at the price frozen in `model`."""
    price, heard = model.price, 0
    if model.fee is not None or estimated.heard or estimated.spoken:  # hardly ever
        heard = _sounding(model, estimated) + per_request(model)
    most, least, output = estimated.most, _least(estimated), estimated.output
    first, above = min(FIRST_STEP_TOKENS, output), price.long_context_above
    per_input, per_output = _dearest(price.rates, caches(model, estimated))
    floor = money.per_million(least * per_input + first * per_output)
    if price.long_rates and above and most > above:
        per_input, per_output = _dearest(price.long_rates, caches(model, estimated))
        if least > above:
            floor = money.per_million(least * per_input + first * per_output)
    full = money.per_million(most * per_input + output * per_output) + heard
    return Hold(full, full if estimated.whole else floor + heard)


def per_request(model: Model) -> int:
    """What is asked for a request through a customer's own key, whatever its size."""
    return 0 if model.fee is None else model.paid(model.fee.per_request)


def _sounding(model: Model, estimated: Estimate) -> int:
    """What sound costs beside text."""
    if model.fee is not None or not estimated.heard and not estimated.spoken:
        return 0
    return estimated.heard * sound.rate(sound.HEARD, model) + estimated.spoken * sound.rate(
        sound.SPOKEN, model
    )


@lru_cache(maxsize=1024)
def _dearest(rates: Rates, caching: bool) -> tuple[int, int]:
    """The most that a token of a prompt and one of output can cost, of a million."""
    written = max(rates[2], rates[3]) if caching else 0
    return max(rates[0], rates[1], written), max(rates[4], rates[5])


def caches(model: Model, estimated: Estimate) -> bool:
    """Whether a prompt cache may be written: of some vendors unasked."""
    return estimated.cached or model.vendor != CACHES_WHEN_ASKED


def _least(estimated: Estimate) -> int:
    """Tokens of the prompt that are held at the least: all of what nobody can estimate."""
    return estimated.most if estimated.blind else estimated.likely


def affordable_output(model: Model, estimated: Estimate, held: int) -> int:
    """The most output tokens that `held` nano-dollars pay for, the likely prompt included."""
    per_input, per_output = _dearest(model.price.rates, caches(model, estimated))
    prompt = money.per_million(_least(estimated) * per_input) + per_request(model)
    if not per_output:
        return estimated.output
    return max(1, (held - prompt) * money.MILLION // per_output)


def absurd(usage: Usage, model: Model, estimated: Estimate) -> bool:
    """Whether a vendor's numbers cannot be true: below nothing, or beyond all it could take."""
    if min(usage) < 0:
        return True
    if sum(usage) <= model.max_output:  # nearly always
        return False
    context = max(model.context_window, model.long_context_window or 0, estimated.most)
    output = max(model.max_output, estimated.output)
    return sum(usage) > context + output or sum(usage[4:]) > 2 * output


def shared(usage: Usage, shown: int, said: int) -> Usage:
    """The same with its text up to a stop sequence only: `shown` of the `said` bytes."""
    return usage._replace(output=-(-usage.output * shown // said) if said else 0)


_UNSAID = frozenset(
    ("type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "cache_control")
)
_TOOLS = ("tools", "functions", "toolConfig")
_READ = frozenset((*_TOOLS, "input", "args", "response"))  # the model reads all of their JSON
_PROMPTS = (
    *("system", "instructions", "messages", "input", "tools", "functions"),
    *("contents", "systemInstruction", "prompt", "suffix", "toolConfig"),
)


def _is_data(text: str) -> bool:
    """Base64 of a picture or a document: long, and not a space in it."""
    return len(text) > 4_096 and " " not in text[:4_096]


def prompt_bytes(parsed: dict[str, Any]) -> int:
    """Bytes of what a prompt says: without the JSON around it and without what is attached. Tools,
    what they were given and what they answered are JSON that the model itself reads."""
    given = [(name, parsed[name]) for name in _PROMPTS if name in parsed]
    size, pending = 0, [(name if name in _TOOLS else "", value) for name, value in given]
    while pending:
        name, node = pending.pop()
        if isinstance(node, str):
            size += 0 if _is_data(node) else len(node.encode("utf-8", "replace"))
        elif isinstance(node, list):
            pending.extend((name, each) for each in node)
        elif isinstance(node, dict) and name in _READ:
            size += _json_bytes(node)
        elif isinstance(node, dict):
            pending.extend(each for each in node.items() if each[0] not in _UNSAID)
    return size


def _json_bytes(node: dict[str, Any]) -> int:
    try:
        return len(orjson.dumps(node))
    except orjson.JSONEncodeError:  # half a surrogate pair, or a number of any length
        return len(json.dumps(node, ensure_ascii=False).encode("utf-8", "replace"))
