"""POST /webhooks/stripe: verify, keep, answer 200. What it means is the worker's business."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.payments import inbox
from hontoni import errors


@csrf_exempt
@require_POST
def stripe(request: HttpRequest) -> HttpResponse:
    """404 where no secret is set: without one, anybody could sign."""
    if not settings.STRIPE_WEBHOOK_SECRET:
        return HttpResponse(status=404)
    try:
        body = request.read(inbox.MOST_BYTES + 1)
        inbox.receive(body, request.headers.get("Stripe-Signature", ""))
    except errors.ApiError as error:
        return HttpResponse(error.message, status=error.status, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")
