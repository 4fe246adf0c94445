"""Which stop sequences the upstream watches for, and which we do.

Only Anthropic tells which sequence it met, and a Messages client wants to know: for it the
others' are emulated, as are those beyond what the model takes.
"""

from gateway.dialects.ir import Request, Target


def native(request: Request, target: Target) -> tuple[str, ...]:
    """Those to send upstream."""
    if request.dialect == "anthropic_messages" != target.dialect:
        return ()
    return request.sampling.stop[: target.stops]


def emulated(request: Request, target: Target) -> tuple[str, ...]:
    """Those to watch for in the text (`filters.Stop`)."""
    return request.sampling.stop[len(native(request, target)) :]
