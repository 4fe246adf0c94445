"""What a vendor's tools did in an answer whose numbers never came.

That a tool was begun is seen in the stream; what it read and wrote is told with the vendor's last
word alone. Without it, each use that was begun counts as it was held (feature_holds.py): the turn
of the model behind it, an advisor's window and output at the advisor's own price, a summary, an
image's tokens. So no estimate with tools is below what the vendor bills.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway.catalogue.features.models import Kind
from gateway.catalogue.features.sift import Sifted, Use
from gateway.catalogue.sold import Model
from gateway.dialects.ir import Iteration, Tally, Usage
from gateway.metering import feature_holds
from gateway.metering.estimates import Estimate

_ADVICE = "advisor_message"


class Unseen(NamedTuple):
    """Turns, and units of counters, beside what the vendor told."""

    turns: tuple[Iteration, ...] = ()
    units: Mapping[str, int] = {}

    def on(self, usage: Usage) -> Usage:
        """All buckets together."""
        seen = (usage, *(turn.usage for turn in self.turns))
        return Usage(*map(sum, zip(*seen, strict=True)))

    def beside(self, tally: Tally) -> Tally:
        """What was told, and this. The message itself comes last: it takes what is left."""
        return tally._replace(
            iterations=(*tally.iterations, *self.turns, Iteration(Usage())),
            calls={**self.units, **tally.calls},
        )


NOTHING = Unseen()


def of(sifted: Sifted, tally: Tally, model: Model, estimated: Estimate) -> Unseen:
    """What the request's tools may have used, by the calls that were begun."""
    turns: list[Iteration] = []
    units: dict[str, int] = {}
    for use in sifted.uses:
        if (times := _begun(use, tally)) <= 0:
            continue
        turns += _turns(use, times, model, estimated)
        units |= _units(use, times, model)
    return Unseen(tuple(turns), units) if turns else NOTHING


def _begun(use: Use, tally: Tally) -> int:
    """How often the stream shows it to have begun, and the vendor has not told what came of it."""
    word = use.row.name.rstrip("*_")
    word = "compact" if word.startswith("compact") else word
    begun = sum(
        times
        for name, times in tally.calls.items()
        if word in name and not name.endswith(("_requests", "_containers"))
    )
    seen = sum(each.kind == _ADVICE for each in tally.iterations) if "advisor" in word else 0
    return min(begun - seen, use.calls)


def _turns(use: Use, times: int, model: Model, estimated: Estimate) -> Iterator[Iteration]:
    if use.row.kind != Kind.TOOL:
        window = max(model.context_window, model.long_context_window or 0)
        read = min(estimated.most, window)
        yield Iteration(Usage(input=read, output=model.max_output), "compaction")
        return
    for prompt in feature_holds.prompts(use, model, estimated)[:times]:
        yield Iteration(Usage(input=prompt))
    helped = feature_holds.helped(use, model, estimated)
    if helped is not None:
        usage = Usage(input=helped.prompt, output=helped.output)
        yield from (Iteration(usage, _ADVICE, helped.model.upstream_id) for _ in range(times))


def _units(use: Use, times: int, model: Model) -> dict[str, int]:
    """Its share of what was held for them."""
    counters = model.rules().counters
    return {
        meter: counters[meter].most_calls * times // max(1, use.row.most_calls)
        for meter in use.row.meters
        if meter in counters
    }
