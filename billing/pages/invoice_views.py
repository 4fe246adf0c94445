"""The list of invoices and credit notes, and their PDFs."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.pages.visitors import customer
from billing.invoices import links
from billing.invoices.models import BillingDetails
from billing.invoices.spoken import spoken
from billing.pages.billing_forms import DetailsForm
from billing.payments import invoice_list, stripe_invoices
from billing.payments.einvoice.files import file_of
from billing.payments.einvoice.models import EInvoice
from billing.payments.tasks import tell_billing_details
from hontoni import errors
from hontoni.translated_errors import translated


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invoices(request: HttpRequest) -> HttpResponse:
    """Ours, of what the balance paid for, and the payment provider's, of top-ups by card.

    Sent (POST), who the next ones of ours are made out to.
    """
    user = customer(request)
    mine = BillingDetails.of(user)
    form = DetailsForm(request.POST or None, instance=mine)
    if request.method == "POST" and form.is_valid():
        form.save()
        tell_billing_details.delay(user_id=user.pk)
        messages.success(request, _("Saved. Your next invoices say so."))
        return redirect("billing-invoices")
    rows, complete = invoice_list.listed(user.pk)
    rows = [row | {"lines": _read(row["lines"])} for row in rows]
    context = {"rows": rows, "complete": complete, "form": form}
    return render(request, "billing/invoices.html", context)


@login_required
@never_cache
@require_safe
def invoice(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """One of ours, as it was issued. Stripe's are on its own pages."""
    try:
        found = links.own(customer(request).pk, invoice_id)
    except errors.NotFound as error:
        raise Http404(translated(error)) from None
    parties = {
        "seller": _party(found.seller),
        "buyer": _party(found.buyer),
        "paid_by": spoken(found.paid_by),
        "note": spoken(found.note),
        "lines": _read(found.lines),
        "e_invoices": found.e_invoices.filter(number__gt="").defer("pdf", "xml").order_by("pk"),
    }
    return render(request, "billing/invoice.html", {"invoice": found, "id": invoice_id, **parties})


def _read(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line | {"text": spoken(line["text"])} for line in lines]


def _party(about: dict[str, Any]) -> list[str]:
    """Line by line, as it is printed."""
    lines = [about["name"], *about.get("address", "").split("; "), about.get("country")]
    lines += [about.get("email"), about.get("tax_id")]
    return [line for line in lines if line]


@login_required
@never_cache
@require_safe
def e_invoice(request: HttpRequest, pk: str, ending: str) -> HttpResponse:
    """The tax office's file of one of ours."""
    mine = EInvoice.objects.filter(invoice__user=customer(request), pk=int(pk), number__gt="")
    found = mine.first()
    if found is None:
        raise Http404
    return file_of(found, ending)


@login_required
@never_cache
@require_safe
def pdf(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """To the PDF, by a link that is good for a few minutes."""
    user_id = customer(request).pk
    try:
        if invoice_id.startswith("in_"):
            return redirect(stripe_invoices.pdf(user_id, invoice_id))
        return redirect(links.link(links.own(user_id, invoice_id)))
    except errors.NotFound as error:
        raise Http404(translated(error)) from None
    except errors.Unavailable as error:
        return render(request, "503.html", {"words": translated(error)}, status=error.status)
