"""The legal pages, who sells here, and agreeing to a version that is newer than the account."""

from functools import partial

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.http import require_POST, require_safe

from accounts.legal import consents, texts
from accounts.models import LegalText
from accounts.pages.visitors import customer

Page = LegalText.Page


@require_safe
def _show(request: HttpRequest, page: Page) -> HttpResponse:
    """The version that holds; an earlier one where it is asked for by number."""
    now, number = timezone.now(), request.GET.get("version", "")
    text: LegalText | None = texts.current(page, now)
    if number:
        known = number.isascii() and number.isdecimal() and len(number) < 6
        text = texts.version(page, int(number), now) if known else None
    if text is None:
        raise Http404
    held = texts.versions(page, now)
    context = {
        "text": text,
        "title": page.label,
        "html": mark_safe(texts.render(text, get_language() or "en")),  # no tags of whoever wrote
        "pages": [(each.value, each.label) for each in Page],
        "held": held,
        "superseded": bool(held) and text.version != held[0].version,
        "coming": texts.coming(page, now),
        "company": _company() if page == Page.CONTACT else None,
    }
    return render(request, "accounts/legal.html", context)


terms = partial(_show, page=Page.TERMS)
privacy = partial(_show, page=Page.PRIVACY)
refunds = partial(_show, page=Page.REFUNDS)
contact = partial(_show, page=Page.CONTACT)


def _company() -> dict[str, object]:
    """Who sells, as on invoices."""
    return {
        "name": settings.SELLER_NAME,
        "address": [line for line in settings.SELLER_ADDRESS.split("; ") if line],
        "country": settings.SELLER_COUNTRY,
        "tax_id": settings.SELLER_TAX_ID,
        "email": settings.SELLER_EMAIL,
    }


@login_required
@require_POST
def agree(request: HttpRequest) -> HttpResponse:
    """To what holds now: the page that asked had links to it."""
    consents.record(customer(request), through="page", now=timezone.now())
    return redirect("overview")
