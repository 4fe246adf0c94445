"""The files of an e-invoice, as they are kept, to whoever may have them."""

from django.http import HttpResponse

from billing.payments.einvoice.models import EInvoice

TYPES = {"pdf": "application/pdf", "xml": "application/xml"}


def file_of(found: EInvoice, ending: str) -> HttpResponse:
    """Its `pdf` or `xml`, to be saved."""
    content = found.pdf if ending == "pdf" else found.xml
    answer = HttpResponse(bytes(content or b""), content_type=TYPES[ending])
    name = f"{found.series}-{found.number}.{ending}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
