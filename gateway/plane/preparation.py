"""What a process beside the gateway does with a large request, and what of it comes back.

Reading, pricing and translating a body of hundreds of thousands of objects takes seconds, in which
the event loop would serve nobody; and in a thread it would keep the interpreter's lock for as long
as one call into C lasts. So the whole work is done elsewhere (preparer.py), by the same functions,
and what comes back is brief: what the answer's way needs, without the conversation.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import orjson

from gateway.catalogue.features.sift import Sifted
from gateway.catalogue.snapshot import Catalogue
from gateway.dialects.codecs.hosted import Helped
from gateway.dialects.ir import (
    Message,
    Request,
    Target,
    Thinking,
    Tool,
    ToolCall,
    ToolDecl,
    ToolReference,
    ToolResult,
)
from gateway.metering import estimates
from gateway.plane import adapters, client_dialects, inbound
from gateway.plane.adapters import Translation
from gateway.plane.callers import Caller
from gateway.plane.inbound import InboundRequest
from gateway.vendors import sessions
from gateway.vendors.manners import Named
from hontoni.errors import ApiError, BadRequest

Kind = Literal["paid", "counted", "estimated"]
Edit = tuple[str, tuple[Any, ...]]  # a method of a lane's, and what it was given

_MOST_MEMBER = 65_536  # bytes of JSON; of a longer member only its kind comes back
_MOST_STRINGS, _MOST_TOOLS = 100, 10_000
_PROMPTS = ("messages", "input", "prompt", "system", "contents")  # which no answer repeats


class Question(NamedTuple):
    """A request as it came; `dialect` is its path's, or the one its query names."""

    kind: Kind
    dialect: str
    body: bytes
    caller: Caller
    headers: Mapping[bytes, bytes]
    address: str
    available: frozenset[str]  # the models that can be asked here


class Understood(NamedTuple):
    """`request` with the name of its model and its dialect in their place, and no body."""

    request: InboundRequest
    dialect: str
    model: str
    session: bytes
    prompt_bytes: int


class Drawn(NamedTuple):
    """A lane. `answer` is what its last edit returned."""

    translated: bool
    dialect: str
    path: str
    body: bytes
    thinks: Thinking | None
    sifted: Sifted
    answer: Any
    urls: list[str]
    request: Request | None
    target: Target | None
    helped: Mapping[str, Helped]
    mentioned: frozenset[str]


class Unpermitted(ApiError):
    """The key may not ask this model, as far as the caller's snapshot says."""

    status = 403

    def __init__(self, model: str) -> None:
        super().__init__(model, code="model_not_allowed")


class _Here:
    """In place of the upstream: which models there are ways to."""

    def __init__(self, available: frozenset[str]) -> None:
        self._available = available

    def serves(self, model: Any, caller: Any) -> bool:
        return model.id in self._available


async def _permit(caller: Caller, address: str, model: str) -> Caller:
    raise Unpermitted(model)


async def understand(
    question: Question, parsed: dict[str, Any], catalogue: Catalogue
) -> InboundRequest:
    """The whole of it; `parsed` is its body. Raises ApiError, Unpermitted."""
    dialect = client_dialects.of(question.dialect, parsed, question.headers)
    if question.kind == "counted":
        dialect.check(parsed)
        parsed = {"max_tokens": 0, **parsed} if dialect.needs_limit else parsed
    here: Any = _Here(question.available)
    return await inbound.understand(
        dialect, question.body, parsed, question.caller, here, question.headers, question.address,
        known=catalogue, permit=_permit,
    )  # fmt: skip


def brief(request: InboundRequest, headers: Mapping[bytes, bytes]) -> Understood:
    """As it goes back. Raises BadRequest for more tools than anybody takes."""
    parsed = request.parsed
    if isinstance(tools := parsed.get("tools"), list) and len(tools) > _MOST_TOOLS:
        raise BadRequest(f"There may be at most {_MOST_TOOLS} tools.", param="tools")
    bare: Any = {"dialect": None, "model": None, "target": None, "body": b""}
    return Understood(
        request=request._replace(parsed=_shortened(parsed), **bare),
        dialect=request.dialect.name,
        model=request.model.id,
        session=sessions.key(parsed, headers, request.account),
        prompt_bytes=estimates.prompt_bytes(parsed),
    )


def draw(request: InboundRequest, named: Named, edits: tuple[Edit, ...]) -> Drawn:
    """The lane of a request under the name and in the dialect of a provider. Raises BadRequest."""
    lane = adapters.choose(request.at(named))
    answer = None
    for name, args in edits:
        answer = getattr(lane, name)(*args)
    translated = isinstance(lane, Translation)
    return Drawn(
        translated=translated,
        dialect=lane.dialect,
        path=lane.path,
        body=lane.body,
        thinks=lane.thinks,
        sifted=lane.sifted._replace(body={}),
        answer=answer,
        urls=lane.to_fetch() if isinstance(lane, Translation) else [],
        request=_bare(lane.request) if isinstance(lane, Translation) else None,
        target=lane.target if isinstance(lane, Translation) else None,
        helped=lane.helped if isinstance(lane, Translation) else {},
        mentioned=lane.mentioned if isinstance(lane, Translation) else frozenset(),
    )


def _shortened(parsed: dict[str, Any]) -> dict[str, Any]:
    """A body without what is long: what a member was, empty or not, can still be seen."""
    return {name: _short(name, value) for name, value in parsed.items()}


def _short(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value[:1] if name in _PROMPTS else value
    if not isinstance(value, list | dict) or len(orjson.dumps(value)) <= _MOST_MEMBER:
        return value
    if isinstance(value, dict):
        return {}
    return [each for each in value[:_MOST_STRINGS] if isinstance(each, str)] or [{}]


def _bare(request: Request) -> Request:
    """What reading the answer needs of it: which tools there are, and how they were called."""
    items: list[Any] = []
    called = set()
    for item in request.items:
        if isinstance(item, ToolCall) and (item.namespace, item.name) not in called:
            called.add((item.namespace, item.name))
            items.append(replace(item, call_id="", args="", carriers=()))
        elif isinstance(item, ToolDecl):
            items.append(ToolDecl(tuple(map(_named, item.tools))))
        elif isinstance(item, ToolResult | Message):
            parts = tuple(part for part in item.parts if isinstance(part, ToolReference))
            tools = item.tools if isinstance(item, ToolResult) else ()
            if parts or tools:
                items.append(ToolResult("", parts, tools=tuple(map(_named, tools))))
    return replace(request, items=tuple(items), tools=tuple(map(_named, request.tools)))


def _named(tool: Tool) -> Tool:
    return replace(tool, description="", schema=None if tool.schema is None else {})
