"""OpenAI: the reports of /v1/organization/usage and /v1/organization/costs, and their exports.

Usage comes in a report for each kind, in the unit of that kind: tokens, pictures, characters,
seconds, calls of hosted tools. Input includes what was read from the cache, output includes
reasoning. Usage is told by key and project, costs by project and line item: "gpt-4o-2024-08-06,
cached input".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
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

COST_COLUMNS = frozenset(("start_time", "amount_value", "line_item"))
_COSTS = "organization.costs.result"
_TOKENS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_KEYS = ("project_id", "api_key_id")


@dataclass(frozen=True, slots=True)
class Usage:
    """One kind of usage: /v1/organization/usage/`name` counts it in `counter`.

    `units` are the columns of a bill that it tells; `pieces` are pictures, characters, seconds.
    """

    name: str
    counter: str
    groups: tuple[str, ...] = (*_KEYS, "model")
    results: str = ""
    units: tuple[str, ...] = ("calls",)
    pieces: bool = False

    @property
    def object(self) -> str:
        return f"organization.usage.{self.results or self.name}.result"

    @property
    def columns(self) -> frozenset[str]:
        """Of its export."""
        of_tokens = ("output_tokens",) if self.name == "completions" else ()
        requests = ("num_model_requests",) if "model" in self.groups else ()
        return frozenset(("start_time", self.counter, *requests, *of_tokens))


# Stored vectors are not among them: nothing of ours keeps any with the vendor. The order is that
# in which the header of an export is recognised: the one that says most first.
USAGE = (
    Usage("completions", "input_tokens", units=_TOKENS),
    Usage("images", "images", pieces=True),
    Usage("audio_speeches", "characters", pieces=True),
    Usage("audio_transcriptions", "seconds", pieces=True),
    Usage("web_search_calls", "num_requests", results="web_searches"),
    Usage("file_search_calls", "num_requests", groups=_KEYS, results="file_searches"),
    Usage("code_interpreter_sessions", "num_sessions", groups=("project_id",)),
    Usage("embeddings", "input_tokens", units=_TOKENS),
    Usage("moderations", "input_tokens", units=_TOKENS),
)
_BY_OBJECT = {kind.object: kind for kind in USAGE}


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
    if len(kinds) != 1 or not kinds <= {_COSTS, *_BY_OBJECT}:
        raise BadReport(
            "Its results are not of one kind that bills: %(kinds)s.",
            kinds=", ".join(sorted(kinds)),
        )
    kind = _BY_OBJECT.get(kinds.pop())
    lines = [_line(kind, day, row) if kind else _cost(day, row) for day, row in results]
    return _report(kind, lines, days) if kind else _of_costs(lines, days)


def _report(kind: Usage, lines: Iterable[Line], days: Iterable[date]) -> Report:
    found = Report("openai", summed(lines), frozenset(days), usage=True, units=kind.units)
    return replace(found, part="" if kind is USAGE[0] else kind.name)


def _of_costs(lines: Iterable[Line], days: Iterable[date]) -> Report:
    return Report("openai", summed(lines), frozenset(days), costs=True)


def together(reports: Mapping[str, Report]) -> Report:
    """The reports of all kinds, by their names, as one of all usage.

    What is billed by the token is counted twice, by its pictures or seconds as well: then the
    tokens stand, and its requests are those of one report.
    """
    found: list[Line] = []
    in_tokens: set[Any] = set()
    for kind in sorted(USAGE, key=lambda kind: kind.pieces):  # the pieces last
        lines = reports[kind.name].lines
        if kind.pieces:
            lines = [line for line in lines if line.identity not in in_tokens]
        elif kind.units == _TOKENS:
            in_tokens |= {line.identity for line in lines}
        found += lines
    days = frozenset(day for report in reports.values() for day in report.days)
    return Report("openai", summed(found), days, usage=True)


def _line(kind: Usage, day: date, row: Mapping[str, Any]) -> Line:
    if "model" in kind.groups and not row.get("model"):
        raise BadReport("A result has no model: group by model.")
    if kind.counter not in row:
        raise BadReport("A result has no %(name)s.", name=kind.counter)
    counted = count(row, kind.counter)
    found = Line(
        day,
        scope=row.get("project_id") or "",
        key=row.get("api_key_id") or "",
        model=row.get("model") or "",
    )
    if kind.units == _TOKENS:
        found.tokens = _tokens(counted, row)
    else:
        found.calls = counted
    if kind.pieces or kind.units == _TOKENS:
        found.requests = count(row, "num_model_requests")
    return found


def _tokens(whole: int, row: Mapping[str, Any]) -> dict[str, int]:
    cached = count(row, "input_cached_tokens")
    if cached > whole:
        raise BadReport(
            "Of %(whole)s input tokens %(cached)s are from the cache.", whole=whole, cached=cached
        )
    return {
        "input": whole - cached,
        "cache_read": cached,
        "output": count(row, "output_tokens"),
    }


def _cost(day: date, row: Mapping[str, Any]) -> Line:
    amount = row.get("amount")
    if not isinstance(amount, Mapping) or "value" not in amount:
        raise BadReport("A result has no amount.")
    dollars_only(amount.get("currency"))
    return _priced(day, row, nanos(amount["value"], "amount.value"))


def _priced(day: date, row: Mapping[str, Any], cost: int) -> Line:
    model, _, what = str(row.get("line_item") or "").partition(", ")
    known = _bucket(what)
    # A tool is named in words: "web search tool calls". A model, alone or before a comma, has an
    # id without spaces.
    of_model = bool(known) or " " not in model
    what_for = known or ("calls" if not of_model and _TOOLS & set(model.lower().split()) else "")
    return Line(
        day,
        scope=row.get("project_id") or "",
        key=row.get("api_key_id") or "",
        model=model if of_model else "",
        costs={what_for or "other": cost},
    )


_TOOLS = frozenset(("call", "calls", "session", "sessions"))


def _bucket(what: str) -> str:
    words = what.lower().replace("_", " ")
    if "output" in words:
        return "output"
    if "input" not in words:
        return ""
    return "cache_read" if "cached" in words else "input"


def usage_csv(kind: Usage, rows: Sequence[Mapping[str, str]]) -> Report:
    """The export of one kind of usage. Days without usage are rows without a model. Raises
    BadReport."""
    days = [whole_day(row["start_time"], row.get("end_time")) for row in rows]
    lines = [
        _line(kind, day, row)
        for day, row in zip(days, rows, strict=True)
        if row.get("model") or count(row, kind.counter) or count(row, "output_tokens")
    ]
    return _report(kind, lines, days)


def costs_csv(rows: Sequence[Mapping[str, str]]) -> Report:
    """The export of costs. Days without costs are rows without an amount. Raises BadReport."""
    days = [whole_day(row["start_time"], row.get("end_time")) for row in rows]
    lines = []
    for day, row in zip(days, rows, strict=True):
        if row["amount_value"]:
            dollars_only(row.get("amount_currency"))
            lines.append(_priced(day, row, nanos(row["amount_value"], "amount_value")))
    return _of_costs(lines, days)


CSV: tuple[tuple[frozenset[str], Callable[[Sequence[Mapping[str, str]]], Report]], ...] = (
    *((kind.columns, partial(usage_csv, kind)) for kind in USAGE),
    (COST_COLUMNS, costs_csv),
)
