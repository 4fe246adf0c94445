"""A request, whatever dialect it came in: what the planner needs of it, and no more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.vendors.usage import Piece

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it arrived. Header names are lower-case; `counting`: only tokens are asked."""

    body: Json
    headers: Mapping[str, str]
    model: str
    counting: bool = False
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the history."""

    user: bool
    text: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer. A custom tool takes text in place of JSON."""

    name: str
    schema: Json = field(default_factory=dict)
    custom: bool = False
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of the model.

    `forced` is None where the model is free to call a tool or not, otherwise the names it must
    choose from. `limit` is in tokens. `thinks`: the request lets the model reason first, at most
    `budget` tokens, and `shows` that its thoughts are seen. `hosted`: the tools that the vendor
    runs, and how often at most. `advisor`: the model that may be asked for advice. `compacts`:
    the history may be summarised first. `choices` answers are asked for.
    """

    model: str
    history: tuple[Said, ...]
    prompt: tuple[Piece, ...]
    tools: tuple[Tool, ...] = ()
    forced: tuple[str, ...] | None = None
    parallel: bool = True
    schema: Json | None = None
    limit: int | None = None
    stops: tuple[str, ...] = ()
    thinks: bool = False
    shows: bool = False
    budget: int | None = None
    hosted: Mapping[str, int] = field(default_factory=dict)
    advisor: str = ""
    compacts: bool = False
    choices: int = 1
    stream: bool = False
    scope: str = ""


def objects(value: object) -> list[Json]:
    """The objects of a list. Whatever else is there is for the lint to refuse."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(value: object) -> Json:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def strings(value: object) -> tuple[str, ...]:
    """A string or a list of strings, as a tuple."""
    if isinstance(value, str):
        return (value,)
    return tuple(s for s in value if isinstance(s, str)) if isinstance(value, list) else ()


def walk(value: object) -> Iterator[Json]:
    """Every object inside a JSON value, the outermost first."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child)
