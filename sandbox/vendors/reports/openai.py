"""OpenAI's usage and costs: Unix seconds, dollars as numbers.

Each kind of usage has an address of its own, which groups by what it documents and nothing else.
What is billed by the token is among the completions as well; its pieces are counted all the same.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.vendors import chat as dialect
from sandbox.vendors.dialect import bearer, fresh
from sandbox.vendors.reports.ledger import Sum, sums
from sandbox.vendors.reports.pages import asked_days, groups, moment, page
from sandbox.vendors.vendors import VendorError

if TYPE_CHECKING:
    from sandbox.vendors.app import Sandbox

PROJECT = "proj_sandbox"
_GROUPS = ("project_id", "user_id", "api_key_id", "model")
_COST_GROUPS = ("project_id", "user_id", "line_item", "api_key_id", "api_source")


class Kind(NamedTuple):
    """A report of usage: `counter` is what it counts, `tool` whose calls these are."""

    name: str
    counter: str
    groups: tuple[str, ...] = _GROUPS
    tool: str = ""
    results: str = ""


KINDS = (
    Kind("completions", "", (*_GROUPS, "batch", "service_tier", "api_source")),
    Kind("embeddings", "input_tokens"),
    Kind("moderations", "input_tokens"),
    Kind("images", "images", (*_GROUPS, "size", "source")),
    Kind("audio_speeches", "characters"),
    Kind("audio_transcriptions", "seconds"),
    Kind(
        *("web_search_calls", "num_requests", (*_GROUPS, "context_level", "api_source")),
        *("web_search_call", "web_searches"),
    ),
    Kind(
        *("file_search_calls", "num_requests", (*_GROUPS[:3], "vector_store_id")),
        *("file_search_call", "file_searches"),
    ),
    Kind("code_interpreter_sessions", "num_sessions", ("project_id",), "code_interpreter_call"),
)
_IN_TOKENS_TOO = ("images", "audio_transcriptions")
_PIECES = {"images": "images", "audio_speeches": "characters", "audio_transcriptions": "seconds"}
# As the costs call them, and dollars a call.
_TOOLS = {
    "web_search_call": ("web search tool calls", Decimal("0.01")),
    "file_search_call": ("file search tool calls", Decimal("0.0025")),
    "code_interpreter_call": ("code interpreter sessions", Decimal("0.03")),
}
_WORDS = {
    "input": "input",
    "cache_read": "cached input",
    "output": "output",
    "cache_write_5m": "input",
    "cache_write_1h": "input",
}


async def usage(sandbox: "Sandbox", kind: Kind, request: Request) -> JSONResponse:
    return _answer(sandbox, request, kind.groups, 31, partial(_usage_results, kind))


async def costs(sandbox: "Sandbox", request: Request) -> JSONResponse:
    return _answer(sandbox, request, _COST_GROUPS, 180, _cost_results)


def _answer(
    sandbox: "Sandbox",
    request: Request,
    allowed: tuple[str, ...],
    most: int,
    results: Callable[[list[Sum], list[str]], list[dict[str, Any]]],
) -> JSONResponse:
    try:
        if not bearer(request.headers).startswith("sk-admin-"):
            raise VendorError("Missing scopes: api.usage.read. Use an admin key.", status=401)
        asked = request.query_params
        if asked.get("bucket_width", "1d") != "1d":
            raise VendorError("bucket_width: only 1d is served here", param="bucket_width")
        by, ends = groups(request, "group_by", allowed), asked.get("end_time")
        days = asked_days(
            moment(asked.get("start_time"), "start_time"),
            moment(ends, "end_time") if ends else None,
        )
        found = sums(sandbox.meter.bills, "openai")

        def bucket(day: date) -> dict[str, Any]:
            return {
                "object": "bucket",
                "start_time": _seconds(day),
                "end_time": _seconds(day + timedelta(days=1)),
                "results": results(found.get(day, []), by),
            }

        return JSONResponse({"object": "page", **page(request, days, most, bucket)})
    except VendorError as error:
        return JSONResponse(dialect.error(error, fresh("req_")), error.status)


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _usage_results(kind: Kind, found: list[Sum], by: list[str]) -> list[dict[str, Any]]:
    """What is not grouped by is null, and summed."""
    grouped: dict[tuple[str | None, ...], list[Sum]] = {}
    for each in found:
        if _is_of(kind, each):
            names = tuple(_named(each, group) if group in by else None for group in kind.groups)
            grouped.setdefault(names, []).append(each)
    return [
        {
            "object": f"organization.usage.{kind.results or kind.name}.result",
            **_counted(kind, members),
            **dict(zip(kind.groups, names, strict=True)),
        }
        for names, members in grouped.items()
    ]


def _is_of(kind: Kind, each: Sum) -> bool:
    if kind.tool:
        return each.tools[kind.tool] > 0
    in_tokens_too = each.kind in _IN_TOKENS_TOO and any(each.tokens.values())
    return each.kind == kind.name or kind.name == "completions" and in_tokens_too


def _named(each: Sum, group: str) -> str | None:
    named = {"project_id": PROJECT, "api_key_id": each.key, "model": each.model}
    return (named | {"size": each.size or None, "source": "image.generation"}).get(group)


def _counted(kind: Kind, members: list[Sum]) -> dict[str, int]:
    requests = {"num_model_requests": sum(each.requests for each in members)}
    if kind.tool:
        calls = {kind.counter: sum(each.tools[kind.tool] for each in members)}
        return calls | (requests if "model" in kind.groups else {})
    if kind.name in _PIECES:
        return {kind.counter: sum(each.pieces for each in members)} | requests

    def of(bucket: str) -> int:
        return sum(each.tokens[bucket] for each in members)

    cached = of("cache_read")
    whole = of("input") + cached + of("cache_write_5m") + of("cache_write_1h")
    if kind.counter:
        return {kind.counter: whole} | requests
    return {
        "input_tokens": whole,
        "output_tokens": of("output"),
        "input_cached_tokens": cached,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
    } | requests


def _cost_results(found: list[Sum], by: list[str]) -> list[dict[str, Any]]:
    lines: dict[str | None, Decimal] = {}

    def add(item: str, dollars: Decimal) -> None:
        name = item if "line_item" in by else None
        lines[name] = lines.get(name, Decimal(0)) + dollars

    for each in found:
        for bucket, dollars in each.dollars.items():
            if dollars:
                add(f"{each.model}, {_WORDS[bucket]}", dollars)
        if each.of_pieces:
            add(f"{each.model}, {_PIECES[each.kind]}", each.of_pieces)
        for tool, times in each.tools.items():
            if tool in _TOOLS:
                item, call = _TOOLS[tool]
                add(item, times * call)
    return [
        {
            "object": "organization.costs.result",
            "amount": {"value": float(dollars), "currency": "usd"},
            "line_item": item,
            "project_id": PROJECT if "project_id" in by else None,
        }
        for item, dollars in lines.items()
    ]
