"""The bills of one sandbox, in the order in which their requests came."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.vendors.meter.bill import Bill, Work
from sandbox.vendors.recorder import Record
from sandbox.vendors.wire import Progress


@dataclass(slots=True)
class Meter:
    """`history` is how many bills are kept."""

    history: int = 1000
    bills: list[Bill] = field(default_factory=list)

    def clear(self) -> None:
        self.bills.clear()

    def begin(
        self, work: Work, *, request_id: str, credential: str, record: Record, faulted: bool
    ) -> Bill:
        """An accepted request: its prompt is billed from now on."""
        bill = Bill(
            work=work,
            request_id=work.ident or request_id,
            credential=credential,
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            record=record,
            faulted=faulted,
            failed=work.broken,
        )
        advance(bill, Progress())
        self.bills.append(bill)
        del self.bills[: max(0, len(self.bills) - self.history)]
        return bill


def end(bill: Bill, progress: Progress, *, left: bool) -> None:
    """Nothing more is generated. What a fault took from the wire was generated all the same."""
    bill.left = left
    if bill.faulted and not left:
        progress = Progress(1.0, 1.0)
    advance(bill, progress)
    bill.ended = True  # last: whoever waits for it, in another thread, reads the whole bill


def advance(bill: Bill, progress: Progress) -> None:
    """Bill what was generated until now."""
    *before, last = bill.work.lines
    thought, said = progress.shares(last.tokens.reasoning, last.tokens.output)
    bill.thought, bill.said = thought, said
    bill.lines = (*before, last.until(thought, said))
