"""The law, in arithmetic of its own: what the vendors' meter counted, at our price rows.

    due = sum of every line's tokens at its model's price and tier, times its factors
        + calls of the vendor's tools, at their amount        rounded half up, once

A receipt agrees with it, or says why it need not (`excuses`). Nothing of the gateway's pricing is
used here: rows are read, and multiplied.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from gateway.models import Model, Price, UsageEvent
from gateway.sandbox.meter import Bill, Line

MILLION = 1_000_000
FORGIVEN = Fraction(1, 4)  # an estimate may be so much too low

_BUCKETS = (
    ("input", "input"),
    ("cache_read", "read"),
    ("cache_write_5m", "write_5m"),
    ("cache_write_1h", "write_1h"),
    ("output", "output"),
    ("reasoning", "reasoning"),
)


@dataclass(frozen=True, slots=True)
class Breach:
    """A bill and a receipt that do not agree. `bill` or `event` is None where the other is alone;
    amounts in nano-dollars."""

    why: str
    bill: Bill | None
    event: UsageEvent | None
    due: int

    @property
    def ratio(self) -> float:
        """Charged by what was due: how cheaply the vendor's work was had."""
        return (self.event.cost if self.event else 0) / max(1, self.due)

    def __str__(self) -> str:
        told = [self.why, f"due ${self.due / 1e9:.9f}"]
        if (event := self.event) is not None:
            told.append(f"charged ${event.cost / 1e9:.9f} of ${event.hold / 1e9:.9f} held")
            said = (event.model, event.dialect, event.status, event.error, event.usage)
            told.append(f"receipt {said} {event.details}")
        if (bill := self.bill) is not None:
            told.append(f"meter {bill.as_json()}")
            told.append(f"the vendor was asked {bill.record.raw[:1500]!r}")
        return "\n    ".join(told)


def due(bill: Bill, event: UsageEvent) -> int:
    """Nano-dollars."""
    return amount(bill, event, bill.lines)


def amount(bill: Bill, event: UsageEvent, lines: Iterable[Line]) -> int:
    """What these lines and the bill's calls cost at the prices of this receipt."""
    exact = sum((_line(bill, event, line) for line in lines), Fraction(0))
    exact += sum(_call(bill, counter) * times for counter, times in bill.calls.items())
    return int(exact + Fraction(1, 2))


def _line(bill: Bill, event: UsageEvent, line: Line) -> Fraction:
    price = _price(event, line)
    above = price.long_context_above
    kind = "long_" if above is not None and line.tokens.prompt > above else ""
    tokens = sum(
        getattr(line.tokens, mine) * getattr(price, kind + theirs) for theirs, mine in _BUCKETS
    )
    return Fraction(tokens, MILLION) * _factor(bill, _model(event, line))


def _model(event: UsageEvent, line: Line) -> Model:
    if line.kind in ("message", "compaction"):
        return Model.objects.get(pk=event.model)
    return Model.objects.get(upstream_id=line.model)


def _price(event: UsageEvent, line: Line) -> Price:
    model = _model(event, line)
    if model.pk == event.model:
        return event.price
    return model.prices.filter(effective_at__lte=event.created_at)[0]


def _factor(bill: Bill, model: Model) -> Fraction:
    """Geography, speed and tier really served, where a row prices them for this model."""
    served = {f"inference_geo={bill.work.geo}", f"speed={bill.work.speed}"}
    served.add(f"service_tier={bill.work.tier}")
    product = Fraction(1)
    for row in _features(bill, pricing="factor", name__in=served):
        if not row.only_models or model.pk in row.only_models.replace(" ", "").split(","):
            product *= Fraction(row.factor, 10_000)
    return product


def _call(bill: Bill, counter: str) -> int:
    rows = _features(bill, pricing="per_call", meter=counter)
    return rows[0].amount if rows else 0


def _features(bill: Bill, **wanted: Any) -> Sequence[Any]:
    from gateway.features.models import Feature

    return list(Feature.objects.filter(dialect=_dialect(bill), active=True, **wanted))


def _dialect(bill: Bill) -> str:
    """The dialect in which the vendor was asked."""
    path = bill.record.path
    if path.startswith("/v1beta"):
        return "gemini"
    names = {"messages": "anthropic_messages", "responses": "openai_responses"}
    return names.get(path.rpartition("/")[2], "openai_chat")


# -- What a receipt may say ----------------------------------------------------------------------


def breach(bill: Bill, event: UsageEvent) -> str | None:
    """Why this receipt is not lawful, or None."""
    owed = due(bill, event)
    if event.cost > event.hold:
        return "more was charged than was held"
    if event.cost == owed or excused(bill, event, owed):
        return None
    if event.estimated:
        return _estimated(event, owed)
    return "too little was charged" if event.cost < owed else "too much was charged"


def _estimated(event: UsageEvent, owed: int) -> str | None:
    """No final number: at most so much below, whatever is above."""
    if event.cost >= owed * (1 - FORGIVEN) or event.cost == event.hold:
        return None
    return "an estimate is more than a quarter too low"


def excused(bill: Bill, event: UsageEvent, owed: int) -> bool:
    """What the fair-bill policy gives away, and numbers that a prompt dictated."""
    if bill.failed or bill.faulted or event.status >= 500:
        return event.cost <= owed or event.estimated
    if bill.empty:
        return event.cost == 0
    if event.error == "key_cap_reached" or event.status == 402:
        return event.cost <= owed
    if bill.scripted:  # more than the request could have taken
        return event.cost == event.hold
    return stopped(bill, event)


def stopped(bill: Bill, event: UsageEvent) -> bool:
    """Behind an emulated stop the vendor went on: all reasoning, and the text up to the stop."""
    if event.details.get("rule") != "stop":
        return False
    least = [_silent(line) for line in bill.lines]
    return amount(bill, event, least) <= event.cost <= due(bill, event)


def _silent(line: Line) -> Line:
    return replace(line, tokens=replace(line.tokens, output=0))


# -- All bills, all receipts ---------------------------------------------------------------------


def breaches(bills: Sequence[Bill], events: Sequence[UsageEvent]) -> Iterator[Breach]:
    """Every bill beside its receipt, and the bills that nobody was charged for."""
    by_id = {event.upstream_request_id: event for event in events if event.upstream_request_id}
    nameless = [event for event in events if not event.upstream_request_id]
    for bill in bills:
        event = by_id.get(bill.request_id) or _nameless(bill, nameless)
        if event is None:
            if not (bill.failed or bill.faulted):
                yield Breach("nobody was charged for it", bill, None, 1)
            continue
        if why := breach(bill, event):
            yield Breach(why, bill, event, due(bill, event))


def _nameless(bill: Bill, events: list[UsageEvent]) -> UsageEvent | None:
    """A client that left before the vendor's first byte: the receipt names no vendor's id."""
    for event in events:
        attempts = event.details.get("attempts")
        if bill.left and attempts and Model.objects.get(pk=event.model).upstream_id == bill.model:
            events.remove(event)
            return event
    return None


def hold(bills: Sequence[Bill], events: Sequence[UsageEvent]) -> None:
    """The law holds, or an AssertionError that shows the cheapest breach first."""
    found = sorted(breaches(bills, events), key=lambda each: each.ratio)
    assert not found, "\n".join(["The law is broken:", *map(str, found)])
