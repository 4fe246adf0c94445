"""What the model that will answer can be asked, and how the reply is headed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.dialects.ir.request import Request


@dataclass(frozen=True, slots=True)
class Target:
    """The capabilities of one upstream model; `codecs.families` knows them by name.

    * `thinking`: none, effort, budget, adaptive (Claude) or level (Gemini 3). `efforts` are the
      words it takes, ascending; `off` is how thinking is turned off: "" when it cannot be,
      disabled, between_tools or low (adaptive models that refuse both)
    * `sampling`: all, one (temperature 0..1 or top_p, not both) or none
    * `stops`: how many stop sequences it takes; the others are emulated
    * `signatures`: calls of the turn at hand must carry one; `result_media`: results hold images
    * `schema`: native, tool (a forced call unwrapped to text) or instruction
    * `key` opens and seals carriers; `account` is the upstream credential they are bound to
    * `hosts`: the tools it runs itself and may be asked for here, by our words for them
    * `ours`: those that are run on the way, for models whose vendor does not
    * `replays`: it wants its readable reasoning back beside the calls that followed it
    * `thinking_cap`: the plan's thinking budget in tokens; `end_user`: our pseudonym for whom
    """

    dialect: str
    vendor: str
    model: str
    max_output: int = 0
    thinking: str = "none"
    efforts: tuple[str, ...] = ()
    off: str = ""
    least_budget: int = 1024
    most_budget: int = 0
    sampling: str = "all"
    stops: int = 0
    schema: str = "native"
    schema_with_tools: bool = True
    mid_system: bool = False
    prefill: bool = True
    signatures: bool = False
    result_media: bool = False
    hosts: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    replays: bool = False
    account: str = ""
    key: bytes = b""
    thinking_cap: int | None = None
    end_user: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """What an Encoder needs besides the events.

    `reply_id` is unique to this request, `[A-Za-z0-9]+`: every id of the reply is made from it.
    `model` is the client's own spelling, `body` what it sent, `created` seconds since 1970,
    `input_tokens` our estimate until the upstream tells, `key` seals carriers.
    """

    request: Request
    reply_id: str
    model: str
    created: int = 0
    input_tokens: int = 0
    key: bytes = b""
    body: Mapping[str, Any] = field(default_factory=dict)
