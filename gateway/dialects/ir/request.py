"""What a client asks, in nobody's dialect.

* Items, not messages with content: reasoning, calls and text interleave, and order is data.
* Arguments stay the string they were: dumping them again changes bytes and breaks caches.
* "" and None mean "not said". Equal content, equal value; identity is kept elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A vendor's secret about its own reasoning: good only for who made it.

    `form` is signature, redacted, encrypted_content, thought_signature, plain (no secret, only
    ours to mark a block) or sealed (`data` is still closed, see `codecs.carrier`). `texts` are
    the readable pieces the secret was made with, where it is void without them.
    """

    vendor: str
    model: str
    form: str
    data: str
    texts: tuple[str, ...] = ()
    account: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A citation of a page; `start` and `end` count characters of the text it is on."""

    url: str
    title: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """`cache` marks the end of a reusable prefix: "", "5m" or "1h"."""

    text: str
    cache: str = ""
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """One of `data` (base64), `url` or `file_id` is set."""

    data: str = ""
    url: str = ""
    file_id: str = ""
    media_type: str = ""
    detail: str = ""
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One of `data` (base64), `url`, `text` or `file_id` is set."""

    data: str = ""
    url: str = ""
    text: str = ""
    file_id: str = ""
    media_type: str = ""
    title: str = ""
    context: str = ""
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Audio:
    """`data` is base64, `format` wav or mp3."""

    data: str
    format: str


@dataclass(frozen=True, slots=True)
class Refusal:
    text: str


@dataclass(frozen=True, slots=True)
class ToolReference:
    """In a tool's result: the deferred tool `name` is now loaded."""

    name: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part or an item only its own dialect knows; for another it is the text that can be read
    in it (`codecs.turns.readable`), or left out and told."""

    dialect: str
    json: Json


Part = Text | Image | Document | Audio | Refusal | ToolReference | Opaque


@dataclass(frozen=True, slots=True)
class Message:
    """`role` is system, user or assistant; a system message may stand anywhere."""

    role: str
    parts: tuple[Part, ...]
    phase: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """`text` is what the model thought, `summary` what the vendor tells of it."""

    text: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    carriers: tuple[Carrier, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`args` is JSON for a function, raw text for a custom tool; it may be invalid."""

    call_id: str
    name: str
    args: str
    namespace: str = ""
    kind: str = "function"
    carriers: tuple[Carrier, ...] = ()
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """`kind` is function, custom (free text in, maybe by `grammar`), tool_search or hosted.

    A deferred tool is shown to the model only once a result refers to it. A hosted one runs at
    its vendor: only `raw` describes it. A `flat` one was declared as Responses does it.
    """

    name: str
    description: str = ""
    schema: Json | None = None
    kind: str = "function"
    namespace: str = ""
    namespace_note: str = ""
    strict: bool | None = None
    grammar: Json | None = None
    deferred: bool = False
    cache: str = ""
    raw: Json | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`tools` are those a tool search found."""

    call_id: str
    parts: tuple[Part, ...]
    is_error: bool = False
    kind: str = "function"
    cache: str = ""
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolDecl:
    """Tools that arrive in the middle of a conversation, and the names of those that go."""

    tools: tuple[Tool, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page that was found, or read. `age` is in the words of whoever found it."""

    url: str
    title: str = ""
    text: str = ""
    age: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class HostedCall:
    """A call of a tool that is run on the way, and what came of it.

    `tool` is our word for it (`codecs.hosted`), `name` the client's; `query` is what was looked
    for, or the address that was to be read; `error` says in Anthropic's word why nothing came.
    """

    call_id: str
    tool: str
    name: str
    query: str
    pages: tuple[WebPage, ...] = ()
    error: str = ""


Item = Message | Reasoning | ToolCall | ToolResult | ToolDecl | Opaque


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`mode` is "", auto, none or required; `names`, if any, are the only tools callable."""

    mode: str = ""
    names: tuple[tuple[str, str], ...] = ()  # (namespace, name)
    parallel: bool | None = None


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """`kind` is text, json_object or json_schema."""

    kind: str = "text"
    name: str = ""
    schema: Json | None = None
    strict: bool | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Thinking:
    """How hard to think. `mode` is "", off, effort, budget, adaptive or between_tools.

    `effort` is none, minimal, low, medium, high, xhigh or max; `budget` counts tokens;
    `display` says what is shown of it: "", omitted, summarized, updates or full.
    """

    mode: str = ""
    effort: str = ""
    budget: int | None = None
    display: str = ""


UNSAID = Thinking()


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of which model. Fields we do not know are not here: they matter only to an
    upstream of the same dialect, and that one is sent the client's own bytes.
    """

    dialect: str
    model: str
    items: tuple[Item, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    output: OutputFormat = OutputFormat()
    verbosity: str = ""
    thinking: Thinking = Thinking()
    sampling: Sampling = Sampling()
    max_output_tokens: int | None = None
    stream: bool = False
    include_usage: bool = False
    cache_key: str = ""
    end_user: str = ""
    metadata: Json = field(default_factory=dict)
    compacts: bool = False  # the answer is a summary, in the place of what was said
