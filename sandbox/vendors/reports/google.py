"""Google's billing export in BigQuery: a token for a signed statement, a query, pages of rows.

The query is not understood beyond its days: its answer is what the export would have.
"""

import base64
import binascii
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.vendors.dialect import bearer
from sandbox.vendors.reports.ledger import BUCKETS, CALL, Sum, sums

if TYPE_CHECKING:
    from sandbox.vendors.app import Sandbox

PROJECT = "sandbox-project"
ROWS = 4  # of a page, so that a test meets the next one
_TOKEN = "ya29.sandbox"
_FIELDS = (
    *("service_description", "sku_description", "project_id", "usage_start_time", "currency"),
    *("currency_conversion_rate", "cost", "usage_amount", "credited"),
)
_DAYS = re.compile(r"TIMESTAMP\('(\d{4}-\d\d-\d\d)'\)")
_SKUS = {"input": "input token", "cache_read": "cached input token", "output": "output token"}


async def token(sandbox: "Sandbox", request: Request) -> JSONResponse:
    """RFC 7523: an access token for a statement that the account signed."""
    form = dict(pair.partition("=")[::2] for pair in (await request.body()).decode().split("&"))
    try:
        claims = form["assertion"].split(".")[1]
        said = orjson.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        if "bigquery" not in said["scope"] or not said["iss"]:
            raise KeyError
    except (KeyError, IndexError, binascii.Error, orjson.JSONDecodeError):
        return JSONResponse({"error": "invalid_grant"}, 400)
    return JSONResponse({"access_token": _TOKEN, "expires_in": 3599, "token_type": "Bearer"})


async def query(sandbox: "Sandbox", request: Request) -> JSONResponse:
    """jobs.query: the first page."""
    if bearer(request.headers) != _TOKEN:
        return _refusal(401, "Request had invalid authentication credentials.")
    days = _DAYS.findall((await request.json()).get("query", ""))
    if len(days) != 2:
        return _refusal(400, "Syntax error: expected a range of days")
    return JSONResponse(_page(sandbox, "_".join(days), 0))


async def results(sandbox: "Sandbox", request: Request) -> JSONResponse:
    """jobs.getQueryResults: a page after the first."""
    if bearer(request.headers) != _TOKEN:
        return _refusal(401, "Request had invalid authentication credentials.")
    begins = request.query_params.get("pageToken", "0")
    return JSONResponse(_page(sandbox, request.path_params["job"], int(begins)))


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": status, "message": message}}, status)


def _page(sandbox: "Sandbox", job: str, begins: int) -> dict[str, Any]:
    first, last = job.split("_")
    rows = [
        row
        for day, found in sums(sandbox.meter.bills, "google").items()
        if first <= str(day) < last
        for each in found
        for row in _rows(str(day), each)
    ]
    page: dict[str, Any] = {
        "jobComplete": True,
        "jobReference": {"projectId": PROJECT, "jobId": job, "location": "US"},
        "schema": {"fields": [{"name": name, "type": "STRING"} for name in _FIELDS]},
        "totalRows": str(len(rows)),
    }
    if shown := rows[begins : begins + ROWS]:
        page["rows"] = [{"f": [{"v": value} for value in row]} for row in shown]
    if begins + ROWS < len(rows):
        page["pageToken"] = str(begins + ROWS)
    return page


def _rows(day: str, each: Sum) -> list[tuple[str | None, ...]]:
    words = each.model.replace("-", " ")

    def row(sku: str, dollars: Decimal, amount: int) -> tuple[str | None, ...]:
        text = format(dollars, "f")
        return ("Gemini API", sku, PROJECT, day, "USD", "1", text, str(amount), "0")

    found = [
        row(f"Generate content {_SKUS[b]} count {words} text", each.dollars[b], each.tokens[b])
        for b in BUCKETS
        if b in _SKUS and each.tokens[b]
    ]
    if each.calls:
        found.append(row("Grounding with Google Search", each.calls * CALL, each.calls))
    return found
