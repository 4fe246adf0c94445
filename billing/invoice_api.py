"""/api/billing/invoices: our own invoices and credit notes, Stripe's, and their PDFs."""

from datetime import timedelta
from operator import itemgetter
from typing import Any, cast

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from billing.models import BillingDetails, Invoice
from billing.payments import invoices as stripe_invoices
from billing.serializers import (
    BillingDetailsSerializer,
    InvoicePdfSerializer,
    InvoicesSerializer,
    ListedInvoiceSerializer,
)
from hontoni import errors
from hontoni.drf import problems

LINK_LASTS = timedelta(minutes=5)
_LINKS = signing.TimestampSigner(salt="billing.invoice")


class Invoices(APIView):
    @extend_schema(
        tags=["billing"],
        operation_id="list_invoices",
        summary="Your invoices and credit notes, newest first",
        description="Each payment once: kind `stripe` is one that Stripe invoiced (its payment "
        "pages, and plans paid by card), kind `invoice` one of ours (saved cards, automatic "
        "top-ups, and what the balance paid for), `credit_note` something given back. "
        "The newest 200 of each; `complete` is false while Stripe cannot be asked.",
        responses={200: InvoicesSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        rows, complete = listed(cast(User, request.user).pk)
        shown = ListedInvoiceSerializer(rows, many=True).data
        return Response({"results": shown, "complete": complete})


def listed(user_id: int) -> tuple[list[dict[str, Any]], bool]:
    """Our invoices and Stripe's in one shape, newest first; whether Stripe's are all there."""
    ours = Invoice.objects.filter(user_id=user_id).defer("pdf").order_by("-pk")
    rows = [row(invoice) for invoice in ours[: stripe_invoices.MOST]]
    complete = True
    try:
        rows += stripe_invoices.of(user_id)
    except errors.Unavailable:
        complete = False
    return sorted(rows, key=itemgetter("issued_at"), reverse=True), complete


def row(invoice: Invoice) -> dict[str, Any]:
    names = ("number", "kind", "issued_at", "total", "tax", "net", "currency", "lines", "credits")
    said = {name: getattr(invoice, name) for name in (*names, "note", "paid_by")}
    paid_at = invoice.paid_at or invoice.issued_at
    return {"id": f"inv_{invoice.pk}", "status": "paid", "paid_at": paid_at, **said}


class Details(APIView):
    @extend_schema(
        tags=["billing"],
        operation_id="billing_details",
        summary="Who your invoices are made out to",
        responses={200: BillingDetailsSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return Response(BillingDetailsSerializer(_details(request)).data)

    @extend_schema(
        tags=["billing"],
        operation_id="change_billing_details",
        summary="Change who your invoices are made out to",
        description="From the next invoice on: one that is issued never changes. The lines of "
        "the address are separated by `; `.",
        request=BillingDetailsSerializer,
        responses={200: BillingDetailsSerializer, **problems(400, 401)},
    )
    def put(self, request: Request) -> Response:
        asked = BillingDetailsSerializer(_details(request), data=request.data)
        asked.is_valid(raise_exception=True)
        asked.save()
        return Response(asked.data)


def _details(request: Request) -> BillingDetails:
    user = cast(User, request.user)
    return BillingDetails.objects.filter(pk=user.pk).first() or BillingDetails(user=user)


class InvoicePdf(APIView):
    @extend_schema(
        tags=["billing"],
        operation_id="invoice_pdf",
        summary="Where the PDF of an invoice is",
        description="The URL needs no session, and is good for five minutes; Stripe's for longer.",
        parameters=[OpenApiParameter("invoice_id", str, OpenApiParameter.PATH)],
        responses={200: InvoicePdfSerializer, **problems(401, 404)},
    )
    def get(self, request: Request, invoice_id: str) -> Response:
        if invoice_id.startswith("in_"):
            url = stripe_invoices.pdf(cast(User, request.user).pk, invoice_id)
            theirs = {"url": url, "expires_at": None, "sha256": None}
            return Response(InvoicePdfSerializer(theirs).data)
        invoice = own(cast(User, request.user).pk, invoice_id)
        shown = {
            "url": request.build_absolute_uri(link(invoice)),
            "expires_at": timezone.now() + LINK_LASTS,
            "sha256": invoice.sha256,
        }
        return Response(InvoicePdfSerializer(shown).data)


def own(user_id: int, invoice_id: str) -> Invoice:
    """An invoice of ours, of this account's. Raises NotFound for anybody else's."""
    number = invoice_id.removeprefix("inv_")
    mine = Invoice.objects.filter(user_id=user_id).defer("pdf")
    invoice: Invoice | None = mine.filter(pk=number).first() if _is_id(number) else None
    if invoice is None:
        raise errors.NotFound(f"You have no invoice {invoice_id}.")
    return invoice


def _is_id(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) < 20 and int(number) < 2**63


def link(invoice: Invoice) -> str:
    """The path of an invoice's PDF, for whoever may see it, for LINK_LASTS."""
    return reverse("invoice-file", args=[_LINKS.sign(str(invoice.pk))])


@require_safe
def file(request: HttpRequest, token: str) -> HttpResponse:
    """The PDF as it was issued, byte for byte. The link is the permission."""
    try:
        invoice = Invoice.objects.get(pk=_LINKS.unsign(token, max_age=LINK_LASTS))
    except signing.BadSignature:
        raise Http404("This link is not good any more: ask for another.") from None
    headers = {
        "Content-Disposition": f'inline; filename="{invoice.number}.pdf"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(bytes(invoice.pdf), content_type="application/pdf", headers=headers)
