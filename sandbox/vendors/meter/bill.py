"""One attempt's bill: what was asked of which model, and how much of it was done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sandbox.vendors.recorder import Record
from sandbox.vendors.usage import Tokens

LONG_PROMPT = 200_000


@dataclass(frozen=True, slots=True)
class Line:
    """One inference. `kind` is the vendor's word: message, compaction, advisor_message ..."""

    kind: str
    model: str
    tokens: Tokens

    @property
    def long(self) -> bool:
        """Whether its prompt is billed at the long-context prices."""
        return self.tokens.prompt > LONG_PROMPT

    def until(self, thought: float, said: float) -> "Line":
        """The same, if only these shares of its reasoning and of its text were generated."""
        tokens = self.tokens
        done = replace(
            tokens,
            reasoning=round(tokens.reasoning * thought),
            output=round(tokens.output * said),
        )
        return replace(self, tokens=done)


@dataclass(frozen=True, slots=True)
class Work:
    """What an answer takes if it is heard to its end. The last line is the one that is generated
    while the client listens; the others, and the tools, come before it."""

    vendor: str
    model: str
    lines: tuple[Line, ...]
    calls: Mapping[str, int] = field(default_factory=dict)
    tier: str = "standard"
    geo: str = ""
    speed: str = "standard"
    finish: str = "stop"
    ident: str = ""  # of the answer, where the vendor's headers name none
    broken: bool = False
    scripted: bool = False


@dataclass(slots=True)
class Bill:
    """What is billed for one attempt. `day` is UTC's, `credential` a hash.

    `ended` once nothing is added any more; `left` if the client did not wait for the end; `failed`
    if the answer ended in an error; `faulted` if a test bent it on its way; `scripted` if a prompt
    dictated the numbers.
    """

    work: Work
    request_id: str
    credential: str
    day: str
    record: Record
    lines: tuple[Line, ...] = ()
    thought: float = 0.0
    said: float = 0.0
    ended: bool = False
    left: bool = False
    failed: bool = False
    faulted: bool = False

    @property
    def model(self) -> str:
        return self.work.model

    @property
    def vendor(self) -> str:
        return self.work.vendor

    @property
    def calls(self) -> Mapping[str, int]:
        return self.work.calls

    @property
    def scripted(self) -> bool:
        return self.work.scripted

    @property
    def output(self) -> int:
        """All output tokens, reasoning included."""
        return sum(line.tokens.output + line.tokens.reasoning for line in self.lines)

    @property
    def empty(self) -> bool:
        """Nothing was said, and no stop, limit or call is the reason."""
        return self.output == 0 and self.work.finish == "stop"

    def as_json(self) -> dict[str, Any]:
        """Everything but the request itself."""
        told: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("request_id", "credential", "day", "thought", "said")
        }
        flags = ("ended", "left", "failed", "faulted", "scripted")
        told |= {name: getattr(self, name) for name in flags}
        told |= {
            name: getattr(self.work, name)
            for name in ("vendor", "model", "tier", "geo", "speed", "finish", "ident")
        }
        told["calls"] = dict(self.calls)
        told["lines"] = [asdict(line) | {"long": line.long} for line in self.lines]
        told["path"] = self.record.path
        return told
