"""GET /metrics. With `METRICS_TOKEN`, for who has it; without, for internal addresses that come
straight to this port: what a proxy passes on is from outside."""

import asyncio
import ipaddress
from secrets import compare_digest

from django.conf import settings
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.metrics import snapshots, store_metrics
from gateway.metrics.metric_families import Families
from gateway.metrics.snapshots import Live
from gateway.plane import admission, drains
from gateway.plane import stores as node
from gateway.plane.counts import Counts
from gateway.plane.upstream import Upstream
from hontoni.db import in_thread

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Door:
    """The endpoint, over the upstream of a running gateway."""

    def __init__(self) -> None:
        self.upstream: Upstream | None = None
        self.writing: asyncio.Task[None] | None = None

    async def start(self, upstream: Upstream | None) -> None:
        """Begin to count, if that is wanted."""
        self.upstream, Counts.on = upstream, settings.METRICS
        if Counts.on:
            await in_thread(snapshots.open_folder)
            self.writing = asyncio.create_task(snapshots.write_for_ever(self.live))

    async def stop(self) -> None:
        """Leave what was counted to the others."""
        if self.writing is not None:
            self.writing.cancel()
            snapshots.leave(snapshots.own(self.live()))

    def live(self) -> Live:
        """What this process has open now."""
        calls = list(admission.LIVE)
        gauges = {
            "open_streams": sum(call.stream and call.http.started for call in calls),
            "slots": len(calls),
            "holds_nano_dollars": sum(call.held for call in calls),
            "unsettled": admission.unsettled(),
            "drains": drains.running(),
            "spool_bytes": node.spooled(),
        }
        breakers = {} if self.upstream is None else self.upstream.breakers()
        return Live(gauges, breakers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if not settings.METRICS or not _may(scope):
            return PlainTextResponse("Not found.\n", 404)
        mine = snapshots.own(self.live())
        registry = CollectorRegistry(auto_describe=False)
        states = await in_thread(store_metrics.ask)
        registry.register(Families(snapshots.everybodys(mine), states))
        if "application/openmetrics-text" in Headers(scope=scope).get("accept", ""):
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        return Response(
            exposition.generate_latest(registry), media_type=exposition.CONTENT_TYPE_LATEST
        )


def _may(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    if token := settings.METRICS_TOKEN:
        sent = headers.get("authorization", "").encode()
        return compare_digest(sent, f"Bearer {token}".encode())
    if any(name in headers for name in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address((scope.get("client") or ("",))[0])
    except ValueError:
        return False
    return address.is_private or address.is_loopback
