"""The pages of monthly statements."""

from datetime import UTC

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.pages.visitors import customer
from billing.books.transfer_names import KIND_NAMES, SECTION_NAMES
from billing.invoices import statements as monthly
from billing.invoices.spoken import spoken
from hontoni import errors
from hontoni.translated_errors import translated


@login_required
@never_cache
@require_safe
def statements(request: HttpRequest) -> HttpResponse:
    """The months there are."""
    months = monthly.months(customer(request).pk, timezone.now())
    return render(request, "billing/statements.html", {"months": months})


@login_required
@never_cache
@require_safe
def statement(request: HttpRequest, month: str) -> HttpResponse:
    """One month."""
    try:
        found = monthly.of(customer(request).pk, month, timezone.now())
    except errors.NotFound as error:
        raise Http404(translated(error)) from None
    sections = [
        {"title": title, "lines": _named(found.of(name)), "total": found.total(name)}
        for name, title in SECTION_NAMES.items()
        if name != "usage" and found.of(name)
    ]
    context = {"statement": found, "sections": sections, "usage": found.of("usage")}
    return render(request, "billing/statement.html", context | {"used": found.total("usage")})


def _named(lines: list[monthly.Line]) -> list[dict[str, object]]:
    """With the day in UTC, as months are, and what it is in the visitor's language."""
    return [_row(line) for line in lines]


def _row(line: monthly.Line) -> dict[str, object]:
    kind, text = str(KIND_NAMES.get(line.kind, line.kind)), spoken(line.text.strip())
    return {
        "day": line.at and date_format(line.at.astimezone(UTC).date()),
        "kind": kind,
        "text": "" if text == kind else text,
        "number": line.number,
        "amount": line.shown,
    }


@login_required
@never_cache
@require_safe
def file(request: HttpRequest, month: str, ending: str) -> HttpResponse:
    """A month to download."""
    from billing.invoices import statement_files  # what prints it, only for who prints

    try:
        return statement_files.download(customer(request), month, ending)
    except errors.NotFound as error:
        raise Http404(translated(error)) from None
