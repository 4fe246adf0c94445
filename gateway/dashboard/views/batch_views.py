"""What a customer sees of their batches: how far each is, what it cost so far, its results."""

from collections.abc import AsyncIterator

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.pages.visitors import customer
from gateway.batches import files, records, results
from gateway.batches.models import Batch
from hontoni.db import in_thread

_PAGE = 25


@login_required
@require_safe
def batches(request: HttpRequest) -> HttpResponse:
    """The newest first, and how much room they and the files take."""
    user_id = customer(request).pk
    found = Batch.objects.filter(user_id=user_id).select_related("api_key")
    context = {
        "page": Paginator(found, _PAGE).get_page(request.GET.get("page")),
        "used": files.used_bytes(user_id),
    }
    return render(request, "gateway/batches.html", context)


async def _lines(batch: Batch) -> AsyncIterator[bytes]:
    parts = results.of(batch)
    while (part := await in_thread(next, parts, None)) is not None:
        yield part


def _mine(request: HttpRequest, batch_id: str) -> Batch:
    return get_object_or_404(Batch, pk=batch_id, user_id=customer(request).pk)


@login_required
@require_safe
def batch_results(request: HttpRequest, batch_id: str) -> HttpResponseBase:
    """All that has been answered so far, a line a request."""
    batch = _mine(request, batch_id)
    response = StreamingHttpResponse(_lines(batch), content_type="application/x-jsonl")
    response["Content-Disposition"] = f'attachment; filename="{batch.id}.jsonl"'
    return response


@login_required
@require_POST
def batch_cancel(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Nothing more of it is sent. Twice is once."""
    batch = _mine(request, batch_id)
    if batch.open:
        records.cancel(batch)
        messages.success(request, _("The batch is being cancelled: what runs now still ends."))
    return redirect("batches")
