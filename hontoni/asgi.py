"""Both planes in one process: /v1 on Starlette, ahead of Django; everything else Django's, and
the live dashboard's websockets Channels'.

A request for /v1 meets no Django middleware, no signal and no ORM.
"""

import logging
import os
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")
_django = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from starlette.types import Receive, Scope, Send  # noqa: E402

from gateway.mcp import door as mcp  # noqa: E402
from gateway.metrics.exposition import Door  # noqa: E402
from gateway.plane import watching  # noqa: E402
from gateway.plane.v1 import V1  # noqa: E402
from gateway.urls import sockets  # noqa: E402
from hontoni import addresses, bodies, checks, health, origins, stopping  # noqa: E402

logger = logging.getLogger(__name__)
v1 = V1()
metrics = Door()
django: Any = bodies.Bounded(_django)
# Whoever has a session may listen to their own account, from our own pages only.
websockets: Any = origins.Same(AuthMiddlewareStack(URLRouter(sockets)))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    path = scope["path"]
    if path.startswith(("/v1/", "/v1beta/", "/v1alpha/")) or path == "/v1":
        await v1(scope, receive, send)  # which refuses a websocket in HTTP's own words
    elif scope["type"] == "websocket":
        await websockets(addresses.believed(scope), receive, send)
    elif path == "/metrics":
        await metrics(scope, receive, send)
    elif path in mcp.PATHS:
        await mcp_door(scope, receive, send)
    elif path in health.ROUTES:
        await health.ROUTES[path](scope, receive, send)
    else:
        await django(addresses.believed(scope), receive, send)


mcp_door: Any = bodies.Bounded(mcp.Door(application))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            if refused := [f"{error.id}: {error.msg}" for error in checks.deployment()]:
                # However this process was started: what must not run does not.
                await send({"type": "lifespan.startup.failed", "message": "\n".join(refused)})
                return
            if settings.SECURE and not settings.TRUSTED_PROXIES:
                logger.warning(
                    "PUBLIC_URL is https and TRUSTED_PROXIES is 0: what ends TLS in front is not "
                    "believed, and pages redirect for ever. Set it to how many there are."
                )
            await v1.start()
            stopping.Watch(watching.cut_all).install()
            await metrics.start(v1.upstream)
            await send({"type": "lifespan.startup.complete"})
        else:
            await metrics.stop()
            await v1.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
