"""Anthropic: /v1/organizations/usage_report/messages and /cost_report, and the console's CSV.

Usage is told by API key and workspace, costs by workspace (the CSV has the key's id too). Amounts
are cents, as decimal text: "123.78912" is $1.2378912. Code execution and sessions are in the
costs only; the costs of the priority tier are in neither.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from gateway.reconciliation.vendors.formats.report import (
    BadReport,
    Line,
    Report,
    count,
    day_of,
    dollars_only,
    nanos,
    summed,
    whole_day,
)

_CENT = Decimal("0.01")
_TOKEN_TYPES = {
    "uncached_input_tokens": "input",
    "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "output_tokens": "output",
    # As the console's CSV calls them.
    "input_no_cache": "input",
    "input_cache_read": "cache_read",
    "input_cache_write_5m": "cache_write_5m",
    "input_cache_write_1h": "cache_write_1h",
    "output": "output",
}
_CALLS = ("web_search", "web_fetch", "tool_search")

USAGE_COLUMNS = frozenset(("usage_date_utc", "model_version", "usage_output_tokens"))
COST_COLUMNS = frozenset(("usage_date_utc", "model", "token_type", "cost_usd"))


def recognises(buckets: Sequence[Mapping[str, Any]]) -> bool:
    return all("starting_at" in bucket for bucket in buckets)


def read(buckets: Sequence[Mapping[str, Any]]) -> Report:
    """The days of a usage or cost report. Raises BadReport."""
    days = [whole_day(bucket["starting_at"], bucket.get("ending_at")) for bucket in buckets]
    results = [
        (day, result)
        for day, bucket in zip(days, buckets, strict=True)
        for result in bucket["results"]
    ]
    costs = any("amount" in result for _, result in results)
    if results and not costs and "output_tokens" not in results[0][1]:
        raise BadReport("Its results are neither usage nor costs.")
    reads = _cost if costs else _usage
    lines = [reads(day, result) for day, result in results]
    if not results:
        raise BadReport("No day has results: it does not show whether it is of usage or of costs.")
    return Report("anthropic", summed(lines), frozenset(days), usage=not costs, costs=costs)


def _usage(day: Any, result: Mapping[str, Any]) -> Line:
    written = result.get("cache_creation") or {}
    if "output_tokens" not in result or not result.get("model"):
        raise BadReport("A result has no model, or no output_tokens: group by model.")
    used = result.get("server_tool_use") or {}
    return Line(
        day,
        scope=result.get("workspace_id") or "",
        key=result.get("api_key_id") or "",
        model=result["model"],
        tokens={
            "input": count(result, "uncached_input_tokens"),
            "cache_read": count(result, "cache_read_input_tokens"),
            "cache_write_5m": count(written, "ephemeral_5m_input_tokens"),
            "cache_write_1h": count(written, "ephemeral_1h_input_tokens"),
            "output": count(result, "output_tokens"),
        },
        calls=sum(count(used, name) for name in used),
    )


def _cost(day: Any, result: Mapping[str, Any]) -> Line:
    if "amount" not in result:
        raise BadReport("A result has no amount.")
    dollars_only(result.get("currency"))
    return Line(
        day,
        scope=result.get("workspace_id") or "",
        model=result.get("model") or "",
        costs={_for(result): nanos(result["amount"], "amount", unit=_CENT)},
    )


def _for(row: Mapping[str, Any]) -> str:
    """What an amount is for."""
    kind = str(row.get("token_type") or "")
    if kind in _TOKEN_TYPES:
        return _TOKEN_TYPES[kind]
    return "calls" if row.get("cost_type") in _CALLS else "other"


def usage_csv(rows: Sequence[Mapping[str, str]]) -> Report:
    """The console's export of usage. Raises BadReport."""
    lines = [
        Line(
            day_of(row["usage_date_utc"], "usage_date_utc"),
            scope=row.get("workspace", ""),
            key=row.get("api_key_id") or row.get("api_key", ""),
            model=row["model_version"],
            tokens={
                "input": count(row, "usage_input_tokens_no_cache"),
                "cache_read": count(row, "usage_input_tokens_cache_read"),
                "cache_write_5m": count(row, "usage_input_tokens_cache_write_5m"),
                "cache_write_1h": count(row, "usage_input_tokens_cache_write_1h"),
                "output": count(row, "usage_output_tokens"),
            },
            calls=count(row, "web_search_count"),
        )
        for row in rows
    ]
    return Report("anthropic", summed(lines), frozenset(line.day for line in lines), usage=True)


def costs_csv(rows: Sequence[Mapping[str, str]]) -> Report:
    """The console's export of costs. Raises BadReport."""
    lines = [
        Line(
            day_of(row["usage_date_utc"], "usage_date_utc"),
            scope=row.get("workspace", ""),
            key=row.get("api_key_id") or row.get("api_key", ""),
            model=row["model"],
            costs={_for(row): nanos(row["cost_usd"], "cost_usd")},
        )
        for row in rows
    ]
    return Report("anthropic", summed(lines), frozenset(line.day for line in lines), costs=True)
