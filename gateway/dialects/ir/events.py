"""What comes back, as it comes.

A stream is `Start`, then items by index (open, deltas, close), then one `Finish` or one
`Failed`. `UsageSeen` is a cumulative snapshot and never follows the `Finish`. Indexes are dense
from 0; two calls may be open at once, nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from gateway.dialects.ir.request import Annotation, Carrier, HostedCall, Item


class Usage(NamedTuple):
    """Tokens in disjoint buckets: no token is counted in two of them.

    OpenAI counts cached tokens inside the prompt and reasoning inside the completion; Anthropic
    counts the cache apart and reasoning inside output; Gemini counts thoughts apart. Each codec's
    `decode_usage` un-nests its own dialect (protocols.md section 3.2).
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0


class Iteration(NamedTuple):
    """One sampling of one model. `model` is the vendor's name of it, "" where it is the one that
    was asked; `kind` is the vendor's word: message, compaction, advisor_message, ..."""

    usage: Usage
    kind: str = "message"
    model: str = ""


class Tally(NamedTuple):
    """What a vendor counted beside the sums of `Usage`.

    * `iterations`: what the sums are made of, where it tells
    * `calls`: what its tools did, by the name of the counter
    * `applied`: the members that change a price, as they were applied
    """

    iterations: tuple[Iteration, ...] = ()
    calls: Mapping[str, int] = MappingProxyType({})
    applied: Mapping[str, str] = MappingProxyType({})


NO_TALLY = Tally()


@dataclass(frozen=True, slots=True)
class Start:
    """`upstream_id` is the vendor's own; the client's ids are fresh."""

    upstream_id: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class TextOpen:
    """A block of an assistant message. `joined` continues the message before it."""

    index: int
    phase: str = ""
    joined: bool = False
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningOpen:
    index: int


@dataclass(frozen=True, slots=True)
class CallOpen:
    index: int
    call_id: str
    name: str
    namespace: str = ""
    kind: str = "function"
    carriers: tuple[Carrier, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    index: int
    text: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """`part` numbers the pieces of a summary (`summary` true) or of the text."""

    index: int
    text: str
    summary: bool = False
    part: int = 0


@dataclass(frozen=True, slots=True)
class ArgsDelta:
    index: int
    text: str


@dataclass(frozen=True, slots=True)
class AnnotationSeen:
    index: int
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class CarrierSeen:
    index: int
    carrier: Carrier


@dataclass(frozen=True, slots=True)
class Close:
    index: int


@dataclass(frozen=True, slots=True)
class HostedOpen:
    """A tool that is run on the way begins; several may be open."""

    index: int
    call: HostedCall


@dataclass(frozen=True, slots=True)
class HostedDone:
    """It is done: `call` has what came of it. It closes the index."""

    index: int
    call: HostedCall


@dataclass(frozen=True, slots=True)
class UsageSeen:
    usage: Usage
    tally: Tally = NO_TALLY


@dataclass(frozen=True, slots=True)
class Finish:
    """`reason` is ours: stop, stop_sequence, length, context_window, tool_calls, content_filter,
    pause, compaction or cancelled. `raw` is the vendor's word for it.
    """

    reason: str
    raw: str = ""
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The end that is no end. Fields as of `hontoni.errors.ApiError`; `vendor_code` for us."""

    status: int
    type: str
    code: str
    message: str
    vendor_code: str = ""
    retry_after: float | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    pass


Event = (
    Start
    | TextOpen
    | ReasoningOpen
    | CallOpen
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | ArgsDelta
    | AnnotationSeen
    | CarrierSeen
    | Close
    | HostedOpen
    | HostedDone
    | UsageSeen
    | Finish
    | Failed
    | Ping
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The events, folded. `end` is None when the stream broke off without a word."""

    start: Start
    items: tuple[Item | HostedCall, ...]
    usage: Usage
    end: Finish | Failed | None
