"""The law, in arithmetic of its own: what the vendors' meter counted, at our price rows.

    due = sum of every line's tokens at its model's price and tier, times its factors
        + calls of the vendor's tools, at their amount
    all of it times the surcharge, past a window              rounded half up, once

A receipt agrees with it, or says why it need not (`excuses`). Nothing of the gateway's pricing is
used here: rows are read, and multiplied.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from django.conf import settings

from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from sandbox.vendors.meter import Bill, Line
from tests.money.rows import Rows

FORGIVEN = Fraction(1, 4)  # an estimate may be so much too low
_OUT_OF_MONEY = ("key_cap_reached", "member_cap_reached", "insufficient_balance")


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


def due(rows: Rows, bill: Bill, event: UsageEvent) -> int:
    """What the vendor's work costs our customer, in nano-dollars. Through a key of their own that
    is the fee alone."""
    if rows.is_own(event):
        return int(rows.fee(bill, event) * surcharge(event) + Fraction(1, 2))
    return amount(rows, bill, event, bill.lines)


def amount(rows: Rows, bill: Bill, event: UsageEvent, lines: Iterable[Line]) -> int:
    """What these lines and the bill's calls cost at the prices of this receipt."""
    exact = sum((rows.line(bill, event, line) for line in lines), Fraction(0))
    return int((exact + rows.calls(bill, event)) * surcharge(event) + Fraction(1, 2))


def surcharge(event: UsageEvent) -> Fraction:
    """By how much it is dearer than its price."""
    points = event.details.get("overflow", {}).get("surcharge", 0)
    return 1 + Fraction(points, 10_000)


# -- What a receipt may say ----------------------------------------------------------------------


def breach(rows: Rows, bill: Bill, event: UsageEvent) -> str | None:
    """Why this receipt is not lawful, or None."""
    owed = due(rows, bill, event)
    if event.cost > event.hold:
        return "more was charged than was held"
    if event.cost == owed or excused(rows, bill, event, owed):
        return None
    if event.estimated or bill.left:
        return _estimated(event, owed)
    return "too little was charged" if event.cost < owed else "too much was charged"


def _estimated(event: UsageEvent, owed: int) -> str | None:
    """No final number: at most so much below, whatever is above."""
    if event.cost >= owed * (1 - FORGIVEN) or event.cost == event.hold:
        return None
    return "an estimate is more than a quarter too low"


def excused(rows: Rows, bill: Bill, event: UsageEvent, owed: int) -> bool:
    """What the fair-bill policy gives away, and numbers that a prompt dictated."""
    if bill.failed or bill.faulted or event.status >= 500:
        return event.cost <= owed or event.estimated
    if bill.empty or _given(bill, event):
        return event.cost == 0
    if event.error in _OUT_OF_MONEY:  # in mid-answer: what was held is gone
        return event.cost == event.hold or owed * (1 - FORGIVEN) <= event.cost <= owed
    if bill.scripted and event.cost == event.hold:  # more than the request could have taken
        return True
    return stopped(rows, bill, event)


def _given(bill: Bill, event: UsageEvent) -> bool:
    """Left before anything came of it: given away, within the account's daily bound. The vendor
    may have been done before it noticed."""
    return (bill.left or event.aborted) and event.details.get("rule") == "given"


def gift(rows: Rows, bill: Bill, event: UsageEvent) -> int:
    """What the fair-bill policy took off, in nano-dollars, of what counts into its daily bound."""
    if event.details.get("rule") not in ("given", "stop"):
        return 0
    return due(rows, bill, event) - event.cost


def stopped(rows: Rows, bill: Bill, event: UsageEvent) -> bool:
    """Behind an emulated stop the vendor went on: all reasoning, and the text up to the stop."""
    if event.details.get("rule") != "stop":
        return False
    least = [_silent(line) for line in bill.lines]
    return amount(rows, bill, event, least) <= event.cost <= due(rows, bill, event)


def _silent(line: Line) -> Line:
    return replace(line, tokens=replace(line.tokens, output=0))


# -- All bills, all receipts ---------------------------------------------------------------------


def breaches(rows: Rows, bills: Sequence[Bill], events: Sequence[UsageEvent]) -> Iterator[Breach]:
    """Every bill beside its receipt, and the bills that nobody was charged for."""
    by_id = {event.upstream_request_id: event for event in events if event.upstream_request_id}
    nameless = [event for event in events if not event.upstream_request_id]
    for bill in _of_rounds(bills, events):
        event = by_id.get(bill.request_id) or _nameless(rows, bill, nameless)
        if event is None:
            if not (bill.failed or bill.faulted):
                yield Breach("nobody was charged for it", bill, None, 1)
            continue
        if why := breach(rows, bill, event):
            yield Breach(why, bill, event, due(rows, bill, event))


def _of_rounds(bills: Sequence[Bill], events: Sequence[UsageEvent]) -> Iterator[Bill]:
    """An answer that was made in several rounds is billed as often, and is one receipt: its bills
    as one."""
    of_a_later = {
        one: event.upstream_request_id
        for event in events
        for one in event.details.get("rounds", ())
    }
    ours: dict[str, list[Bill]] = {}
    for bill in bills:
        ours.setdefault(of_a_later.get(bill.request_id, bill.request_id), []).append(bill)
    for last, each in ours.items():
        yield each[0] if len(each) == 1 else _one(last, each)


def _one(request_id: str, bills: Sequence[Bill]) -> Bill:
    calls: Counter[str] = Counter()
    for bill in bills:
        calls.update(bill.calls)
    return replace(
        bills[-1],
        request_id=request_id,
        work=replace(bills[-1].work, calls=calls),
        lines=tuple(line for bill in bills for line in bill.lines),
        left=any(bill.left for bill in bills),
        failed=any(bill.failed for bill in bills),
        faulted=any(bill.faulted for bill in bills),
    )


def _nameless(rows: Rows, bill: Bill, events: list[UsageEvent]) -> UsageEvent | None:
    """A client that left before the vendor's first byte: the receipt names no vendor's id. Nor
    does Google name what it embeds."""
    unnamed = bill.left or bill.record.path.endswith("EmbedContents")
    for event in events:
        asked = rows.models.get(bill.model) == event.model and event.details.get("attempts")
        if unnamed and asked:
            events.remove(event)
            return event
    return None


def hold(bills: Sequence[Bill], events: Sequence[UsageEvent]) -> None:
    """The law holds, or an AssertionError that shows the cheapest breach first."""
    found = sorted(breaches(Rows.read(), bills, events), key=lambda each: each.ratio)
    assert not found, "\n".join(["The law is broken:", *map(str, found)])


def daily_bound() -> int:
    """Nano-dollars that an account may be given in a day; the part of it that is estimated may be
    a quarter too low."""
    return int(nanos(settings.FAIR_BILL_DAILY) / (1 - FORGIVEN))
