"""POST /webhooks/sepay and /webhooks/payos: verify, keep, book, answer. It is two statements more
than to keep it, and whoever looks at the page of his order sees it at once."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.payments.vietqr import payos, sepay, settling
from billing.payments.vietqr.heard import CALLBACK, Heard
from hontoni import errors

logger = logging.getLogger(__name__)
MOST_BYTES = 64 * 1024


@csrf_exempt
@require_POST
def from_sepay(request: HttpRequest) -> JsonResponse:
    """404 where callbacks are not set up: without a secret, anybody could make one."""
    if not (sepay.configured() and sepay.calls_back()):
        return JsonResponse({"success": False}, status=404)

    def read(body: bytes) -> Heard | None:
        sepay.check(body, request.headers)
        return sepay.heard(body)

    return _answer(request, read)


@csrf_exempt
@require_POST
def from_payos(request: HttpRequest) -> JsonResponse:
    """404 where payOS is not set up."""
    if not payos.configured():
        return JsonResponse({"success": False}, status=404)
    return _answer(request, payos.heard)


def _answer(request: HttpRequest, read: Callable[[bytes], Heard | None]) -> JsonResponse:
    """What is no callback is 400, a forged one 401: neither is sent again for ever. Anything that
    goes wrong with us is 500, and is."""
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        return JsonResponse({"success": False, "message": "too large"}, status=400)
    try:
        heard = read(body)
        if heard is not None and heard.dong < 1:
            raise ValueError("nothing was sent")
    except errors.ApiError as error:
        return JsonResponse({"success": False, "message": error.message}, status=error.status)
    except (ValueError, RecursionError) as error:
        logger.warning("not a callback: %s", error)
        return JsonResponse({"success": False, "message": "not a callback"}, status=400)
    if heard is not None:
        settling.receive(heard, CALLBACK)
    return JsonResponse({"success": True})
