"""What a balance did in a month (UTC): opening, everything between, closing, to the cent.

Always true:

1. Opening + every amount = closing, in nano-dollars and in the cents that are shown: those of
   usage and its corrections are rounded by the largest remainder, everything else is whole cents
   as it is.
2. A month opens with what the one before closed with, which is what the wallet had at that
   moment: the balance after the last entry that the ledger posted before it.
3. The statement of a month that is over is always the same: it is made of entries, which are
   written once. Usage is of the month in which it was charged; requests are counted in the month
   they were sent, and one line says what was charged in another than that. What was corrected
   later is a line of the month of the correction: usage stays as it was charged.

Which model was used is the gateway's to tell: it says so when it starts (`meters`), because
imports point down.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import F
from django.utils import translation

from billing.books import brought_forward, ledger
from billing.books.ledger import Kind
from billing.books.models import Entry, LedgerAccount
from billing.books.transfer_names import KIND_NAMES
from hontoni import errors
from hontoni.money import CENT, whole_cents

SECTIONS = {
    Kind.TOPUP: "payments",
    Kind.BANK_TOPUP: "payments",
    Kind.SANDBOX: "payments",
    Kind.REFUND: "refunds",
    Kind.DISPUTE: "refunds",
    Kind.BANK_REFUND: "refunds",
    Kind.BALANCE_REFUND: "refunds",
    Kind.SUBSCRIPTION: "purchases",
    Kind.CORRECTION: "corrections",
}
OTHER = "credits"
SKEW = 200  # entries around a month's end that may be in another order than their times


class Used(NamedTuple):
    """What was used of a model: requests, tokens, and nano-dollars as they were charged."""

    model: str
    requests: int
    prompt: int
    output: int
    cost: int


Meter = Callable[[int, datetime, datetime], Iterable[Used]]


def _no_usage(user_id: int, since: datetime, until: datetime) -> Iterable[Used]:
    return ()


_meter: Meter = _no_usage


def meters(by_model: Meter) -> None:
    """The gateway's word on what an account used from one moment until before another."""
    global _meter
    _meter = by_model


@dataclass(frozen=True, slots=True)
class Line:
    """`exact` nano-dollars, and the whole cents that are shown for them; negative: taken."""

    section: str
    text: str
    exact: int
    shown: int = 0
    kind: str = ""
    at: datetime | None = None
    number: str = ""
    used: Used | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """Of one account and month. `is_over`: nothing in it changes any more."""

    user_id: int
    month: str
    since: datetime
    until: datetime
    is_over: bool
    exact_opening: int
    exact_closing: int
    lines: Sequence[Line]

    @property
    def opening(self) -> int:
        return whole_cents(self.exact_opening)

    @property
    def closing(self) -> int:
        return whole_cents(self.exact_closing)

    def of(self, section: str) -> list[Line]:
        """The lines of a section."""
        return [line for line in self.lines if line.section == section]

    def total(self, section: str) -> int:
        """What a section adds up to, in whole cents."""
        return sum(line.shown for line in self.of(section))


def months(user_id: int, now: datetime) -> list[str]:
    """Those there is a statement of, as 2026-11, the newest first."""
    began = brought_forward.first_at(ledger.wallet_code(user_id))
    if began is None:
        return []
    begin, end = began.astimezone(UTC), now.astimezone(UTC)
    counted = range(begin.year * 12 + begin.month - 1, end.year * 12 + end.month)
    return [f"{n // 12}-{n % 12 + 1:02}" for n in reversed(counted)]


def of(user_id: int, month: str, now: datetime) -> Statement:
    """The statement of a month. Raises NotFound where there is none."""
    if month not in months(user_id, now):
        raise errors.NotFound(f"There is no statement of {month}.")
    since = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    until = _next(since)
    account = LedgerAccount.objects.get(code=ledger.wallet_code(user_id))
    first, opening = _standing(account, since)
    last, closing = _standing(account, until)
    lines = _moves(account, first, last)
    charged = closing - opening - sum(line.exact for line in lines)
    lines += _usage(user_id, since, until, charged)
    return Statement(
        user_id, month, since, until, now >= until, opening, closing,
        _in_cents(lines, whole_cents(closing) - whole_cents(opening)),
    )  # fmt: skip


def _next(since: datetime) -> datetime:
    year, month = divmod(since.year * 12 + since.month, 12)
    return since.replace(year=year, month=month + 1)


def _standing(account: LedgerAccount, moment: datetime) -> tuple[int, int]:
    """The number of the account's last entry before that moment, and the balance after it.

    Found by halves: an account may have any number of entries, in the order of their times but
    for what the clocks of two servers differ by.
    """
    low, high = 0, account.version
    while low < high:
        middle = (low + high + 1) // 2
        at, _ = brought_forward.standing(account.pk, middle)
        low, high = (middle, high) if at < moment else (low, middle - 1)
    number = brought_forward.last_before(account.pk, moment, low, low + SKEW) or low
    return number, brought_forward.standing(account.pk, number)[1] if number else 0


def _moves(account: LedgerAccount, first: int, last: int) -> list[Line]:
    """Everything but usage, from after the `first` entry to the `last`."""
    found = Entry.objects.filter(account=account, account_version__range=(first + 1, last))
    moved = found.exclude(transfer__kind=Kind.USAGE).order_by("account_version")
    return [
        Line(
            SECTIONS.get(Kind(entry.transfer.kind), OTHER),
            entry.transfer.reason or _named(entry.transfer.kind),
            entry.amount,
            kind=entry.transfer.kind,
            at=entry.transfer.created_at,
            number=entry.number or "",
        )
        for entry in moved.select_related("transfer").annotate(
            number=F("transfer__invoice__number")
        )
    ]


def _named(kind: str) -> str:
    """What it is, where nobody said what it was for: as the books are kept, in English."""
    with translation.override(None):
        return str(KIND_NAMES.get(kind, ""))


def _usage(user_id: int, since: datetime, until: datetime, charged: int) -> list[Line]:
    """A line a model, the dearest first; and what was charged in another month than sent."""
    used = sorted(_meter(user_id, since, until), key=lambda used: (-used.cost, used.model))
    lines = [Line("usage", each.model, -each.cost, used=each) for each in used]
    if rest := charged + sum(each.cost for each in used):
        lines.append(Line("usage", "Charged in another month than it was sent", rest))
    return lines


def _in_cents(lines: Sequence[Line], total: int) -> list[Line]:
    """Whole cents for every line, that add up to `total`: by the largest remainder.

    What is whole cents stays what it is.
    """
    down = [line.exact // CENT * CENT for line in lines]
    missing = (total - sum(down)) // CENT
    order = sorted(range(len(lines)), key=lambda at: (down[at] - lines[at].exact, at))
    for at in order[:missing]:
        down[at] += CENT
    return [replace(line, shown=cents) for line, cents in zip(lines, down, strict=True)]
