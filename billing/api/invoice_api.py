"""/api/billing/invoices: our own invoices and credit notes, Stripe's, and their PDFs."""

from typing import ClassVar

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.requests import caller
from accounts.keys import scopes
from billing.api.serializers import (
    BillingDetailsSerializer,
    InvoicePdfSerializer,
    InvoicesSerializer,
    ListedInvoiceSerializer,
)
from billing.invoices import links
from billing.invoices.models import BillingDetails
from billing.payments import invoice_list, stripe_invoices
from billing.payments.tasks import tell_billing_details
from hontoni.drf import problems


class Invoices(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="list_invoices",
        summary="Your invoices and credit notes, newest first",
        description="Each payment once: kind `stripe` is one that Stripe invoiced (its payment "
        "pages, and plans paid by card), kind `invoice` one of ours (saved cards, automatic "
        "top-ups, and what the balance paid for), `credit_note` something given back. "
        "The newest 200 of each; `complete` is false while Stripe cannot be details.",
        responses={200: InvoicesSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        rows, complete = invoice_list.listed(caller(request).pk)
        shown = ListedInvoiceSerializer(rows, many=True).data
        return Response({"results": shown, "complete": complete})


class Details(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

    @extend_schema(
        tags=["billing"],
        operation_id="billing_details",
        summary="Who your invoices are made out to",
        responses={200: BillingDetailsSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return Response(BillingDetailsSerializer(BillingDetails.of(caller(request))).data)

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
        details = BillingDetailsSerializer(BillingDetails.of(caller(request)), data=request.data)
        details.is_valid(raise_exception=True)
        details.save()
        tell_billing_details.delay(user_id=caller(request).pk)
        return Response(details.data)


class InvoicePdf(APIView):
    scopes: ClassVar = {"GET": scopes.BILLING}

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
            url = stripe_invoices.pdf(caller(request).pk, invoice_id)
            theirs = {"url": url, "expires_at": None, "sha256": None}
            return Response(InvoicePdfSerializer(theirs).data)
        invoice = links.own(caller(request).pk, invoice_id)
        shown = {
            "url": request.build_absolute_uri(links.link(invoice)),
            "expires_at": timezone.now() + links.LINK_LASTS,
            "sha256": invoice.sha256,
        }
        return Response(InvoicePdfSerializer(shown).data)


@require_safe
def file(request: HttpRequest, token: str) -> HttpResponse:
    """The PDF as it was issued, byte for byte. The link is the permission."""
    invoice = links.linked(token)
    if invoice is None:
        raise Http404("This link is not good any more: ask for another.")
    headers = {
        "Content-Disposition": f'inline; filename="{invoice.number}.pdf"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(bytes(invoice.pdf), content_type="application/pdf", headers=headers)
