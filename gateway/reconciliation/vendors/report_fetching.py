"""Reports from the vendors themselves, with an organization's admin credential.

All pages of all days, or nothing: what a vendor refuses is kept on its source for staff, and
leaves the bills as they were. A month at a time, which is what all three answer at once.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

import httpx
import orjson
from django.db import transaction
from django.utils import timezone

from gateway.reconciliation.vendors import bigquery, formats, intake
from gateway.reconciliation.vendors.asking import Refused, answered
from gateway.reconciliation.vendors.formats import openai
from gateway.reconciliation.vendors.formats.report import PART, BadReport, Report
from gateway.reconciliation.vendors.models import ReportSource, VendorImport
from gateway.vendors import vault
from gateway.vendors.models import Vendor

BACK_DAYS = 4  # vendors correct the last days; every fetch asks for them again
_MONTH = timedelta(days=31)
_MOST_PAGES = 1000
_TIMEOUT_SECONDS = 60.0


Params = list[tuple[str, str]]


def fetch(source: ReportSource, first: date, last: date, *, by: str) -> list[VendorImport]:
    """Import the reports of these days. Raises Refused, BadReport; then nothing was imported."""
    try:
        found = list(_reports(source, first, last))
    except (BadReport, vault.Unreadable) as error:
        _note(source, error)
        raise
    with transaction.atomic():
        imports = [
            intake.keep(
                report,
                account=source.account,
                source=address,
                form="json",
                sha256=sha256,
                by=by,
                complete=True,
            )
            for report, address, sha256 in found
        ]
    ReportSource.objects.filter(pk=source.pk).update(
        fetched_at=timezone.now(), problem="", problem_about={}
    )
    return imports


def _note(source: ReportSource, error: Exception) -> None:
    """For staff, who read it in their language."""
    if isinstance(error, BadReport):
        said: dict[str, Any] = {"problem": error.template, "problem_about": error.about}
    else:
        said = {"problem": str(error)[:300], "problem_about": {}}
    ReportSource.objects.filter(pk=source.pk).update(**said)


def _reports(source: ReportSource, first: date, last: date) -> Iterator[tuple[Report, str, str]]:
    """(report, address, hash) of every month and kind."""
    if not source.is_at_home:
        raise Refused("Enter the secret again: it was for %(place)s.", place=source.entered_for)
    secret = vault.unseal(source.sealed)
    asks = {Vendor.ANTHROPIC: _anthropic, Vendor.OPENAI: _openai, Vendor.GOOGLE: _google}
    ask = asks.get(Vendor(source.vendor))
    if ask is None:
        raise Refused("Of this vendor there are no reports to fetch: import its bill as a file.")
    with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
        begins = first
        while begins <= last:
            ends = min(begins + _MONTH, last + timedelta(days=1))  # exclusive
            yield from ask(client, source, secret, begins, ends)
            begins = ends


def _report(vendor: str, kind: str, pages: Sequence[Any], days: Sequence[date]) -> Report:
    """One that has no results does not show of what; and days without any may not be named."""
    if not any(bucket.get("results") for page in pages for bucket in page.get("data", ())):
        report = Report(vendor, [], frozenset(), usage=kind == "usage", costs=kind == "costs")
    else:
        report = formats.read_pages(pages)
    if report.vendor != vendor or report.kind != kind:
        raise BadReport(
            "%(vendor)s was asked for %(kind)s and answered %(other)s.",
            vendor=vendor,
            kind=kind,
            other=report.kind,
        )
    return Report(vendor, report.lines, report.days | set(days), report.usage, report.costs)


def _days(begins: date, ends: date) -> list[date]:
    return [date.fromordinal(n) for n in range(begins.toordinal(), ends.toordinal())]


# -- Anthropic and OpenAI ------------------------------------------------------------------------


def _anthropic(
    client: httpx.Client, source: ReportSource, secret: str, begins: date, ends: date
) -> Iterator[tuple[Report, str, str]]:
    headers = {"x-api-key": secret, "anthropic-version": "2023-06-01"}
    root = _root(source, "https://api.anthropic.com")
    span = [
        ("starting_at", f"{begins}T00:00:00Z"),
        ("ending_at", f"{ends}T00:00:00Z"),
        ("bucket_width", "1d"),
        ("limit", "31"),
    ]
    for kind, path, groups in (
        ("usage", "usage_report/messages", ("api_key_id", "workspace_id", "model")),
        ("costs", "cost_report", ("workspace_id", "description")),
    ):
        params = [*span, *(("group_by[]", group) for group in groups)]
        address = f"{root}/v1/organizations/{path}"
        pages = _pages(client, address, params, headers)
        yield _report("anthropic", kind, pages, _days(begins, ends)), address, _hash(pages)


def _openai(
    client: httpx.Client, source: ReportSource, secret: str, begins: date, ends: date
) -> Iterator[tuple[Report, str, str]]:
    headers = {"authorization": f"Bearer {secret}"}
    root = _root(source, "https://api.openai.com")
    span = [
        ("start_time", str(_seconds(begins))),
        ("end_time", str(_seconds(ends))),
        ("bucket_width", "1d"),
        ("limit", "31"),
    ]
    address = f"{root}/v1/organization/usage"
    days, parts, all_pages = _days(begins, ends), {}, []
    for usage in openai.USAGE:
        groups = [("group_by", group) for group in usage.groups]
        pages = _pages(client, f"{address}/{usage.name}", [*span, *groups], headers)
        parts[usage.name] = _usage_of(usage, pages, days)
        all_pages += pages
    yield openai.together(parts), address, _hash(all_pages)
    params = [*span, ("group_by", "project_id"), ("group_by", "line_item")]
    pages = _pages(client, address := f"{root}/v1/organization/costs", params, headers)
    yield _report("openai", "costs", pages, days), address, _hash(pages)


def _usage_of(usage: openai.Usage, pages: Sequence[Any], days: Sequence[date]) -> Report:
    """The report of one kind of usage, and of no other."""
    results = [each for page in pages for day in page.get("data", ()) for each in day["results"]]
    for each in results:
        if each.get("object") != usage.object:
            raise BadReport(
                "%(vendor)s was asked for %(kind)s and answered %(other)s.",
                vendor="openai",
                kind=usage.object,
                other=each.get("object"),
            )
    kind = PART if usage.name != "completions" and results else "usage"
    return _report("openai", kind, pages, days)


def _root(source: ReportSource, usual: str) -> str:
    return (source.base_url or usual).rstrip("/").removesuffix("/v1")


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time_of_day(), UTC).timestamp())


def _pages(
    client: httpx.Client, address: str, params: Params, headers: Mapping[str, str]
) -> list[Any]:
    """All pages. Raises Refused."""
    pages: list[Any] = []
    following: Params = []
    while len(pages) < _MOST_PAGES:
        page = answered(client, "GET", address, params=[*params, *following], headers=headers)
        pages.append(page)
        if not page.get("has_more"):
            return pages
        if not page.get("next_page") or following == [("page", page["next_page"])]:
            raise Refused("%(url)s has more, and does not say where.", url=address)
        following = [("page", page["next_page"])]
    raise Refused("%(url)s has no end.", url=address)


def _google(
    client: httpx.Client, source: ReportSource, secret: str, begins: date, ends: date
) -> Iterator[tuple[Report, str, str]]:
    rows = bigquery.export(client, source, secret, begins, ends)
    # The export comes up to a day late: a day without any row is not told yet.
    if rows:
        yield formats.read_pages(rows), f"bigquery:{source.table}", _hash(rows)


def _hash(pages: Sequence[Any]) -> str:
    return hashlib.sha256(orjson.dumps(pages, default=str)).hexdigest()
