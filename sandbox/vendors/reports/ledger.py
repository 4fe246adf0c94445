"""The meter's bills as sums by key, model and day, at the vendors' list prices.

What is no conversation has a kind of its own, and where it is billed by the piece (a picture, a
second, a character) a price of a piece.
"""

from collections import Counter, defaultdict
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
    "text-embedding-3-small": ("0.02", "0", "1"),
    "text-embedding-3-large": ("0.13", "0", "1"),
    "omni-moderation-latest": ("0", "0", "1"),
    "gpt-image-1": ("5", "40", "0.25"),
    "gpt-image-1-mini": ("2", "8", "0.1"),
    "gpt-4o-transcribe": ("2.5", "10", "1"),
    "gpt-4o-mini-transcribe": ("1.25", "5", "1"),
    "dall-e-3": ("0", "0", "1"),
    "whisper-1": ("0", "0", "1"),
    "tts-1": ("0", "0", "1"),
    "tts-1-hd": ("0", "0", "1"),
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


CONVERSATION = "completions"
_KINDS = {
    "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images",
    "/v1/audio/transcriptions": "audio_transcriptions",
    "/v1/audio/speech": "audio_speeches",
}
# Dollars a piece; of sound in tokens what a token costs beside one of text.
_PIECES = {
    ("dall-e-3", "image.standard.square"): Decimal("0.04"),
    ("dall-e-3", "image.standard.long"): Decimal("0.08"),
    ("dall-e-3", "image.hd.square"): Decimal("0.08"),
    ("dall-e-3", "image.hd.long"): Decimal("0.12"),
    ("whisper-1", "audio.seconds"): Decimal("0.0001"),
    ("tts-1", "speech.characters"): Decimal("0.000015"),
    ("tts-1-hd", "speech.characters"): Decimal("0.00003"),
}
_SOUND = {"gpt-4o-transcribe": Decimal("3.5"), "gpt-4o-mini-transcribe": Decimal("1.75")}
_TOKENS_A_SECOND = 10


@dataclass(slots=True)
class Sum:
    """One key's model and day. Dollars by bucket; `pieces` are of the kind, `tools` calls of
    hosted ones by their names."""

    key: str
    model: str
    kind: str = CONVERSATION
    size: str = ""
    requests: int = 0
    pieces: int = 0
    of_pieces: Decimal = Decimal(0)
    tools: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))
    dollars: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(BUCKETS, Decimal(0)))

    @property
    def calls(self) -> int:
        return sum(self.tools.values())


def sums(bills: Iterable[Bill], vendor: str) -> dict[date, list[Sum]]:
    """What this vendor bills, by day."""
    found: defaultdict[date, dict[tuple[str, ...], Sum]] = defaultdict(dict)
    for bill in bills:
        if bill.vendor == vendor:
            _add(found[date.fromisoformat(bill.day)], bill)
    return {day: list(of.values()) for day, of in sorted(found.items())}


def _add(of_day: dict[tuple[str, ...], Sum], bill: Bill) -> None:
    kind = _KINDS.get(bill.record.path, CONVERSATION)
    body = bill.record.body if kind == "images" and isinstance(bill.record.body, dict) else {}
    size = str(body.get("size") or "")

    def of(model: str) -> Sum:
        new = Sum(key_id(bill.credential), model, kind, size)
        return of_day.setdefault((bill.credential, model, kind, size), new)

    for line in bill.lines:
        into = of(line.model)
        for bucket, tokens in counted(line.tokens).items():
            into.tokens[bucket] += tokens
            into.dollars[bucket] += tokens * price(line.model, bucket, long=line.long)
    whole = of(bill.model)
    whole.requests += 1
    for name, times in bill.calls.items():
        _count(whole, name, times)
    if kind == "images":
        whole.pieces += int(body.get("n") or 1)


def _count(whole: Sum, name: str, times: int) -> None:
    """A counter of a bill: of pieces, of sound among the tokens, or of a tool's calls."""
    if (whole.model, name) in _PIECES:
        whole.of_pieces += times * _PIECES[whole.model, name]
        if whole.kind != "images":
            whole.pieces += times
    elif name in ("audio.input", "audio.output"):
        bucket = name.removeprefix("audio.")
        whole.dollars[bucket] += times * _SOUND.get(whole.model, Decimal(1)) / _MILLION
        if whole.kind == "audio_transcriptions":
            whole.pieces += times // _TOKENS_A_SECOND
    else:
        whole.tools[name] += times


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
