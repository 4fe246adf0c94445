"""OpenAI's usage and costs: Unix seconds, dollars as numbers."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.vendors import chat as dialect
from sandbox.vendors.dialect import bearer, fresh
from sandbox.vendors.reports.ledger import CALL, Sum, sums
from sandbox.vendors.reports.pages import asked_days, groups, moment, page
from sandbox.vendors.vendors import VendorError

if TYPE_CHECKING:
    from sandbox.vendors.app import Sandbox

PROJECT = "proj_sandbox"
_USAGE_GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
_COST_GROUPS = ("project_id", "line_item")
_WORDS = {
    "input": "input",
    "cache_read": "cached input",
    "output": "output",
    "cache_write_5m": "input",
    "cache_write_1h": "input",
}


async def usage(sandbox: "Sandbox", request: Request) -> JSONResponse:
    return _answer(sandbox, request, _USAGE_GROUPS, 31)


async def costs(sandbox: "Sandbox", request: Request) -> JSONResponse:
    return _answer(sandbox, request, _COST_GROUPS, 180)


def _answer(
    sandbox: "Sandbox", request: Request, allowed: tuple[str, ...], most: int
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
        results = _usage_results if allowed is _USAGE_GROUPS else _cost_results

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


def _usage_results(found: list[Sum], by: list[str]) -> list[dict[str, Any]]:
    """What is not grouped by is null, and summed."""
    grouped: dict[tuple[str | None, str | None], list[Sum]] = {}
    for each in found:
        name = (each.key if "api_key_id" in by else None, each.model if "model" in by else None)
        grouped.setdefault(name, []).append(each)
    return [_usage_result(*name, members, by) for name, members in grouped.items()]


def _usage_result(
    key: str | None, model: str | None, members: list[Sum], by: list[str]
) -> dict[str, Any]:
    def of(bucket: str) -> int:
        return sum(each.tokens[bucket] for each in members)

    cached = of("cache_read")
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": of("input") + cached + of("cache_write_5m") + of("cache_write_1h"),
        "output_tokens": of("output"),
        "input_cached_tokens": cached,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "num_model_requests": sum(each.requests for each in members),
        "project_id": PROJECT if "project_id" in by else None,
        "user_id": None,
        "api_key_id": key,
        "model": model,
        "batch": None,
        "service_tier": None,
    }


def _cost_results(found: list[Sum], by: list[str]) -> list[dict[str, Any]]:
    lines: dict[str | None, Decimal] = {}

    def add(item: str, dollars: Decimal) -> None:
        name = item if "line_item" in by else None
        lines[name] = lines.get(name, Decimal(0)) + dollars

    for each in found:
        for bucket, dollars in each.dollars.items():
            if dollars:
                add(f"{each.model}, {_WORDS[bucket]}", dollars)
        if each.calls:
            add("web search tool calls", each.calls * CALL)
    return [
        {
            "object": "organization.costs.result",
            "amount": {"value": float(dollars), "currency": "usd"},
            "line_item": item,
            "project_id": PROJECT if "project_id" in by else None,
        }
        for item, dollars in lines.items()
    ]
