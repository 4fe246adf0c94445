"""POST /v1/responses/compact."""

from weakref import ref

from gateway.plane import compaction, pipeline
from gateway.plane.client_dialects import RESPONSES
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from hontoni import logs


class _Compacting(Exchange):
    """Its answer is made of the response's."""

    __slots__ = ()

    async def respond(self, status: int, body: bytes, more: bytes = b"") -> None:
        if status == 200:
            body = compaction.answered(body, (self.parsed or {}).get("input"))
        await super().respond(status, body, more)


async def compact(http: Exchange, upstream: Upstream) -> None:
    """A conversation, compacted. Raises ApiError."""
    mine = _Compacting(http.scope, http.receive, http.send, http.config)
    mine.compacts = True
    logs.about.set(ref(mine))
    try:
        await pipeline.serve(mine, RESPONSES, upstream)
    finally:
        if mine.held is not None:
            mine.held.free()
