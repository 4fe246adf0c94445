"""The results of a batch, a line a request, as its address words them."""

from collections.abc import Iterator
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F, QuerySet, Sum

from gateway.batches.models import Batch, BatchRequest, State
from gateway.batches.sealing import opened

_PAGE = 50
_UNRUN = {
    State.CANCELED: ("batch_cancelled", "The batch was cancelled before this request ran."),
    State.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
}
_WORDS = {State.CANCELED: "canceled", State.EXPIRED: "expired"}
_FAILURES = (State.ERRORED, State.CANCELED, State.EXPIRED)


def line(batch: Batch, request: BatchRequest, answer: bytes) -> bytes:
    """The line of a request that has ended, with the body of its answer."""
    words = _anthropic(request, answer) if batch.is_anthropic else _openai(request, answer)
    return orjson.dumps(words) + b"\n"


def _openai(request: BatchRequest, answer: bytes) -> dict[str, Any]:
    named = request.request_id.removeprefix("req_") or f"{request.pk:032x}"
    words: dict[str, Any] = {"id": f"batch_req_{named}", "custom_id": request.custom_id}
    if unrun := _UNRUN.get(State(request.state)):
        code, message = unrun
        return words | {"response": None, "error": {"code": code, "message": message}}
    response = {
        "status_code": request.status,
        "request_id": request.request_id,
        "body": orjson.Fragment(answer),
    }
    return words | {"response": response, "error": None}


def _anthropic(request: BatchRequest, answer: bytes) -> dict[str, Any]:
    result: dict[str, Any] = {"type": _WORDS.get(State(request.state), "")}
    if request.state == State.SUCCEEDED:
        result = {"type": "succeeded", "message": orjson.Fragment(answer)}
    elif request.state == State.ERRORED:
        result = {"type": "errored", "error": orjson.Fragment(answer)}
    return {"custom_id": request.custom_id, "result": result}


def ended(batch: Batch, *, errors: bool | None = None) -> QuerySet[BatchRequest]:
    """Its requests that have ended: all, those that were answered well, or the others."""
    states: tuple[State, ...] = (State.SUCCEEDED, *_FAILURES)
    if errors is not None:
        states = _FAILURES if errors else (State.SUCCEEDED,)
    return batch.requests.filter(state__in=states).order_by("number")


def of(batch: Batch, *, errors: bool | None = None) -> Iterator[bytes]:
    """Their lines, some at a time. Raises NotFound where the key to them is gone."""
    after = -1
    while True:
        rows = list(ended(batch, errors=errors).filter(number__gt=after).defer("body")[:_PAGE])
        if not rows:
            return
        after = rows[-1].number
        yield b"".join(
            line(batch, row, opened(row.answer) if row.answer else b"null") for row in rows
        )


def size(batch: Batch, *, errors: bool) -> int:
    """The bytes of those lines."""
    known = ended(batch, errors=errors)
    total = int(known.aggregate(n=Sum("size"))["n"] or 0)  # of what never ran it is 0
    unrun = known.filter(state__in=_UNRUN).defer("body", "answer")
    return total + sum(len(line(batch, row, b"null")) for row in unrun.iterator())


@transaction.atomic
def forget(batch: Batch, *, errors: bool) -> None:
    """These answers are kept no longer."""
    gone = ended(batch, errors=errors)
    freed = int(gone.aggregate(n=Sum("size"))["n"] or 0)
    gone.delete()
    Batch.objects.filter(pk=batch.pk).update(bytes=F("bytes") - freed)
