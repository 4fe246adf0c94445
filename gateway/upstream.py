"""The vendors' side of the wire. The only module that knows the HTTP client (aiohttp: httpx costs
2,100 µs more a request, measured).

The vendor's 401, 402 and 429 are our problem, never the customer's (protocols.md section 4.2).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType

import aiohttp
from django.conf import settings

from gateway.catalogue import Model
from gateway.pools.breaker import Breaker
from gateway.pools.models import Vendor
from gateway.pools.routes import Access, Route, introduce
from hontoni.errors import UpstreamFailed, UpstreamTimeout


def _configured() -> dict[str, Access]:
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


class Reply:
    """A vendor's answer, its body still on the way. Use as `async with`: leaving closes it."""

    __slots__ = ("_response", "request_id", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        headers = response.headers
        self.status = response.status
        self.request_id = headers.get("x-request-id") or headers.get("request-id") or ""

    @property
    def content_type(self) -> str:
        return self._response.headers.get("Content-Type", "")

    @property
    def retry_after(self) -> str:
        return self._response.headers.get("Retry-After", "")

    async def __aenter__(self) -> "Reply":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing, not releasing: a vendor still writing must notice that nobody reads any more.
        self._response.close()

    async def read(self) -> bytes:
        """The whole body. Raises UpstreamFailed or UpstreamTimeout."""
        try:
            body = await self._response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failure(error) from error
        self._response.release()
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamFailed or UpstreamTimeout."""
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failure(error) from error
        self._response.release()


def failure(error: Exception) -> UpstreamFailed | UpstreamTimeout:
    """The HTTP client's error as ours; its text may name hosts, so it is not repeated."""
    if isinstance(error, TimeoutError):
        return UpstreamTimeout("The model's provider did not answer in time.")
    return UpstreamFailed("The connection to the model's provider broke.")


class Upstream:
    """One per process and event loop: the connection pool, and the environment's keys by vendor.

    `alone`: nobody else is asked, whatever is in the database. So play money stays play money.
    """

    def __init__(self, own: dict[str, Access], *, alone: bool = False) -> None:
        self.own, self.alone = own, alone
        self._routes: dict[str, tuple[Route, ...]] = {}
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=settings.UPSTREAM_CONNECT_SECONDS,
                sock_read=settings.UPSTREAM_SILENCE_SECONDS,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=2**18,
        )

    def routes(self, model: Model) -> tuple[Route, ...]:
        """The ways to a model, by priority; none if it is not to be had here."""
        pool = model.pool
        if not (pool.environment or self.alone):
            return pool.routes
        own = self._own(model)
        return own if self.alone or not pool.routes else own + pool.routes

    def _own(self, model: Model) -> tuple[Route, ...]:
        if model.id not in self._routes:
            access = self.own.get(model.vendor)
            found = () if access is None else (Route(access, Breaker()),)
            self._routes[model.id] = found
        return self._routes[model.id]

    def forget(self) -> None:
        """Ask the environment's pool as if nothing had happened yet."""
        self._routes.clear()

    async def post(
        self, access: Access, path: str, body: bytes, extra: Mapping[bytes, bytes]
    ) -> Reply:
        """Send a request, with `extra` headers (names in lower case) over our own. Raises
        UpstreamFailed or UpstreamTimeout if no answer comes."""
        headers = access.headers
        if extra:
            headers = headers.copy()
            for name, value in extra.items():
                headers[name.decode()] = value.decode("latin-1")
        try:
            return Reply(await self.session.post(access.url(path), data=body, headers=headers))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failure(error) from error

    async def close(self) -> None:
        await self.session.close()
        await asyncio.sleep(0)  # let the connector's transports close


async def connect() -> Upstream:
    """With the environment's keys; in the sandbox, it plays every vendor."""
    if not settings.SANDBOX:
        return Upstream(_configured())
    from gateway.sandbox.server import serve_in_background

    root, key = serve_in_background()
    return Upstream(
        {vendor: introduce("sandbox", vendor, root, key) for vendor in Vendor}, alone=True
    )
