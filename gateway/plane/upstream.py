"""The vendors' side of the wire. The only module that knows the HTTP client.

The vendor's 401, 402 and 429 are our problem, never the customer's (protocols.md section 4.2).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from django.conf import settings

from gateway.catalogue.sold import Model
from gateway.plane.callers import Caller
from gateway.plane.own_keys import reaches
from gateway.vendors.access import Access, introduce
from gateway.vendors.breaker import Breaker
from gateway.vendors.http_client import Client
from gateway.vendors.models import Vendor
from gateway.vendors.own_keys.access import play
from gateway.vendors.reply import Reply
from gateway.vendors.routes import Route, breakers, in_use
from hontoni.errors import UpstreamFailed

RENEWAL_SECONDS = 2.0  # between two looks whether a token is to be renewed


def configured() -> dict[str, Access]:
    """The environment's keys, by vendor."""
    given = (
        ("openai", settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY),
        ("anthropic", settings.ANTHROPIC_BASE_URL, settings.ANTHROPIC_API_KEY),
        ("google", settings.GEMINI_BASE_URL, settings.GEMINI_API_KEY),
    )
    return {
        vendor: introduce(f"{vendor}/environment", vendor, url, key)
        for vendor, url, key in given
        if key
    }


class Upstream:
    """One per process and event loop: the connection pool, and the environment's keys by vendor.

    `alone`: nobody else is asked, whatever is in the database. So play money stays play money.
    """

    def __init__(self, own: dict[str, Access], *, alone: bool = False) -> None:
        self.own, self.alone = own, alone
        self._routes: dict[str, tuple[Route, ...]] = {}
        self._renewing: asyncio.Task[None] | None = None
        self.client = Client(
            connect_seconds=settings.UPSTREAM_CONNECT_SECONDS,
            silence_seconds=settings.UPSTREAM_SILENCE_SECONDS,
        )

    def routes(self, model: Model) -> tuple[Route, ...]:
        """The ways to a model, by priority; none if it is not to be had here."""
        pool = model.pool
        if not (pool.environment or self.alone):
            return pool.routes
        own = self._own(model)
        return own if self.alone or not pool.routes else own + pool.routes

    def serves(self, model: Model, caller: Caller) -> bool:
        """Whether this caller can have it: by a credential of ours, or a key of their own."""
        return bool(self.routes(model)) or (bool(caller.own_keys) and reaches(caller, model))

    def _own(self, model: Model) -> tuple[Route, ...]:
        if model.id not in self._routes:
            access = self.own.get(model.vendor)
            found = () if access is None else (Route(access, Breaker()),)
            self._routes[model.id] = found
        return self._routes[model.id]

    def breakers(self) -> dict[tuple[str, str], int]:
        """The state of every breaker that was ever asked, by credential and model."""
        return {way: breaker.state() for way, breaker in self.asked().items()}

    def asked(self) -> dict[tuple[str, str], Breaker]:
        """Every breaker there is of our credentials, by credential and model."""
        found = {
            (route.access.label, model): route.breaker
            for model, own in self._routes.items()
            for route in own
        }
        return found | breakers()

    def forget(self) -> None:
        """Ask the environment's pool as if nothing had happened yet."""
        self._routes.clear()

    async def post(
        self, access: Access, path: str, body: bytes, extra: Mapping[bytes, bytes]
    ) -> Reply:
        """Send a request, with `extra` headers (names in lower case) over our own. Raises
        UpstreamFailed or UpstreamTimeout if no answer comes."""
        if access.is_plain:
            return await self.client.post(access.origin, access.head(path, extra), body)
        head, body = await access.introduced(path, extra, body)
        return await self.client.post(access.origin, head, body)

    async def send(
        self, access: Access, path: str, body: bytes, extra: Mapping[bytes, bytes]
    ) -> Reply:
        """As `post`, but the answer is not waited for: the reply is the caller's to close."""
        if access.is_plain:
            return await self.client.send(access.origin, access.head(path, extra), body)
        head, body = await access.introduced(path, extra, body)
        return await self.client.send(access.origin, head, body)

    def begin(self) -> None:
        """Renew tokens ahead of their end from now on: no request shall wait for one."""
        self._renewing = asyncio.create_task(_renew_tokens())

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        await self.client.close()


async def _renew_tokens() -> None:
    while True:
        for access in in_use():
            if access.proof is not None and access.proof.due():
                with suppress(UpstreamFailed):  # logged, and tried again
                    await access.proof.renew()
        await asyncio.sleep(RENEWAL_SECONDS)


async def connect() -> Upstream:
    """With the environment's keys; in the sandbox, it plays every vendor."""
    if not settings.SANDBOX:
        upstream = Upstream(configured())
        upstream.begin()
        return upstream
    from sandbox.vendors.server import serve_in_background

    root, key = serve_in_background()
    play(root)
    return Upstream(
        {vendor: introduce("sandbox", vendor, root, key) for vendor in Vendor}, alone=True
    )
