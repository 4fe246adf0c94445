"""Usage events that were set aside, written into the books after all.

Whatever was wrong is mended first: a price or an account that was missing is there again, a later
release reads what this one could not, or staff corrected the payload.
"""

import orjson
from django.db import Error, transaction

from gateway.usage import settlement
from gateway.usage.models import DeadEvent
from ratelimits import rebuilding


def replay(dead: DeadEvent) -> str:
    """Record it, once, and forget that it was set aside. Answers "", or why it cannot be.

    Raises errors.Unavailable where Valkey is away; then it is recorded all the same.
    """
    entry = settlement.entry(*_place(dead), _text(dead))
    if entry.problem:
        return entry.problem
    try:
        with transaction.atomic():
            if not DeadEvent.objects.select_for_update().filter(pk=dead.pk).exists():
                return ""  # somebody else did
            settlement.record([entry])
            DeadEvent.objects.filter(pk=dead.pk).delete()
    except Error as error:
        return repr(error)
    # Valkey may have counted its cost once, or lost it since: the books know.
    rebuilding.forget_sync([entry.event["user_id"]])
    return ""


def _place(dead: DeadEvent) -> tuple[int, bytes]:
    shard, _, stream_id = dead.stream_id.partition(":")
    return int(shard), stream_id.encode()


def _text(dead: DeadEvent) -> bytes:
    """As it was in the stream: an object that could be read, or text that could not."""
    if dead.payload.keys() == {"unreadable"}:
        return str(dead.payload["unreadable"]).encode()
    return orjson.dumps(dead.payload)
