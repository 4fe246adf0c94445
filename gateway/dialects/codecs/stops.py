"""Which stop sequences the upstream watches for, and which we do.

Only Anthropic tells which sequence it met, and a Messages client wants to know: for it the
others' are emulated, as are those beyond what the model takes, and at Anthropic those of nothing
but white space, which it refuses.
"""

from gateway.dialects.ir import Request, Target


def native(request: Request, target: Target) -> tuple[str, ...]:
    """Those to send upstream."""
    if request.dialect == "anthropic_messages" != target.dialect:
        return ()
    given = request.sampling.stop
    if target.dialect == "anthropic_messages":
        given = tuple(stop for stop in given if stop.strip())
    return given[: target.stops]


def emulated(request: Request, target: Target) -> tuple[str, ...]:
    """Those to watch for in the text (`filters.Stop`)."""
    sent = native(request, target)
    return tuple(stop for stop in request.sampling.stop if stop not in sent)
