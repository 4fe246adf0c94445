"""What a request with features can cost at most: added to the hold of its prompt and its answer.

* a call: its amount, and one more turn of the model, whose prompt has grown by what the calls
  before it brought, up to the context window
* an advisor: its own window and its own output, at its own price, each time
* a summary of the conversation: one more turn and one more output
* a factor: the whole of it, as it was asked for
* counters of a tool's own (an image's tokens): as many units as their rows say; of an endpoint's
  (seconds of sound), as many as the request may move them

Where the money does not cover it, tools may be used less often, or are left out (adapters.py
`spare`); what cannot be left out without another answer coming back must be affordable in full.
"""

from typing import NamedTuple

from gateway.catalogue.features.models import WHOLE, Kind, Pricing
from gateway.catalogue.features.sift import PAGE_TOKENS, Sifted, Use
from gateway.catalogue.sold import Model
from gateway.dialects.codecs.hosted import FETCH, SEARCH
from gateway.dialects.codecs.pages import MOST_FOUND_BYTES, MOST_PAGE_BYTES
from gateway.metering.estimates import Estimate, Hold, caches
from hontoni.money import per_million

# What one call brings into the prompt, at most, by how the names of tools begin.
_RESULTS = (
    *(("web_fetch", PAGE_TOKENS), ("web_search", 20_000), ("code", 5_000), ("advisor", 0)),
    ("tool_search", 500),  # names of tools: the request has them
)
_RESULT_TOKENS = 20_000
# The same of what we run ourselves: a token covers at least one byte (codecs/pages.py).
_OF_OURS = {SEARCH: MOST_FOUND_BYTES, FETCH: MOST_PAGE_BYTES}


class Bound(NamedTuple):
    """Prices of one model's dearest tier for a prompt of that size, in nano-dollars a million."""

    window: int
    per_input: int
    per_output: int


def covered(bare: Hold, model: Model, estimated: Estimate, sifted: Sifted) -> Hold:
    """`bare`, and what the features may add to it."""
    if not sifted.uses and not sifted.requested:
        return bare
    factor = _factor(model, sifted)
    tools = sum(_most(use, model, estimated) for use in sifted.uses if use.row.kind == Kind.TOOL)
    others = sum(_most(use, model, estimated) for use in sifted.uses if use.row.kind != Kind.TOOL)
    whole = _times(bare.full + others, factor)
    return Hold(
        full=whole + _times(tools, factor),
        floor=whole if others or factor > WHOLE else bare.floor,
    )


def _times(amount: int, factor: int) -> int:
    return -(-amount * factor // WHOLE)


def _factor(model: Model, sifted: Sifted) -> int:
    """What was asked for; never below the plain price, which the vendor may apply instead."""
    if model.fee is not None:  # of which a customer's own key knows nothing
        return WHOLE
    product, factors = WHOLE, model.rules().factors
    for meter, value in sifted.requested.items():
        row = factors.get(meter, {}).get(value)
        product = product * max(WHOLE, row.factor if row else WHOLE) // WHOLE
    return product


def _most(use: Use, model: Model, estimated: Estimate) -> int:
    row = use.row
    if row.kind == Kind.COUNTER:
        return 0 if model.fee is not None else use.calls * model.paid(row.amount)
    calls = _calls(use, model)
    if row.kind != Kind.TOOL:  # the conversation, summarised
        own = _bound(model, estimated, estimated.most)
        return calls + per_million(own.window * own.per_input + model.max_output * own.per_output)
    turns = prompts(use, model, estimated)
    own = _bound(model, estimated, estimated.most + sum(turns))  # told in one sum, priced by it
    return calls + per_million(sum(turns) * own.per_input) + _helping(use, model, estimated)


def _calls(use: Use, model: Model) -> int:
    """Of a customer's own key the vendor asks for them himself, but for what we run."""
    if model.fee is not None and not use.row.ours:
        return 0
    calls = use.calls * model.paid(use.row.amount) if use.row.pricing == Pricing.PER_CALL else 0
    return calls + sum(
        model.paid(unit.amount) * unit.most_calls
        for meter in use.row.meters
        if (unit := model.rules().counters.get(meter)) is not None
    )


def prompts(use: Use, model: Model, estimated: Estimate) -> list[int]:
    """Tokens that the model reads at most, in the turn behind each call."""
    window = max(model.context_window, model.long_context_window or 0)
    if use.row.ours:  # what the model said before is read again, too
        brought = _OF_OURS.get(use.row.name, _RESULT_TOKENS)
        begun = estimated.most + estimated.output
        return [min(window, begun + turn * brought) for turn in range(1, use.calls + 1)]
    result = next((most for name, most in _RESULTS if use.row.name.startswith(name)), None)
    result = _RESULT_TOKENS if result is None else result
    return [min(window, estimated.most + turn * result) for turn in range(1, use.calls + 1)]


class Helped(NamedTuple):
    """Another model's work in one call: tokens, at most."""

    model: Model
    prompt: int
    output: int


def helped(use: Use, model: Model, estimated: Estimate) -> Helped | None:
    """What the model that a tool names may use in a call of it."""
    named = use.declared.get("model")
    if use.row.pricing != Pricing.TOKENS or not isinstance(named, str):
        return None
    helper = model.sister(named)
    if helper is None:
        return None
    window = max(helper.context_window, helper.long_context_window or 0)
    given = use.declared.get("max_tokens")
    output = min(given, helper.max_output) if isinstance(given, int) else helper.max_output
    prompt = min(window, estimated.most + estimated.output + _RESULT_TOKENS)
    return Helped(helper, prompt, output)


def _helping(use: Use, model: Model, estimated: Estimate) -> int:
    theirs = helped(use, model, estimated)
    if theirs is None:
        return 0
    at = _bound(theirs.model, estimated, estimated.most + estimated.output)
    a_call = theirs.prompt * at.per_input + theirs.output * at.per_output
    return use.calls * per_million(a_call)


def _bound(model: Model, estimated: Estimate, prompt: int) -> Bound:
    price = model.price
    window = max(model.context_window, model.long_context_window or 0)
    above, rates = price.long_context_above, price.rates
    if price.long_rates and above and min(prompt, window) > above:
        rates = price.long_rates
    read = rates[:4] if caches(model, estimated) else rates[:2]
    return Bound(window, max(read), max(rates[4:]))
