"""Anthropic's usage and cost reports: RFC 3339 moments, cents as decimal text."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.vendors import anthropic as dialect
from sandbox.vendors.dialect import fresh
from sandbox.vendors.reports.ledger import BUCKETS, CALL, Sum, sums
from sandbox.vendors.reports.pages import asked_days, groups, moment, page
from sandbox.vendors.vendors import VendorError

if TYPE_CHECKING:
    from sandbox.vendors.app import Sandbox

_USAGE_GROUPS = (
    *("account_id", "api_key_id", "context_window", "inference_geo", "model"),
    *("service_account_id", "service_tier", "speed", "workspace_id"),
)
_COST_GROUPS = ("description", "workspace_id")
_TOKEN_TYPES = {
    "input": "uncached_input_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
    "output": "output_tokens",
}

Results = Callable[[list[Sum], list[str]], list[dict[str, Any]]]


async def usage(sandbox: "Sandbox", request: Request) -> JSONResponse:
    return _answer(sandbox, request, _USAGE_GROUPS, _usage_results)


async def costs(sandbox: "Sandbox", request: Request) -> JSONResponse:
    return _answer(sandbox, request, _COST_GROUPS, _cost_results)


def _answer(
    sandbox: "Sandbox", request: Request, allowed: tuple[str, ...], results: Results
) -> JSONResponse:
    try:
        _authenticate(request)
        asked = request.query_params
        if asked.get("bucket_width", "1d") != "1d":
            raise VendorError("bucket_width: only 1d is served here")
        by = groups(request, "group_by", allowed)
        ends = asked.get("ending_at")
        days = asked_days(
            moment(asked.get("starting_at"), "starting_at"),
            moment(ends, "ending_at") if ends else None,
        )
        found = sums(sandbox.meter.bills, "anthropic")

        def bucket(day: date) -> dict[str, Any]:
            return {
                "starting_at": f"{day}T00:00:00Z",
                "ending_at": f"{day + timedelta(days=1)}T00:00:00Z",
                "results": results(found.get(day, []), by),
            }

        return JSONResponse(page(request, days, 31, bucket))
    except VendorError as error:
        return JSONResponse(dialect.error(error, fresh("req_")), error.status)


def _authenticate(request: Request) -> None:
    key = dialect.authenticate(request.headers, request.query_params)
    if not key.startswith("sk-ant-admin"):
        raise VendorError("invalid x-api-key: an Admin API key is required", status=401)


def _usage_results(found: list[Sum], by: list[str]) -> list[dict[str, Any]]:
    """What is not grouped by is null, and summed."""
    groups: dict[tuple[str | None, str | None], list[Sum]] = {}
    for each in found:
        name = (
            each.key if "api_key_id" in by else None,
            each.model if "model" in by else None,
        )
        groups.setdefault(name, []).append(each)
    return [_usage_result(key, model, members) for (key, model), members in groups.items()]


def _usage_result(key: str | None, model: str | None, members: list[Sum]) -> dict[str, Any]:
    tokens = {bucket: sum(each.tokens[bucket] for each in members) for bucket in BUCKETS}
    return {
        "uncached_input_tokens": tokens["input"],
        "cache_creation": {
            "ephemeral_1h_input_tokens": tokens["cache_write_1h"],
            "ephemeral_5m_input_tokens": tokens["cache_write_5m"],
        },
        "cache_read_input_tokens": tokens["cache_read"],
        "output_tokens": tokens["output"],
        "server_tool_use": {"web_search_requests": sum(each.calls for each in members)},
        "account_id": None,
        "api_key_id": key,
        "context_window": None,
        "inference_geo": None,
        "model": model,
        "service_account_id": None,
        "service_tier": None,
        "workspace_id": None,
    }


def _cost_results(found: list[Sum], by: list[str]) -> list[dict[str, Any]]:
    """By description: a line for each model and type of token, and one for searches."""
    if "description" not in by:
        whole = sum(
            (sum(s.dollars.values(), Decimal(0)) + s.calls * CALL for s in found), Decimal(0)
        )
        return [_cost(None, None, None, whole)] if found else []
    lines: dict[tuple[str, str], Decimal] = {}
    for each in found:
        for bucket, dollars in each.dollars.items():
            if dollars:
                place = (each.model, bucket)
                lines[place] = lines.get(place, Decimal(0)) + dollars
    results = [
        _cost(model, "tokens", _TOKEN_TYPES[bucket], dollars)
        for (model, bucket), dollars in lines.items()
    ]
    if calls := sum(each.calls for each in found):
        results.append(_cost(None, "web_search", None, calls * CALL))
    return results


def _cost(
    model: str | None, cost_type: str | None, token_type: str | None, dollars: Decimal
) -> dict[str, Any]:
    described = f"{model} Usage - {token_type}" if model else "Web Search Usage"
    return {
        "currency": "USD",
        "amount": format(dollars * 100, "f"),
        "workspace_id": None,
        "description": described if cost_type else None,
        "cost_type": cost_type,
        "context_window": "0-200k" if model else None,
        "inference_geo": None,
        "model": model,
        "service_tier": "standard" if model else None,
        "token_type": token_type,
    }
