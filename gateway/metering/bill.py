"""What one request costs: lines, priced one by one, added, and rounded half up once. Pure.

A line is one sampling of one model, or the calls of one tool:

    {"kind": "message", "model": "claude-sonnet-4.6", "price_id": 7, "usage": [23000, 0, 0, 0,
     1000, 0], "long": false, "factor": 10000}
    {"kind": "calls", "name": "web_search_*", "feature_id": 12, "version": 3, "calls": 2,
     "amount": 10000000}

A line at a customer's own price has `own` (gateway/catalogue/own_prices/terms.py), and so has that
of a request through a customer's own key: all its tokens at the fee, and the fee a request as a
call. Past a window of the plan all of it is dearer by its surcharge, calls as well: `amount` has
it in it. `usage` is in the order of `gateway.models.BUCKETS`; `long` says whether the long-context
prices of that version apply, by this line's own prompt; `factor` is in basis points, of `factors`:
the features that it is the product of, each with the version of its price (0, or none: its first).
So a line of tokens is usage x prices x factor / 10000 / a million, and one of calls is calls x
amount (nano-dollars). The event keeps them in `details.lines`, where there is more than one plain
line: readers price them anew with `read` and other versions for `price_id`, and `cost` of what it
gives.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.catalogue.features.models import WHOLE, Pricing
from gateway.catalogue.features.sift import Sifted, Use
from gateway.catalogue.features.snapshot import Row, Rules
from gateway.catalogue.own_prices import terms
from gateway.catalogue.sold import Model, Price
from gateway.dialects.ir import Iteration, Tally, Usage
from gateway.metering import estimates
from gateway.metering.estimates import Estimate
from gateway.vendors.own_keys.fees import REQUEST_LINE
from hontoni.money import MILLION

logger = logging.getLogger(__name__)

_SCALE = WHOLE * MILLION  # a weighted sum is in nano-dollars x this
# From these on a search or a page makes the code of the same request free (platform.claude.com,
# "Code execution tool").
_FREES_CODE = re.compile(r"web_(?:search|fetch)_(\d{8})")
_FREES_CODE_SINCE = "20260209"
_CODE = "code_execution_containers"
_OTHERS = ("advisor_message",)  # whose model is never the one that was asked, by accident


class Tokens(NamedTuple):
    """One sampling of a model, at the price it had when the request was admitted."""

    kind: str
    model: str
    price: Price
    usage: Usage
    factor: int = WHOLE
    factors: tuple[tuple[int, int], ...] = ()

    @property
    def weight(self) -> int:
        return self.price.weigh(self.usage) * self.factor

    def as_dict(self) -> dict[str, Any]:
        own = self.price.own
        more: dict[str, Any] = {"own": own.as_dict()} if own else {}
        if self.factors:
            more["factors"] = [list(each) for each in self.factors]
        return {
            "kind": self.kind,
            "model": self.model,
            "price_id": self.price.id,
            "usage": list(self.usage),
            "long": is_long(self),
            "factor": self.factor,
        } | more


class Calls(NamedTuple):
    """What a tool of the vendor's did."""

    name: str
    feature: int
    calls: int
    amount: int
    version: int = 0

    @property
    def weight(self) -> int:
        return self.calls * self.amount * _SCALE

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "calls",
            "name": self.name,
            "feature_id": self.feature,
            "calls": self.calls,
            "amount": self.amount,
        } | ({"version": self.version} if self.version else {})


Line = Tokens | Calls


def is_long(line: Line) -> bool:
    """Whether the long-context prices apply to it."""
    return type(line) is Tokens and line.price.rates_for(line.usage) is not line.price.rates


def total(weights: Iterable[int]) -> int:
    """Nano-dollars, rounded half up once."""
    return (sum(weights) * 2 + _SCALE) // (2 * _SCALE)


def cost(lines: Iterable[Line]) -> int:
    return total([line.weight for line in lines])


def read(lines: Iterable[Mapping[str, Any]], prices: Mapping[int, Price]) -> list[Line]:
    """The lines that an event keeps, at the versions of `prices` (by id)."""
    return [
        line_of(line, prices[line["price_id"]] if "price_id" in line else None) for line in lines
    ]


def line_of(raw: Mapping[str, Any], price: Price | None) -> Line:
    """One of them, at that version; what a customer agreed for himself stays agreed."""
    if raw["kind"] == "calls":
        priced = (raw["calls"], raw["amount"], raw.get("version", 0))
        return Calls(raw["name"], raw["feature_id"], *priced)
    assert price is not None
    paid = price.at(terms.read(raw["own"])) if "own" in raw else price
    factors = tuple((feature, version) for feature, version in raw.get("factors", ()))
    return Tokens(raw["kind"], raw["model"], paid, Usage(*raw["usage"]), raw["factor"], factors)


def is_plain(lines: list[Line]) -> bool:
    """Whether the buckets and the price version of the event say it all."""
    only = lines[0]
    return (
        len(lines) == 1
        and type(only) is Tokens
        and only.factor == WHOLE
        and only.price.own is None
    )


