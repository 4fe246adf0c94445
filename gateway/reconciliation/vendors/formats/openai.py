"""OpenAI: /v1/organization/usage/completions and /v1/organization/costs, and the exports of both.

Input includes what was read from the cache, output includes reasoning. Usage is told by key and
project, costs by project and line item: "gpt-4o-2024-08-06, cached input".
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from gateway.reconciliation.vendors.formats.report import (
    BadReport,
    Line,
    Report,
    count,
    dollars_only,
    nanos,
    summed,
    whole_day,
)

USAGE_COLUMNS = frozenset(("start_time", "num_model_requests", "input_tokens", "output_tokens"))
COST_COLUMNS = frozenset(("start_time", "amount_value", "line_item"))


def recognises(buckets: Sequence[Mapping[str, Any]]) -> bool:
    return all("start_time" in bucket for bucket in buckets)


def read(buckets: Sequence[Mapping[str, Any]]) -> Report:
    """The days of a usage or cost report. Raises BadReport."""
    days = [whole_day(bucket["start_time"], bucket.get("end_time")) for bucket in buckets]
    results = [
        (day, result)
        for day, bucket in zip(days, buckets, strict=True)
        for result in bucket["results"]
    ]
    kinds = {str(result.get("object")) for _, result in results}
    reads = {"organization.usage.completions.result": _usage, "organization.costs.result": _cost}
    if len(kinds) != 1 or not kinds <= reads.keys():
        raise BadReport(
            "Its results are not of one kind that bills: %(kinds)s.",
            kinds=", ".join(sorted(kinds)),
        )
    kind = kinds.pop()
    lines = [reads[kind](day, result) for day, result in results]
    costs = kind == "organization.costs.result"
    return Report("openai", summed(lines), frozenset(days), usage=not costs, costs=costs)


def _usage(day: date, row: Mapping[str, Any]) -> Line:
    whole, cached = count(row, "input_tokens"), count(row, "input_cached_tokens")
    if cached > whole:
        raise BadReport(
            "Of %(whole)s input tokens %(cached)s are from the cache.", whole=whole, cached=cached
        )
    if not row.get("model"):
        raise BadReport("A result has no model: group by model.")
    return Line(
        day,
        scope=row.get("project_id") or "",
        key=row.get("api_key_id") or "",
        model=row["model"],
        tokens={
            "input": whole - cached,
            "cache_read": cached,
            "output": count(row, "output_tokens"),
        },
        requests=count(row, "num_model_requests"),
    )


def _cost(day: date, row: Mapping[str, Any]) -> Line:
    amount = row.get("amount")
    if not isinstance(amount, Mapping) or "value" not in amount:
        raise BadReport("A result has no amount.")
    dollars_only(amount.get("currency"))
    return _priced(day, row, nanos(amount["value"], "amount.value"))


def _priced(day: date, row: Mapping[str, Any], cost: int) -> Line:
    model, _, what = str(row.get("line_item") or "").partition(", ")
    known = _bucket(what)
    # Without tokens of a model the line item is a tool's: "web search tool calls".
    return Line(
        day,
        scope=row.get("project_id") or "",
        key=row.get("api_key_id") or "",
        model=model if known else "",
        costs={known or ("calls" if "call" in model.lower() else "other"): cost},
    )


def _bucket(what: str) -> str:
    words = what.lower().replace("_", " ")
    if "output" in words:
        return "output"
    if "input" not in words:
        return ""
    return "cache_read" if "cached" in words else "input"


def usage_csv(rows: Sequence[Mapping[str, str]]) -> Report:
    """The export of usage. Days without usage are rows without a model. Raises BadReport."""
    days = [whole_day(row["start_time"], row.get("end_time")) for row in rows]
    lines = [
        _usage(day, row)
        for day, row in zip(days, rows, strict=True)
        if row.get("model") or count(row, "input_tokens") or count(row, "output_tokens")
    ]
    return Report("openai", summed(lines), frozenset(days), usage=True)


def costs_csv(rows: Sequence[Mapping[str, str]]) -> Report:
    """The export of costs. Days without costs are rows without an amount. Raises BadReport."""
    days = [whole_day(row["start_time"], row.get("end_time")) for row in rows]
    lines = []
    for day, row in zip(days, rows, strict=True):
        if row["amount_value"]:
            dollars_only(row.get("amount_currency"))
            lines.append(_priced(day, row, nanos(row["amount_value"], "amount_value")))
    return Report("openai", summed(lines), frozenset(days), costs=True)
