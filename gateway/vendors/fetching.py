"""Images and documents a request only points at, for vendors that want their bytes.

The customer chooses the address, so it is treated as an attack: only addresses of the public
internet are ever connected to (the resolved one decides, on every redirect anew), the size of
each and of all together and the time are limited, no credential and no cookie goes along.
"""

import asyncio
import base64
import ipaddress
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from django.conf import settings
from yarl import URL

from hontoni.errors import ApiError, BadRequest
from hontoni.internet import is_public as is_public

MOST_BYTES = 20 * 1024 * 1024
MOST_SECONDS = 15
_MOST_URLS = 20
_MOST_REDIRECTS = 3
_CHUNK = 2**16
# What is raised for an address that cannot be had.
ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
_REDIRECTS = (301, 302, 303, 307, 308)


def is_internal(address: str) -> bool:
    """Whether it may be a machine of our own network: never one that a cloud's own secrets are
    told at (169.254.169.254 and such)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (ip.is_private or ip.is_loopback) and not (ip.is_link_local or ip.is_unspecified)


class _Guard(AbstractResolver):
    """Resolves names to public addresses only: what is checked is what is connected to.
    `internal`: to those of our own network as well, for what staff have put there."""

    def __init__(self, *, internal: bool = False) -> None:
        self._resolver = ThreadedResolver()
        self._internal = internal

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if _may_ask(each["host"], internal=self._internal)]
        if not public:
            raise OSError(f"{host} is not on the public internet")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _may_ask(address: str, *, internal: bool) -> bool:
    return is_public(address) or (internal and is_internal(address))


@asynccontextmanager
async def guarded(
    seconds: float, *, internal: bool = False
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that connects to nothing but the public internet, and keeps nothing. An address
    that stands in a URL itself meets no resolver: it is refused as it is asked for."""

    async def look(
        session: aiohttp.ClientSession, context: Any, told: aiohttp.TraceRequestStartParams
    ) -> None:
        _check(told.url, internal=internal)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(look)
    guard = _Guard(internal=internal)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=guard, use_dns_cache=False, limit=4),
        timeout=aiohttp.ClientTimeout(total=seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "hontoni"},
        trace_configs=[trace],
    ) as session:
        yield session


class Got(NamedTuple):
    """What an address answered with, in the end."""

    url: str
    status: int
    media_type: str
    charset: str
    body: bytes


async def page(url: URL, most_bytes: int, seconds: float, check: Callable[[URL], None]) -> Got:
    """The first so many bytes of what is there; `check` is asked before every step, and raises
    what it likes. Raises ERRORS."""
    async with guarded(seconds) as session:
        for _ in range(_MOST_REDIRECTS + 1):
            check(url)
            async with session.get(url, allow_redirects=False) as reply:
                if reply.status in _REDIRECTS:
                    url = url.join(URL(reply.headers.get("Location", "")))
                    continue
                body = await _first(reply, most_bytes)
                charset = reply.charset or ""
                return Got(str(url), reply.status, reply.content_type, charset, body)
    raise ValueError("too many redirects")


async def _first(reply: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in reply.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) >= most_bytes:
            break
    return bytes(body[:most_bytes])


class Fetched:
    """What one request's files have come to. `taken` is told of every piece, as base64."""

    def __init__(self, taken: Callable[[int], None]) -> None:
        self.left: int = settings.MAX_FETCHED_BYTES
        self.taken = taken

    def add(self, size: int) -> None:
        """Raises BadRequest when they are too many."""
        self.left -= size
        if self.left < 0:
            most = settings.MAX_FETCHED_BYTES // 1024 // 1024
            raise BadRequest(
                f"What this request points at is more than {most} MB in all.",
                code="invalid_image_url",
            )
        self.taken(-(-size * 4 // 3))


async def fetch_all(
    urls: Iterable[str], taken: Callable[[int], None] = lambda size: None
) -> dict[str, tuple[str, str]]:
    """Each URL's (media type, base64). One that is there twice is fetched once and counts twice.
    Raises BadRequest (400) for one that cannot be had, and what `taken` raises, which is told how
    many bytes more are held."""
    wanted = Counter(urls)
    if len(wanted) > _MOST_URLS:
        raise BadRequest(f"At most {_MOST_URLS} images or documents can be fetched by URL.")
    fetched = Fetched(taken)
    async with guarded(MOST_SECONDS) as session:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_fetch(session, url, fetched, times))
                    for url, times in wanted.items()
                ]
        except* ApiError as failed:
            raise failed.exceptions[0] from None
    return {url: task.result() for url, task in zip(wanted, tasks, strict=True)}


async def _fetch(
    session: aiohttp.ClientSession, url: str, fetched: Fetched, times: int
) -> tuple[str, str]:
    try:
        return await _follow(session, URL(url), fetched, times)
    except ERRORS:
        raise BadRequest(
            f"The URL {url[:200]!r} could not be fetched: it must be a public http or https "
            f"address that answers within {MOST_SECONDS} seconds with at most "
            f"{MOST_BYTES // 1024 // 1024} MB.",
            code="invalid_image_url",
        ) from None


async def _follow(
    session: aiohttp.ClientSession, url: URL, fetched: Fetched, times: int
) -> tuple[str, str]:
    for _ in range(_MOST_REDIRECTS + 1):
        async with session.get(url, allow_redirects=False) as reply:
            if reply.status in _REDIRECTS:
                url = url.join(URL(reply.headers.get("Location", "")))
                continue
            if reply.status != 200:
                raise ValueError(f"HTTP {reply.status}")
            parts = await _read(reply, fetched, times)
            return reply.content_type, await asyncio.to_thread(_encoded, parts)
    raise ValueError("too many redirects")


def _check(url: URL, *, internal: bool) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("no http address")
    try:
        address: Any = ipaddress.ip_address(url.host)
    except ValueError:
        return
    if not _may_ask(str(address), internal=internal):
        raise OSError(f"{address} is not on the public internet")


async def _read(reply: aiohttp.ClientResponse, fetched: Fetched, times: int) -> list[bytes]:
    parts, size = [], 0
    async for chunk in reply.content.iter_chunked(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise ValueError("too large")
        fetched.add(len(chunk) * times)
    return parts


def _encoded(parts: list[bytes]) -> str:
    whole = b"".join(parts)
    parts.clear()
    return base64.b64encode(whole).decode()