def lines(used: Usage, tally: Tally, model: Model, sifted: Sifted) -> list[Line]:
    """The lines of a request that used `used` in all, of which the vendor told `tally`.

    `model` is as its provider has it; `sifted` what was asked for: members with a factor, for an
    answer that does not say what was applied, and tools with a model of their own.
    """
    if model.fee is not None:
        ours = tuple(model.rules().ours.values())
        return _fees(used, tally, model) + _calls(tally.calls, ours, model)
    rules, requested = model.rules(), sifted.requested
    if not tally.iterations and not tally.calls:
        return [Tokens("message", model.id, model.price, used, *factored(tally, requested, rules))]
    found: list[Line] = []
    for each in _completed(used, tally.iterations):
        by = _served_by(each, model, sifted.uses)
        its = rules if by is model else by.rules()
        times = factored(tally, requested, its)
        found.append(Tokens(each.kind, by.id, by.price, each.usage, *times))
    return found + _calls(_counted(tally.calls, sifted.uses), rules.meters, model)


def in_batch(sifted: Sifted) -> Sifted:
    """The same of what came in a batch: its price has a factor of its own where staff have set one
    (`processing=batch`). No vendor hears of it, and no request can ask for it: it is no member."""
    return sifted._replace(requested={**sifted.requested, "processing": "batch"})


def _fees(used: Usage, tally: Tally, model: Model) -> list[Line]:
    """Whatever the vendor ran is on the bill of the customer's own key: there is the fee alone.
    What has neither tokens nor a counter that moved is free, as it is at our price."""
    found: list[Line] = [Tokens("own_key", model.id, model.price, used)]
    if (amount := estimates.per_request(model)) and (any(used) or any(tally.calls.values())):
        found.append(Calls(REQUEST_LINE, 0, 1, amount))
    return found


def absurd(
    used: Usage, tally: Tally, model: Model, estimated: Estimate, uses: Sequence[Use]
) -> bool:
    """Whether a vendor's numbers cannot be true, the turns of its tools taken together."""
    if not uses and not tally.iterations:
        return estimates.absurd(used, model, estimated)
    turns = 1 + len(tally.iterations) + sum(use.calls for use in uses)
    helpers = [each for use in uses if (each := helper(model, use)) is not None]
    a_turn = max(
        max(each.context_window, each.long_context_window or 0) + each.max_output
        for each in (model, *helpers)
    )
    return min(used) < 0 or sum(used) > turns * max(a_turn, estimated.most + estimated.output)


def helper(model: Model, use: Use) -> Model | None:
    """The model that a tool asks to help."""
    named = use.declared.get("model") if use.row.pricing == Pricing.TOKENS else None
    return model.sister(named) if isinstance(named, str) else None


def factored(
    tally: Tally, requested: Mapping[str, str], rules: Rules
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """All factors together, in basis points, and whose they are. The answer's word counts, else
    the request's."""
    if not rules.factors:
        return WHOLE, ()
    product, applied, whose = WHOLE, tally.applied, []
    for meter, values in rules.factors.items():
        row = values.get(applied.get(meter) or requested.get(meter, ""))
        if row is not None:
            product = product * row.factor // WHOLE
            whose.append((row.id, row.version))
    return product, tuple(whose)


def _completed(used: Usage, iterations: tuple[Iteration, ...]) -> list[Iteration]:
    """The iterations, made to add up to what was used: the difference is the last message's.
    Vendors tell thinking in the sum alone, and a stream that was cut tells only a part."""
    found = list(iterations) or [Iteration(Usage())]
    sums = [sum(bucket) for bucket in zip(*(each.usage for each in found), strict=True)]
    missing = [all_ - part for all_, part in zip(used, sums, strict=True)]
    if any(missing):
        own = [at for at, each in enumerate(found) if each.kind not in _OTHERS]
        for at in reversed(own or [len(found) - 1]):
            had = found[at].usage
            now = [max(0, n + more) for n, more in zip(had, missing, strict=True)]
            missing = [more - (n - old) for more, n, old in zip(missing, now, had, strict=True)]
            found[at] = found[at]._replace(usage=Usage(*now))
    return found


def _served_by(each: Iteration, model: Model, uses: Sequence[Use]) -> Model:
    if not each.model or each.model in (model.upstream_id, model.id):
        return model
    found = model.sister(each.model)
    if found is None:
        logger.critical("bill.unknown_model %s beside %s", each.model, model.id)
        if each.kind not in _OTHERS:
            return model  # a name of its own for what was asked
        helpers = [one for use in uses if (one := helper(model, use)) is not None]
        found = max((model, *helpers), key=lambda one: one.price.rates)
    return found


def _counted(calls: Mapping[str, int], uses: Sequence[Use]) -> Mapping[str, int]:
    """Without what is free beside another of the request's tools."""
    types = (_FREES_CODE.fullmatch(str(use.declared.get("type"))) for use in uses)
    if _CODE in calls and any(found and found[1] >= _FREES_CODE_SINCE for found in types):
        return {meter: times for meter, times in calls.items() if meter != _CODE}
    return calls


def _calls(counted: Mapping[str, int], meters: tuple[Row, ...], model: Model) -> list[Line]:
    return [
        Calls(row.name, row.id, calls, model.paid(row.amount), row.version)
        for row in meters
        if (calls := sum(counted.get(meter, 0) for meter in row.meters)) > 0
    ]
