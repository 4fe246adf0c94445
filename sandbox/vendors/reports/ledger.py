"""The meter's bills as sums by key, model and day, at the vendors' list prices."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sandbox.vendors.meter import Bill
from sandbox.vendors.usage import Tokens

BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
CALL = Decimal("0.01")  # dollars: web search at all three, within a factor of four
LONG = {"output": Decimal("1.5")}  # any other bucket of a long prompt costs twice as much

# Dollars per million tokens, as the vendors list them: input, output, and what of the price of
# input a read of the cache costs. Claude's writes cost 1.25 and 2 times the input.
_LIST = {
    "claude-haiku-4-5-20251001": ("1", "5", "0.1"),
    "claude-opus-4-5-20251101": ("5", "25", "0.1"),
    "claude-opus-4-6": ("5", "25", "0.1"),
    "gpt-4o": ("2.5", "10", "0.5"),
    "gpt-4o-mini": ("0.15", "0.6", "0.5"),
    "gpt-4.1": ("2", "8", "0.25"),
    "gpt-5-mini": ("0.25", "2", "0.1"),
    "gpt-5.1": ("1.25", "10", "0.1"),
    "gpt-5.2": ("1.75", "14", "0.1"),
    "gpt-5.2-codex": ("1.75", "14", "0.1"),
    "gpt-5.3-codex": ("1.75", "14", "0.1"),
    "gpt-5.4": ("2.5", "10", "0.1"),
    "gpt-5.4-mini": ("0.25", "1.5", "0.1"),
    "gemini-2.5-pro": ("1.25", "10", "0.1"),
    "gemini-3-flash-preview": ("0.1", "0.5", "0.1"),
    "gemini-3.1-pro-preview": ("1", "4", "0.1"),
}
_USUAL = ("3", "15", "0.1")
_WRITES = {"cache_write_5m": Decimal("1.25"), "cache_write_1h": Decimal(2)}
_MILLION = Decimal(1_000_000)


def price(model: str, bucket: str, *, long: bool = False) -> Decimal:
    """Dollars a token."""
    fresh, output, read = map(Decimal, _LIST.get(model, _USUAL))
    listed = output if bucket == "output" else fresh * _WRITES.get(bucket, Decimal(1))
    if bucket == "cache_read":
        listed *= read
    return listed * (LONG.get(bucket, Decimal(2)) if long else 1) / _MILLION


@dataclass(slots=True)
class Sum:
    """One key's model and day. Dollars by bucket."""

    key: str
    model: str
    requests: int = 0
    calls: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))
    dollars: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(BUCKETS, Decimal(0)))


def sums(bills: Iterable[Bill], vendor: str) -> dict[date, list[Sum]]:
    """What this vendor bills, by day."""
    found: defaultdict[date, dict[tuple[str, str], Sum]] = defaultdict(dict)
    for bill in bills:
        if bill.vendor != vendor:
            continue
        of_day = found[date.fromisoformat(bill.day)]
        for line in bill.lines:
            place = (bill.credential, line.model)
            into = of_day.setdefault(place, Sum(key_id(bill.credential), line.model))
            for bucket, tokens in counted(line.tokens).items():
                into.tokens[bucket] += tokens
                into.dollars[bucket] += tokens * price(line.model, bucket, long=line.long)
        whole = of_day.setdefault(
            (bill.credential, bill.model), Sum(key_id(bill.credential), bill.model)
        )
        whole.requests += 1
        whole.calls += sum(bill.calls.values())
    return {day: list(of.values()) for day, of in sorted(found.items())}


def counted(tokens: Tokens) -> dict[str, int]:
    """As vendors count: reasoning is output."""
    return {
        "input": tokens.input,
        "cache_read": tokens.read,
        "cache_write_5m": tokens.write_5m,
        "cache_write_1h": tokens.write_1h,
        "output": tokens.output + tokens.reasoning,
    }


def key_id(credential: str) -> str:
    """How reports name a key: never the key itself."""
    return f"apikey_{credential.rpartition(':')[2]}"
