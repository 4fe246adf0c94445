"""Google: the Cloud Billing export of BigQuery (standard usage cost data), as CSV or JSON rows.

Gemini is told by SKU, project and hour: "Generate content output token count gemini 2.5 pro short
output text". Thinking is output. Costs are before credits, which are lines of their own; another
currency is turned to dollars at the export's rate.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.reconciliation.vendors.formats.report import (
    BadReport,
    Line,
    Report,
    count,
    day_of,
    nanos,
    summed,
)

COLUMNS = frozenset(("sku_description", "usage_start_time", "cost"))
_SERVICES = ("gemini api", "generative language api", "vertex ai", "cloud vertex ai api")


def is_export(row: Mapping[str, Any]) -> bool:
    return "usage_start_time" in row and "cost" in row


def export_csv(rows: Sequence[Mapping[str, str]]) -> Report:
    """Its rows as a spreadsheet: `sku.description` is `sku_description`. Raises BadReport."""
    return _report([_Row(row) for row in rows])


def export_rows(rows: Sequence[Mapping[str, Any]]) -> Report:
    """Its rows as BigQuery exports them in JSON, nested. Raises BadReport."""
    return _report([_Row(dict(_flat(row))) for row in rows])


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


class _Row:
    """One line of the export."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row
        self.sku = str(row.get("sku_description") or "")
        self.day: date = day_of(row["usage_start_time"], "usage_start_time")

    @property
    def is_gemini(self) -> bool:
        service = str(self.row.get("service_description") or "gemini api").lower()
        return service in _SERVICES

    def line(self) -> Line:
        bucket = _bucket(self.sku)
        usage = count(self.row, "usage_amount") if bucket else 0
        costs = {bucket or "other": self._dollars(self.row["cost"], "cost")}
        if credited := sum(self._dollars(a, "credits") for a in self._credits()):
            costs["other"] = costs.get("other", 0) + credited
        return Line(
            self.day,
            scope=str(self.row.get("project_id") or ""),
            model=_model(self.sku),
            tokens={bucket: usage} if bucket and bucket != "calls" else {},
            calls=usage if bucket == "calls" else 0,
            costs=costs,
        )

    def _credits(self) -> list[Any]:
        found = self.row.get("credits") or []
        if isinstance(found, str):
            try:
                found = json.loads(found, parse_float=Decimal)
            except ValueError:
                raise BadReport(
                    "%(name)s is %(value)s, not a list.", name="credits", value=repr(found[:80])
                ) from None
        return [credit.get("amount") or 0 for credit in found]

    def _dollars(self, value: Any, name: str) -> int:
        """The export's rate says how much of its currency a dollar is."""
        currency = str(self.row.get("currency") or "USD")
        if currency == "USD":
            return nanos(value, name)
        try:
            rate = Decimal(str(self.row["currency_conversion_rate"]))
            return nanos(value, name, unit=1 / rate)
        except (KeyError, InvalidOperation, ZeroDivisionError):
            raise BadReport(
                "It is in %(currency)s, and does not say at what rate.", currency=currency
            ) from None


def _report(rows: Sequence[_Row]) -> Report:
    lines = [row.line() for row in rows if row.is_gemini]
    if not lines:
        raise BadReport("None of its lines is of the Gemini API.")
    days = frozenset(row.day for row in rows)
    return Report("google", summed(lines), days, usage=True, costs=True)


def _bucket(sku: str) -> str:
    words = sku.lower().replace("_", " ")
    if "grounding" in words or "search" in words:
        return "calls"
    if "token" not in words or "storage" in words:
        return ""
    if "output" in words and "output token" in words:
        return "output"
    return "cache_read" if "cach" in words else "input" if "input" in words else ""


_MODEL = re.compile(
    r"gemini[ -]\d[\w.]*(?:[ -](?:pro|flash|lite|ultra|nano|image|preview))*", re.I
)


def _model(sku: str) -> str:
    """The model a SKU names, in the words of its id: gemini-2.5-pro."""
    found = _MODEL.search(sku)
    return re.sub(r"[ -]+", "-", found[0].lower()) if found else ""
