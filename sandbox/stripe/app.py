"""The simulator as an ASGI application."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from sandbox.stripe import api, control, pages, wiring
from sandbox.stripe.resources import webhook_endpoints
from sandbox.stripe.simulator import Simulator

TICK_SECONDS = 0.5
logger = logging.getLogger(__name__)


def create_app(
    *,
    state_path: str | Path | None = None,
    public_url: str | None = None,
    api_key: str | None = None,
    webhook_url: str | None = None,
    webhook_secret: str | None = None,
) -> Starlette:
    """One simulated account.

    * `state_path`: the file that keeps it between starts; None forgets.
    * `public_url`: where browsers reach the hosted pages; None takes it from each request.
    * `api_key`: the only key accepted; None accepts any `sk_test_...`.
    * `webhook_url` and `webhook_secret`: an endpoint for all events.
    """
    sim = Simulator(
        state_path=Path(state_path) if state_path else None,
        public_url=public_url,
        api_key=api_key,
        due=wiring.DUE,
        reactions=wiring.REACTIONS,
    )
    if webhook_url:
        if not webhook_secret:
            raise ValueError("webhook_url needs webhook_secret")
        webhook_endpoints.configure(sim, webhook_url, webhook_secret)
    app = Starlette(
        routes=[
            *(api.http_route(sim, route) for route in wiring.ROUTES),
            *control.routes(sim),
            *pages.routes(sim),
        ],
        lifespan=_lifespan,
        exception_handlers={404: _not_found, 405: _not_found},
    )
    app.state.simulator, app.state.clock = sim, sim.clock
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Deliver webhooks, do what falls due, and keep the snapshot fresh, while the app runs."""
    sim: Simulator = app.state.simulator
    tasks = [asyncio.create_task(sim.webhooks.run()), asyncio.create_task(_tick(sim))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sim.save()


async def _tick(sim: Simulator) -> None:
    while True:
        try:
            sim.run_until(sim.now())
            sim.save()
        except Exception:
            # Nobody awaits this task: without a word here, renewals would just stop.
            logger.exception("what was due could not be done")
        await asyncio.sleep(TICK_SECONDS)


async def _not_found(request: Request, error: Exception) -> Response:
    message = f"Unrecognized request URL ({request.method}: {request.url.path})."
    body = {"error": {"type": "invalid_request_error", "message": message}}
    return Response(orjson.dumps(body), 404, media_type="application/json")
