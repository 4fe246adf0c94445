"""The receipt of a request: as a page, in the drawer, as a document, and shared by a link."""

import time
import uuid

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.pages.visitors import customer
from gateway.archive import archived_receipts as archived
from gateway.dashboard import signed_receipts
from gateway.dashboard.receipt_serializers import ReceiptSerializer
from gateway.dashboard.views.proof_views import receipt_json
from gateway.usage.models import UsageEvent
from gateway.usage.request_ids import first_id
from hontoni import origins

UNWRITTEN_SECONDS = 60  # a request younger than this may still be on its way into the books


@login_required
@require_safe
def receipt(request: HttpRequest, request_id: str) -> HttpResponse:
    """Every cent of one request. Asked for by htmx, only the part that goes into the drawer."""
    pk, event = _own(request, request_id)
    if event is None:
        if pk < first_id(time.time() - UNWRITTEN_SECONDS):
            raise Http404
        return render(request, "gateway/_unwritten.html", status=202)
    name = "gateway/_receipt.html" if request.headers.get("HX-Request") else "gateway/receipt.html"
    context = {"event": event, "receipt": ReceiptSerializer(event).data}
    response = render(request, name, context)
    response["Vary"] = "HX-Request, Cookie"
    return response


def _own(request: HttpRequest, request_id: str) -> tuple[uuid.UUID, UsageEvent | None]:
    """A request of this visitor's. Raises Http404 for what is no id."""
    try:
        pk = uuid.UUID(hex=request_id.removeprefix("req_"))
    except ValueError:
        raise Http404 from None
    events = UsageEvent.objects.select_related("price", "api_key", "user")
    mine = events.filter(pk=pk, user_id=customer(request).pk)
    return pk, mine.first() or archived.find(customer(request).pk, pk)


@login_required
@require_safe
def receipt_file(request: HttpRequest, request_id: str, ending: str) -> HttpResponse:
    """The receipt as a signed document, or on paper."""
    _pk, event = _own(request, request_id)
    if event is None:
        raise Http404
    if ending == "json":
        return receipt_json(signed_receipts.document(event, timezone.now()))
    from gateway.dashboard import receipt_pdf  # what prints it, only for who prints

    url = origins.absolute(reverse("verify"))
    pdf = receipt_pdf.draw(event, ReceiptSerializer(event).data, url)
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="receipt-{event.request_id}.pdf"'
    return response


@login_required
@require_POST
def share(request: HttpRequest, request_id: str) -> HttpResponse:
    """A link to the receipt for a stranger, that ends by itself."""
    _pk, event = _own(request, request_id)
    lasts = signed_receipts.LASTS.get(request.POST.get("days", ""))
    if event is None or lasts is None:
        raise Http404
    context = {
        "event": event,
        "receipt": ReceiptSerializer(event).data,
        "link": origins.absolute(signed_receipts.link(event, lasts)),
        "until": timezone.now() + lasts,
    }
    return render(request, "gateway/receipt.html", context)
