"""The vendors' side of the wire. The only module that knows the HTTP client (aiohttp: httpx costs
2,100 µs more a request, measured).

The vendor's 401, 402 and 429 are our problem, never the customer's (protocols.md section 4.2).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp
from django.conf import settings
from multidict import CIMultiDict
from yarl import URL

from hontoni.errors import NotFound, UpstreamFailed, UpstreamTimeout

_DEFAULT_ANTHROPIC_VERSION = "2023-06-01"
_ALWAYS = {"User-Agent": "hontoni", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where a vendor is reached and how we introduce ourselves."""

    name: str
    root: str
    headers: CIMultiDict[str]
    _urls: dict[str, URL] = field(default_factory=dict)

    def url(self, path: str) -> URL:
        """Parsed once a path, not once a request."""
        if path not in self._urls:
            self._urls[path] = URL(self.root + path)
        return self._urls[path]


def _introduce(name: str, root: str, **credentials: str) -> Vendor:
    """A vendor, with the headers that go with every request to it."""
    headers = CIMultiDict({"Content-Type": "application/json", **_ALWAYS, **credentials})
    if name == "anthropic":
        headers["anthropic-version"] = _DEFAULT_ANTHROPIC_VERSION
    return Vendor(name, root, headers)


def _root(base_url: str) -> str:
    """With or without a trailing /v1, both work."""
    return base_url.rstrip("/").removesuffix("/v1beta").removesuffix("/v1").rstrip("/")


def _configured() -> dict[str, Vendor]:
    """The vendors that have a key."""
    found = []
    if key := settings.OPENAI_API_KEY:
        bearer = {"Authorization": f"Bearer {key}"}
        found.append(_introduce("openai", _root(settings.OPENAI_BASE_URL), **bearer))
    if key := settings.ANTHROPIC_API_KEY:
        found.append(
            _introduce("anthropic", _root(settings.ANTHROPIC_BASE_URL), **{"x-api-key": key})
        )
    if key := settings.GEMINI_API_KEY:
        found.append(
            _introduce("google", _root(settings.GEMINI_BASE_URL), **{"x-goog-api-key": key})
        )
    return {vendor.name: vendor for vendor in found}


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
    """One per process and event loop: the connection pool and the vendors' addresses."""

    def __init__(self, vendors: dict[str, Vendor]) -> None:
        self.vendors = vendors
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

    def offers(self, vendor: str) -> bool:
        return vendor in self.vendors

    async def post(
        self, vendor: str, path: str, body: bytes, extra: Mapping[bytes, bytes]
    ) -> Reply:
        """Send a request, with `extra` headers (names in lower case) over our own. Raises
        UpstreamFailed or UpstreamTimeout if no answer comes."""
        there = self.vendors.get(vendor)
        if there is None:
            raise NotFound("This deployment has no access to that model.", code="model_not_found")
        headers = there.headers
        if extra:
            headers = headers.copy()
            for name, value in extra.items():
                headers[name.decode()] = value.decode("latin-1")
        try:
            return Reply(await self.session.post(there.url(path), data=body, headers=headers))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failure(error) from error

    async def close(self) -> None:
        await self.session.close()
        await asyncio.sleep(0)  # let the connector's transports close


async def connect() -> Upstream:
    """The vendors with keys; with none at all, the built-in sandbox plays every one of them."""
    if not settings.SANDBOX:
        return Upstream(_configured())
    from gateway.sandbox.server import serve_in_background

    root, key = serve_in_background()
    credentials = {"Authorization": f"Bearer {key}", "x-api-key": key, "x-goog-api-key": key}
    names = ("openai", "anthropic", "google")
    return Upstream({name: _introduce(name, root, **credentials) for name in names})
