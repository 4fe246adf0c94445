"""The vendors' reports, read. Pure: bytes in, lines out, and a clear error for anything else.

A report is what a vendor's address answers (`{"data": […]}`, one page or a list of all of them),
or a CSV file of its console. Which one it is shows in its members or in its header.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gateway.reconciliation.vendors.formats import anthropic, google, openai
from gateway.reconciliation.vendors.formats.report import BadReport, Line, Report

__all__ = ["BadReport", "Line", "Report", "exact", "read", "read_pages"]

Row = Mapping[str, str]
_CSV: tuple[tuple[frozenset[str], Callable[[Sequence[Row]], Report]], ...] = (
    (anthropic.USAGE_COLUMNS, anthropic.usage_csv),
    (anthropic.COST_COLUMNS, anthropic.costs_csv),
    *openai.CSV,
    (google.COLUMNS, google.export_csv),
)


def read(data: bytes) -> Report:
    """A file's report. Raises BadReport."""
    try:
        text = data.decode("utf-8-sig").strip("\r\n ")  # a tab ends an empty column
    except UnicodeDecodeError:
        raise BadReport("It is not text in UTF-8.") from None
    if not text:
        raise BadReport("It is empty.")
    try:
        report = read_pages(_json(text)) if text[0] in "{[" else _csv(text)
    except (ArithmeticError, RecursionError, csv.Error) as error:
        raise BadReport("It has what no report has: %(what)s.", what=error) from None
    if any("\x00" in name for line in report.lines for name in line.identity[:3]):
        raise BadReport("It names something with a NUL character.")
    return report


def exact(data: bytes) -> Any:
    """JSON whose amounts keep every digit. Raises ValueError."""
    return json.loads(data, parse_float=Decimal)


def _json(text: str) -> list[Any]:
    """One value, a list of them, or one a line."""
    try:
        whole = json.loads(text, parse_float=Decimal)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line, parse_float=Decimal) for line in lines]
        except ValueError as error:
            raise BadReport("It is not JSON: %(why)s.", why=error) from None
    return whole if isinstance(whole, list) else [whole]


def read_pages(pages: Sequence[Any]) -> Report:
    """All pages of one report, as its address answers them. Raises BadReport."""
    if not pages or not all(isinstance(page, dict) for page in pages):
        raise BadReport("It is not a report of a vendor's: pages are objects.")
    if google.is_export(pages[0]):
        return google.export_rows(pages)
    if pages[-1].get("has_more"):
        raise BadReport(
            "It goes on at page %(page)s: give all pages of a report at once, as a list.",
            page=repr(pages[-1].get("next_page")),
        )
    buckets = [bucket for page in pages for bucket in _buckets(page)]
    if not buckets:
        raise BadReport("It has no days.")
    if anthropic.recognises(buckets):
        return anthropic.read(buckets)
    if openai.recognises(buckets):
        return openai.read(buckets)
    raise BadReport("It is not a report that Anthropic or OpenAI document.")


def _buckets(page: Mapping[str, Any]) -> list[Any]:
    buckets = page.get("data")
    if not isinstance(buckets, list) or not all(isinstance(bucket, dict) for bucket in buckets):
        raise BadReport("A page has no list of days under `data`.")
    for bucket in buckets:
        results = bucket.get("results")
        if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
            raise BadReport("A day has no list under `results`.")
    return buckets


def _csv(text: str) -> Report:
    lines = text.splitlines()
    delimiter = "\t" if "\t" in lines[0] else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    columns = frozenset(name.strip() for name in reader.fieldnames or ())
    for needed, reads in _CSV:
        if needed <= columns:
            rows = [_row(row, n) for n, row in enumerate(reader, 2)]
            if not rows:
                raise BadReport("It has a header and no rows.")
            return reads(rows)
    raise BadReport(
        "Its first line is not the header of an export that Anthropic, OpenAI or Google make: "
        "%(line)s.",
        line=repr(lines[0][:200]),
    )


def _row(row: dict[Any, Any], number: int) -> Row:
    if None in row or None in row.values():
        raise BadReport(
            "Line %(number)s does not have as many columns as the header.", number=number
        )
    return {name.strip(): value.strip() for name, value in row.items()}
